"""Profiles in the texts of the credentials and the config file: what is put there, and what must not be lost by it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

from stskit._io import atomic
from stskit.errors import Refused
from stskit.sinks.credentials_file.ini import Ini
from stskit.sinks.file_edit import MAX_BYTES

if TYPE_CHECKING:
    from stskit.credentials import Credentials

__all__ = ["OPTIONS", "conflict", "conflict_in_config", "options", "updated", "without"]

_KEY, _TOKENS = "aws_access_key_id", frozenset({"aws_session_token", "aws_security_token"})
_EXPIRY: Final = "x_security_token_expires"  # the name of saml2aws, which others write too and prompts show
# of other tools and of older ones; what stayed of them would be taken for the new credentials'
_OLD: Final = dict.fromkeys(("aws_security_token", "aws_expiration", "aws_session_expiration", "expiration"))
_ELSEWHERE: Final = ("role_arn", "credential_process", "sso_session", "sso_start_url", "login_session")
Pieces = list[bytes | memoryview]
OPTIONS: Final = (_KEY, "aws_secret_access_key", "aws_session_token", "aws_account_id", _EXPIRY)


def options(credentials: Credentials) -> dict[str, str | None]:
    """What a profile has for *credentials*; None is for what must not stay."""
    fields = credentials.as_dict()
    return {
        **_OLD,
        _KEY: credentials.access_key_id,
        "aws_secret_access_key": fields["SecretAccessKey"],
        "aws_session_token": fields.get("SessionToken"),
        "aws_account_id": credentials.account_id,
        _EXPIRY: fields.get("Expiration"),
    }


def updated(data: bytes, plain: bool, *, changes: Mapping[str, Mapping[str, str | None]], overwrite: bool) -> Pieces:
    """*data* with these options in these sections; without *overwrite* `Refused` for what `conflict` says."""
    ini = Ini(data, changes.keys(), plain)
    for section in () if overwrite else changes:
        if reason := conflict(ini, section, changes[section].get(_KEY)):
            raise Refused(reason)
    return ini.updated(changes)


def without(data: bytes, plain: bool, *, section: str, options: Mapping[str, str | None], overwrite: bool) -> Pieces:
    """*data* without these options, of which one with a value goes only if that is what is there."""
    ini = Ini(data, {section}, plain)
    if not overwrite and _has_long_term_keys(ini, section) and _KEY in options:
        raise Refused(f"[{section}] has long-term keys, which would be lost; pass overwrite=True if that may be")
    return ini.without(section, [name for name, value in options.items() if value in (None, ini.value(section, name))])


def conflict(ini: Ini, section: str, key_id: str | None) -> str:
    """What would be lost or go unused if *section* got keys that *key_id* is of; empty where nothing would."""
    there: Collection[str] = ini.options(section)
    elsewhere = [name for name in _ELSEWHERE if name in there]
    if elsewhere:
        return (
            f"[{section}] has {elsewhere[0]}, so that either this or the new keys would not be used; write to another "
            "profile, or pass overwrite=True if that may be"
        )
    if _has_long_term_keys(ini, section) and ini.value(section, _KEY) != key_id:
        return (
            f"[{section}] has long-term keys, which would be lost or not be used any more; write to another profile, "
            "or pass overwrite=True if that may be"
        )
    return ""


def conflict_in_config(path: str, changes: Mapping[str, Mapping[str, str | None]]) -> str:
    """The same of the config file; nothing where it cannot be read, for no tool can either."""
    default = {"default", "profile default"} if "default" in changes else set()
    try:
        ini = Ini(atomic.read(path, MAX_BYTES), changes.keys() | default)
    except (OSError, UnicodeDecodeError, Refused):
        return ""
    if default and ini.options("profile default"):
        return "[profile default] goes before [default] in some tools; rename it to [default]"
    return next(filter(None, (conflict(ini, section, changes[section].get(_KEY)) for section in changes)), "")


def _has_long_term_keys(ini: Ini, section: str) -> bool:
    there = ini.options(section)
    return _KEY in there and not _TOKENS & set(there)
