"""A sink that stores credentials in the keyring."""

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
    """A sink that replaces one item of the keyring, so that a reader never sees an incomplete item.

    Args:
        name: Name of the item.
        service: Name of the service in the keyring. Defaults to ``stskit-keyring``.

    """

    name: str
    service: str = field(default="stskit-keyring", kw_only=True)

    @without_frames  # errors of the keyring can contain the keys
    def write(self, credentials: Credentials, /) -> KeyringSource:
        """Store *credentials*, and return the source that reads them.

        Raises:
            SinkError: If they have expired, or the keyring does not store them. Nothing is changed then.

        """
        if credentials.is_expired():
            raise SinkError(f"{self}: the credentials expired at {credentials.expiration}.", remedy="Fetch new ones.")
        remedy = "Unlock the keyring, and run: keyring diagnose"
        try:
            keyring.set_password(self.service, self.name, json.dumps(credentials.as_dict()))
            is_kept = keyring.get_password(self.service, self.name) is not None
        except Exception as error:  # noqa: BLE001 - a back end is third-party code, and so are its errors and their texts
            raise SinkError(f"{self}: the keyring failed with {type(error).__name__}.", remedy=remedy) from None
        if not is_kept:  # the keyring that `keyring --disable` selects does this
            raise SinkError(f"{self}: the keyring stored nothing.", remedy=remedy)
        return KeyringSource(self.name, service=self.service)
