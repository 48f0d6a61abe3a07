"""Read the config file and the credentials file as botocore does, without importing botocore.

A cache key needs nothing else of botocore, and importing botocore takes most of the time of a short command.

https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from attrs import field, frozen

__all__ = [
    "Settings",
    "SharedConfig",
    "ambient_profile",
    "endpoint_settings",
    "endpoint_variables",
    "read_shared_config",
]

Settings: TypeAlias = Mapping[str, Any]
"""The settings of a section. A setting with an indented block has a mapping as its value."""

_PROFILE_VARIABLES: Final = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")  # botocore prefers the first
# Environment variables that decide which server botocore calls.
_ENDPOINT_VARIABLES: Final = (
    *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_STS_REGIONAL_ENDPOINTS", "AWS_DATA_PATH"),
    *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"),
    *("AWS_ENDPOINT_URL_SSO", "AWS_ENDPOINT_URL_SSO_OIDC", "AWS_ENDPOINT_URL_SIGNIN"),
    *("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"),
)
_ENDPOINT_SETTINGS: Final = (
    *("region", "sts_regional_endpoints", "data_path", "endpoint_url", "ignore_configured_endpoint_urls"),
    *("use_fips_endpoint", "use_dualstack_endpoint"),
)


@frozen
class SharedConfig:
    """The sections of both files, by name. The settings may contain secrets."""

    profiles: Mapping[str, Settings] = field(repr=False)
    sso_sessions: Mapping[str, Settings] = field(repr=False)
    services: Mapping[str, Settings] = field(repr=False)

    def section_of(self, settings: Settings, name: str) -> Settings | None:
        """Return the section that the setting ``services`` or ``sso_session`` refers to."""
        sections = self.services if name == "services" else self.sso_sessions
        wanted = settings.get(name)
        return sections.get(wanted) if isinstance(wanted, str) else None


def ambient_profile() -> str:
    """Return the profile name of the environment, or ``default``."""
    named = (os.environ[name] for name in _PROFILE_VARIABLES if name in os.environ)
    return next(named, "") or "default"  # botocore uses the first variable that exists, even if it is empty


def read_shared_config() -> SharedConfig | None:
    """Return the sections of both files, merged as by botocore. None if botocore cannot read one of them."""
    try:
        config = _sections(os.environ.get("AWS_CONFIG_FILE", "~/.aws/config"))
        shared = _sections(os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"))
    except ValueError:
        return None
    profiles: dict[str, dict[str, Any]] = {}
    sso_sessions: dict[str, Settings] = {}
    services: dict[str, Settings] = {}
    for header, settings in config.items():
        if header.startswith("profile"):
            profiles.update(_named(header, settings))
        elif header.startswith("sso-session"):
            sso_sessions.update(_named(header, settings))
        elif header.startswith("services"):
            services.update(_named(header, settings))
        elif header == "default":
            profiles[header] = settings
    for name, settings in shared.items():
        profiles[name] = profiles.get(name, {}) | settings
    return SharedConfig(profiles, sso_sessions, services)


def endpoint_variables() -> list[str | None]:
    """Return the values of the environment variables that decide which server botocore calls."""
    return [os.environ.get(name) for name in _ENDPOINT_VARIABLES]


def endpoint_settings(config: SharedConfig | None, profile_name: str | None = None) -> tuple[object, ...]:
    """Return all settings that decide which server botocore calls, those of the profile included.

    *config* is None if the files cannot be read. *profile_name* defaults to the profile of the environment.
    """
    variables = endpoint_variables()
    if config is None:
        return variables, "unreadable"
    profile = config.profiles.get(profile_name or ambient_profile(), {})
    settings = [profile.get(name) for name in _ENDPOINT_SETTINGS]
    return variables, settings, profile.get("services"), config.section_of(profile, "services")


def _sections(path: str) -> dict[str, dict[str, Any]]:
    """Return the sections of a file, or none if it does not exist. Raises `ValueError` if it cannot be parsed."""
    from configparser import Error, RawConfigParser

    path = os.path.expanduser(os.path.expandvars(path))
    parser = RawConfigParser()
    if os.path.isfile(path):
        try:
            parser.read([path])
        except Error:  # the exception quotes the line, which may contain a secret
            raise ValueError from None
    return {name: {key: _value(parser.get(name, key)) for key in parser.options(name)} for name in parser.sections()}


def _value(text: str) -> str | dict[str, str]:
    """Return a value as text, or an indented block as a mapping. Raises `ValueError` if the block is not a mapping."""
    if not text.startswith("\n"):
        return text
    pairs = (line.split("=", 1) for line in text.splitlines() if line.strip())
    return {key.strip(): value.strip() for key, value in pairs}


def _named(header: str, settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return *settings* under the second word of *header*, which may be quoted. Empty if it does not have two words."""
    from shlex import split

    try:
        words = split(header)
    except ValueError:
        return {}
    return {words[1]: settings} if len(words) == 2 else {}
