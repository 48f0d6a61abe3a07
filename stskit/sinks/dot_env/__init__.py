"""A .env file, as development tools and containers read it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from functools import partial
from typing import Final

from attrs import field, frozen

from stskit._arguments import expanded, flag, optional_text, path_text
from stskit.credentials import Credentials, check_credentials
from stskit.errors import SinkError, StskitWarning, init_without_frames, without_frames
from stskit.sinks.dot_env.env_file import BARE, updated
from stskit.sinks.environment import STALE, variables
from stskit.sinks.file_edit import FileEdit, edit_files

__all__ = ["DotEnv"]

_OF_A_HOOK: Final = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR")
_NO_FETCH: Final = {"GIT_ALLOW_PROTOCOL": "none"}


def _path(path: str | os.PathLike[str]) -> str:
    return expanded(path_text(path, SinkError, remedy="write the path of the .env file"), SinkError)


@init_without_frames
@frozen
class DotEnv:
    """The variables in a .env file; all other lines stay as they are, byte by byte.

    `path`: the file, made with mode 0600 where it is missing. `region`, `expiration`: as in `Environment`. `backup`:
    whether to keep what was there before in ``<path>.bak``. A variable that is there more than once is changed
    everywhere; what says something of other credentials, such as ``AWS_PROFILE``, is taken out.

    Writers wait for each other, for up to 10 seconds, by a lock on ``<path>.lock``. The file is replaced as the
    credentials file is, with the same warnings; and there is one where git would commit it.
    """

    path: str = field(converter=_path)
    region: str | None = field(default=None, kw_only=True, validator=optional_text)
    expiration: bool = field(default=False, kw_only=True, validator=flag)
    backup: bool = field(default=False, kw_only=True, validator=flag)

    @without_frames  # frames on the way hold all that is in the file
    def write(self, credentials: Credentials, /) -> str:
        """Put *credentials* into the file; gives its path.

        Raises `SinkError` where they have expired, where a value would not be read back alike by every tool and shell,
        and where the file cannot be changed safely; it is as it was then.
        """
        for note in self._write(credentials):
            warnings.warn(note, StskitWarning, 3)  # where the caller called this method, which is wrapped
        return self.path

    def _write(self, credentials: Credentials) -> list[str]:
        check_credentials(credentials)
        if credentials.is_expired():
            raise SinkError(
                f"{self.path} was not changed: the credentials expired at {credentials.expiration}",
                remedy="fetch new ones, and check the clock",
                path=self.path,
            )
        file = FileEdit(self.path, partial(_updated, values=self._values(credentials)), backup=self.backup)
        notes = edit_files([file])
        paths = [file.real, f"{file.real}.bak"] if self.backup else [file.real]
        return [*notes, *(note for path in paths if os.path.exists(path) for note in _git_warnings(path))]

    def _values(self, credentials: Credentials) -> dict[str, str | None]:
        found = variables(credentials, self.region, self.expiration)
        for name, value in found.items():
            if not BARE.fullmatch(value):
                raise SinkError(
                    f"{self.path} was not changed: {name} has characters that not all readers of a .env file take "
                    "alike",
                    remedy="check its source",
                    variable=name,
                    path=self.path,
                )
        return {**dict.fromkeys(STALE), **found}


def _updated(data: bytes, *, values: Mapping[str, str | None]) -> list[bytes]:
    return [updated(data.decode(), values).encode()]


def _git_warnings(path: str) -> list[str]:
    """Return a warning where git would commit the file. Of a link, git commits the name in it, not the target."""
    from subprocess import DEVNULL, TimeoutExpired, run

    folder = above = os.path.dirname(path)
    while not os.path.exists(os.path.join(above, ".git")):
        if above == (above := os.path.dirname(above)):
            return []
    # Nothing that the repository names is run: no monitor, and no program that fetches what a partial clone lacks. And
    # in a hook of another repository, git would look there.
    others = {name: value for name, value in os.environ.items() if name not in _OF_A_HOOK}
    command = ["git", "-C", folder, "-c", "core.fsmonitor=false", "check-ignore", "-q", "--", path]
    try:
        ignored = run(  # noqa: S603
            command, env=others | _NO_FETCH, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, timeout=5, check=False
        )
    except (OSError, TimeoutExpired):  # no git: nobody commits
        return []
    if ignored.returncode != 1:
        return []
    return [f"{path} is in a git work tree and not ignored; add it to .gitignore, before it is committed"]
