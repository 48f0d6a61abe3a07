"""Examine the source of the proof: the result or the error of its ``fetch()``.

A profile whose credentials need a program or the network is only described, unless the user passes ``--run``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from shlex import quote
from threading import TIMEOUT_MAX
from typing import Any, Final

from attrs import evolve
from botocore.session import Session

from stskit._arguments import secret_kind
from stskit._cli.doctor.deadline import run_with_deadline
from stskit._cli.doctor.files import expiration_of
from stskit._cli.doctor.findings import Facts, Finding, collect_warnings, finding_from_error
from stskit._cli.formatting import format_deadline, iso
from stskit._cli.recipe import read_credentials
from stskit.credentials import Credentials
from stskit.errors import ProofInvalid, SourceError, prefixed
from stskit.proofs import SAMLAssertion
from stskit.protocols import Clock
from stskit.sources import OIDCTokenFile, Profile, SAMLFile
from stskit.sources.profile.missing import lacks_credentials
from stskit.sources.proof_file import permission_problem

__all__ = ["of_keys_file", "of_profile", "of_saml_file", "of_token_file"]

_SAML, _TOKEN, _KEYS = "SAML file", "OIDC token file", "keys file"
_LIFETIME: Final = timedelta(minutes=5)  # STS refuses older assertions
_KEY: Final = "AWS_ACCESS_KEY_ID"
_VARIABLE: Final = "AWS_WEB_IDENTITY_TOKEN_FILE"
# With one of these settings of a profile, botocore starts a program or calls a server.
_NOT_LOCAL: Final = (
    *("role_arn", "web_identity_token_file", "sso_account_id", "sso_role_name"),
    *("login_session", "credential_process"),
)
_SETTINGS: Final = (*_NOT_LOCAL, "source_profile", "credential_source", "mfa_serial", "sso_session")
_CONTAINER: Final = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")


def of_saml_file(path: str, clock: Clock, *, is_for_aws: bool = True) -> Iterator[Finding]:
    """Yield findings about an assertion: whether it can be sent, which roles it offers, and when it expires.

    *is_for_aws* reports assertions that AWS always refuses.
    """
    try:
        assertion, warned = collect_warnings(lambda: SAMLFile(path, clock=clock).fetch())
    except SourceError as error:
        facts = _path_facts(path)
        with suppress(SourceError):  # an expired assertion can still be read
            facts = _facts_of(path, SAMLFile(path).read())
        yield finding_from_error(_SAML, error, facts)
        return
    try:
        if is_for_aws and not assertion.is_encrypted and assertion.roles:
            assertion.check_for_aws()
        yield _of_assertion(path, assertion, clock.now())
    except ProofInvalid as error:  # an attribute that is read on demand is not valid
        yield finding_from_error(_SAML, prefixed(error, f"{path}: "), {"path": path})
    yield from (Finding(_SAML, "note", each, facts={"path": path}) for each in warned)
    yield from _of_mode(_SAML, path)


def _path_facts(path: str) -> Facts:
    return {} if secret_kind(path) else {"path": path}


def of_token_file(path: str, clock: Clock, json_field: str | None = None) -> Iterator[Finding]:
    """Yield findings about a token: whether it can be sent, its claims, and when it expires."""
    try:
        token, warned = collect_warnings(OIDCTokenFile(path, json_field=json_field, clock=clock).fetch)
    except SourceError as error:
        yield finding_from_error(_TOKEN, error, _path_facts(path))
        return
    claims = {"issuer": token.issuer, "audience": token.audience, "subject": token.subject}
    shown = [f"{name} {value[:200]!r}" for name, value in claims.items() if value]
    facts = {"path": path, **{name: value for name, value in claims.items() if value}}
    end = "" if token.expiration is None else f", and expires at {format_deadline(token.expiration, clock.now())}"
    if token.expiration is not None:
        facts["expires"] = iso(token.expiration)
    yield Finding(
        _TOKEN, "ok", f"{path} contains a token{' with ' if shown else ''}{', '.join(shown)}{end}", facts=facts
    )
    yield from (Finding(_TOKEN, "note", each, facts={"path": path}) for each in warned)


def of_keys_file(path: str, clock: Clock) -> Iterator[Finding]:
    """Yield findings about a file with credentials: their kind, and when they expire."""
    if path == "-":
        yield Finding(_KEYS, "note", "The keys come from standard input, which stskit did not read")
        return
    try:
        yield _of_keys(_KEYS, f"{path} contains", read_credentials(path), clock.now(), {"path": path})
    except SourceError as error:
        yield finding_from_error(_KEYS, error, _path_facts(path))
        return
    yield from _of_mode(_KEYS, path)


def of_profile(name: str | None, clock: Clock, *, run: bool) -> Iterator[Finding]:
    """Yield findings about the credentials of a profile, or about the place they come from.

    A *name* of None is the standard chain. Without *run*, no program is started and no server is called. It never asks
    for an MFA code.
    """
    session = Session(profile=name)
    about, who = f"profile {name}", f"The credentials of profile {name!r}"
    configured = session.get_config_variable("profile")
    if name is None:
        is_named = configured is not None and not os.environ.get(_KEY)
        about, who = (
            "credential chain",
            f"The credentials{f' of profile {configured!r}' * is_named} in the standard chain",
        )
    needs = _needs(name, configured, session.full_config["profiles"])
    if needs and (not run or _asks_for_mfa(needs)):
        yield _of_settings(about, who, name, needs)
    else:
        yield _of_fetch(about, who, name, None if needs else session, clock)
    for each in ("web_identity_token_file", _VARIABLE):
        if path := needs.get(each):
            yield from of_token_file(path, clock)


def _needs(name: str | None, configured: str | None, profiles: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings for which botocore starts a program or calls a server. Empty if it only reads files."""
    is_missing = configured is not None and configured not in profiles
    if is_missing or (name is None and os.environ.get(_KEY)):
        return {}
    settings = profiles.get(configured or "default", {})
    if name is not None and lacks_credentials(name, settings):
        return {}  # `fetch` raises an error that names the missing setting
    found: dict[str, Any] = {}
    if any(each in settings for each in _NOT_LOCAL):
        found = {each: settings[each] for each in _SETTINGS if each in settings}
        if serial := _mfa_serial_of_a_source(settings, profiles):
            found.setdefault("mfa_serial", serial)
    if name is None and (path := os.environ.get(_VARIABLE)):
        found[_VARIABLE] = path
    if not found and "aws_access_key_id" not in settings:
        found = {each: "" for each in _CONTAINER if os.environ.get(each)}
        if not found and os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() != "true":
            found = {"the EC2 instance": ""}
    if "credential_process" in found:
        found["credential_process"] = ""  # the command may contain a secret
    return {each: value if isinstance(value, str) else "" for each, value in found.items()}


