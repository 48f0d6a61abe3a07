"""What STS has answered, as values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from stskit.credentials import CallerIdentity, Credentials
from stskit.errors import ProofInvalid

__all__ = ["credentials_in", "identity_in"]

_LONGEST: Final = timedelta(days=20 * 365)  # STS gives 36 hours, other servers up to a year


def credentials_in(answer: Mapping[str, Any], now: datetime | None = None) -> Credentials:
    """What STS has given. Raises `ProofInvalid` where that is of no use, by the system's clock or at that time."""
    credentials = Credentials.from_dict(answer)
    if credentials.session_token is None or credentials.expiration is None:
        raise ProofInvalid("it has no session token or no expiration")
    if credentials.is_expired(now=now):
        raise ProofInvalid("its credentials have expired already", remedy="check the clock of this machine")
    if (credentials.expires_in(now=now) or _LONGEST) >= _LONGEST:
        raise ProofInvalid("its credentials would never expire")
    return credentials


def identity_in(answer: Mapping[str, Any]) -> CallerIdentity:
    """Whose credentials STS says they are. Raises `ProofInvalid` where it does not."""
    account, arn, user_id = (answer.get(name) for name in ("Account", "Arn", "UserId"))
    if not (account and arn and user_id):
        raise ProofInvalid("it does not name account, ARN and user id")
    return CallerIdentity(account=account, arn=arn, user_id=user_id)
