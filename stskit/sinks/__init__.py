"""Sinks, which deliver credentials: one module for each place, imported when the sink is first used."""

from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from stskit.sinks.credential_process import CredentialProcess
    from stskit.sinks.credentials_file import CredentialsFile
    from stskit.sinks.dot_env import DotEnv
    from stskit.sinks.environment import Environment
    from stskit.sinks.session import Boto3Session, BotocoreSession
    from stskit.sinks.shell_exports import ShellExports

__all__ = [
    "Boto3Session",
    "BotocoreSession",
    "CredentialProcess",
    "CredentialsFile",
    "DotEnv",
    "Environment",
    "ShellExports",
]

# Names that other modules need without importing a sink.
REGIONS: Final = (
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
)  # boto3 reads only the second, JavaScript the first
Shell = Literal["sh", "bash", "dash", "ksh", "zsh", "fish", "csh", "tcsh", "powershell", "pwsh"]

_FILES: Final = {
    "Boto3Session": "session",
    "BotocoreSession": "session",
    "CredentialProcess": "credential_process",
    "CredentialsFile": "credentials_file",
    "DotEnv": "dot_env",
    "Environment": "environment",
    "ShellExports": "shell_exports",
}


def __getattr__(name: str) -> object:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    sink: object = getattr(import_module(f"{__name__}.{_FILES[name]}"), name)
    globals()[name] = sink  # so that the next access does not come here
    return sink


def __dir__() -> list[str]:
    return __all__
