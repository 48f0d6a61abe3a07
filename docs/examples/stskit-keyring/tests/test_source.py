"""Whether `KeyringSource` is a source as stskit wants one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from traceback import TracebackException

import keyring
import pytest
from file_keyring import FailingKeyring, LockedKeyring, use
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from stskit import Credentials
from stskit.errors import ProofInvalid, SignInRequired, SourceError, SourceMissing
from stskit.testing import check_source

from stskit_keyring import KeyringSink, KeyringSource

SECRET = "wJalrXUtnFEMI"  # noqa: S105
KEYS = Credentials("AKIAONE", SECRET)


def put(text: str, name: str = "base") -> KeyringSource:
    """What a user does by ``keyring set``."""
    keyring.set_password("stskit-keyring", name, text)
    return KeyringSource(name)


def test_it_conforms() -> None:
    """By stskit's own check, with all that can lie in a keyring and is no keys."""
    expired = json.dumps({**KEYS.as_dict(), "SessionToken": SECRET, "Expiration": "2020-01-01T00:00:00Z"})
    check_source(
        lambda: put(json.dumps(KEYS.as_dict())),
        renew=lambda: put(json.dumps(Credentials("AKIATWO", SECRET).as_dict())),
        broken=[
            lambda: KeyringSource("another"),
            lambda: put(""),
            lambda: put(f"AKIAONE {SECRET}"),
            lambda: put(f'{{"SecretAccessKey": "{SECRET}"}}'),
            lambda: put(f'["{SECRET}"]'),
            lambda: put("[" * 100_000),
            lambda: put(expired),
        ],
        secrets=[SECRET],
        pickles=True,
    )


@pytest.mark.parametrize("source", [KeyringSource("another"), KeyringSource("base", service="another")])
def test_where_nothing_lies_it_says_how_to_put_keys_there(source: KeyringSource) -> None:
    """By a command that can be copied."""
    put(json.dumps(KEYS.as_dict()))
    with pytest.raises(SourceMissing, match=f"keyring set {source.service} {source.name}$"):
        source.fetch()
    put("")
    with pytest.raises(SourceMissing):
        KeyringSource("base").fetch()


def test_a_traceback_that_shows_locals_shows_no_keys() -> None:
    """As those do that are sent to where errors are collected."""
    source = put(f'{{"SecretAccessKey": "{SECRET}"}}')
    with pytest.raises(ProofInvalid) as caught:
        source.fetch()
    shown = TracebackException.from_exception(caught.value, capture_locals=True)
    assert shown.stack
    assert SECRET not in str([frame.locals for frame in shown.stack])


def test_it_finds_what_the_sink_has_put() -> None:
    """Temporary credentials as well, with their end."""
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    credentials = Credentials("ASIAONE", SECRET, "token", end)
    assert credentials.to(KeyringSink("hub")).fetch() == credentials


def test_other_keys_have_another_identity() -> None:
    """Though they lie under the same name: what a cache has for the one user is not for the other."""
    source = put(json.dumps(KEYS.as_dict()))
    before = source.identity
    put(json.dumps(Credentials("AKIATWO", SECRET).as_dict()))
    assert source.identity != before


@pytest.mark.parametrize(
    ("keyring_of_another_kind", "error"),
    [(NoKeyring, SourceMissing), (LockedKeyring, SignInRequired), (FailingKeyring, ProofInvalid)],
)
def test_a_keyring_that_cannot_be_used_is_told_by_the_class(
    keyring_of_another_kind: type[KeyringBackend], error: type[SourceError]
) -> None:
    """A locked one asks for a person; and what a back end says stays unsaid."""
    source = put(json.dumps(KEYS.as_dict()))
    use(keyring_of_another_kind)
    with pytest.raises(error) as caught:
        source.fetch()
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None
