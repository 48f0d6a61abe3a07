"""A .env file, as development tools and containers read it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final

from attrs import field, frozen

from stskit._arguments import expanded, flag, optional_shown_text, path_text
from stskit.credentials import Credentials, check_credentials
from stskit.errors import SinkError, StskitWarning, init_without_frames, without_frames
from stskit.sinks.dot_env.env_file import BARE, updated
from stskit.sinks.environment import OWN_VARIABLES, bearer_tokens, variables
from stskit.sinks.file_edit import FileEdit, check_edits, edit_files

__all__ = ["DotEnv"]

_OF_A_HOOK: Final = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR")
_NO_FETCH: Final = {"GIT_ALLOW_PROTOCOL": "none"}


_PLACEHOLDERS: Final = Credentials("ASIAPLACEHOLDER", "placeholder", "placeholder", datetime(9999, 1, 1, tzinfo=UTC))


def _path(path: str | os.PathLike[str]) -> str:
    return expanded(path_text(path, SinkError, remedy="write the path of the .env file"), SinkError)


@init_without_frames
@frozen
class DotEnv:
    """The variables in a .env file; all other lines stay as they are, byte by byte.

    `path`: the file, made with mode 0600 where it is missing. `region`, `expiration`: as in `Environment`. `backup`:
    whether to keep what was there before in ``<path>.bak``. A variable that is there more than once is changed
    everywhere; what AWS SDKs would mix with these credentials or prefer to them, such as ``AWS_PROFILE`` or a bearer
    token (``AWS_BEARER_TOKEN_...``), is removed. Variables that come after keys, such as ``AWS_ROLE_ARN``, and the
    marks of other tools stay, because other programs may read the file.

    Writers wait for each other, for up to 10 seconds, by a lock on the folder of the file, which must exist. The file
    is replaced as the credentials file is, with the same warnings; and there is one where git would commit it. If a
    line of other AWS credentials is there with ``export``, all new lines have it.

    Raises `SinkError` for a path that cannot be expanded, and `TypeError` for one that is not a path.
    """

    path: str = field(converter=_path)
    region: str | None = field(default=None, kw_only=True, validator=optional_shown_text)
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

    @without_frames
    def check(self) -> None:
        """Check that `write` can put credentials into the file, before you fetch any. The file stays as it is.

        Raises the `SinkError` that `write` would raise for temporary credentials: for a region that not all readers
        take alike, for a file or folder that cannot be written, and for lines that readers take differently.
        """
        check_edits([self._edit(_PLACEHOLDERS)])

    def _edit(self, credentials: Credentials) -> FileEdit:
        return FileEdit(self.path, partial(_updated, values=self._values(credentials)), backup=self.backup)

    def _write(self, credentials: Credentials) -> list[str]:
        check_credentials(credentials)
        if credentials.is_expired():
            raise SinkError(
                f"{self.path} was not changed: the credentials expired at {credentials.expiration}",
                remedy="fetch new ones, and check the clock",
                path=self.path,
            )
        file = self._edit(credentials)
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
        return {**dict.fromkeys(OWN_VARIABLES), **found}


def _updated(data: bytes, *, values: Mapping[str, str | None]) -> list[bytes]:
    text = data.decode()
    return [updated(text, {**dict.fromkeys(bearer_tokens(text)), **values}).encode()]


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
