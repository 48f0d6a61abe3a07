"""A sink that makes shell commands which set environment variables."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, get_args

from attrs import field, frozen

from stskit._arguments import flag, optional_text, quoted, text
from stskit.credentials import check_credentials
from stskit.errors import SinkError, init_without_frames, without_frames
from stskit.sinks import Shell
from stskit.sinks.environment import to_unset, variables

if TYPE_CHECKING:
    from stskit.credentials import Credentials

__all__ = ["ShellExports"]

_QUOTES: Final = "'\u2018\u2019\u201a\u201b"


@frozen
class _Dialect:
    set: str
    unset: str
    quote: Callable[[str], str | None]  # returns None for text that this shell cannot quote


def _sh(value: str) -> str:
    """Quote text. Each brace is followed by a line continuation, because ksh expands braces in ``eval $(...)``.

    `shlex.quote` does not quote ``=ls``, which zsh replaces by the path of a program.
    """
    return "'" + value.replace("'", "'\"'\"'").replace("{", "{'\\\n'") + "'"


def _fish(value: str) -> str:
    return "'" + re.sub(r"([\\'])", r"\\\1", value) + "'"


def _tcsh(value: str) -> str:
    """Quote text. ``!`` and backslashes are outside the quotes, because tcsh interprets them inside.

    tcsh expands braces in ``eval `...` `` without quotes, unless a later brace has no end.
    """
    quoted = "'" + re.sub(r"['!\\]", r"'\\\g<0>'", value).replace("\n", "\\\n") + "'"
    return quoted + ("; : '{'" if "{" in value else "")


def _powershell(value: str) -> str | None:
    """Quote text. PowerShell has five kinds of single quotes. Other letters depend on the code page."""
    if not re.fullmatch(f"[ -~{_QUOTES}]*", value):
        return None
    return "'" + re.sub(f"[{_QUOTES}]", r"\g<0>\g<0>", value) + "'"


_SH: Final = _Dialect("export {}={};", "unset {};", _sh)
_FISH: Final = _Dialect("set -gx {} {};", "set -eg {}; or true;", _fish)
_TCSH: Final = _Dialect("setenv {} {};", "unsetenv {};", _tcsh)
_POWERSHELL: Final = _Dialect("$Env:{} = {};", "$Env:{} = $null;", _powershell)
_DIALECTS: Final = {
    **dict.fromkeys(("sh", "bash", "dash", "ksh", "zsh"), _SH),
    "fish": _FISH,
    **dict.fromkeys(("csh", "tcsh"), _TCSH),
    **dict.fromkeys(("powershell", "pwsh"), _POWERSHELL),
}


@init_without_frames
@frozen
class ShellExports:
    """A sink that returns shell commands. They set the credentials and remove variables that select other credentials.

    Each line is a statement of its own::

        eval "$(python my_login.py)"                              # sh
        python my_login.py | source                               # fish
        eval "`python my_login.py`"                               # tcsh
        python my_login.py | Out-String | Invoke-Expression       # PowerShell

    The removed variables are those of `Environment`. Bearer tokens are removed for the services that stskit knows, and
    for those in the environment of this process. A universal variable of fish stays, because it belongs to the user.

    Args:
        shell: ``"sh"`` (also bash, dash, ksh, zsh), ``"fish"``, ``"tcsh"`` (also csh) or ``"powershell"`` (also pwsh).
            Defaults to ``"sh"``.
        region: AWS region to set. Defaults to not setting one.
        expiration: Whether to set ``AWS_CREDENTIAL_EXPIRATION`` too. Defaults to False.

    Raises:
        SinkError: If the shell is not supported.
        TypeError: If an argument has the wrong type.

    Example:
        >>> from stskit import assume
        >>> from stskit.sinks import ShellExports
        >>> text = assume("arn:aws:iam::123456789012:role/Deploy").to(ShellExports("fish"))
        >>> [line[:25] for line in text.splitlines() if line.startswith("set -gx AWS_ACCESS")]
        ['set -gx AWS_ACCESS_KEY_ID']

    https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html
    """

    shell: Shell = field(default="sh", validator=text)
    region: str | None = field(default=None, kw_only=True, validator=optional_text, repr=quoted)
    expiration: bool = field(default=False, kw_only=True, validator=flag)

    def __attrs_post_init__(self) -> None:
        if self.shell not in _DIALECTS:
            raise SinkError(
                f"{quoted(self.shell)} is not a supported shell.",
                remedy=f"Pass one of {', '.join(get_args(Shell))}.",
                option="shell",
            )

    @without_frames  # the frames inside contain values in plain text
    def write(self, credentials: Credentials, /) -> str:
        """Return the shell commands. The text is secret.

        Args:
            credentials: The credentials to deliver.

        Returns:
            Commands that remove other credentials and set these.

        Raises:
            SinkError: If the shell cannot quote a value.
            TypeError: If they are not `Credentials`.
        """
        check_credentials(credentials)
        dialect = _DIALECTS[self.shell]
        lines = []
        for name, value in variables(credentials, self.region, self.expiration).items():
            quoted = None if re.search("[\0\ud800-\udfff]", value) else dialect.quote(value)
            if quoted is None:
                raise SinkError(
                    f"{name} has characters that {self.shell} cannot quote.", remedy="Use another sink.", variable=name
                )
            lines.append(dialect.set.format(name, quoted))
        return self.unset() + "\n".join(lines) + "\n"

    def unset(self) -> str:
        """Return shell commands that remove the variables of `write`, and those that select other credentials.

        Returns:
            The commands. Raises nothing.
        """
        names = to_unset(os.environ, self.region)
        return "".join(f"{_DIALECTS[self.shell].unset.format(name)}\n" for name in names)
