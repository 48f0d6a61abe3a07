"""botocore's search for the credentials of a profile, which here neither waits for ever nor asks in the background."""

from __future__ import annotations

import getpass
from functools import partial
from threading import current_thread, main_thread

from attrs import field, frozen
from botocore import credentials
from botocore.credentials import (
    AssumeRoleProvider,
    CanonicalNameCredentialSourcer,
    CredentialProvider,
    ProcessProvider,
    ProfileProviderBuilder,
)
from botocore.session import Session

from stskit.errors import SignInRequired
from stskit.sources.profile.process import run_process

__all__ = ["SourceProviders", "harden_chain"]


def harden_chain(session: Session, process_timeout: float) -> None:
    """Change how *session* gets its credentials, by way of source profiles too: each ``credential_process`` ends after
    *process_timeout* seconds, what it prints is in no error, and an MFA code is asked for in the main thread only.

    What is wrong raises `ProofInvalid` or `SignInRequired`, without the name of the profile. Call it before `session`
    is asked for credentials; it raises what botocore raises when it reads the config.
    """
    chain = session.get_component("credential_provider")
    name = session.get_config_variable("profile") or "default"
    sources = SourceProviders(session, process_timeout)
    elsewhere = credentials.CanonicalNameCredentialSourcer(
        [credentials.EnvProvider(), chain.get_provider("container-role"), chain.get_provider("iam-role")]
    )
    for number, provider in enumerate(chain.providers):
        if isinstance(provider, credentials.ProcessProvider):
            chain.providers[number] = sources.process(name)
        elif isinstance(provider, credentials.AssumeRoleProvider):
            chain.providers[number] = sources.role(name, elsewhere)


@frozen
class SourceProviders:
    """Builds the providers for a source profile; botocore takes it for its own `ProfileProviderBuilder`."""

    session: Session
    process_timeout: float
    cache: dict[str, object] = field(factory=dict)  # for this session only

    def providers(self, profile_name: str, disable_env_vars: bool = False) -> list[CredentialProvider]:
        """Return the providers for the profile of that name, in botocore's order."""
        built = ProfileProviderBuilder(self.session, cache=self.cache).providers(profile_name, disable_env_vars)
        return [self.process(profile_name) if isinstance(each, ProcessProvider) else each for each in built]

    def process(self, profile: str) -> ProcessProvider:
        """Return a provider that ends the process in time and checks what it printed."""
        return ProcessProvider(profile, self._config, popen=partial(run_process, self.process_timeout))

    def role(self, profile: str, elsewhere: CanonicalNameCredentialSourcer) -> AssumeRoleProvider:
        """Return a provider that asks for MFA codes in the main thread only."""
        return AssumeRoleProvider(
            self._config,
            self.session.create_client,
            self.cache,
            profile,
            prompter=_ask,
            credential_sourcer=elsewhere,
            profile_provider_builder=self,
        )

    def _config(self) -> dict[str, object]:
        return self.session.full_config


def _ask(question: str) -> str:
    if current_thread() is main_thread():
        try:
            return getpass.getpass(question)
        except EOFError:
            pass
    raise SignInRequired(
        "it needs an MFA code, and nobody can be asked here",
        remedy="fetch once in the main thread, at a terminal, or use a profile that needs none",
        cli_remedy="run the command at a terminal, or use a profile that needs none",
    )
