"""Credentials that go into the keyring."""

from __future__ import annotations

import json

import keyring
from attrs import field, frozen
from stskit import Credentials
from stskit.errors import SinkError, without_frames

from stskit_keyring.source import KeyringSource

__all__ = ["KeyringSink"]


@frozen
class KeyringSink:
    """A place in the keyring, by `service` and `name`; what lies there is replaced.

    It is one item of the keyring, so nobody can see the half of it.
    """

    name: str
    service: str = field(default="stskit-keyring", kw_only=True)

    @without_frames  # the errors of the keyring may hold the keys
    def write(self, credentials: Credentials, /) -> KeyringSource:
        """Put *credentials* there; gives the source that finds them again.

        Raises `SinkError` where they have expired and where the keyring does not take them; nothing is changed then.
        """
        if credentials.is_expired():
            raise SinkError(f"{self}: the credentials expired at {credentials.expiration}", remedy="fetch new ones")
        remedy = "unlock it, and look at: keyring diagnose"
        try:
            keyring.set_password(self.service, self.name, json.dumps(credentials.as_dict()))
            is_kept = keyring.get_password(self.service, self.name) is not None
        except Exception as error:  # noqa: BLE001 - a back end is third-party code, and so are its errors and their texts
            raise SinkError(f"{self}: the keyring fails with {type(error).__name__}", remedy=remedy) from None
        if not is_kept:  # as with the keyring that `keyring --disable` chooses
            raise SinkError(f"{self}: the keyring keeps nothing", remedy=remedy)
        return KeyringSource(self.name, service=self.service)
