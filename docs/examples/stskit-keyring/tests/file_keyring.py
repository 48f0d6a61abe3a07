"""A keyring for tests, which other processes can read too. Its items are in plain text."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile

import keyring
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked


def use(kind: type[KeyringBackend]) -> None:
    """Use a keyring of the class *kind* in this process."""
    keyring.set_keyring(kind())


class FileKeyring(KeyringBackend):
    """Each item is a file in `folder`, which the variable KEYRING_PROPERTY_FOLDER sets."""

    priority = 1
    folder = ""

    def get_password(self, service: str, username: str) -> str | None:
        """Return the text of the file, or None if it does not exist."""
        path = self._path(service, username)
        return path.read_text() if path.exists() else None

    def set_password(self, service: str, username: str, password: str) -> None:
        """Replace the file."""
        with NamedTemporaryFile("w", dir=self.folder, delete=False) as file:
            file.write(password)
        os.replace(file.name, self._path(service, username))

    def _path(self, service: str, username: str) -> Path:
        return Path(self.folder, sha256(f"{service}\n{username}".encode()).hexdigest())


class LockedKeyring(FileKeyring):
    """A locked keyring, whose errors contain the item."""

    def get_password(self, service: str, username: str) -> str | None:
        """Raise an error that contains the item."""
        raise KeyringLocked(super().get_password(service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        """Raise an error that contains *password*."""
        raise KeyringLocked(f"{service} {username} {password}")


class FailingKeyring(FileKeyring):
    """A keyring that fails with an error of its own."""

    def get_password(self, service: str, username: str) -> str | None:
        """Raise an error that contains the item."""
        raise ZeroDivisionError(super().get_password(service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        """Raise an error that contains *password*."""
        raise ZeroDivisionError(f"{service} {username} {password}")
