"""The shared credentials file of the AWS SDKs and tools, and the config file that goes with it."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Final

from attrs import field, frozen

from stskit._arguments import (
    check_mapping,
    check_type,
    expanded,
    flag,
    optional_shown_text,
    path_text,
    quoted,
    secret_kind,
    text,
)
from stskit._io import atomic
from stskit.credentials import Credentials, check_credentials
from stskit.errors import SinkError, StskitWarning, init_without_frames, prefixed, without_frames
from stskit.sinks.credentials_file.ini import Ini
from stskit.sinks.file_edit import MAX_BYTES, FileEdit, Pieces, check_edits, edit_files

__all__ = ["CredentialsFile"]

_NAME: Final = re.compile(r"[A-Za-z0-9_./:%@+-]+")  # what all AWS SDKs read alike
_NOT_A_NAME: Final = re.compile(r"DEFAULT|__proto__|(profile|sso-session|services) .*")  # mean something else
_KEY, _TOKENS = "aws_access_key_id", frozenset({"aws_session_token", "aws_security_token"})
_EXPIRY: Final = "x_security_token_expires"  # the name of saml2aws, which other tools write too and prompts show
_OPTIONS: Final = (_KEY, "aws_secret_access_key", "aws_session_token", "aws_account_id", _EXPIRY)
# written by other tools and older ones; tools would take what stayed of them to belong to the new credentials
_OLD: Final = ("aws_security_token", "aws_expiration", "aws_session_expiration", "expiration")
_PLACEHOLDERS: Final = {**dict.fromkeys(_OLD), **dict.fromkeys(_OPTIONS, "placeholder")}  # for the check alone
_ELSEWHERE: Final = ("role_arn", "credential_process", "sso_session", "sso_start_url", "login_session")

_DEFAULT: Final = ("default", "profile default")  # both are the default profile of the config file

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

    `profile`: the name, of letters, digits and ``_./:%@+-``; required, also for ``"default"``. `path`: None is
    ``AWS_SHARED_CREDENTIALS_FILE``, else ``~/.aws/credentials``. `region`, `output`: written to the config file, None
    leaves them alone. `config_path`: that file; None is ``AWS_CONFIG_FILE``, else the file ``config`` beside *path*
    where that is given, else ``~/.aws/config``. `overwrite`: whether long-term keys may be lost, and whether to write
    where the profile gets its credentials elsewhere, by a ``role_arn``, ``credential_process``, SSO or a login: one of
    the two would not be used then. `backup`: whether to keep what was there before in ``<path>.bak``.

    Writers wait for each other, for up to 10 seconds, by a lock on the folder of the file. A new file has mode 0600; a
    file that is there keeps its mode and owner, with a warning where other users can read it. A missing ``~/.aws`` is
    created with mode 0700, and no other folder. What root creates belongs to the owner of the folder. When the
    credentials expire is written as ``x_security_token_expires``.

    Raises `SinkError` for a profile, region or output that not all AWS tools read alike, and for a path that cannot be
    expanded. Raises `TypeError` for a value of a wrong type, and for a `config_path` without effect: with `overwrite`
    the config file is used only for a region or an output.

    https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html
    """

    profile: str = field(validator=text)
    path: str | None = field(default=None, converter=_expanded)
    region: str | None = field(default=None, validator=optional_shown_text)
    output: str | None = field(default=None, validator=optional_shown_text)
    config_path: str | None = field(default=None, kw_only=True, converter=_expanded_config)
    overwrite: bool = field(default=False, kw_only=True, validator=flag)
    backup: bool = field(default=False, kw_only=True, validator=flag)

    def __attrs_post_init__(self) -> None:
        for name, value in self._settings().items():
            if not _is_word(value):
                raise SinkError(
                    f"{name} {quoted(value)} is no word of visible ASCII characters",
                    remedy="give one such as us-east-1 or json",
                    cli_message=f"{quoted(value)} is no word of visible ASCII characters",
                    option=name,
                )
        _check_name(self.profile)
        if self.config_path is not None and self.overwrite and not self._settings():
            raise TypeError("config_path has no effect with overwrite=True and without a region or an output.")

    @without_frames  # frames on the way hold all that is in the files
    def write(self, credentials: Credentials, /) -> str:
        """Put *credentials* into the profile, in the place of those that were there; gives the path of the file.

        Raises `SinkError` where they have expired, where `overwrite` would be needed, and where a file cannot be
        changed safely; it is as it was then.
        """
        return self._warn(self._write({self.profile: credentials}))

    @without_frames
    def check(self) -> None:
        """Check that `write` can put credentials into the profile, before you fetch any. The files stay as they are.

        Raises the `SinkError` that `write` would raise for temporary credentials: for a protected profile, for a file
        or folder that cannot be written, and for a file that AWS tools cannot read.
        """
        check_edits(self._edits({self.profile: _PLACEHOLDERS}))

    @classmethod
    @without_frames
    def write_all(
        cls,
        credentials: Mapping[str, Credentials],
        /,
        path: str | os.PathLike[str] | None = None,
        region: str | None = None,
        output: str | None = None,
        *,
        config_path: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        backup: bool = False,
    ) -> str:
        """Put the credentials of many profiles into a file at once, all or none; gives the path of the file.

        The keys of *credentials* are the profiles; the options are those of the class, and hold for each of them.
        Raises as `write` does.
        """
        check_mapping("credentials", credentials, "a mapping of profiles to Credentials")
        some = next(iter(credentials), "default")
        sink = cls(some, path, region, output, config_path=config_path, overwrite=overwrite, backup=backup)
        return sink._warn(sink._write(credentials))

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
        return edit_files(self._edits({profile: _options(keys) for profile, keys in credentials.items()}))

    def _edits(self, changes: Mapping[str, Values]) -> list[FileEdit]:
        if not self.overwrite:
            _check_config(self._config_path, changes, self._settings())
        return self._files(
            partial(_configured, profiles=changes.keys(), settings=self._settings()) if self._settings() else None,
            partial(_updated, changes=changes, overwrite=self.overwrite),
        )

    def _remove(self) -> list[str]:
        settings = self._settings() if _may_exist(self._config_path) else {}
        if not _may_exist(self._path):
            return []
        keys: Values = dict.fromkeys(_OPTIONS)
        files = self._files(
            partial(_without_settings, profile=self.profile, settings=settings) if settings else None,
            partial(_without, section=self.profile, options=keys, overwrite=self.overwrite),
        )
        return edit_files(files)

    def _files(self, config: Callable[[bytes], Pieces] | None, keys: Callable[[bytes], Pieces]) -> list[FileEdit]:
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
        return files

    def _settings(self) -> dict[str, str]:
        return {name: value for name, value in (("region", self.region), ("output", self.output)) if value is not None}

    @property
    def _path(self) -> str:
        return self.path or _default_path("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")

    @property
    def _config_path(self) -> str:
        beside = os.path.join(os.path.dirname(self.path), "config") if self.path else "~/.aws/config"
        return self.config_path or _default_path("AWS_CONFIG_FILE", beside)


