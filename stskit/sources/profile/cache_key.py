"""Whose credentials a profile gives, told from its configuration alone: nothing is asked and nothing is run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from botocore.exceptions import BotoCoreError
from botocore.session import Session

from stskit.cache_key import digest, proof_key
from stskit.errors import SourceError
from stskit.proofs import WebIdentityToken
from stskit.sources.proof_file import read_proof

__all__ = ["profile_key"]

Settings: TypeAlias = Mapping[str, Any]

_SECRETS: Final = ("aws_secret_access_key", "aws_session_token", "aws_security_token")
# Each of these makes botocore find the credentials by the profile; without, it asks the container or the instance.
_MARKS: Final = ("aws_access_key_id", "credential_process", "login_session", "role_arn", "sso_account_id")
_OF_THE_DEFAULT: Final = ("AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME")  # botocore looks at them where no profile is named
_OF_STS: Final = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS")
_TOKEN_BYTES: Final = 100_000


def profile_key(name: str | None) -> str | None:
    """What decides whose credentials *name* gives, None for the default chain, as one text without its secrets.

    None where that is decided elsewhere: by the container or the instance that this runs on, or by an opaque token.
    """
    if name is None and (key := os.environ.get("AWS_ACCESS_KEY_ID")):
        return digest("key", key)
    session = Session(profile=name)
    try:  # by botocore, for nobody else reads these files as it does
        config = session.full_config
        profile = session.get_config_variable("profile") or "default"
    except BotoCoreError:
        return digest("unreadable")  # which is told when it is fetched
    chain = list(_chain(config, profile))
    tokens = [settings["web_identity_token_file"] for settings in chain if settings.get("web_identity_token_file")]
    if name is None and (path := os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE")):
        tokens.append(path)
    subjects = [_subject(path) for path in tokens]
    is_missing = name is not None and profile not in config["profiles"]  # which is told when it is fetched
    is_here = tokens or is_missing or any(mark in settings for settings in chain for mark in _MARKS)
    elsewhere = chain[-1].get("credential_source") if chain and "role_arn" in chain[-1] else None
    if not is_here or None in subjects or elsewhere not in (None, "Environment"):
        return None
    counting = (*_OF_STS, *(_OF_THE_DEFAULT if name is None else ()), *(["AWS_ACCESS_KEY_ID"] if elsewhere else []))
    variables = {variable: os.environ[variable] for variable in counting if variable in os.environ}
    return digest("profile", profile, tokens, subjects, chain, variables)


def _chain(config: Settings, profile: str | None) -> Iterator[dict[str, Any]]:
    """The settings of *profile* without what is secret, and of those that it gets its credentials from."""
    seen: set[str] = set()
    while profile and profile in config["profiles"] and profile not in seen:
        seen.add(profile)
        settings = {key: value for key, value in config["profiles"][profile].items() if key not in _SECRETS}
        yield {**settings, "session": config.get("sso_sessions", {}).get(settings.get("sso_session"))}
        profile = settings.get("source_profile") if "role_arn" in settings else None


def _subject(path: str) -> str | None:
    try:
        return proof_key(WebIdentityToken(read_proof(path, "a token", _TOKEN_BYTES)))
    except SourceError:
        return "unreadable"  # which is told when it is fetched
