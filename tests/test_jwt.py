"""The unverified claims of a token are read, and no token causes an exception."""

from __future__ import annotations

import copy
import json
import pickle
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import jwt
import pytest
from helpers import START
from hypothesis import given
from hypothesis import strategies as st

from stskit import WebIdentityToken

KEY = "a key that is long enough for it"
NOW = int(START.timestamp())

ODD_TIMES: list[object] = [None, True, False, "", "soon", "nan", "inf", [NOW], {}, 1e300, -1e300, 10**400]
ODD_TIMES += [253402300800, "1e400", "0x10"]


def part(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def token(claims: object, header: object = {"alg": "RS256"}, signature: str = "c2ln") -> WebIdentityToken:
    return WebIdentityToken(f"{part(header)}.{part(claims)}.{signature}")


def test_a_token_shows_its_claims() -> None:
    """A token shows its issuer, subject, audience, times and all other claims."""
    claims = {"iss": "https://idp", "sub": "alice", "aud": "sts.amazonaws.com", "nbf": NOW, "exp": NOW + 60, "x": [1]}
    it = WebIdentityToken(jwt.encode(claims, KEY))
    assert (it.issuer, it.subject, it.audience) == ("https://idp", "alice", "sts.amazonaws.com")
    assert (it.not_before, it.expiration) == (START, START + timedelta(minutes=1))
    assert it.claims == claims
    assert (it.is_jwt, it.is_signed) == (True, True)
    assert KEY not in repr(it)


def test_the_claims_cannot_be_changed() -> None:
    """The claims are a read-only mapping."""
    claims = token({"sub": "alice"}).claims
    assert isinstance(claims, Mapping)
    assert (len(claims), list(claims), claims["sub"], claims.get("aud")) == (1, ["sub"], "alice", None)
    with pytest.raises(TypeError):
        claims["sub"] = "bob"  # type: ignore[index]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (["a", "b"], "a"),
        ([1, "b"], "b"),
        ([], None),
        (5, None),
        (None, None),
        ({"a": 1}, None),
        ([["a"]], None),
    ],
)
def test_an_audience_can_be_a_list(value: object, text: str | None) -> None:
    """If the audience is a list, its first text is the audience; values that are not text are ignored."""
    assert token({"aud": value}).audience == text


@pytest.mark.case("J9")
@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (NOW, START),
        (NOW + 0.5, START + timedelta(seconds=0.5)),
        (str(NOW), START),
        (f"{NOW}.0", START),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (-1, datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        *zip(ODD_TIMES, [None] * len(ODD_TIMES), strict=True),
    ],
    ids=str,
)
def test_unusual_times_are_none(value: object, moment: datetime | None) -> None:
    """A time is read from a number or from a number as text; any other value is None."""
    it = token({"exp": value, "nbf": value})
    assert (it.expiration, it.not_before) == (moment, moment)


@pytest.mark.case("J9")
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_an_invalid_json_number_is_none(number: str) -> None:
    """A number that JSON does not allow, such as NaN, is None as a time."""
    assert token(f'{{"exp": {number}}}'.encode()).expiration is None


@pytest.mark.case("J10", "P54")
@pytest.mark.parametrize(
    "payload",
    [
        b"\xff\xfe",
        b"no JSON",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'"text"',
        b"[]",
        b"null",
        b'{"a": "' + b"x" * 700_000 + b'"}',
        b"",
    ],
    ids=lambda payload: repr(payload[:12]),
)
def test_unusual_claims_are_read_or_skipped(payload: bytes) -> None:
    """Claims that are not valid JSON objects, or are too deep or long, are empty or without known values."""
    it = WebIdentityToken(f"{part({'alg': 'RS256'})}.{part(payload)}.c2ln")
    assert isinstance(it.claims, Mapping)
    assert (it.issuer, it.expiration) == (None, None)


@pytest.mark.case("J10", "P54")
def test_a_huge_token_is_not_read() -> None:
    """Claims of five megabytes are not read, because STS would refuse the token."""
    assert token({"a": "x" * 5_000_000}).claims == {}


@pytest.mark.parametrize(
    ("text", "is_jwt", "is_signed"),
    [
        ("opaque", False, False),
        ("a.b", False, False),
        ("a.b.c.d", False, False),
        (".b.c", False, False),
        ("a b.c.d", False, False),
        ("a.b.c", True, True),
        ("a.b.", True, False),
        (f"{part({'alg': 'none'})}.e30.c2ln", True, False),
        (f"{part({'alg': 'NONE'})}.e30.", True, False),
        (f"{part({'alg': None})}.e30.c2ln", True, False),
        (f"{part({'alg': 'HS256'})}.e30.c2ln", True, True),
    ],
)
def test_a_token_is_recognised_by_its_form(text: str, is_jwt: bool, is_signed: bool) -> None:
    """`is_jwt` says whether a token has three parts, and `is_signed` whether it has a signature."""
    it = WebIdentityToken(text)
    assert (it.is_jwt, it.is_signed) == (is_jwt, is_signed)


def test_read_claims_do_not_change_the_value() -> None:
    """The claims are read once and do not change equality, hash, pickling or copies of a token."""
    it, fresh = token({"sub": "alice"}), token({"sub": "alice"})
    with patch("json.loads", wraps=json.loads) as reading:
        assert {it.subject for _ in range(9)} == {"alice"}
    assert reading.call_count == 2, "the header and the claims, once each"
    assert it == fresh
    assert hash(it) == hash(fresh)
    assert pickle.loads(pickle.dumps(it)).subject == copy.deepcopy(it).subject == "alice"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["iss", "sub", "aud", "exp", "nbf", "alg"]), json_values), json_values)
def test_any_claims_are_read(claims: dict[str, Any], header: object) -> None:
    """No property raises, whatever the claims and the header are."""
    it = token(claims, header)
    assert [it.issuer, it.subject, it.audience, it.not_before, it.expiration, it.is_signed, it.claims]


@given(st.text(min_size=1) | st.text("abcxyz019-_.=", min_size=1))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No property raises, whatever the text of the token is."""
    it = WebIdentityToken(text)
    assert [it.issuer, it.subject, it.audience, it.not_before, it.expiration, it.is_signed, it.claims]
