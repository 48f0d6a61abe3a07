"""What `stskit doctor` says about a file that holds a proof: judged as it would be before it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from stskit._cli.doctor.findings import Finding, heard, of_message
from stskit._cli.formatting import iso, until
from stskit._cli.input_files import credentials_in
from stskit.credentials import Credentials
from stskit.errors import ProofInvalid, SourceError
from stskit.proofs import SAMLAssertion
from stskit.protocols import Clock
from stskit.sources.oidc_token_file import OIDCTokenFile
from stskit.sources.proof_file import permission_problem
from stskit.sources.saml_file import SAMLFile

__all__ = ["of_keys", "of_keys_file", "of_saml_file", "of_token_file"]

_SAML, _TOKEN, _KEYS = "SAML file", "OIDC token file", "keys file"
_LIFE: Final = timedelta(minutes=5)  # of an assertion, from when it was made, as STS counts
_SIGN_IN: Final = "sign in again and save the new response there"


def of_saml_file(path: str, clock: Clock) -> Iterator[Finding]:
    """Whether it can be sent, what it offers, and for how long."""
    try:
        assertion, told = heard(SAMLFile(path, clock=clock).fetch)
    except SourceError as error:
        yield of_message(_SAML, "wrong", error, path=path)
        return
    try:
        yield _of_assertion(path, assertion, clock.now())
    except ProofInvalid as error:  # of what is read on demand
        yield of_message(_SAML, "wrong", ProofInvalid(f"{path}: {error}"), path=path)
    yield from (of_message(_SAML, "note", each, path=path) for each in told)
    yield from _of_mode(_SAML, path)


def of_token_file(path: str, clock: Clock, json_field: str | None = None) -> Iterator[Finding]:
    """Whether it can be sent, whose token it is, and for how long."""
    try:
        token, told = heard(OIDCTokenFile(path, json_field=json_field, clock=clock).fetch)
    except SourceError as error:
        yield of_message(_TOKEN, "wrong", error, path=path)
        return
    claims = {"issuer": token.issuer, "audience": token.audience, "subject": token.subject}
    says = [f"{name} {value[:200]!r}" for name, value in claims.items() if value]
    facts = {"path": path, **{name: value for name, value in claims.items() if value}}
    end = "" if token.expiration is None else f", and ends at {until(token.expiration, clock.now())}"
    if token.expiration is not None:
        facts["expires"] = iso(token.expiration)
    yield Finding(_TOKEN, "ok", f"{path} holds a token{' with ' if says else ''}{', '.join(says)}{end}", facts=facts)
    yield from (of_message(_TOKEN, "note", each, path=path) for each in told)


def of_keys_file(path: str, clock: Clock) -> Iterator[Finding]:
    """Whether these are credentials, of which kind, and for how long."""
    if path == "-":
        yield Finding(_KEYS, "note", "The keys come from standard input, which is left for who reads it")
        return
    try:
        credentials = credentials_in(path)
    except SourceError as error:
        yield of_message(_KEYS, "wrong", error, path=path)
        return
    yield of_keys(_KEYS, f"{path} holds", credentials, clock.now(), path=path)
    yield from _of_mode(_KEYS, path)


def of_keys(about: str, start: str, keys: Credentials, now: datetime, **facts: str | int) -> Finding:
    """What *keys* are, as a sentence that begins with *start*; the keys themselves are not told."""
    if keys.session_token is None:
        if keys.access_key_id.startswith("ASIA"):
            text = f"{start} a temporary key without its session token, which AWS refuses"
            return Finding(about, "wrong", text, "add the session token that belongs to it", facts)
        return Finding(about, "ok", f"{start} long-term keys", facts=facts)
    if keys.expiration is None:
        return Finding(about, "ok", f"{start} temporary keys without a date when they end", facts=facts)
    facts["expires"] = iso(keys.expiration)
    when = until(keys.expiration, now)
    if keys.is_expired(now=now):
        return Finding(about, "wrong", f"{start} temporary keys that ended at {when}", "get new ones", facts)
    return Finding(about, "ok", f"{start} temporary keys that end at {when}", facts=facts)


def _of_assertion(path: str, assertion: SAMLAssertion, now: datetime) -> Finding:
    if assertion.is_encrypted:
        remedy = "name the role and the SAML provider by their ARNs, for they cannot be looked up in it"
        return Finding(_SAML, "note", f"{path} is encrypted, so only AWS can judge it", remedy, {"path": path})
    number = len(assertion.roles)
    facts: dict[str, str | int] = {"path": path, "roles": number, "issuer": assertion.issuer or ""}
    if assertion.session_duration is not None:
        facts["session_seconds"] = int(assertion.session_duration.total_seconds())
    if not number:
        remedy = "have the identity provider send the attribute Role, or save the response that is posted to AWS"
        return Finding(_SAML, "wrong", f"{path} offers no role", remedy, facts)
    facts["partition"] = assertion.roles[0].role_arn.split(":")[1]
    offers = f"{path} offers {number} {'role' if number == 1 else 'roles'}"
    late = assertion.issued_at and assertion.issued_at + _LIFE
    end = min((each for each in (assertion.not_on_or_after, late) if each), default=None)
    if end is None:
        return Finding(_SAML, "ok", f"{offers}, and does not say until when it counts", facts=facts)
    facts["expires"] = iso(end)
    if end <= now:
        return Finding(
            _SAML, "note", f"{offers}, and may be too old for AWS: it counted until {until(end, now)}", _SIGN_IN, facts
        )
    return Finding(_SAML, "ok", f"{offers}, and counts until {until(end, now)}", facts=facts)


def _of_mode(about: str, path: str) -> Iterator[Finding]:
    with suppress(OSError):  # it has been read, and may be gone by now
        if why := permission_problem(path):
            yield Finding(about, "note", f"{path} {why}", f"make it yours alone: chmod 600 {path}", {"path": path})
