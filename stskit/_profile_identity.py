"""Whose credentials a profile gives, told from its configuration alone: nothing is asked and nothing is run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from configparser import Error, RawConfigParser
from contextlib import suppress
from typing import Final, TypeAlias

from stskit._proof_file import read_proof
from stskit._whose import digest, of_proof
from stskit.errors import SourceError
from stskit.identity import WebIdentityToken

__all__ = ["of_profile"]

Sections: TypeAlias = Mapping[str, Mapping[str, str]]

_SECRETS: Final = ("aws_secret_access_key", "aws_session_token", "aws_security_token")
# Each of these makes botocore find the credentials by the profile; without, it asks the container or the instance.
_MARKS: Final = ("aws_access_key_id", "credential_process", "login_session", "role_arn", "sso_account_id")
_FILES: Final = (("AWS_CONFIG_FILE", "~/.aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"))
_TOKEN_BYTES: Final = 100_000


def of_profile(name: str | None) -> str | None:
    """What decides whose credentials *name* gives, None for the default chain, as one text without its secrets.

    None where that is decided elsewhere: by the container or the instance that this runs on.
    """
    environ = os.environ
    if name is None and (key := environ.get("AWS_ACCESS_KEY_ID")):
        return digest("key", key)
    told: list[object] = []
    if name is None and "AWS_WEB_IDENTITY_TOKEN_FILE" in environ:
        path = environ["AWS_WEB_IDENTITY_TOKEN_FILE"]
        told += [path, _token(path), environ.get("AWS_ROLE_ARN"), environ.get("AWS_ROLE_SESSION_NAME")]
    try:
        sections = _sections()
    except (Error, OSError, UnicodeDecodeError):
        return digest("unreadable")  # which is told when it is fetched
    profile = name or environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE") or "default"
    chain = list(_chain(sections, profile))
    last = chain[-1].get("credential_source") if chain else None
    if last == "Environment":
        told.append(environ.get("AWS_ACCESS_KEY_ID"))
    is_missing = name is not None and profile not in sections  # which is told when it is fetched
    is_here = bool(told) or is_missing or any(mark in settings for settings in chain for mark in _MARKS)
    return digest("profile", profile, told, chain) if is_here and last in (None, "Environment") else None


def _chain(sections: Sections, profile: str | None) -> Iterator[dict[str, object]]:
    """The settings of *profile*, and of those that it gets its credentials from."""
    seen: set[str] = set()
    while profile and profile in sections and profile not in seen:
        seen.add(profile)
        settings = sections[profile]
        session = sections.get(f"sso-session {settings.get('sso_session')}", {})
        yield {**settings, "session": session, "token": _token(settings.get("web_identity_token_file"))}
        profile = settings.get("source_profile")


def _token(path: str | None) -> str | None:
    with suppress(SourceError):  # told when it is fetched
        return of_proof(WebIdentityToken(read_proof(path, "a token", _TOKEN_BYTES))) if path else None
    return None


def _sections() -> Sections:
    """The profiles by their names, and other sections by theirs, without what is secret; raises as a parser does."""
    found: dict[str, dict[str, str]] = {}
    for variable, usual in _FILES:
        parser = RawConfigParser()
        parser.read(os.path.expanduser(os.environ.get(variable) or usual), encoding="utf-8")
        for section in parser.sections():
            settings = {name: value for name, value in parser.items(section) if name not in _SECRETS}
            found.setdefault(section.removeprefix("profile ").strip("\"' "), {}).update(settings)
    return found
