"""The two refusals of STS that pass by themselves and that botocore does not know, tried again with a fresh proof."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from time import monotonic, sleep
from typing import Final, TypeVar

from stskit.errors import STSError

__all__ = ["retry_exchange"]

T = TypeVar("T")

_KEY_PAUSES: Final = (1.0, 2.0, 4.0, 8.0)  # seconds at most: STS could not fetch the identity provider's keys in time
_ROLE_PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 10.0)  # seconds; the last one again and again


def retry_exchange(attempt: Callable[[], T], wait_for_new_role: timedelta) -> T:
    """What *attempt* gives, tried again where STS could not fetch the identity provider's keys (five tries in all), and
    for *wait_for_new_role* where it denies access, as it does for some seconds after a role was made.
    """
    keys, role = _key_pauses(), _role_pauses(wait_for_new_role.total_seconds())
    while True:
        try:
            return attempt()
        except STSError as error:
            pauses = keys if _is_about_keys(error) else role if error.code == "AccessDenied" else iter(())
            pause = next(pauses, None)
            if pause is None:
                raise
        sleep(pause)


def _is_about_keys(error: STSError) -> bool:
    return error.code == "InvalidIdentityToken" and error.retryable


def _key_pauses() -> Iterator[float]:
    import random

    return (random.uniform(0, most) for most in _KEY_PAUSES)  # jobs that started together do not try together


def _role_pauses(seconds: float) -> Iterator[float]:
    end = monotonic() + seconds
    for number in range(int(seconds) + 1):
        left = end - monotonic()
        if left <= 0:
            return
        yield min(_ROLE_PAUSES[min(number, len(_ROLE_PAUSES) - 1)], left)
