"""A sink that makes the document which a ``credential_process`` prints."""

from __future__ import annotations

from json import dumps

from attrs import frozen

from stskit.credentials import Credentials, check_credentials
from stskit.errors import without_frames

__all__ = ["CredentialProcess"]


@frozen
class CredentialProcess:
    """A sink that returns the JSON document which AWS SDKs and tools read from the ``credential_process`` of a profile.

    Print only this document to standard output. SDKs run the process again before the credentials expire. Without an
    expiration, they use the credentials for ever.

    Example:
        >>> import json
        >>> from stskit import assume
        >>> from stskit.sinks import CredentialProcess
        >>> json.loads(assume("arn:aws:iam::123456789012:role/Deploy").to(CredentialProcess()))["Version"]
        1

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
    """

    @without_frames
    def write(self, credentials: Credentials, /) -> str:
        """Return the document. It is secret.

        Args:
            credentials: The credentials to deliver.

        Returns:
            JSON on one line, without a line end.

        Raises:
            TypeError: If they are not `Credentials`.
        """
        check_credentials(credentials)
        account = {} if credentials.account_id is None else {"AccountId": credentials.account_id}
        return dumps({"Version": 1, **credentials.as_dict(), **account})
