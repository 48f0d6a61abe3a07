"""The shared credentials file of the AWS SDKs and tools, and the config file that goes with it."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from attrs import field, frozen

from stskit._arguments import check_mapping, expanded, flag, optional_text, path_text, quoted, secret_kind, text
from stskit._io import atomic
from stskit.credentials import Credentials, check_credentials
from stskit.errors import SinkError, StskitWarning, init_without_frames, prefixed, without_frames
from stskit.sinks.credentials_file.ini import Ini
from stskit.sinks.file_edit import MAX_BYTES, FileEdit, Pieces, edit_files

__all__ = ["CredentialsFile"]

_NAME: Final = re.compile(r"[A-Za-z0-9_./:%@+-]+")  # what all AWS SDKs read alike
_NOT_A_NAME: Final = re.compile(r"DEFAULT|__proto__|(profile|sso-session|services) .*")  # mean something else
_KEY, _TOKENS = "aws_access_key_id", frozenset({"aws_session_token", "aws_security_token"})
_EXPIRY: Final = "x_security_token_expires"  # the name of saml2aws, which other tools write too and prompts show
_OPTIONS: Final = (_KEY, "aws_secret_access_key", "aws_session_token", "aws_account_id", _EXPIRY)
# written by other tools and older ones; tools would take what stayed of them to belong to the new credentials
_OLD: Final = ("aws_security_token", "aws_expiration", "aws_session_expiration", "expiration")
_ELSEWHERE: Final = ("role_arn", "credential_process", "sso_session", "sso_start_url", "login_session")

Values = Mapping[str, str | None]
"""The options of a section; None removes one."""


def _expanded(path: str | os.PathLike[str] | None) -> str | None:
    return _path_of("path", path)


def _expanded_config(path: str | os.PathLike[str] | None) -> str | None:
    return _path_of("config_path", path)


def _path_of(argument: str, path: str | os.PathLike[str] | None) -> str | None:
    if path is None:
        return None
    return expanded(path_text(path, SinkError, remedy="write the path of the file", argument=argument), SinkError)


@init_without_frames
@frozen
class CredentialsFile:
    """A profile in the shared credentials file; all else in the file stays as it is, byte by byte.

    `profile`: the name, of letters, digits and ``_./:%@+-``. `path`: None is ``AWS_SHARED_CREDENTIALS_FILE``, else
    ``~/.aws/credentials``. `region`, `output`: written to the config file, None leaves them alone. `config_path`:
    that file; None is ``AWS_CONFIG_FILE``, else the file ``config`` beside *path* where that is given, else
    ``~/.aws/config``. `overwrite`: whether long-term keys may be lost, and whether to write where the profile gets its
    credentials elsewhere, by a ``role_arn``, ``credential_process``, SSO or a login: one of the two would not be used
    then. `backup`: whether to keep what was there before in ``<path>.bak``.

    Writers wait for each other, for up to 10 seconds, by a lock on ``<path>.lock``. A new file has mode 0600, a new
    folder 0700; a file that is there keeps its mode and owner, with a warning where others may read it. When the
    credentials expire is written as ``x_security_token_expires``. Raises `SinkError` for a profile, region or output
    that not all AWS tools read alike.

    https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html
    """

    profile: str = field(default="default", validator=text)
    path: str | None = field(default=None, converter=_expanded)
    region: str | None = field(default=None, validator=optional_text)
    output: str | None = field(default=None, validator=optional_text)
    config_path: str | None = field(default=None, kw_only=True, converter=_expanded_config)
    overwrite: bool = field(default=False, kw_only=True, validator=flag)
    backup: bool = field(default=False, kw_only=True, validator=flag)

    def __attrs_post_init__(self) -> None:
        for name, value in self._settings().items():
            if not _is_word(value):
                raise SinkError(
                    f"{name} {quoted(value)} is no word of visible ASCII characters",
                    remedy="give one such as us-east-1 or json",
                    option=name,
                )
        _check_name(self.profile)

    @without_frames  # frames on the way hold all that is in the files
    def write(self, credentials: Credentials, /) -> str:
        """Put *credentials* into the profile, in the place of those that were there; gives the path of the file.

        Raises `SinkError` where they have expired, where `overwrite` would be needed, and where a file cannot be
        changed safely; it is as it was then.
        """
        return self._warn(self._write({self.profile: credentials}))

    @without_frames
    def write_all(self, credentials: Mapping[str, Credentials], /) -> str:
        """Put the credentials of many profiles there at once, all or none; gives the path of the file.

        The keys of *credentials* are the profiles, and `profile` plays no part; what else is set here holds for each of
        them. Raises as `write` does.
        """
        check_mapping("credentials", credentials, "a mapping of profiles to Credentials")
        return self._warn(self._write(credentials))

    @without_frames
    def remove(self) -> str:
        """Take out what `write` puts there; gives the path of the file, which is then as it was before.

        The keys go, and the profile with them where it has nothing else; region and output go if they are those of this
        sink. Long-term keys go with `overwrite` only. What `write` has replaced does not come back: that is for
        `backup`. Raises `SinkError` where a file cannot be changed safely; it is as it was then.
        """
        return self._warn(self._remove())

    def _warn(self, notes: list[str]) -> str:
        for note in notes:
            warnings.warn(note, StskitWarning, 4)  # where the caller called a public method, which is wrapped
        return self._path

    def _write(self, credentials: Mapping[str, Credentials]) -> list[str]:
        for profile, each in credentials.items():
            _check_name(profile)
            check_credentials(each)
        changes = {profile: _options(keys) for profile, keys in credentials.items()}
        if not self.overwrite:
            _check_config(self._config_path, {_in_config(profile): changes[profile] for profile in changes})
        settings = {_in_config(profile): self._settings() for profile in changes}
        return self._edit(
            partial(_updated, changes=settings, overwrite=True) if self._settings() else None,
            partial(_updated, changes=changes, overwrite=self.overwrite),
        )

    def _remove(self) -> list[str]:
        settings = self._settings() if os.path.exists(self._config_path) else {}
        if not os.path.exists(self._path):
            return []
        keys: Values = dict.fromkeys(_OPTIONS)
        section = _in_config(self.profile)
        return self._edit(
            partial(_without, section=section, options=settings, overwrite=True) if settings else None,
            partial(_without, section=self.profile, options=keys, overwrite=self.overwrite),
        )

    def _edit(self, config: Callable[[bytes], Pieces] | None, keys: Callable[[bytes], Pieces]) -> list[str]:
        files = [FileEdit(self._path, keys, self.backup)]
        if config is not None:
            files = [FileEdit(self._config_path, config, self.backup, secret=False), *files]
        if len({file.real for file in files}) < len(files):
            raise SinkError(
                f"{self._path} would be the config file as well",
                remedy="name another config_path",
                cli_remedy="name another --config-file",
                option="config_path",
                path=self._path,
            )
        return edit_files(files)

    def _settings(self) -> dict[str, str]:
        return {name: value for name, value in (("region", self.region), ("output", self.output)) if value is not None}

    @property
    def _path(self) -> str:
        return self.path or os.path.expanduser(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials")

    @property
    def _config_path(self) -> str:
        beside = os.path.join(os.path.dirname(self.path), "config") if self.path else "~/.aws/config"
        return os.path.expanduser(self.config_path or os.environ.get("AWS_CONFIG_FILE") or beside)


def _check_name(name: str) -> None:
    if not isinstance(name, str) or secret_kind(name) or _NOT_A_NAME.fullmatch(name) or not _NAME.fullmatch(name):
        raise SinkError(
            f"{quoted(name)} is no profile name that all AWS tools read alike",
            remedy="use letters, digits and _./:%@+- (and neither DEFAULT nor __proto__)",
            option="profile",
        )


def _in_config(profile: str) -> str:
    return profile if profile == "default" else f"profile {profile}"


def _is_word(value: str) -> bool:
    """Whether it is visible ASCII without a quote or comment at its start: what all AWS SDKs read back as it was."""
    return value.isascii() and value.isprintable() and " " not in value and value[:1] not in "\"'#;"


def _options(credentials: Credentials) -> dict[str, str | None]:
    """Return the options of a profile with *credentials*; None is for what must not stay."""
    if credentials.is_expired():
        raise SinkError(
            f"the credentials expired at {credentials.expiration}", remedy="fetch new ones, and check the clock"
        )
    fields = credentials.as_dict()
    options = {
        **dict.fromkeys(_OLD),
        _KEY: credentials.access_key_id,
        "aws_secret_access_key": fields["SecretAccessKey"],
        "aws_session_token": fields.get("SessionToken"),
        "aws_account_id": credentials.account_id,
        _EXPIRY: fields.get("Expiration"),
    }
    for name, value in options.items():
        if value is not None and not _is_word(value):
            raise SinkError(
                f"{name} has blanks or other characters that no credentials file can hold", remedy="check its source"
            )
    return options


def _updated(data: bytes, *, changes: Mapping[str, Values], overwrite: bool) -> Pieces:
    """Return *data* with these options in these sections. Without *overwrite*, raises as `_check` does."""
    ini = Ini(data, changes.keys())
    for section in () if overwrite else changes:
        _check(ini, section, changes[section].get(_KEY))
    return ini.updated(changes)


def _without(data: bytes, *, section: str, options: Values, overwrite: bool) -> Pieces:
    """Return *data* without these options, of which one with a value goes only if the file has the same value."""
    ini = Ini(data, {section})
    if not overwrite and _has_long_term_keys(ini, section) and _KEY in options:
        raise SinkError(
            f"[{section}] has long-term keys, which would be lost",
            remedy="pass overwrite=True if that may be",
            cli_remedy="pass --overwrite if that may be",
            option="overwrite",
        )
    return ini.without(section, [name for name, value in options.items() if value in (None, ini.value(section, name))])


def _check(ini: Ini, section: str, key_id: str | None) -> None:
    """Raise `SinkError` where something would be lost or go unused if *section* got keys that *key_id* is of."""
    options = ini.options(section)
    elsewhere = [name for name in _ELSEWHERE if name in options]
    if elsewhere:
        problem = f"[{section}] has {elsewhere[0]}, so that either this or the new keys would not be used"
    elif _has_long_term_keys(ini, section) and ini.value(section, _KEY) != key_id:
        problem = f"[{section}] has long-term keys, which would be lost or not be used any more"
    else:
        return
    raise SinkError(
        problem,
        remedy="write to another profile, or pass overwrite=True if that may be",
        cli_remedy="write to another profile, or pass --overwrite if that may be",
        option="overwrite",
    )


def _check_config(path: str, changes: Mapping[str, Values]) -> None:
    """Raise as `_check` does for the config file, but not where it cannot be read, because no tool can read it then."""
    default = {"default", "profile default"} if "default" in changes else set()
    try:
        ini = Ini(atomic.read(path, MAX_BYTES), changes.keys() | default)
    except (OSError, UnicodeDecodeError, SinkError):
        return
    try:
        if default and ini.options("profile default"):
            raise SinkError("[profile default] goes before [default] in some tools", remedy="rename it to [default]")
        for section in changes:
            _check(ini, section, changes[section].get(_KEY))
    except SinkError as error:
        raise prefixed(error, f"nothing was written: in {path}, ", path=path) from None


def _has_long_term_keys(ini: Ini, section: str) -> bool:
    options = ini.options(section)
    return _KEY in options and not _TOKENS & set(options)
