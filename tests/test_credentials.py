"""Credentials, assertions and tokens: accepted and refused values, and masked secrets."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import pprint
import reprlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any
from unittest import TestCase

import attrs
import pytest
from helpers import START, reachable_text, shown_locals
from hypothesis import given
from hypothesis import strategies as st

from stskit.credentials import CallerIdentity, Credentials, Secret
from stskit.errors import ProofInvalid, RoleNotOffered, SinkError
from stskit.proofs import SAMLAssertion, SAMLRole, WebIdentityToken

CANARY = "Zq7+canary/"
KEYS = {"AccessKeyId": "AKIAEXAMPLE", "SecretAccessKey": CANARY + "secret"}
SESSION = {**KEYS, "SessionToken": CANARY + "token", "Expiration": "2026-11-25T13:00:00Z"}
SAML = Path(__file__).parent / "data" / "saml"
ROLE = "arn:aws:iam::123456789012:role/app"
PROVIDER = "arn:aws:iam::123456789012:saml-provider/Example"

HOLDERS = [
    Secret(CANARY),
    Credentials("AKIAEXAMPLE", Secret(CANARY), Secret(CANARY * 9), START),
    SAMLAssertion(Secret(CANARY * 40)),
    WebIdentityToken(Secret(CANARY)),
]


class Nowhere(tzinfo):
    """A time zone without an offset, with which a datetime only seems to be aware."""

    def utcoffset(self, _moment: datetime | None) -> None:
        return None

    def tzname(self, _moment: datetime | None) -> None:
        return None

    def dst(self, _moment: datetime | None) -> None:
        return None


# Secret -----------------------------------------------------------------------------------------------------------


@pytest.mark.case("P41")
@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: type(holder).__name__)
@pytest.mark.parametrize(
    "show",
    [
        repr,
        ascii,
        pprint.pformat,
        reprlib.repr,
        lambda holder: f"{holder!r}",
        "{0!r}".format,
        lambda holder: repr({"held": [holder]}),
        lambda holder: repr(attrs.asdict(holder)) if attrs.has(type(holder)) else "",
        lambda holder: logging.LogRecord("x", logging.INFO, "", 0, "%r", (holder,), None).getMessage(),
    ],
    ids=["repr", "ascii", "pprint", "reprlib", "f-string", "format", "nested", "asdict", "log"],
)
def test_no_repr_shows_a_secret(holder: object, show: Callable[[object], str]) -> None:
    """Every way to make a repr of a value, alone or in a container, shows a mask instead of the secret."""
    assert CANARY not in show(holder)


def test_a_shortened_secret_is_still_masked() -> None:
    """A slice of a secret is masked too, because some tools shorten a text before they show its repr."""
    token = Secret(CANARY * 9)
    assert repr(token[:80]) == repr(token[0]) == "Secret('***')"
    assert token[:4] == CANARY[:4]


@pytest.mark.case("P72")
def test_a_secret_is_a_text() -> None:
    """`str()`, formatting, JSON and a dictionary look-up use the plain text of a secret."""
    secret = Secret("abc")
    assert type(str(secret)) is str
    assert f"{secret}" == "abc"
    assert json.dumps(secret) == '"abc"'
    assert {"abc": 1}[secret] == 1


@pytest.mark.parametrize("make", [lambda v: Credentials("AKIA", v), SAMLAssertion, WebIdentityToken])
@pytest.mark.parametrize("value", ["", None, b"bytes", 5], ids=repr)
def test_a_secret_that_is_not_text_is_refused(make: Callable[[Any], object], value: object) -> None:
    """A secret that is empty or not text is refused when the value is created."""
    kind, message = (ProofInvalid, "is empty") if value == "" else (TypeError, "must be text, not")
    with pytest.raises(kind, match=f"^(secret_access_key|value) {message}"):
        make(value)


def test_plain_text_is_converted_to_a_secret() -> None:
    """A plain string becomes a Secret, and a missing session token stays None."""
    plain = Credentials("AKIA", "secret", "token")
    assert (type(plain.secret_access_key), type(plain.session_token)) == (Secret, Secret)
    assert Credentials("AKIA", Secret("secret")).session_token is None
    assert type(SAMLAssertion("x").value) is type(WebIdentityToken("x").value) is Secret


# Credentials ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [*HOLDERS, CallerIdentity("1", "arn", "id")], ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_values_survive_pickling(value: object, protocol: int) -> None:
    """After pickling, a value is equal to the original and its secrets are still masked."""
    twin = pickle.loads(pickle.dumps(value, protocol))
    assert twin == value
    assert hash(twin) == hash(value)
    assert CANARY not in repr(twin)
    assert copy.deepcopy(value) == value


@pytest.mark.parametrize("value", HOLDERS[1:], ids=lambda value: type(value).__name__)
def test_values_are_immutable(value: object) -> None:
    """No attribute of a value can be set or added."""
    for name in (attrs.fields(type(value))[0].name, "other"):  # type: ignore[arg-type]
        with pytest.raises(AttributeError):
            setattr(value, name, "x")


PARTS = ("access_key_id", "secret_access_key", "session_token")
ENDS = {
    "\n": "a line break",
    "\r\n": "a line break",
    "\r": "a line break",
    " ": "a space",
    "\t": "a tab or other white space",
    "\N{NO-BREAK SPACE}": "a tab or other white space",
    "\N{ZERO WIDTH SPACE}": r"an invisible character \(U\+200B\)",
    "\ufeff": r"an invisible character \(U\+FEFF\)",
    "\0": r"an invisible character \(U\+0000\)",
    "\x1b": r"an invisible character \(U\+001B\)",
    "\ud800": r"an invisible character \(U\+D800\)",
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("extra", ENDS, ids=ascii)
@pytest.mark.parametrize(
    ("text", "place"), [("{}canary", "at its start"), ("canary{}", "at its end"), ("can{}ary", "inside")]
)
def test_a_part_with_an_invisible_character_is_refused(part: str, extra: str, text: str, place: str) -> None:
    """A key or token with an invisible character is refused, and the error names the part and the place but not the
    value.
    """
    given: dict[str, Any] = {"access_key_id": "AKIA", "secret_access_key": "s", part: text.format(extra)}
    if place == "inside" and extra == " " and part != "access_key_id":
        assert getattr(Credentials(**given), part) == given[part]  # Servers other than AWS can have such secrets.
        return
    with pytest.raises(ProofInvalid, match=f"^{part} has {ENDS[extra]} {place}. Remove it in the place") as caught:
        Credentials(**given)
    assert caught.value.option == part
    assert "canary" not in f"{caught.value!r}{caught.value}"


@pytest.mark.parametrize("field", [field.name for field in attrs.fields(Credentials)])
def test_a_part_of_the_wrong_type_is_refused(field: str) -> None:
    """A part of the wrong type raises TypeError when the credentials are created."""
    wrong: object = b"canary"
    with pytest.raises(TypeError, match=f"^{field} must be .*, not bytes") as caught:
        Credentials(**{"access_key_id": "AKIA", "secret_access_key": "s", field: wrong})  # type: ignore[arg-type]
    assert "canary" not in str(caught.value)


def test_a_document_with_a_line_end_in_a_key_is_refused() -> None:
    """`from_dict` refuses a secret key with a line break at its end."""
    with pytest.raises(ProofInvalid, match="^secret_access_key has a line break at its end"):
        Credentials.from_dict({"AccessKeyId": "AKIA", "SecretAccessKey": "canary\n"})


@pytest.mark.case("P46")
def test_the_lines_of_a_secret_are_its_mask() -> None:
    """`splitlines` of a secret returns masked lines, because difflib uses it to show differences."""
    assert "canary" not in "".join(Secret("canary\nx").splitlines(keepends=True))
    with pytest.raises(AssertionError) as caught:
        TestCase().assertMultiLineEqual(Secret("canary-one"), Secret("canary-two"))  # noqa: PT009 - for its message
    assert "canary" not in str(caught.value)


def test_an_empty_access_key_id_is_refused() -> None:
    """An empty access key ID is refused, although botocore accepts one."""
    with pytest.raises(ProofInvalid, match="access_key_id is empty"):
        Credentials("", Secret("secret"))


@pytest.mark.case("R9")
@pytest.mark.parametrize(
    "moment", [datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=Nowhere())], ids=["naive", "nowhere"]
)
def test_an_expiration_without_offset_is_refused(moment: datetime) -> None:
    """An expiration without a time zone is refused when the credentials are created."""
    with pytest.raises(ProofInvalid, match="has no time zone"):
        Credentials("AKIA", Secret("secret"), expiration=moment)


@pytest.mark.parametrize(
    "moment",
    [
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
    ],
    ids=["after the last day", "before the first"],
)
def test_an_expiration_outside_the_calendar_is_refused(moment: datetime) -> None:
    """An expiration that is outside of Python's calendar in UTC raises ProofInvalid instead of OverflowError."""
    with pytest.raises(ProofInvalid, match="not a valid date in UTC"):
        Credentials("AKIA", Secret("secret"), expiration=moment)


