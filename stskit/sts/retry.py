"""Call STS for a role, with the retries that botocore does not make.

1. STS could not fetch the keys of the identity provider: up to five attempts, each with a new proof.
2. Access is denied, as it is for some seconds after a role was created: for as long as the caller wants to wait.
3. STS refuses the key of the role that signed the call: once, with a new key.

Each retry repeats only the refused call, not the calls that the proof came from.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from time import monotonic, sleep
from typing import Final

from stskit.credentials import Credentials
from stskit.errors import STSError
from stskit.proofs import Proof
from stskit.protocols import STS, Source
from stskit.roles import Role

__all__ = ["exchange_with_retries"]

_KEY_PAUSES: Final = (1.0, 2.0, 4.0, 8.0)  # seconds at most, between attempts of case 1
_ROLE_PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 10.0)  # seconds, between attempts of case 2; the last one repeats
_KEY_REFUSED: Final = ("ExpiredToken", "InvalidClientTokenId", "InvalidSubjectCredentials")


def exchange_with_retries(
    sts: STS, source: Source[Proof], role: Role, wait_for_new_role: timedelta = timedelta(0)
) -> Credentials:
    """Return credentials of *role* for the proof of *source*. Raises what *source* and *sts* raise."""
    keys, new_role = _key_pauses(), _role_pauses(wait_for_new_role.total_seconds())
    proof, key_replaced = source.fetch(), False
    while True:
        try:
            return sts.exchange(proof, role)
        except STSError as error:
            if not key_replaced and _replace_key(source, proof, error):
                pause, key_replaced = None, True
            else:
                pauses = keys if _is_about_keys(error) else new_role if error.code == "AccessDenied" else iter(())
                pause = next(pauses, None)
                if pause is None:
                    raise
        if pause is not None:
            sleep(pause)
        if pause is None or not isinstance(proof, Credentials):  # fetching a role's credentials costs a call
            proof = source.fetch()


def _replace_key(source: Source[Proof], proof: Proof, error: STSError) -> bool:
    """Return whether STS refused the key that signed the call and *source* has another one now."""
    if error.code not in _KEY_REFUSED or not isinstance(proof, Credentials):
        return False
    replace_refused = getattr(source, "replace_refused", None)
    return replace_refused is not None and bool(replace_refused(proof.access_key_id))


def _is_about_keys(error: STSError) -> bool:
    return error.code == "InvalidIdentityToken" and error.retryable


def _key_pauses() -> Iterator[float]:
    import random

    return (random.uniform(0, most) for most in _KEY_PAUSES)  # so that jobs that started together do not retry together


def _role_pauses(seconds: float) -> Iterator[float]:
    end = monotonic() + seconds
    for number in range(int(seconds) + 1):
        left = end - monotonic()
        if left <= 0:
            return
        yield min(_ROLE_PAUSES[min(number, len(_ROLE_PAUSES) - 1)], left)
