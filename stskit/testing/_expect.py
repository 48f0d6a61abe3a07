"""What the conformance checks share: a way to say what is wrong, credentials to try, and eyes for secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Final, TypeVar

from attrs import fields

from stskit.credentials import Credentials, Secret
from stskit.proofs import Proof
from stskit.testing._world import new_key_id, new_secret

__all__ = ["THREADS", "expect", "name_of", "sample", "secrets_of", "tells", "together"]

T = TypeVar("T")

THREADS: Final = 8
_SHORT: Final = 6  # characters; what is shorter is found in any text


def expect(holds: bool, sentence: str) -> None:
    """Raises `AssertionError` with that *sentence* where it does not hold; also where Python leaves asserts out."""
    if not holds:
        raise AssertionError(sentence)


def sample(lasts: timedelta = timedelta(hours=1)) -> Credentials:
    """Credentials unlike any other, as STS gives them."""
    end = datetime.now(UTC).replace(microsecond=0) + lasts
    arn = "arn:aws:sts::123456789012:assumed-role/Check/session"
    token = Secret(new_secret() + new_secret())
    return Credentials(
        new_key_id("ASIA"),
        new_secret(),
        token,
        end,
        account_id="123456789012",
        assumed_role_arn=arn,
        source_identity="a",
    )


def name_of(part: object) -> str:
    """What the sentences call *part*."""
    return type(part).__name__


def secrets_of(proof: Proof) -> list[str]:
    """All that is secret in *proof*."""
    values = (getattr(proof, each.name) for each in fields(type(proof)))
    return [str(value) for value in values if isinstance(value, Secret)]


def tells(value: object, secrets: Iterable[str]) -> bool:
    """Whether one of the *secrets* shows in *value*: in its text and its repr, and of an error also in all that hangs
    on it.
    """
    texts = list(_texts(value, set()))
    return any(secret in text for secret in secrets if len(secret) >= _SHORT for text in texts)


def together(work: Callable[[int], T]) -> list[T | Exception]:
    """What *work* gives or raises in each of some threads, which begin at the same moment."""
    start = Barrier(THREADS)

    def run(number: int) -> T | Exception:
        start.wait()
        try:
            return work(number)
        except Exception as error:  # noqa: BLE001 - it is looked at by whoever asked
            return error

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def _texts(value: object, seen: set[int]) -> Iterator[str]:
    if id(value) in seen:
        return
    seen.add(id(value))
    yield repr(value)
    yield str(value)
    if isinstance(value, BaseException):
        for part in (*value.args, *vars(value).values(), value.__cause__, value.__context__):
            yield from _texts(part, seen)
