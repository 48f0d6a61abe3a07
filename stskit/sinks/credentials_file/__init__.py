"""The shared credentials file of the AWS SDKs and tools, and the config file that goes with it."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from stskit.credentials import Credentials
from stskit.errors import SinkError, StskitWarning, without_frames

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Change = Callable[[bytes, bool], Sequence[bytes | memoryview]]

__all__ = ["CredentialsFile"]

_NAME: Final = re.compile(r"[A-Za-z0-9_./:%@+-]+")  # what all AWS SDKs read alike
_ANY_NAME: Final = re.compile(r"(?! )[^\x00-\x1f\x7f-\xa0\u2028\u2029\ufeff\[\]#;\"'\\]+(?<! )")
_NOT_A_NAME: Final = re.compile(r"DEFAULT|__proto__|(profile|sso-session|services) .*")  # mean something else


def _path(path: str | os.PathLike[str] | None) -> str | None:
    return None if path is None else os.path.expanduser(os.fspath(path))


@frozen
class CredentialsFile:
    """A profile in the shared credentials file; all else in the file stays as it is, byte by byte.

    `profile`: the name, of letters, digits and ``_./:%@+-``. `path`: None is ``AWS_SHARED_CREDENTIALS_FILE``, else
    ``~/.aws/credentials``. `region`, `output`: written to the config file, None leaves them alone. `config_path`:
    that file; None is ``AWS_CONFIG_FILE``, else the file ``config`` beside *path* where that is given, else
    ``~/.aws/config``. `overwrite`: whether long-term keys may be lost, and whether to write where the profile gets its
    credentials elsewhere, by a ``role_arn``, ``credential_process``, SSO or a login: one of the two would not be used
    then. `backup`: whether to keep what was there before in ``<path>.bak``. `any_name`: whether to take a name with
    blanks or other letters, which some AWS tools do not find. `lock_timeout`: for how many seconds to wait while
    another process writes.

    Writers wait for each other by a lock on ``<path>.lock``. A new file has mode 0600, a new folder 0700; a file that
    is there keeps its mode and owner, with a warning where others may read it. When the credentials expire is written
    as ``x_security_token_expires``. Raises `SinkError` for a profile, region or output that not all AWS tools read
    alike.

    https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html
    """

    profile: str = "default"
    path: str | None = field(default=None, converter=_path)
    region: str | None = None
    output: str | None = None
    config_path: str | None = field(default=None, kw_only=True, converter=_path)
    overwrite: bool = field(default=False, kw_only=True)
    backup: bool = field(default=False, kw_only=True)
    any_name: bool = field(default=False, kw_only=True)
    lock_timeout: float = field(default=10, kw_only=True)

    def __attrs_post_init__(self) -> None:
        for name, value in self._settings().items():
            if not _is_word(value):
                raise SinkError(
                    f"{name} {value!r} is no word of visible ASCII characters; give one such as us-east-1 or json"
                )
        self._check_name(self.profile)

    def write(self, credentials: Credentials, /) -> str:
        """Put *credentials* into the profile, in the place of those that were there; gives the path of the file.

        Raises `SinkError` where they have expired, where `overwrite` would be needed, and where a file cannot be
        changed safely; it is as it was then.
        """
        return self._told(self._written({self.profile: credentials}))

    def write_all(self, credentials: Mapping[str, Credentials], /) -> str:
        """Put the credentials of many profiles there at once, all or none; gives the path of the file.

        The keys of *credentials* are the profiles, and `profile` plays no part; what else is set here holds for each of
        them. Raises as `write` does.
        """
        return self._told(self._written(credentials))

    def remove(self) -> str:
        """Take out what `write` puts there; gives the path of the file, which is then as it was before.

        The keys go, and the profile with them where it has nothing else; region and output go if they are those of this
        sink. Long-term keys go with `overwrite` only. What `write` has replaced does not come back: that is for
        `backup`. Raises `SinkError` where a file cannot be changed safely; it is as it was then.
        """
        return self._told(self._removed())

    def _told(self, notes: list[str]) -> str:
        for note in notes:
            warnings.warn(note, StskitWarning, 3)
        return self._path

    @without_frames  # frames on the way hold all that is in the files
    def _written(self, credentials: Mapping[str, Credentials]) -> list[str]:
        from stskit.sinks.credentials_file import profiles

        for profile in credentials:
            self._check_name(profile)
        changes = {profile: _options(keys) for profile, keys in credentials.items()}
        if not self.overwrite:
            self._look_at_config(changes)
        settings = {_in_config(profile): self._settings() for profile in changes}
        return self._rewritten(
            partial(profiles.updated, changes=settings, overwrite=True) if self._settings() else None,
            partial(profiles.updated, changes=changes, overwrite=self.overwrite),
        )

    @without_frames
    def _removed(self) -> list[str]:
        from stskit.sinks.credentials_file import profiles

        settings = self._settings() if os.path.exists(self._config_path) else {}
        if not os.path.exists(self._path):
            return []
        keys: dict[str, str | None] = dict.fromkeys(profiles.OPTIONS)
        return self._rewritten(
            partial(profiles.without, section=_in_config(self.profile), options=settings, overwrite=True)
            if settings
            else None,
            partial(profiles.without, section=self.profile, options=keys, overwrite=self.overwrite),
        )

    def _rewritten(self, config: Change | None, keys: Change) -> list[str]:
        from stskit.sinks.credentials_file.ini import is_plain
        from stskit.sinks.file_edit import Rewrite, rewrite

        files = [Rewrite(self._path, keys, is_plain, self.backup)]
        if config is not None:
            files = [Rewrite(self._config_path, config, is_plain, self.backup, secret=False), *files]
        if len({file.real for file in files}) < len(files):
            raise SinkError(f"{self._path} would be the config file as well; name another config_path")
        return rewrite(files, self.lock_timeout)

    def _look_at_config(self, changes: Mapping[str, Mapping[str, str | None]]) -> None:
        """Raise `SinkError` where the config file has the credentials of these profiles from somewhere else."""
        from stskit.sinks.credentials_file import profiles

        if reason := profiles.conflict_in_config(
            self._config_path, {_in_config(name): changes[name] for name in changes}
        ):
            raise SinkError(f"nothing was written: in {self._config_path}, {reason}", path=self._config_path)

    def _check_name(self, name: str) -> None:
        usual = isinstance(name, str) and not _NOT_A_NAME.fullmatch(name)
        if usual and (_NAME.fullmatch(name) or (self.any_name and _ANY_NAME.fullmatch(name) and not self._settings())):
            return
        raise SinkError(
            f"{name!r} is no profile name that all AWS tools read alike; use letters, digits and _./:%@+- (and neither "
            "DEFAULT nor __proto__), or pass any_name=True for a blank or another letter, without region and output"
        )

    def _settings(self) -> dict[str, str]:
        return {name: value for name, value in (("region", self.region), ("output", self.output)) if value is not None}

    @property
    def _path(self) -> str:
        return self.path or os.path.expanduser(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials")

    @property
    def _config_path(self) -> str:
        beside = os.path.join(os.path.dirname(self.path), "config") if self.path else "~/.aws/config"
        return os.path.expanduser(self.config_path or os.environ.get("AWS_CONFIG_FILE") or beside)


def _in_config(profile: str) -> str:
    return profile if profile == "default" else f"profile {profile}"


def _is_word(value: str) -> bool:
    """Whether it is visible ASCII without a quote or comment at its start: what all AWS SDKs read back as it was."""
    return value.isascii() and value.isprintable() and " " not in value and value[:1] not in "\"'#;"


def _options(credentials: Credentials) -> dict[str, str | None]:
    from stskit.sinks.credentials_file import profiles

    if credentials.is_expired():
        raise SinkError(f"the credentials expired at {credentials.expiration}; fetch new ones, and check the clock")
    options = profiles.options(credentials)
    for name, value in options.items():
        if value is not None and not _is_word(value):
            raise SinkError(
                f"{name} has blanks or other characters that no credentials file can hold; check its source"
            )
    return options
