"""Whether a sink of your own does what stskit expects of a sink."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from stskit.credentials import Credentials
from stskit.errors import SinkError
from stskit.protocols import Sink
from stskit.testing._expect import expect, name_of, sample, secrets_of, tells, together

__all__ = ["check_sink"]


def check_sink(
    make: Callable[[], Sink[object]],
    *,
    look: Callable[[], object] | None = None,
    broken: Sequence[Callable[[], Sink[object]]] = (),
    lasting: bool = False,
) -> None:
    """Raises `AssertionError`, with one sentence that says what is wrong, where the sink that *make* gives is not as
    `stskit.protocols.Sink` says: it delivers whole sets, also from several threads; no secret in its repr.

    `look` gives what is at the place where the sink delivers to, such as the bytes of a file, to see that each write
    is whole and that a refusal changes nothing. `broken` give sinks that cannot deliver: they must raise a `SinkError`
    without a secret. `lasting`: whether what is written stays for others to read, as in a file: then credentials that
    have expired must be refused by a `SinkError` too.
    """
    sink = make()
    name, here = name_of(sink), look or _nowhere
    first, second = sample(), sample()
    one = _written(sink, first, here)
    two = _written(sink, second, here)
    expect(look is None or one != two, f"{name}.write() delivers the same for different credentials")
    expect(not tells(sink, _all(first, second)), f"the repr of {name} tells a secret; leave it out: field(repr=False)")
    for result in together(lambda number: sink.write(first if number % 2 else second)):
        if isinstance(result, Exception):
            raise AssertionError(f"{name}.write() fails from several threads at once: {type(result).__name__}")
    expect(here() in (one, two), f"{name}.write() mixes the parts of two sets where threads write at once")
    if lasting:
        _check_refused(sink, sample(timedelta(hours=-1)), here, "where the credentials have expired")
    for each in broken:
        _check_refused(each(), sample(), here, "where it cannot deliver")


def _nowhere() -> None:
    return None


def _all(*sets: Credentials) -> list[str]:
    return [secret for each in sets for secret in secrets_of(each)]


def _written(sink: Sink[object], credentials: Credentials, here: Callable[[], object]) -> object:
    try:
        sink.write(credentials)
    except Exception as error:  # noqa: BLE001 - whatever a class does there
        problem = type(error).__name__
    else:
        return here()
    raise AssertionError(f"{name_of(sink)}.write() raises {problem} for credentials as STS gives them")


def _check_refused(sink: Sink[object], credentials: Credentials, here: Callable[[], object], when: str) -> None:
    name, before = name_of(sink), here()
    try:
        sink.write(credentials)
    except SinkError as error:
        leaks = tells(error, secrets_of(credentials))
        expect(not leaks, f"the error of {name}.write() tells a secret, in its text or its context")
        expect(here() == before, f"{name}.write() changes what is there {when}; change it whole or not at all")
        return
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        problem = f"raises {type(error).__name__}"
    else:
        problem = "raises nothing"
    raise AssertionError(f"{name}.write() {problem} {when}; raise SinkError")
