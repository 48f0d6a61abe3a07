"""A sink that writes a .env file, as development tools and containers read it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final

from attrs import field, frozen

from stskit._arguments import expanded, flag, optional_shown_text, path_text
from stskit._time import shown_time
from stskit.credentials import Credentials, check_credentials
from stskit.errors import SinkError, StskitWarning, init_without_frames, warn_caller, without_frames
from stskit.sinks.dot_env.env_file import BARE, updated
from stskit.sinks.environment import OWN_VARIABLES, bearer_tokens, variables
from stskit.sinks.file_edit import FileEdit, check_edits, edit_files

__all__ = ["DotEnv"]

_OF_A_HOOK: Final = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR")
_NO_FETCH: Final = {"GIT_ALLOW_PROTOCOL": "none"}


_PLACEHOLDERS: Final = Credentials("ASIAPLACEHOLDER", "placeholder", "placeholder", datetime(9999, 1, 1, tzinfo=UTC))


def _path(path: str | os.PathLike[str]) -> str:
    return expanded(path_text(path, SinkError, remedy="Pass the path of the .env file."), SinkError)


@init_without_frames
@frozen
class DotEnv:
    """A sink that writes the variables into a .env file. All other lines keep every byte.

    A variable that occurs several times is changed everywhere. Variables that SDKs would mix with these credentials or
    prefer to them, such as ``AWS_PROFILE`` or a bearer token (``AWS_BEARER_TOKEN_...``), are removed. Variables with a
    lower priority than keys, such as ``AWS_ROLE_ARN``, and variables of other tools stay, because other programs may
    read the file. If a line of other AWS credentials has ``export``, all new lines have it.

    Writers wait for each other up to 10 seconds, with a lock on the folder of the file. The file is replaced
    atomically. A warning is shown if other users can read it, or if git would commit it.

    Args:
        path: Path of the file. Its folder must exist. A new file has mode 0600.
        region: AWS region to write. Defaults to leaving the region unchanged.
        expiration: Whether to write ``AWS_CREDENTIAL_EXPIRATION`` too. Defaults to False.
        backup: Whether to keep the old content in ``<path>.bak``. Defaults to False.

    Raises:
        SinkError: If the path cannot be expanded.
        TypeError: If an argument has the wrong type.

    Example:
        >>> from stskit import assume
        >>> from stskit.sinks import DotEnv
        >>> assume("arn:aws:iam::123456789012:role/Deploy").to(DotEnv(".env", region="eu-central-1"))
        '.env'

    https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html
    """

    path: str = field(converter=_path)
    region: str | None = field(default=None, kw_only=True, validator=optional_shown_text)
    expiration: bool = field(default=False, kw_only=True, validator=flag)
    backup: bool = field(default=False, kw_only=True, validator=flag)

    @without_frames  # the frames inside contain the whole file
    def write(self, credentials: Credentials, /) -> str:
        """Write the variables into the file.

        Args:
            credentials: The credentials to deliver.

        Returns:
            The path of the file.

        Raises:
            SinkError: If they have expired, if tools and shells would read a value in different ways, or if the file
                cannot be changed safely. The file is then unchanged.
            TypeError: If they are not `Credentials`.
        """
        for note in self._write(credentials):
            warn_caller(note, StskitWarning)
        return self.path

    @without_frames
    def check(self) -> None:
        """Check that `write` can change the file, before you fetch credentials. The file stays unchanged.

        Raises:
            SinkError: If `write` would raise it: for a region that tools read in different ways, for a file or folder
                that cannot be written, or for lines that tools read in different ways.
        """
        check_edits([self._edit(_PLACEHOLDERS)])

    def _edit(self, credentials: Credentials) -> FileEdit:
        return FileEdit(self.path, partial(_updated, values=self._values(credentials)), backup=self.backup)

    def _write(self, credentials: Credentials) -> list[str]:
        check_credentials(credentials)
        if credentials.expiration is not None and credentials.is_expired():
            raise SinkError(
                f"{self.path} was not changed: the credentials expired at {shown_time(credentials.expiration)}.",
                remedy="Fetch new credentials, and check the clock.",
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
                    f"{self.path} was not changed: {name} has characters that tools read in different ways in a .env "
                    "file.",
                    remedy="Check the place where the value comes from.",
                    variable=name,
                    path=self.path,
                )
        return {**dict.fromkeys(OWN_VARIABLES), **found}


def _updated(data: bytes, *, values: Mapping[str, str | None]) -> list[bytes]:
    text = data.decode()
    return [updated(text, {**dict.fromkeys(bearer_tokens(text)), **values}).encode()]


def _git_warnings(path: str) -> list[str]:
    """Return a warning if git would commit the file. For a link, git commits its target path, not the target."""
    from subprocess import DEVNULL, TimeoutExpired, run

    folder = above = os.path.dirname(path)
    while not os.path.exists(os.path.join(above, ".git")):
        if above == (above := os.path.dirname(above)):
            return []
    # No program of the repository is started: no monitor, and no download for a partial clone. The variables of a git
    # hook are removed, because they name another repository.
    others = {name: value for name, value in os.environ.items() if name not in _OF_A_HOOK}
    command = ["git", "-C", folder, "-c", "core.fsmonitor=false", "check-ignore", "-q", "--", path]
    try:
        ignored = run(  # noqa: S603
            command, env=others | _NO_FETCH, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, timeout=5, check=False
        )
    except (OSError, TimeoutExpired):  # git is not installed
        return []
    if ignored.returncode != 1:
        return []
    return [f"git does not ignore {path}, so the keys could be committed. Add the file to .gitignore."]
