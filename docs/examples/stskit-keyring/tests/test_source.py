"""Test `KeyringSource`."""

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
    """Store an item, as ``keyring set`` does."""
    keyring.set_password("stskit-keyring", name, text)
    return KeyringSource(name)


def test_it_passes_the_checks_of_stskit() -> None:
    """KeyringSource passes check_source, also with items that are missing or not valid."""
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
def test_a_missing_item_is_an_error_with_a_command(source: KeyringSource) -> None:
    """The error for a missing item has the command that stores keys."""
    put(json.dumps(KEYS.as_dict()))
    with pytest.raises(SourceMissing, match=f"keyring set {source.service} {source.name}$"):
        source.fetch()
    put("")
    with pytest.raises(SourceMissing):
        KeyringSource("base").fetch()


def test_a_traceback_contains_no_keys() -> None:
    """A traceback with local variables contains no keys."""
    source = put(f'{{"SecretAccessKey": "{SECRET}"}}')
    with pytest.raises(ProofInvalid) as caught:
        source.fetch()
    shown = TracebackException.from_exception(caught.value, capture_locals=True)
    assert shown.stack
    assert SECRET not in str([frame.locals for frame in shown.stack])


def test_it_reads_items_of_the_sink() -> None:
    """KeyringSource returns the credentials that KeyringSink stored, with their expiration."""
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    credentials = Credentials("ASIAONE", SECRET, "token", end)
    assert credentials.to(KeyringSink("hub")).fetch() == credentials


def test_other_keys_have_another_identity() -> None:
    """Other keys under the same name have another identity, so a cache does not mix two users."""
    source = put(json.dumps(KEYS.as_dict()))
    before = source.identity
    put(json.dumps(Credentials("AKIATWO", SECRET).as_dict()))
    assert source.identity != before


@pytest.mark.parametrize(
    ("keyring_of_another_kind", "error"),
    [(NoKeyring, SourceMissing), (LockedKeyring, SignInRequired), (FailingKeyring, ProofInvalid)],
)
def test_the_class_of_an_error_shows_the_problem_of_the_keyring(
    keyring_of_another_kind: type[KeyringBackend], error: type[SourceError]
) -> None:
    """A missing, a locked and a failing keyring raise different errors, without the text of the keyring."""
    source = put(json.dumps(KEYS.as_dict()))
    use(keyring_of_another_kind)
    with pytest.raises(error) as caught:
        source.fetch()
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None
