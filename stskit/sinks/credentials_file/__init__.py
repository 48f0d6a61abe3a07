"""A sink that writes a profile of the shared AWS credentials file, and its region to the config file."""

from __future__ import annotations

import os
import re
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
from stskit._time import shown_time
from stskit.credentials import Credentials, check_credentials
from stskit.errors import SinkError, StskitWarning, init_without_frames, prefixed, warn_caller, without_frames
from stskit.sinks.credentials_file.ini import Ini
from stskit.sinks.file_edit import MAX_BYTES, FileEdit, Pieces, check_edits, edit_files

__all__ = ["CredentialsFile"]

_NAME: Final = re.compile(r"[A-Za-z0-9_./:%@+-]+")  # names that all AWS SDKs read in the same way
_NOT_A_NAME: Final = re.compile(r"DEFAULT|__proto__|(profile|sso-session|services) .*")  # these have another meaning
_KEY, _TOKENS = "aws_access_key_id", frozenset({"aws_session_token", "aws_security_token"})
_EXPIRY: Final = "x_security_token_expires"  # the name that saml2aws and other tools use
_OPTIONS: Final = (_KEY, "aws_secret_access_key", "aws_session_token", "aws_account_id", _EXPIRY)
# options of other tools; if they stayed, tools would think that they belong to the new credentials
_OLD: Final = ("aws_security_token", "aws_expiration", "aws_session_expiration", "expiration")
_PLACEHOLDERS: Final = {**dict.fromkeys(_OLD), **dict.fromkeys(_OPTIONS, "placeholder")}  # for `check`
_ELSEWHERE: Final = ("role_arn", "credential_process", "sso_session", "sso_start_url", "login_session")

_DEFAULT: Final = ("default", "profile default")  # both are the default profile of the config file

Values = Mapping[str, str | None]
"""The options of a section. None removes an option."""


def _expanded(path: str | os.PathLike[str] | None) -> str | None:
    return _path_of("path", path)


def _expanded_config(path: str | os.PathLike[str] | None) -> str | None:
    return _path_of("config_path", path)


def _path_of(argument: str, path: str | os.PathLike[str] | None) -> str | None:
    if path is None:
        return None
    return expanded(path_text(path, SinkError, remedy="Pass the path of the file.", argument=argument), SinkError)