def _mfa_serial_of_a_source(settings: Mapping[str, Any], profiles: Mapping[str, Any]) -> Any:
    """Return the MFA device of the first source profile that has one, or None."""
    seen: set[str] = set()
    while "role_arn" in settings and isinstance(following := settings.get("source_profile"), str):
        if following in seen:
            break
        seen.add(following)
        settings = profiles.get(following, {})
        if {"role_arn", "mfa_serial"} <= settings.keys():
            return settings["mfa_serial"]
    return None


def _asks_for_mfa(needs: Mapping[str, str]) -> bool:
    return {"role_arn", "mfa_serial"} <= needs.keys()


def _of_settings(about: str, who: str, name: str | None, needs: Mapping[str, str]) -> Finding:
    option = "" if name is None else f" --profile {quote(name)}"
    reason, remedy = "starts a program or calls a server", f"Run: stskit doctor{option} --run"
    if _asks_for_mfa(needs):
        reason, remedy = "needs an MFA code", f"Run: stskit whoami{option}"
    origin = ", ".join(f"{each} {value}".strip() for each, value in needs.items())
    text = f"{who} come from {origin}. They were not fetched, because that {reason}"
    return Finding(about, "note", text, remedy, {"from": ", ".join(needs)})


def _of_fetch(about: str, who: str, name: str | None, session: Session | None, clock: Clock) -> Finding:
    """Return the finding for a fetch. *session* is used to name the way in which botocore found the credentials."""
    try:  # in another thread, because the main thread would ask for an MFA code
        keys = run_with_deadline(TIMEOUT_MAX, Profile(name).fetch)
    except SourceError as error:
        return finding_from_error(about, error)
    facts: dict[str, str | int] = {}
    if keys.access_key_id.isupper():  # otherwise it may be a secret
        facts["access_key_id"] = keys.access_key_id
    if keys.account_id:
        facts["account_id"] = keys.account_id
    if session and (found := session.get_credentials()):
        facts["method"] = found.method
        keys = _with_expiration_of_file(keys, session)
    details = ", ".join(f"{each.replace('_id', '_ID').replace('_', ' ')} {value}" for each, value in facts.items())
    return _of_keys(about, f"{who} ({details}) are" if details else f"{who} are", keys, clock.now(), facts)


