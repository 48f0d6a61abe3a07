"""Read the settings of the environment and the profile that decide how STS is called, and find wrong ones."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from attrs import frozen
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from stskit.errors import RoleError

__all__ = [
    "Setting",
    "bad_variable",
    "check_endpoint",
    "configured_endpoint",
    "new_session",
    "profile_name",
    "unused_settings",
    "verify_tls",
]

_IGNORE: Final = "ignore_configured_endpoint_urls"
_ENDPOINT_VARIABLES: Final = ("AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL")  # botocore prefers the first


@frozen
class Setting:
    """A setting and where it comes from.

    Args:
        value: The value.
        name: The argument, variable or setting of a profile, as an error shows it.
        option: The argument, if the value comes from one.
        variable: The environment variable, if the value comes from one.
    """

    value: str
    name: str
    option: str | None = None
    variable: str | None = None


def new_session(profile: str | None = None, **options: Any) -> Session:
    """Return a session of botocore that always verifies TLS and knows ``AWS_REGION``.

    *options* are those of `Session`. Raises nothing, because the session reads its files later.
    """
    session = Session(profile=profile, **options)
    verify_tls(session)
    if region := os.environ.get("AWS_REGION"):
        session.set_config_variable("region", region)
    return session


# TLS ------------------------------------------------------------------------------------------------------------------


def verify_tls(session: Session) -> None:
    """Verify the certificates of servers even if the setting of the CA bundle is empty.

    With an empty ``AWS_CA_BUNDLE``, ``REQUESTS_CA_BUNDLE`` or ``ca_bundle``, botocore up to 1.43.50 does not verify,
    and later versions raise an error.
    """
    session.get_component("config_store").set_config_provider("ca_bundle", _CABundle(session))


@frozen
class _CABundle:
    """A configuration provider for botocore that skips empty settings."""

    session: Session

    def provide(self) -> str | bool | None:
        of_profile = self.session.get_scoped_config().get("ca_bundle")
        first = next(filter(_is_set, (os.environ.get("AWS_CA_BUNDLE"), of_profile)), None)
        if first is None and not _is_set(os.environ.get("REQUESTS_CA_BUNDLE", "unset")):
            return True
        return first


def _is_set(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


# Endpoints ------------------------------------------------------------------------------------------------------------


def configured_endpoint(session: Session, endpoint_url: str | None) -> Setting | None:
    """Return the endpoint that *session* uses for STS, or None for the endpoint of AWS.

    *endpoint_url* is the argument. Raises what botocore raises if it cannot read the profile.
    """
    if endpoint_url:
        return Setting(endpoint_url, "endpoint_url", option="endpoint_url")
    if session.get_config_variable(_IGNORE):
        return None
    for name in _ENDPOINT_VARIABLES:
        if url := os.environ.get(name):
            return Setting(url, name, variable=name)
    if url := _endpoint_of_profile(session):
        return Setting(url, f"endpoint_url of the profile {profile_name(session)!r}", option="profile")
    return None


def check_endpoint(session: Session, endpoint_url: str | None, *, use_fips: bool, use_dualstack: bool) -> None:
    """Raise `RoleError` if the endpoint is not a valid URL, or is combined with FIPS or dual stack.

    AWS's endpoint rules refuse the combination too, but botocore ignores it without a warning.
    """
    endpoint = configured_endpoint(session, endpoint_url)
    if endpoint is None:
        return
    if "@" in endpoint.value:
        raise _endpoint_error(
            endpoint, "contains a user name or a password, which errors and logs would show.", "Remove it."
        )
    if not re.match(r"https?://[^/?#\\]", endpoint.value, re.IGNORECASE):
        raise _endpoint_error(
            endpoint,
            "is not a valid URL.",
            "Write it with its scheme, as in https://sts.example or http://127.0.0.1:4566",
        )
    for kind, argument, is_given in (("FIPS", "use_fips", use_fips), ("dual stack", "use_dualstack", use_dualstack)):
        place = _place_of_kind(session, argument) if not is_given else f"the option {argument}"
        if place:
            raise _endpoint_error(
                endpoint, f"cannot be used together with a {kind} endpoint ({place}).", "Remove one of the two."
            )


def _endpoint_error(endpoint: Setting, problem: str, remedy: str) -> RoleError:
    return RoleError(f"{endpoint.name} {problem}", remedy=remedy, option=endpoint.option, variable=endpoint.variable)


def _place_of_kind(session: Session, argument: str) -> str | None:
    name = f"{argument}_endpoint"
    if not session.get_config_variable(name):
        return None
    variable = f"AWS_{name.upper()}"
    return variable if os.environ.get(variable) else f"{name} of the profile {profile_name(session)!r}"


def _endpoint_of_profile(session: Session) -> str | None:
    profile = session.get_scoped_config()
    services = session.full_config.get("services", {}).get(profile.get("services"), {})
    of_sts = services.get("sts", {})
    found = (of_sts.get("endpoint_url") if isinstance(of_sts, Mapping) else None) or profile.get("endpoint_url")
    return found if isinstance(found, str) else None


def profile_name(session: Session) -> str:
    """Return the name of the profile that *session* uses."""
    return session.get_config_variable("profile") or "default"


# Settings that do not apply to unsigned calls -------------------------------------------------------------------------


def unused_settings(kinds: tuple[str, ...] = ("endpoint_url", "region", "ca_bundle")) -> str:
    """Return a sentence about the settings of the profile that an unsigned call did not use, or ""."""
    with suppress(BotoCoreError, ValueError):
        session = Session()
        profile = session.get_scoped_config()
        found = {
            "endpoint_url": _endpoint_of_profile(session) and not any(map(os.environ.get, _ENDPOINT_VARIABLES)),
            "region": profile.get("region") and not any(map(os.environ.get, ("AWS_REGION", "AWS_DEFAULT_REGION"))),
            "ca_bundle": _is_set(profile.get("ca_bundle")) and not os.environ.get("AWS_CA_BUNDLE"),
        }
        variables = {"endpoint_url": "AWS_ENDPOINT_URL", "region": "AWS_REGION", "ca_bundle": "AWS_CA_BUNDLE"}
        if names := [name for name in kinds if found[name]]:
            return (
                f"SAML and web identity calls do not use {', '.join(names)} of the profile {profile_name(session)!r}: "
                f"set {', '.join(variables[name] for name in names)} instead."
            )
    return ""


# Variables with a bad value -------------------------------------------------------------------------------------------


def _is_number(least: int, most: int) -> Callable[[str], bool]:
    return lambda value: bool(re.fullmatch(r"\s*\+?\d{1,9}\s*", value)) and least <= int(value) <= most


def _is_one_of(*values: str) -> Callable[[str], bool]:
    return lambda value: value.lower() in values


def _is_file(value: str) -> bool:
    return not value.strip() or os.access(value, os.R_OK)


def _is_region(value: str) -> bool:
    return not value or bool(re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", value))


_WHENS: Final = ("when_supported", "when_required")
_VALID: Final[Mapping[str, tuple[Callable[[str], bool], str]]] = {
    "AWS_REGION": (_is_region, "a region name"),
    "AWS_DEFAULT_REGION": (_is_region, "a region name"),
    "AWS_MAX_ATTEMPTS": (_is_number(1, 10**9), "a number of at least 1"),
    "AWS_RETRY_MODE": (_is_one_of("legacy", "standard", "adaptive"), "legacy, standard or adaptive"),
    "AWS_DEFAULTS_MODE": (
        _is_one_of("legacy", "standard", "in-region", "cross-region", "mobile", "auto"),
        "legacy, standard, in-region, cross-region, mobile or auto",
    ),
    "AWS_STS_REGIONAL_ENDPOINTS": (_is_one_of("legacy", "regional"), "legacy or regional"),
    "AWS_REQUEST_CHECKSUM_CALCULATION": (_is_one_of(*_WHENS), "when_supported or when_required"),
    "AWS_RESPONSE_CHECKSUM_VALIDATION": (_is_one_of(*_WHENS), "when_supported or when_required"),
    "AWS_ACCOUNT_ID_ENDPOINT_MODE": (
        _is_one_of("preferred", "disabled", "required"),
        "preferred, disabled or required",
    ),
    "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES": (_is_number(0, 10_485_760), "a number up to 10485760"),
    "AWS_METADATA_SERVICE_TIMEOUT": (_is_number(1, 10**9), "a number of seconds"),
    "AWS_METADATA_SERVICE_NUM_ATTEMPTS": (_is_number(1, 10**9), "a number of at least 1"),
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": (_is_one_of("ipv4", "ipv6"), "ipv4 or ipv6"),
    "AWS_CSM_PORT": (_is_number(1, 65_535), "a port number"),
    "AWS_SIGV4A_SIGNING_REGION_SET": (
        lambda value: bool(re.fullmatch(r"[\w*-]+(,[\w*-]+)*", value)),
        "a list of regions",
    ),
    "AWS_CA_BUNDLE": (_is_file, "a readable file"),
    "REQUESTS_CA_BUNDLE": (_is_file, "a readable file"),
}
_QUOTED: Final = 100  # characters of a value that an error quotes


def bad_variable() -> Setting | None:
    """Return the first environment variable whose value botocore cannot use, or None.

    `Setting.name` says what the value must be. Call it only after a failure, so that no valid value is refused.
    """
    for name, (is_valid, expected) in _VALID.items():
        value = os.environ.get(name)
        if value is not None and not is_valid(value):
            return Setting(value[:_QUOTED], expected, variable=name)
    return None