def test_the_expiration_is_converted_to_utc() -> None:
    """An expiration in another time zone is stored in UTC."""
    local = START.astimezone(timezone(timedelta(hours=5, minutes=30)))
    kept = Credentials("AKIA", Secret("secret"), expiration=local).expiration
    assert kept == START
    assert kept is not None
    assert kept.tzinfo is UTC


@pytest.mark.parametrize(
    ("left", "expired"),
    [(timedelta(microseconds=1), False), (timedelta(0), True), (timedelta(seconds=-1), True), (None, False)],
)
def test_credentials_expire_when_no_time_is_left(left: timedelta | None, expired: bool) -> None:
    """Credentials are expired at the moment of their expiration, and never without one."""
    keys = Credentials("AKIA", Secret("secret"), expiration=None if left is None else START + left)
    assert keys.expires_in(now=START) == left
    assert keys.is_expired(now=START) is expired


def test_without_a_time_the_system_clock_decides() -> None:
    """Without *now*, the system clock decides whether credentials are expired."""
    hour = timedelta(hours=1)
    keys = Credentials("AKIA", Secret("secret"), expiration=datetime.now(UTC) + hour)
    left = keys.expires_in()
    assert left is not None
    assert timedelta(minutes=59) < left <= hour
    assert not keys.is_expired()