def _may_exist(path: str) -> bool:
    """Return whether there is a file, or its folder cannot be searched: the edit reports that."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _default_path(variable: str, default: str) -> str:
    """Return the path that the environment names, read as botocore reads it, else *default*. Raises `SinkError`."""
    named = os.environ.get(variable)
    if not named:
        return expanded(default, SinkError)
    path_text(named, SinkError, remedy="set it to the path of a file", variable=variable)
    return expanded(named, SinkError, variable=variable)


def _check_name(name: str) -> None:
    check_type("profile", name, str, "text")
    if secret_kind(name) or _NOT_A_NAME.fullmatch(name) or not _NAME.fullmatch(name):
        raise SinkError(
            f"{quoted(name)} is no profile name that all AWS tools read alike",
            remedy="use letters, digits and _./:%@+- (and neither DEFAULT nor __proto__)",
            option="profile",
        )


def _in_config(profile: str) -> tuple[str, ...]:
    """Return the sections of the config file that can stand for *profile*."""
    return _DEFAULT if profile == "default" else (f"profile {profile}",)


def _present(ini: Ini, profile: str) -> list[str]:
    """Return the sections that stand for *profile* in a config file, or the one that is to be added."""
    sections = _in_config(profile)
    return [section for section in sections if ini.has(section)] or [sections[0]]


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


def _configured(data: bytes, *, profiles: Collection[str], settings: Values) -> Pieces:
    """Return a config file with these settings for *profiles*, wherever a tool may look for them."""
    ini = Ini(data, {section for profile in profiles for section in _in_config(profile)})
    return ini.updated({section: settings for profile in profiles for section in _present(ini, profile)})


def _without_settings(data: bytes, *, profile: str, settings: Values) -> Pieces:
    for section in _in_config(profile):
        data = b"".join(_without(data, section=section, options=settings, overwrite=True))
    return [data]


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


def _check_config(path: str, changes: Mapping[str, Values], settings: Values) -> None:
    """Raise as `_check` does for the config file, but not where it cannot be read, because no tool can read it then."""
    sections = {section: changes[profile] for profile in changes for section in _in_config(profile)}
    try:
        ini = Ini(atomic.read(path, MAX_BYTES), sections.keys())
    except (OSError, UnicodeDecodeError, SinkError):
        return
    try:
        if settings and "default" in changes and len(_present(ini, "default")) > 1:
            raise SinkError(
                "[default] and [profile default] are the same profile, and tools differ about which one they read",
                remedy="remove one of them, or pass overwrite=True to change both",
                cli_remedy="remove one of them, or pass --overwrite to change both",
                option="overwrite",
            )
        for section, values in sections.items():
            _check(ini, section, values.get(_KEY))
    except SinkError as error:
        raise prefixed(error, f"nothing was written: in {path}, ", path=path) from None


def _has_long_term_keys(ini: Ini, section: str) -> bool:
    options = ini.options(section)
    return _KEY in options and not _TOKENS & set(options)