@init_without_frames
@frozen
class CredentialsFile:
    """A sink that writes a profile of the shared credentials file. Everything else in the file keeps every byte.

    Writers wait for each other up to 10 seconds, with a lock on the folder of the file. A new file has mode 0600. An
    existing file keeps its mode and owner, with a warning if other users can read it. A missing ``~/.aws`` is created
    with mode 0700; other missing folders are an error. Files that root creates belong to the owner of the folder. The
    expiration is written as ``x_security_token_expires``.

    Args:
        profile: Profile name of letters, digits and ``_./:%@+-``. Write ``"default"`` for the default profile.
        path: Credentials file. Defaults to ``AWS_SHARED_CREDENTIALS_FILE``, then to ``~/.aws/credentials``.
        region: AWS region, written to the config file. Defaults to leaving it unchanged.
        output: Output format of the AWS CLI, written to the config file. Defaults to leaving it unchanged.
        config_path: Config file. Defaults to ``AWS_CONFIG_FILE``, then to the file ``config`` beside *path* if that was
            passed, then to ``~/.aws/config``.
        overwrite: Whether to replace long-term keys, and to write to a profile that gets its credentials elsewhere (a
            ``role_arn``, a ``credential_process``, SSO or a login). Defaults to False.
        backup: Whether to keep the old content in ``<path>.bak``. Defaults to False.

    Raises:
        SinkError: If a profile name, region or output is not valid for all AWS tools, or a path cannot be expanded.
        TypeError: If an argument has the wrong type, or `config_path` has no effect: with `overwrite`, the config file
            is used only for a region or an output.

    Example:
        >>> from stskit import assume
        >>> from stskit.sinks import CredentialsFile
        >>> assume("arn:aws:iam::123456789012:role/Deploy").to(CredentialsFile("deploy", region="eu-central-1"))
        '.../credentials'

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
                    f"{name} {quoted(value)} is not valid: it must be one word of visible ASCII characters.",
                    remedy="Pass for example us-east-1 or json.",
                    cli_message=f"{quoted(value)} is not valid: it must be one word of visible ASCII characters.",
                    option=name,
                )
        _check_name(self.profile)
        if self.config_path is not None and self.overwrite and not self._settings():
            raise TypeError("config_path has no effect with overwrite=True and without a region or an output.")

    @without_frames  # the frames inside contain the whole files
    def write(self, credentials: Credentials, /) -> str:
        """Write the credentials into the profile, in place of older ones.

        Args:
            credentials: The credentials to deliver.

        Returns:
            The path of the credentials file.

        Raises:
            SinkError: If they have expired, if `overwrite` is needed, or if a file cannot be changed safely. All files
                are then unchanged.
            TypeError: If they are not `Credentials`.
        """
        return self._warn(self._write({self.profile: credentials}))

    @without_frames
    def check(self) -> None:
        """Check that `write` can change the profile, before you fetch credentials. The files stay unchanged.

        Raises:
            SinkError: If `write` would raise it: for a protected profile, for a file or folder that cannot be written,
                or for a file that AWS tools cannot read.
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
        """Write the credentials of many profiles at once: all of them or none.

        Args:
            credentials: Credentials by profile name.
            path: As for the class.
            region: As for the class; written for each profile.
            output: As for the class; written for each profile.
            config_path: As for the class.
            overwrite: As for the class.
            backup: As for the class.

        Returns:
            The path of the credentials file.

        Raises:
            SinkError: As for `write`.
            TypeError: If an argument has the wrong type.
        """
        check_mapping("credentials", credentials, "a mapping of profiles to Credentials")
        some = next(iter(credentials), "default")
        sink = cls(some, path, region, output, config_path=config_path, overwrite=overwrite, backup=backup)
        return sink._warn(sink._write(credentials))

    @without_frames
    def remove(self) -> str:
        """Remove what `write` added: the keys, and the profile if nothing else is in it.

        Region and output are removed if they are those of this sink. Long-term keys are removed only with `overwrite`.
        Values that `write` replaced do not return; use `backup` for that.

        Returns:
            The path of the credentials file.

        Raises:
            SinkError: If a file cannot be changed safely. All files are then unchanged.
        """
        return self._warn(self._remove())

    def _warn(self, notes: list[str]) -> str:
        for note in notes:
            warn_caller(note, StskitWarning)
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
                f"{self._path} cannot be the credentials file and the config file at the same time.",
                remedy="Pass another config_path.",
                cli_remedy="Pass another --config-file.",
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
    """Return whether a file exists, or may exist in a folder that cannot be read. The edit reports that later."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _default_path(variable: str, default: str) -> str:
    """Return the path of an environment variable, expanded as by botocore, else *default*. Raises `SinkError`."""
    named = os.environ.get(variable)
    if not named:
        return expanded(default, SinkError)
    path_text(named, SinkError, remedy="Set it to the path of a file.", variable=variable)
    return expanded(named, SinkError, variable=variable)


def _check_name(name: str) -> None:
    check_type("profile", name, str, "text")
    if secret_kind(name) or _NOT_A_NAME.fullmatch(name) or not _NAME.fullmatch(name):
        raise SinkError(
            f"{quoted(name)} is not a valid profile name: some AWS tools cannot read it.",
            remedy="Use letters, digits and _./:%@+- only, and neither DEFAULT nor __proto__.",
            option="profile",
        )


def _in_config(profile: str) -> tuple[str, ...]:
    """Return the section names that a profile can have in the config file."""
    return _DEFAULT if profile == "default" else (f"profile {profile}",)


def _present(ini: Ini, profile: str) -> list[str]:
    """Return the sections of a profile in a config file, or the section to add."""
    sections = _in_config(profile)
    return [section for section in sections if ini.has(section)] or [sections[0]]


def _is_word(value: str) -> bool:
    """Return whether all AWS SDKs read a value unchanged: visible ASCII, no quote or comment sign at its start."""
    return value.isascii() and value.isprintable() and " " not in value and value[:1] not in "\"'#;"


def _options(credentials: Credentials) -> dict[str, str | None]:
    """Return the options of a profile with these credentials. None removes an older option."""
    if credentials.expiration is not None and credentials.is_expired():
        raise SinkError(
            f"The credentials expired at {shown_time(credentials.expiration)}.",
            remedy="Fetch new credentials, and check the clock.",
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
                f"{name} has spaces or other characters that a credentials file cannot contain.",
                remedy="Check the place where the credentials come from.",
            )
    return options


def _configured(data: bytes, *, profiles: Collection[str], settings: Values) -> Pieces:
    """Return a config file with these settings for all *profiles*, in each section that a tool may read."""
    ini = Ini(data, {section for profile in profiles for section in _in_config(profile)})
    return ini.updated({section: settings for profile in profiles for section in _present(ini, profile)})


def _without_settings(data: bytes, *, profile: str, settings: Values) -> Pieces:
    for section in _in_config(profile):
        data = b"".join(_without(data, section=section, options=settings, overwrite=True))
    return [data]


def _updated(data: bytes, *, changes: Mapping[str, Values], overwrite: bool) -> Pieces:
    """Return a credentials file with these options in these sections. Without *overwrite*, raises as `_check` does."""
    ini = Ini(data, changes.keys())
    for section in () if overwrite else changes:
        _check(ini, section, changes[section].get(_KEY))
    return ini.updated(changes)


def _without(data: bytes, *, section: str, options: Values, overwrite: bool) -> Pieces:
    """Return a file without these options. An option with a value is removed only if the file has the same value."""
    ini = Ini(data, {section})
    if not overwrite and _has_long_term_keys(ini, section) and _KEY in options:
        raise SinkError(
            f"Profile [{section}] has long-term keys, which would be lost.",
            remedy="Pass overwrite=True to remove them.",
            cli_remedy="Pass --overwrite to remove them.",
            option="overwrite",
        )
    return ini.without(section, [name for name, value in options.items() if value in (None, ini.value(section, name))])


def _check(ini: Ini, section: str, key_id: str | None) -> None:
    """Raise `SinkError` if new keys would replace long-term keys, or a setting of the profile that is then not used."""
    options = ini.options(section)
    elsewhere = [name for name in _ELSEWHERE if name in options]
    if elsewhere:
        problem = f"Profile [{section}] has {elsewhere[0]}. AWS tools would use either that or the new keys."
    elif _has_long_term_keys(ini, section) and ini.value(section, _KEY) != key_id:
        problem = f"Profile [{section}] has long-term keys, which would be replaced."
    else:
        return
    raise SinkError(
        problem,
        remedy="Choose another profile, or pass overwrite=True to write to this one.",
        cli_remedy="Choose another profile, or pass --overwrite to write to this one.",
        option="overwrite",
    )


def _check_config(path: str, changes: Mapping[str, Values], settings: Values) -> None:
    """Raise as `_check` does for the config file. An unreadable file is ignored, because no tool can read it."""
    sections = {section: changes[profile] for profile in changes for section in _in_config(profile)}
    try:
        ini = Ini(atomic.read(path, MAX_BYTES), sections.keys())
    except (OSError, UnicodeDecodeError, SinkError):
        return
    try:
        if settings and "default" in changes and len(_present(ini, "default")) > 1:
            raise SinkError(
                "[default] and [profile default] are the same profile, and AWS tools differ in which one they read.",
                remedy="Remove one of them, or pass overwrite=True to change both.",
                cli_remedy="Remove one of them, or pass --overwrite to change both.",
                option="overwrite",
            )
        for section, values in sections.items():
            _check(ini, section, values.get(_KEY))
    except SinkError as error:
        raise prefixed(error, f"Nothing was written. {path}: ", path=path) from None


def _has_long_term_keys(ini: Ini, section: str) -> bool:
    options = ini.options(section)
    return _KEY in options and not _TOKENS & set(options)
