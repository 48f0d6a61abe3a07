"""A source that reads credentials from the keyring."""

from __future__ import annotations

import json
import shlex

import keyring
from attrs import field, frozen
from keyring.errors import KeyringLocked, NoKeyringError
from stskit import Credentials
from stskit.credentials import Secret
from stskit.errors import ProofInvalid, SignInRequired, SourceMissing, without_frames
from stskit.sources import Static

__all__ = ["KeyringSource"]


@frozen
class KeyringSource:
    """A source for credentials that `KeyringSink` or ``keyring set`` stored in the keyring.

    The item is a JSON object with ``AccessKeyId`` and ``SecretAccessKey``, and for temporary credentials also
    ``SessionToken`` and ``Expiration``. Each fetch reads the item again.

    Args:
        name: Name of the item.
        service: Name of the service in the keyring. Defaults to ``stskit-keyring``.

    """

    name: str
    service: str = field(default="stskit-keyring", kw_only=True)

    @property
    def identity(self) -> str | None:
        """The identity of the keys. It does not use `name`, because an item can be replaced by keys of another user.

        Raises the same errors as `fetch`.
        """
        return Static(self.fetch()).identity

    @without_frames  # frames and errors of the JSON parser and of the keyring contain the keys
    def fetch(self) -> Credentials:
        """Return the current keys.

        Raises:
            SourceMissing: If the item or the keyring does not exist.
            SignInRequired: If the keyring is locked.
            ProofInvalid: If the keyring fails, or the item contains no valid keys or expired ones.

        """
        text = self._text()
        try:
            credentials = Credentials.from_dict(json.loads(text))
            if not credentials.is_expired():
                return credentials
            problem = f"the credentials expired at {credentials.expiration}"
        except (ValueError, RecursionError):
            problem = "the item is not a JSON object with AccessKeyId and SecretAccessKey"
        except ProofInvalid as error:
            problem = error.message
        raise ProofInvalid(f"{self}: {problem.rstrip('.')}.", remedy=f"Store other keys: {self._command}")

    def _text(self) -> Secret:
        try:
            text = keyring.get_password(self.service, self.name)
        except KeyringLocked:
            raise SignInRequired(f"{self}: the keyring is locked.", remedy="Unlock it, and try again.") from None
        except NoKeyringError:
            install = "Install one: https://keyring.readthedocs.io"
            raise SourceMissing(f"{self}: there is no keyring.", remedy=install) from None
        except Exception as error:  # noqa: BLE001 - a back end is third-party code, and so are its errors and their texts
            problem = f"{self}: the keyring failed with {type(error).__name__}."
            raise ProofInvalid(problem, remedy="Run: keyring diagnose") from None
        if not text:
            raise SourceMissing(f"{self}: the item does not exist.", remedy=f"Store keys: {self._command}")
        return Secret(text)

    @property
    def _command(self) -> str:
        return shlex.join(["keyring", "set", self.service, self.name])