class Box:
    """A sink that returns the credentials."""

    def write(self, credentials: Credentials, /) -> tuple[str, Credentials]:
        return "delivered", credentials


class Full:
    """A sink that always fails."""

    def write(self, credentials: Credentials, /) -> None:
        raise SinkError("no room")


def test_to_returns_the_result_of_the_sink() -> None:
    """`to` passes the same credentials to the sink and returns the sink's result."""
    keys = Credentials("AKIA", Secret("secret"))
    assert keys.to(Box()) == ("delivered", keys)
    with pytest.raises(SinkError, match="no room"):
        keys.to(Full())


# as_dict and from_dict --------------------------------------------------------------------------------------------

texts = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1)  # visible
moments = st.datetimes(timezones=st.timezones() | st.just(UTC)).filter(lambda moment: 1 < moment.year < 9999)


key_ids = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=128)


@given(key_ids, texts, st.none() | texts, st.none() | moments)
def test_as_dict_and_from_dict_are_inverse(key: str, secret: str, token: str | None, moment: datetime | None) -> None:
    """`from_dict` reads the output of `as_dict` back without change, except for fractions of a second."""
    keys = Credentials(key, Secret(secret), None if token is None else Secret(token), moment)
    back = Credentials.from_dict(keys.as_dict())
    assert back == attrs.evolve(keys, expiration=keys.expiration and keys.expiration.replace(microsecond=0))
    assert json.loads(json.dumps(keys.as_dict())) == keys.as_dict()
    assert type(keys.as_dict()["SecretAccessKey"]) is Secret
    assert {type(value) for name, value in keys.as_dict().items() if name == "SessionToken"} <= {Secret}


