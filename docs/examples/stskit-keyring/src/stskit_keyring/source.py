"""Keys that lie in the keyring."""

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
    """The keys that lie in the keyring under `service` and `name`, as `KeyringSink` or ``keyring set`` put them there.

    They are a JSON object of ``AccessKeyId`` and ``SecretAccessKey``, with ``SessionToken`` and ``Expiration`` where
    they are temporary. The keyring is asked again for every fetch, so that keys that were replaced are seen.
    """

    name: str
    service: str = field(default="stskit-keyring", kw_only=True)

    @property
    def identity(self) -> str | None:
        """Whose keys these are, by their id and not by `name`, under which another user's may lie tomorrow.

        Raises what `fetch` raises.
        """
        return Static(self.fetch()).identity

    @without_frames  # the frames and the errors of the JSON parser and of the keyring hold the keys
    def fetch(self) -> Credentials:
        """The keys as they are now.

        Raises `SourceMissing` where nothing lies there or there is no keyring, `SignInRequired` where it is locked, and
        `ProofInvalid` where it fails, or what lies there is no keys or has expired.
        """
        text = self._text()
        try:
            credentials = Credentials.from_dict(json.loads(text))
            if not credentials.is_expired():
                return credentials
            problem = f"the credentials expired at {credentials.expiration}"
        except (ValueError, RecursionError):
            problem = "this is not a JSON object with AccessKeyId and SecretAccessKey"
        except ProofInvalid as error:
            problem = error.message
        raise ProofInvalid(f"{self}: {problem}.", remedy=f"Put other keys there: {self._command}")

    def _text(self) -> Secret:
        try:
            text = keyring.get_password(self.service, self.name)
        except KeyringLocked:
            raise SignInRequired(f"{self}: the keyring is locked", remedy="unlock it, and try again") from None
        except NoKeyringError:
            install = "install one: https://pypi.org/project/keyring"
            raise SourceMissing(f"{self}: there is no keyring", remedy=install) from None
        except Exception as error:  # noqa: BLE001 - a back end is third-party code, and so are its errors and their texts
            problem = f"{self}: the keyring fails with {type(error).__name__}"
            raise ProofInvalid(problem, remedy="try: keyring diagnose") from None
        if not text:
            raise SourceMissing(f"{self}: nothing lies there.", remedy=f"Put keys there: {self._command}")
        return Secret(text)

    @property
    def _command(self) -> str:
        return shlex.join(["keyring", "set", self.service, self.name])
