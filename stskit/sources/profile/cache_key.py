"""Collect the settings that decide about the credentials of a profile. No server is called and no process is run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, TypeAlias

from stskit.sts.shared_config import SharedConfig, ambient_profile, endpoint_variables, read_shared_config

__all__ = ["profile_parts"]

Parts: TypeAlias = tuple[object, ...]

# With one of these settings, botocore uses the profile. Without them, it uses the container or the instance.
_MARKS: Final = ("aws_access_key_id", "login_session", "role_arn", "sso_account_id", "sso_role_name")
_KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
_OF_THE_DEFAULT: Final = ("AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME")  # botocore uses them if no profile is named
_MAX_BYTES: Final = 1_000_000  # largest size of a token file


def profile_parts(name: str | None) -> Parts | None:
    """Return the settings that decide about the credentials of a profile, with their secrets.

    A *name* of None is the standard AWS credential chain. Returns None if a process, the container or the instance
    decides, because that cannot be read.
    """
    if name is None and os.environ.get("AWS_ACCESS_KEY_ID"):
        return "environment", _values(_KEYS)
    config = read_shared_config()
    if config is None:
        return ("unreadable",)  # fetch() raises an error
    profile = name or ambient_profile()
    chain = list(_chain(config, profile))
    files = [path for settings in chain for path in _token_files(settings)]
    if name is None and (path := os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE")):
        files.append(path)
    is_here = files or any(mark in settings for settings in chain for mark in _MARKS)
    machine_decides = not is_here and (name is None or _may_use_machine(name, chain))
    elsewhere = chain[-1].get("credential_source") if chain and "role_arn" in chain[-1] else None
    if machine_decides or elsewhere not in (None, "Environment"):
        return None
    if any("credential_process" in settings for settings in chain):
        return None
    variables = (*(_OF_THE_DEFAULT if name is None else ()), *(_KEYS if elsewhere else ()))
    return "profile", profile, chain, [_content(path) for path in files], _values(variables), endpoint_variables()


def _may_use_machine(name: str, chain: list[dict[str, Any]]) -> bool:
    """Return whether `Profile.fetch` allows the container or the instance for a named profile."""
    from stskit.sources.profile.missing import lacks_credentials

    return bool(chain) and not lacks_credentials(name, chain[0])


def _chain(config: SharedConfig, profile: str) -> Iterator[dict[str, Any]]:
    """Yield the settings of a profile and of its source profiles, with the sections that they refer to."""
    following: object = profile
    seen: set[str] = set()
    while isinstance(following, str) and following in config.profiles and following not in seen:
        seen.add(following)
        settings = config.profiles[following]
        sections = {f"[{name}]": config.section_of(settings, name) for name in ("sso_session", "services")}
        yield {**settings, **sections}
        following = settings.get("source_profile") if "role_arn" in settings else None


def _token_files(settings: dict[str, Any]) -> Iterator[str]:
    """Yield the token files that botocore would use for a profile with these settings."""
    from hashlib import sha1, sha256

    session = settings["[sso_session]"] or {}
    if isinstance(path := settings.get("web_identity_token_file"), str) and path:
        yield path
    for name in (settings.get("sso_session"), settings.get("sso_start_url"), session.get("sso_start_url")):
        if isinstance(name, str):
            file = sha1(name.encode(), usedforsecurity=False).hexdigest()
            yield os.path.expanduser(os.path.join("~", ".aws", "sso", "cache", f"{file}.json"))
    if isinstance(name := settings.get("login_session"), str):
        folder = os.path.expandvars(os.environ.get("AWS_LOGIN_CACHE_DIRECTORY", "~/.aws/login/cache"))
        yield os.path.join(os.path.expanduser(folder), f"{sha256(name.encode()).hexdigest()}.json")


def _content(path: str) -> bytes | None:
    from stskit._io import atomic

    with suppress(OSError, ValueError):  # fetch() raises an error
        return atomic.read(path, _MAX_BYTES)
    return None


def _values(variables: tuple[str, ...]) -> dict[str, str]:
    return {name: os.environ[name] for name in variables if name in os.environ}