def test_as_dict_omits_missing_parts() -> None:
    """`as_dict` of long-term keys has neither a session token nor an expiration."""
    assert Credentials("AKIA", Secret("secret")).as_dict() == {"AccessKeyId": "AKIA", "SecretAccessKey": "secret"}


@pytest.mark.case("P73")
def test_as_dict_returns_plain_text_and_whole_seconds() -> None:
    """`as_dict` has the format of `credential_process`: RFC 3339 with Z, in whole seconds, rounded down."""
    keys = Credentials("AKIA", Secret("secret"), Secret("token"), START + timedelta(seconds=9.9))
    assert keys.as_dict() == {
        "AccessKeyId": "AKIA",
        "SecretAccessKey": "secret",
        "SessionToken": "token",
        "Expiration": "2026-11-25T12:00:09Z",
    }


def test_from_dict_reads_the_response_of_assume_role() -> None:
    """`from_dict` reads the response of AssumeRole with all details of the session."""
    keys = Credentials.from_dict(
        {
            "Credentials": {**SESSION, "Expiration": START},
            "AssumedRoleUser": {"Arn": "arn:aws:sts::123456789012:assumed-role/app/me", "AssumedRoleId": "AROA:me"},
            "PackedPolicySize": 7,
            "SourceIdentity": "me",
        }
    )
    assert (keys.account_id, keys.assumed_role_id, keys.packed_policy_size) == ("123456789012", "AROA:me", 7)
    assert (keys.assumed_role_arn, keys.source_identity) == ("arn:aws:sts::123456789012:assumed-role/app/me", "me")
    assert keys.expiration == START


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({"Subject": "s", "Issuer": "i", "Audience": "a"}, ("s", "i", "a")),
        ({"SubjectFromWebIdentityToken": "s", "Provider": "i", "Audience": "a"}, ("s", "i", "a")),
        ({}, (None, None, None)),
    ],
    ids=["SAML", "web identity", "neither"],
)
def test_from_dict_reads_subject_and_issuer(extra: Mapping[str, str], expected: tuple[str | None, ...]) -> None:
    """`from_dict` reads the subject and the issuer from SAML responses and from web identity responses."""
    keys = Credentials.from_dict({"Credentials": SESSION, **extra})
    assert (keys.subject, keys.issuer, keys.audience) == expected


@pytest.mark.parametrize(
    ("data", "account"),
    [
        ({**KEYS, "AccountId": "210987654321"}, "210987654321"),
        (
            {"Credentials": KEYS, "AssumedRoleUser": {"Arn": "arn:aws:sts::123456789012:assumed-role/a/b"}},
            "123456789012",
        ),
        ({"Credentials": KEYS, "AssumedRoleUser": {"Arn": "arn:aws:sts:::assumed-role/a/b"}}, None),
        ({"Credentials": KEYS, "AssumedRoleUser": {"Arn": "no-arn"}}, None),
        ({"Credentials": KEYS, "AssumedRoleUser": None}, None),
    ],
    ids=["process", "AWS", "no account", "no ARN", "no user"],
)
def test_from_dict_finds_the_account_or_leaves_it_unknown(data: Mapping[str, object], account: str | None) -> None:
    """`from_dict` reads the account from its field or from the ARN, and an empty account is None."""
    assert Credentials.from_dict(data).account_id == account


@pytest.mark.parametrize("size", [None, "7", 7.5])
def test_a_packed_policy_size_that_is_not_a_number_is_ignored(size: object) -> None:
    """A packed policy size that is not a number is ignored."""
    assert Credentials.from_dict({"Credentials": KEYS, "PackedPolicySize": size}).packed_policy_size is None


