"""Credentials for all processes of one user, in the keyring."""

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
    # A key may have any length and any characters; the name of an item, in some keyrings, may not.
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


@frozen
class KeyringCache:
    """Keeps credentials in the keyring, under `service`: no file has them in clear.

    `folder`: where lock files are, in which nothing is written; None is ``~/.cache/stskit-keyring``. `lock_timeout`:
    for how many seconds to wait for another process that makes the call, before making one as well.

    Whatever goes wrong is a `CacheWarning`, said once. An entry stays until the next one for its key: a keyring cannot
    say what lies in it, and so cannot be swept.
    """

    folder: str = field(default=None, converter=_folder)
    service: str = field(default="stskit-keyring-cache", kw_only=True)
    lock_timeout: float = field(default=15, kw_only=True, validator=ge(0))
    _warned: set[str] = field(init=False, factory=set, eq=False, repr=False)

    def get(self, key: str, /) -> CacheEntry | None:
        """The entry for *key*; None where there is none that can be read. Raises nothing."""
        try:
            text = keyring.get_password(self.service, _name(key))
        except Exception as error:  # noqa: BLE001 - a back end is anybody's code
            self._tell("the keyring cannot be read", error)
            return None
        return None if text is None else entry_from_bytes(key, text.encode("utf-8", "surrogatepass"))

    def put(self, key: str, entry: CacheEntry, /) -> None:
        """Keep *entry* for *key*. Raises nothing."""
        try:
            keyring.set_password(self.service, _name(key), entry_to_bytes(key, entry).decode())
        except Exception as error:  # noqa: BLE001 - as above
            self._tell("the keyring does not take credentials", error)

    @contextmanager
    def exclusive(self, key: str, /, *, wait: bool) -> Iterator[bool]:
        """A block that one caller of all processes is in at a time, for each *key*; False where another one is in it.

        The system frees the lock of a process that dies. Raises nothing.
        """
        with ExitStack() as block:
            yield self._enter(block, key, self.lock_timeout if wait else 0)

    def _enter(self, block: ExitStack, key: str, timeout: float) -> bool:
        try:
            os.makedirs(self.folder, 0o700, exist_ok=True)
            block.enter_context(FileLock(os.path.join(self.folder, f"{_name(key)}.lock"), timeout, 0o600))
        except Timeout:
            return False
        except Exception as error:  # noqa: BLE001 - filelock has errors of its own beside those of the system
            self._tell(f"no file can be locked in {self.folder}", error)
        return True  # also where nothing can be locked: a call too many is better than none

    def _tell(self, what: str, error: Exception) -> None:
        if what not in self._warned:
            self._warned.add(what)
            told = f"{what} ({type(error).__name__}); until that is mended, processes make calls of their own"
            warnings.warn(told, CacheWarning, 3)
