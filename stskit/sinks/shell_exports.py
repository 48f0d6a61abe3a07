"""Text that sets variables in a shell."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal, get_args

from attrs import field, frozen

from stskit._arguments import flag, optional_text, quoted, text
from stskit.credentials import check_credentials
from stskit.errors import SinkError, init_without_frames, without_frames
from stskit.sinks.environment import to_unset, variables

if TYPE_CHECKING:
    from stskit.credentials import Credentials

__all__ = ["ShellExports"]

Shell = Literal["sh", "bash", "dash", "ksh", "zsh", "fish", "csh", "tcsh", "powershell", "pwsh"]

_QUOTES: Final = "'\u2018\u2019\u201a\u201b"


@frozen
class _Dialect:
    set: str
    unset: str
    quote: Callable[[str], str | None]  # None: this shell cannot quote that


def _sh(value: str) -> str:
    """A line goes on after each brace: ksh expands what ``eval $(...)`` gives it, but no braces across a blank.

    `shlex.quote` would leave ``=ls`` bare, and zsh makes the path of a program of it.
    """
    return "'" + value.replace("'", "'\"'\"'").replace("{", "{'\\\n'") + "'"


def _fish(value: str) -> str:
    return "'" + re.sub(r"([\\'])", r"\\\1", value) + "'"


def _tcsh(value: str) -> str:
    """Its history looks into quotes, and so do backslashes where ``backslash_quote`` is set: both stand outside.

    Braces would be expanded in ``eval `...` `` without quotes, but for one that has no end: that stops it all.
    """
    quoted = "'" + re.sub(r"['!\\]", r"'\\\g<0>'", value).replace("\n", "\\\n") + "'"
    return quoted + ("; : '{'" if "{" in value else "")


def _powershell(value: str) -> str | None:
    """Five characters are its single quotes; in a wrong code page, half of another letter would be one."""
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
    """Text that sets the variables in the shell that evaluates it, and removes what would select other credentials.

    `shell`: ``"sh"`` (also bash, dash, ksh, zsh), ``"fish"``, ``"tcsh"`` (also csh) or ``"powershell"`` (also
    pwsh). `region`, `expiration`: as in `Environment`. Each line is a statement of its own::

        eval "$(python my_login.py)"                              # sh
        python my_login.py | source                               # fish
        eval "`python my_login.py`"                               # tcsh
        python my_login.py | Out-String | Invoke-Expression       # PowerShell

    What it removes is what `Environment` leaves out. Of bearer tokens it removes those for the services known here, and
    those in the environment of this process, which is usually that of the shell.

    A universal variable of fish belongs to the user, and stays: erase what it says of other credentials.

    Raises `SinkError` for another shell. https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html
    """

    shell: Shell = field(default="sh", validator=text)
    region: str | None = field(default=None, kw_only=True, validator=optional_text, repr=quoted)
    expiration: bool = field(default=False, kw_only=True, validator=flag)

    def __attrs_post_init__(self) -> None:
        if self.shell not in _DIALECTS:
            raise SinkError(
                f"{quoted(self.shell)} is no shell known here",
                remedy=f"name one of {', '.join(get_args(Shell))}",
                option="shell",
            )

    @without_frames  # frames on the way hold values in plain text
    def write(self, credentials: Credentials, /) -> str:
        """The text for *credentials*; it is secret. Raises `SinkError` for what this shell cannot quote."""
        check_credentials(credentials)
        dialect = _DIALECTS[self.shell]
        lines = []
        for name, value in variables(credentials, self.region, self.expiration).items():
            quoted = None if re.search("[\0\ud800-\udfff]", value) else dialect.quote(value)
            if quoted is None:
                raise SinkError(
                    f"{name} holds what {self.shell} cannot quote", remedy="write it to another sink", variable=name
                )
            lines.append(dialect.set.format(name, quoted))
        return self.unset() + "\n".join(lines) + "\n"

    def unset(self) -> str:
        """Return the text that removes what `write` sets, and what would select other credentials. Raises nothing."""
        names = to_unset(os.environ, self.region)
        return "".join(f"{_DIALECTS[self.shell].unset.format(name)}\n" for name in names)
