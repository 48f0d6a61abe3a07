"""Test `KeyringSink`."""

from __future__ import annotations

from pathlib import Path

import pytest
from file_keyring import FailingKeyring, FileKeyring, LockedKeyring, use
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.backends.null import Keyring as NullKeyring
from stskit.testing import check_sink

from stskit_keyring import KeyringSink


@pytest.mark.parametrize("cannot", [NoKeyring, NullKeyring, LockedKeyring, FailingKeyring])
def test_it_passes_the_checks_of_stskit(items: Path, cannot: type[KeyringBackend]) -> None:
    """KeyringSink passes check_sink, also with keyrings that fail."""

    def sink(kind: type[KeyringBackend]) -> KeyringSink:
        use(kind)
        return KeyringSink("hub")

    check_sink(
        lambda: sink(FileKeyring),
        look=lambda: {path.name: path.read_text() for path in items.iterdir()},
        broken=[lambda: sink(cannot)],
        persistent=True,
    )
