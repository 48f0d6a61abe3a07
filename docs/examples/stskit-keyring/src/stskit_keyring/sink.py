"""Credentials that go into the keyring."""

from __future__ import annotations

import json

import keyring
from attrs import field, frozen
from stskit import Credentials
from stskit.errors import SinkError

from stskit_keyring.source import KeyringSource

__all__ = ["KeyringSink"]


@frozen
class KeyringSink:
    """A place in the keyring, by `service` and `name`; what lies there is replaced.

    It is one item of the keyring, so nobody can see the half of it.
    """

    name: str
    service: str = field(default="stskit-keyring", kw_only=True)

    def write(self, credentials: Credentials, /) -> KeyringSource:
        """Put *credentials* there; gives the source that finds them again.

        Raises `SinkError` where they have expired and where the keyring does not take them; nothing is changed then.
        """
        if credentials.is_expired():
            raise SinkError(f"{self}: the credentials expired at {credentials.expiration}; fetch new ones")
        try:
            keyring.set_password(self.service, self.name, json.dumps(credentials.as_dict()))
            if keyring.get_password(self.service, self.name) is not None:
                return KeyringSource(self.name, service=self.service)
            problem = "keeps nothing"  # as the one does that `keyring --disable` chooses
        except Exception as error:  # noqa: BLE001 - a back end is anybody's code, and so are its errors and their texts
            problem = f"fails with {type(error).__name__}"
        raise SinkError(f"{self}: the keyring {problem}; unlock it, and look at: keyring diagnose")
