"""The document that a ``credential_process`` prints."""

from __future__ import annotations

from json import dumps

from attrs import frozen

from stskit.credentials import Credentials, check_credentials
from stskit.errors import without_frames

__all__ = ["CredentialProcess"]


@frozen
class CredentialProcess:
    """The JSON document that the AWS SDKs and tools read from the ``credential_process`` of a profile.

    Print it to standard output, and nothing else. Without an expiration they take the credentials to be good for ever;
    with one they run the process again before that time.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
    """

    @without_frames
    def write(self, credentials: Credentials, /) -> str:
        """The document for *credentials*, one line without its end; it is secret.

        Raises `TypeError` where *credentials* has another type.
        """
        check_credentials(credentials)
        account = {} if credentials.account_id is None else {"AccountId": credentials.account_id}
        return dumps({"Version": 1, **credentials.as_dict(), **account})
