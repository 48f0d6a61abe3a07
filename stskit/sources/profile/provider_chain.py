"""Change botocore's credential chain: processes have a time limit, and only the main thread asks for MFA codes."""

from __future__ import annotations

import getpass
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
from stskit.sources.profile.process import CompletedProcess, run_process

__all__ = ["SourceProviders", "harden_chain"]


def harden_chain(session: Session, process_timeout: float) -> None:
    """Replace providers of a session, also for source profiles.

    Each ``credential_process`` is stopped after *process_timeout* seconds, and only the main thread asks for MFA codes.
    The providers raise `ProofInvalid` or `SignInRequired`, without the profile name. Call this before the session loads
    credentials. Raises what botocore raises when it reads the config file.
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
    """A builder of the providers for source profiles, in place of botocore's `ProfileProviderBuilder`."""

    session: Session
    process_timeout: float
    cache: dict[str, object] = field(factory=dict)  # for this session only
    _runs: dict[tuple[str, ...], CompletedProcess] = field(init=False, factory=dict, repr=False)

    def providers(self, profile_name: str, disable_env_vars: bool = False) -> list[CredentialProvider]:
        """Return the providers for a profile, in botocore's order."""
        built = ProfileProviderBuilder(self.session, cache=self.cache).providers(profile_name, disable_env_vars)
        return [self.process(profile_name) if isinstance(each, ProcessProvider) else each for each in built]

    def process(self, profile: str) -> ProcessProvider:
        """Return a provider that runs the process once, with a time limit, and checks its output."""
        return ProcessProvider(profile, self._config, popen=self._run_once)

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

    def _run_once(self, command: list[str], **_pipes: object) -> CompletedProcess:
        """Run a command once. botocore runs it again at once if its credentials expire within 15 minutes."""
        key = tuple(command)
        if key not in self._runs:
            self._runs[key] = run_process(self.process_timeout, command)
        return self._runs[key]

    def _config(self) -> dict[str, object]:
        return self.session.full_config


def _ask(question: str) -> str:
    if current_thread() is main_thread():
        try:
            return getpass.getpass(question)
        except EOFError:
            pass
    raise SignInRequired(
        "it needs an MFA code, and there is no person to ask: this is not the main thread at a terminal.",
        remedy="Call fetch() in the main thread at a terminal, or use a profile without MFA.",
        cli_remedy="Run the command at a terminal, or use a profile without MFA.",
    )
