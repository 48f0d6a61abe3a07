"""A keyring for tests, which other processes can see too. What is in it is in clear."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile

import keyring
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked


def use(kind: type[KeyringBackend]) -> None:
    """Have this process use a keyring of that *kind* from now on."""
    keyring.set_keyring(kind())


class FileKeyring(KeyringBackend):
    """Each item is a file in `folder`, which the variable KEYRING_PROPERTY_FOLDER sets."""

    priority = 1
    folder = ""

    def get_password(self, service: str, username: str) -> str | None:
        """The text of the file; None where there is none."""
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
    """One whose owner has said no, with a text that tells too much."""

    def get_password(self, service: str, username: str) -> str | None:
        """Refuse, with what is there in the error."""
        raise KeyringLocked(super().get_password(service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        """Refuse, with *password* in the error."""
        raise KeyringLocked(f"{service} {username} {password}")


class FailingKeyring(FileKeyring):
    """One that fails with an error of its own, as back ends do."""

    def get_password(self, service: str, username: str) -> str | None:
        """Fail, with what is there in the error."""
        raise ZeroDivisionError(super().get_password(service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        """Fail, with *password* in the error."""
        raise ZeroDivisionError(f"{service} {username} {password}")