BAD_DOCUMENTS: list[tuple[Any, str]] = [
    (CANARY, "must be a mapping of names to values, not str"),
    (None, "must be a mapping of names to values, not NoneType"),
    ([KEYS], "must be a mapping of names to values, not list"),
    ({"Credentials": CANARY}, "must be a mapping of names to values, not str"),
    ({"Credentials": KEYS, "AssumedRoleUser": CANARY}, "must be a mapping of names to values, not str"),
    ({"SecretAccessKey": CANARY}, "AccessKeyId .* missing"),
    ({"AccessKeyId": "AKIA", "SessionToken": CANARY}, "SecretAccessKey .* missing"),
    ({**SESSION, "AccessKeyId": ""}, "AccessKeyId is empty"),
    ({**SESSION, "SecretAccessKey": CANARY.encode()}, "SecretAccessKey .* not"),
    ({**SESSION, "SessionToken": [CANARY]}, "SessionToken .* not"),
    *(
        ({**SESSION, "Expiration": moment}, "Expiration is not a valid ISO 8601")
        for moment in (
            CANARY,
            "",
            "12",
            "2026",
            "2026-01-01",
            "2026-01-01T12",
            "20260101T000000Z",
            "2026-W01-1T00:00:00Z",
            "Nov",
            "2026-01-01T00:00:00 EST",
            "2026-13-01T00:00:00Z",
            "9999-12-31T24:00:00Z",
            1_800_000_000,
            b"2026-01-01T00:00:00Z",
            {"a": 1, "b": 2, "c": 3, "d": 4},
        )
    ),
    ({**SESSION, "Expiration": "2026-01-01T00:00:00"}, "not a valid ISO 8601"),
    ({**SESSION, "Expiration": "9999-12-31T23:59:59-01:00"}, "not a valid ISO 8601"),
]


@pytest.mark.case("E13")
@pytest.mark.parametrize(("data", "message"), BAD_DOCUMENTS)
def test_from_dict_refuses_without_showing_a_secret(data: Any, message: str) -> None:
    """`from_dict` refuses an invalid document with ProofInvalid, which names the field and contains no secret."""
    with pytest.raises(ProofInvalid, match=message) as caught:
        Credentials.from_dict(data)
    assert CANARY not in reachable_text(caught.value)
    assert CANARY not in shown_locals(caught.value)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


@given(
    st.dictionaries(
        st.sampled_from(["Credentials", *SESSION, "AssumedRoleUser", "Arn", "PackedPolicySize", "SourceIdentity"]),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text() | st.binary() | st.just(KEYS),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*SESSION, "Arn"]), inner),
            max_leaves=5,
        ),
    )
)
def test_from_dict_raises_nothing_but_its_own_error(data: dict[str, object]) -> None:
    """`from_dict` returns credentials or raises ProofInvalid for any mapping."""
    with suppress(ProofInvalid):
        assert Credentials.from_dict(data).access_key_id


@given(st.text(alphabet="0123456789-:TZW.+ ,", max_size=40) | st.text())
def test_an_expiration_of_any_text_is_read_or_refused(text: str) -> None:
    """An expiration of any text is read or raises ProofInvalid."""
    with suppress(ProofInvalid):
        assert Credentials.from_dict({**KEYS, "Expiration": text}).expiration is not None


# SAMLAssertion ----------------------------------------------------------------------------------------------------


def test_an_assertion_lists_its_roles() -> None:
    """A real SAML response lists its roles with the provider of each."""
    assertion = SAMLAssertion.from_text((SAML / "plain.b64").read_text())
    assert assertion.roles == (SAMLRole(ROLE, PROVIDER),)
    assert assertion.principal_for(ROLE) == PROVIDER


def test_a_given_principal_is_used_unchecked() -> None:
    """A passed principal ARN is used without reading the assertion, so an encrypted assertion works."""
    assertion = SAMLAssertion.from_text((SAML / "encrypted.b64").read_text(), "arn:mine")
    assert assertion.principal_for(ROLE) == "arn:mine"
    with pytest.raises(ProofInvalid, match="encrypted"):
        assertion.roles  # noqa: B018 - the property raises


def test_a_role_that_is_not_offered_is_an_error_with_the_offered_roles() -> None:
    """The error about a role that is not offered lists the offered roles, as text and as data."""
    assertion = SAMLAssertion.from_text((SAML / "plain.b64").read_text())
    with pytest.raises(RoleNotOffered, match=f"does not offer arn:other. It offers: {ROLE}") as caught:
        assertion.principal_for("arn:other")
    assert caught.value.offered == (ROLE,)