def _with_expiration_of_file(keys: Credentials, session: Session) -> Credentials:
    """Return the credentials, with the expiration of the profile of the *session* if they are those of the profile."""
    settings = session.full_config["profiles"].get(session.get_config_variable("profile") or "default", {})
    if keys.expiration is None and settings.get("aws_access_key_id") == keys.access_key_id:
        return evolve(keys, expiration=expiration_of(settings))
    return keys


def _of_keys(about: str, start: str, keys: Credentials, now: datetime, facts: Facts) -> Finding:
    """Return a finding about the kind of credentials. Its text begins with *start*."""
    if keys.session_token is None:
        if keys.access_key_id.startswith("ASIA"):
            text = f"{start} temporary credentials without their session token, which AWS refuses"
            return Finding(about, "wrong", text, "Add the session token that belongs to the keys.", facts)
        return Finding(about, "ok", f"{start} long-term keys", facts=facts)
    if keys.expiration is None:
        return Finding(about, "ok", f"{start} temporary credentials without an expiration", facts=facts)
    facts = {**facts, "expires": iso(keys.expiration)}
    when = format_deadline(keys.expiration, now)
    if keys.is_expired(now=now):
        return Finding(
            about, "wrong", f"{start} temporary credentials that expired at {when}", "Get new credentials.", facts
        )
    return Finding(about, "ok", f"{start} temporary credentials that expire at {when}", facts=facts)


def _of_assertion(path: str, assertion: SAMLAssertion, now: datetime) -> Finding:
    facts = _facts_of(path, assertion)
    if assertion.is_encrypted:
        remedy = "Pass the role ARN, and the ARN of the SAML provider with --principal-arn."
        return Finding(_SAML, "note", f"{path} is encrypted, so only AWS can check it", remedy, facts)
    number = len(assertion.roles)
    if not number:
        remedy = (
            "Configure the identity provider to send the attribute Role, or save the response that is posted to AWS."
        )
        return Finding(_SAML, "wrong", f"{path} offers no role.{assertion.similar_names('Role')}", remedy, facts)
    offers = f"{path} offers {number} {'role' if number == 1 else 'roles'}"
    late = assertion.issued_at and assertion.issued_at + _LIFETIME
    end = min((each for each in (assertion.not_on_or_after, late) if each), default=None)
    if end is None:
        return Finding(_SAML, "ok", f"{offers}, and has no expiration", facts=facts)
    facts["expires"] = iso(end)
    if end <= now:
        text = f"{offers}, and may be too old for AWS: it was valid until {format_deadline(end, now)}"
        return Finding(_SAML, "note", text, "Sign in again, and save the new response in the same file.", facts)
    return Finding(_SAML, "ok", f"{offers}, and is valid until {format_deadline(end, now)}", facts=facts)


def _facts_of(path: str, assertion: SAMLAssertion) -> dict[str, str | int]:
    facts: dict[str, str | int] = {"path": path}
    if not assertion.is_encrypted:
        facts |= {"roles": len(assertion.roles), "issuer": assertion.issuer or ""}
        if assertion.session_duration is not None:
            facts["session_seconds"] = int(assertion.session_duration.total_seconds())
        if assertion.roles:
            facts["partition"] = assertion.roles[0].role_arn.split(":")[1]
    return facts


def _of_mode(about: str, path: str) -> Iterator[Finding]:
    with suppress(OSError):  # the file may have been removed since
        if why := permission_problem(path):
            yield Finding(about, "note", f"{path} {why}", f"Run: chmod 600 {quote(path)}", {"path": path})
