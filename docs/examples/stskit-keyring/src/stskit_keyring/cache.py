"""A cache in the keyring, for all processes of one user."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256

import keyring
from attrs import field, frozen
from attrs.validators import ge
from filelock import FileLock, Timeout
from stskit.caches import entry_from_bytes, entry_to_bytes
from stskit.errors import CacheWarning
from stskit.protocols import CacheEntry

__all__ = ["KeyringCache"]


def _folder(folder: str | os.PathLike[str] | None) -> str:
    return os.path.expanduser("~/.cache/stskit-keyring" if folder is None else os.fspath(folder))


def _name(key: str) -> str:
    # A key can have any length and any characters, but some keyrings limit the names of items.
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


@frozen
class KeyringCache:
    """A cache that stores credentials in the keyring, and not in files.

    Failures of the keyring are a `CacheWarning`, once for each kind. An entry stays until the next entry of its key
    replaces it, because a keyring cannot list its items.

    Args:
        folder: Folder of the lock files, which are empty. Defaults to ``~/.cache/stskit-keyring``.
        service: Name of the service in the keyring. Defaults to ``stskit-keyring-cache``.
        lock_timeout: Seconds to wait for another process that calls STS, before calling STS as well. Defaults to 15.

    """

    folder: str = field(default=None, converter=_folder)
    service: str = field(default="stskit-keyring-cache", kw_only=True)
    lock_timeout: float = field(default=15, kw_only=True, validator=ge(0))
    _warned: set[str] = field(init=False, factory=set, eq=False, repr=False)

    def get(self, key: str, /) -> CacheEntry | None:
        """Return the entry of *key*, or None if there is no readable entry. Raises nothing."""
        try:
            text = keyring.get_password(self.service, _name(key))
        except Exception as error:  # noqa: BLE001 - a back end is third-party code
            self._warn_once("The keyring cannot be read", error)
            return None
        return None if text is None else entry_from_bytes(key, text.encode("utf-8", "surrogatepass"))

    def put(self, key: str, entry: CacheEntry, /) -> None:
        """Store *entry* under *key*. Raises nothing."""
        try:
            keyring.set_password(self.service, _name(key), entry_to_bytes(key, entry).decode())
        except Exception as error:  # noqa: BLE001 - as above
            self._warn_once("The keyring does not store credentials", error)

    @contextmanager
    def exclusive(self, key: str, /, *, wait: bool) -> Iterator[bool]:
        """Return a block that one caller of all processes can be in at a time, for each *key*.

        It yields False if another caller is in the block. The system releases the lock of a process that is killed.
        Raises nothing.
        """
        with ExitStack() as block:
            yield self._enter(block, key, self.lock_timeout if wait else 0)

    def _enter(self, block: ExitStack, key: str, timeout: float) -> bool:
        try:
            os.makedirs(self.folder, 0o700, exist_ok=True)
            block.enter_context(FileLock(os.path.join(self.folder, f"{_name(key)}.lock"), timeout, 0o600))
        except Timeout:
            return False
        except Exception as error:  # noqa: BLE001 - filelock has its own errors beside those of the system
            self._warn_once(f"No file can be locked in {self.folder}", error)
        return True  # also if no file can be locked: one call too many is better than none

    def _warn_once(self, what: str, error: Exception) -> None:
        if what not in self._warned:
            self._warned.add(what)
            text = f"{what} ({type(error).__name__}). Each process calls STS by itself until this is corrected."
            warnings.warn(text, CacheWarning, 3)
