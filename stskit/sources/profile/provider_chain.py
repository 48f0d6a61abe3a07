"""botocore's search for the credentials of a profile, which here neither waits for ever nor asks in the background."""

from __future__ import annotations

import os
from functools import partial
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from stskit.credentials import Credentials
from stskit.errors import ProofInvalid, SignInRequired, prefixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botocore.credentials import (
        AssumeRoleProvider,
        CanonicalNameCredentialSourcer,
        CredentialProvider,
        ProcessProvider,
    )
    from botocore.session import Session

__all__ = ["harden_chain", "mark_process"]

_PROCESSES: Final = "_STSKIT_CREDENTIAL_PROCESSES"  # tells a process which ones it runs in


def harden_chain(session: Session, process_timeout: float) -> None:
    """Change how *session* gets its credentials, by way of source profiles too: each ``credential_process`` ends after
    *process_timeout* seconds, what it prints is in no error, and an MFA code is asked for in the main thread only.

    What is wrong raises `ProofInvalid` or `SignInRequired`, without the name of the profile. Call it before `session`
    is asked for credentials; it raises what botocore raises when it reads the config.
    """
    from botocore import credentials

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
        from botocore.credentials import ProcessProvider, ProfileProviderBuilder

        built = ProfileProviderBuilder(self.session, cache=self.cache).providers(profile_name, disable_env_vars)
        return [self.process(profile_name) if isinstance(each, ProcessProvider) else each for each in built]

    def process(self, profile: str) -> ProcessProvider:
        """Return a provider that ends the process in time and checks what it printed."""
        from botocore.credentials import ProcessProvider

        return ProcessProvider(profile, self._config, popen=partial(_run, self.process_timeout))

    def role(self, profile: str, elsewhere: CanonicalNameCredentialSourcer) -> AssumeRoleProvider:
        """Return a provider that asks for MFA codes in the main thread only."""
        from botocore.credentials import AssumeRoleProvider

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


@frozen
class _CompletedProcess:
    """A process that has ended, with the methods of `subprocess.Popen` that botocore calls."""

    output: bytes = field(repr=False)
    returncode: int = 0

    def communicate(self) -> tuple[bytes, bytes]:
        return self.output, b""


def mark_process(arguments: Sequence[str]) -> None:
    """Let it be noticed where this process, which gives credentials, is run by itself: a command that ends with
    *arguments* is an error from now on.
    """
    os.environ[_PROCESSES] = " ".join([*os.environ.get(_PROCESSES, "").split(), _digest(arguments)])


def _digest(command: Sequence[str]) -> str:
    from hashlib import sha256

    return sha256("\0".join(command).encode(errors="surrogateescape")).hexdigest()


def _run(timeout: float, command: list[str], **_pipes: object) -> _CompletedProcess:
    from subprocess import DEVNULL, PIPE, TimeoutExpired, run

    above = os.environ.get(_PROCESSES, "").split()
    if any(_digest(command[start:]) in above for start in range(len(command))):
        raise ProofInvalid(
            "its credential_process asks for the credentials of this very profile, and so would run for ever",
            remedy="let it start from another profile",
        )
    environment = {**os.environ, _PROCESSES: " ".join([*above, _digest(command)])}
    try:
        # After the timeout it kills the process, and does not wait for what that has started.
        done = run(command, env=environment, stdout=PIPE, stderr=DEVNULL, timeout=timeout, check=False)  # noqa: S603
    except TimeoutExpired:  # it holds what was printed, so no error may keep it
        raise ProofInvalid(
            f"its credential_process had not ended after {timeout:g} s, and was stopped",
            remedy="run it to see what it waits for, or allow it more: Profile(..., process_timeout=seconds)",
            cli_remedy="run it to see what it waits for",
        ) from None
    except (OSError, ValueError, IndexError) as error:  # not there, a NUL in it, empty
        why = getattr(error, "strerror", None) or "it is no command"
        raise ProofInvalid(f"its credential_process cannot be started: {why}", remedy="correct it") from None
    _check_output(done.returncode, done.stdout)
    return _CompletedProcess(done.stdout)


def _check_output(status: int, output: bytes) -> None:
    """Raise `ProofInvalid`, which quotes nothing of *output*, where the process failed or printed no credentials."""
    from json import loads

    if status:
        how = f"with status {status}" if status > 0 else f"by signal {-status}"
        raise ProofInvalid(f"its credential_process ended {how}", remedy="run it to see why")
    try:
        Credentials.from_dict(loads(output))
    except ProofInvalid as error:
        raise prefixed(error, "its credential_process gave no credentials that can be used: ") from None
    except (ValueError, RecursionError):
        raise ProofInvalid("its credential_process printed no JSON", remedy="run it to see what it prints") from None


def _ask(question: str) -> str:
    from getpass import getpass

    if current_thread() is main_thread():
        try:
            return getpass(question)
        except EOFError:
            pass
    raise SignInRequired(
        "it needs an MFA code, and nobody can be asked here",
        remedy="fetch once in the main thread, at a terminal, or use a profile that needs none",
    )