def test_an_assertion_without_roles_says_so() -> None:
    """If an assertion offers no role, the error says so."""
    xml = (
        '<p:Response xmlns:p="urn:oasis:names:tc:SAML:2.0:protocol">'
        '<Assertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion"/></p:Response>'
    )
    with pytest.raises(RoleNotOffered, match="It offers no role"):
        SAMLAssertion.from_text(xml).principal_for(ROLE)


@pytest.mark.parametrize("text", [CANARY * 5, f"<{CANARY}>", f"<a>{CANARY}</a>", f"<\ud800{CANARY}/>", CANARY * 20_000])
def test_the_error_about_a_broken_response_shows_no_secret(text: str) -> None:
    """The error about a broken response contains no part of it, also in local variables."""
    with pytest.raises(ProofInvalid) as caught:
        SAMLAssertion.from_text(text)
    assert CANARY not in reachable_text(caught.value)
    assert CANARY not in shown_locals(caught.value)
    assert caught.value.__context__ is None


def test_the_error_about_a_broken_assertion_shows_no_secret() -> None:
    """The error about the roles of a broken assertion contains no part of it, also in local variables."""
    with pytest.raises(ProofInvalid) as caught:
        SAMLAssertion(Secret(CANARY * 5)).roles  # noqa: B018 - the property raises
    assert CANARY not in reachable_text(caught.value)
    assert CANARY not in shown_locals(caught.value)


def test_a_secret_with_more_text_is_a_secret() -> None:
    """A secret that is joined with other text is still a masked Secret, because test runners add a line end."""
    assert repr(Secret("canary") + "\n") == "Secret('***')"
    assert Secret("canary") + "\n" == "canary\n"


# Reprs ---------------------------------------------------------------------------------------------------------------


def valid_for(left: timedelta, assumed_role_arn: str | None = None, subject: str | None = None) -> Credentials:
    """Return credentials with secrets that must not be shown."""
    expiration = datetime.now(UTC) + left + timedelta(seconds=0.5)
    return Credentials("ASIA", "canary", "canary", expiration, assumed_role_arn=assumed_role_arn, subject=subject)


@pytest.mark.parametrize(
    ("left", "shown"),
    [
        (timedelta(hours=11, minutes=59), "(11 hours left)"),
        (timedelta(hours=1, minutes=59), "(119 minutes left)"),
        (timedelta(seconds=119), "(119 seconds left)"),
    ],
)
def test_a_repr_says_how_long_the_credentials_are_valid(left: timedelta, shown: str) -> None:
    """The repr shows the time left in the largest unit of which there are at least two."""
    assert shown in repr(valid_for(left))


def test_a_repr_names_the_account_and_the_role() -> None:
    """The repr shows the known ones of role, account, session and subject, and never None."""
    arn = "arn:aws:sts::123456789012:assumed-role/Deploy/alice"
    of_role = repr(valid_for(timedelta(hours=3), assumed_role_arn=arn))
    assert of_role.startswith("<Credentials ASIA: role Deploy, account 123456789012, session alice, valid until ")
    of_subject = repr(valid_for(timedelta(hours=3), subject="bob"))
    assert of_subject.startswith("<Credentials ASIA: subject bob, valid until ")
    assert repr(valid_for(-timedelta(hours=3))).startswith("<Credentials ASIA: expired at ")
    assert repr(Credentials("AKIA", "canary")) == "<Credentials AKIA: long-term keys>"
    assert repr(Credentials("ASIA", "canary", "canary")) == "<Credentials ASIA: no expiration>"
    assert "None" not in of_role + of_subject


def test_a_notebook_shows_a_table_without_secrets() -> None:
    """The table for notebooks has no secrets, and its names are escaped, because an identity provider chooses them."""
    arn = "arn:aws:sts::123456789012:assumed-role/Deploy/<b>alice"
    table = valid_for(timedelta(hours=3), assumed_role_arn=arn)._repr_html_()
    assert "<tr><th>Role</th><td>Deploy</td></tr>" in table
    assert "<td>&lt;b&gt;alice</td>" in table
    assert "canary" not in table
    assert "None" not in table
