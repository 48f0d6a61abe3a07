"""Whether a source of your own does what stskit expects of a source."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from functools import partial
from traceback import TracebackException

from stskit.credentials import Credentials
from stskit.errors import SourceError
from stskit.proofs import Proof, SAMLAssertion, WebIdentityToken
from stskit.protocols import Source
from stskit.testing._expect import expect, name_of, secrets_of, tells, together

__all__ = ["check_source"]


def check_source(
    make: Callable[[], Source[Proof]],
    *,
    renew: Callable[[], object] | None = None,
    broken: Sequence[Callable[[], Source[Proof]]] = (),
    secrets: Sequence[str] = (),
    pickles: bool = False,
) -> None:
    """Raises `AssertionError`, with one sentence that says what is wrong, where the source that *make* gives is not as
    `stskit.protocols.Source` says: a proof at every fetch, also from several threads; no secret in its repr or its
    `identity`.

    `renew` puts a new proof where the source finds it: the next fetch must give that. `broken` give sources that have
    no proof to give: they must raise a `SourceError`, which tells none of the *secrets*. `pickles`: whether the source
    is meant to be sent to other processes.
    """
    source = make()
    name = name_of(source)
    proof = _fetched(source)
    hidden = [*secrets_of(proof), *secrets]
    for result in together(lambda _: source.fetch()):
        if isinstance(result, Exception):
            raise AssertionError(f"{name}.fetch() fails from several threads at once: {type(result).__name__}")
        expect(_is_proof(result), f"{name}.fetch() gives {type(result).__name__} from several threads at once")
    expect(not tells(source, hidden), f"the repr of {name} tells a secret; leave it out: field(repr=False)")
    _check_identity(source, hidden)
    if pickles:
        _check_pickle(source)
    if renew is not None:
        renew()
        expect(_fetched(source) != proof, f"{name}.fetch() gives the old proof where there is a new one; keep nothing")
    for each in broken:
        _check_broken(each(), hidden)


def _fetched(source: Source[Proof]) -> Proof:
    proof = source.fetch()
    name = name_of(source)
    expect(
        _is_proof(proof),
        f"{name}.fetch() gives {type(proof).__name__}; it must give SAMLAssertion, WebIdentityToken or Credentials",
    )
    expired = isinstance(proof, Credentials) and proof.is_expired()
    expect(not expired, f"{name}.fetch() gives credentials that have expired; raise ProofInvalid instead")
    return proof


def _is_proof(value: object) -> bool:
    return isinstance(value, SAMLAssertion | WebIdentityToken | Credentials)


def _check_identity(source: Source[Proof], hidden: Sequence[str]) -> None:
    name, read = name_of(source), partial(getattr, source, "identity", None)
    identity = read()
    expect(identity is None or isinstance(identity, str), f"{name}.identity is no text; it must be text or None")
    expect(identity == read(), f"{name}.identity differs from one read to the next; it names entries of caches")
    expect(not tells(identity, hidden), f"{name}.identity tells a secret; it is written to the disk by caches")


def _check_pickle(source: Source[Proof]) -> None:
    try:
        again = pickle.loads(pickle.dumps(source))  # noqa: S301 - made here
    except Exception as error:  # noqa: BLE001 - whatever a class does there
        problem = type(error).__name__
    else:
        _fetched(again)
        return
    raise AssertionError(f"{name_of(source)} cannot be pickled ({problem}); keep locks and clients out of it")


def _check_broken(source: Source[Proof], hidden: Sequence[str]) -> None:
    name = name_of(source)
    try:
        source.fetch()
    except SourceError as error:
        expect(not tells(error, hidden), f"the error of {name}.fetch() tells a secret, in its text or its context")
        shown = TracebackException.from_exception(error, capture_locals=True).stack
        told = [frame.name for frame in shown if frame.filename != __file__ and tells(frame.locals, hidden)]
        expect(
            not told,
            f"a traceback that shows locals tells a secret of {name}, in {', '.join(told[:1])}(); make it a Secret at "
            "once, or decorate fetch with stskit.errors.without_frames",
        )
        return
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        problem = f"raises {type(error).__name__}"
    else:
        problem = "gives something"
    raise AssertionError(f"{name}.fetch() {problem} where it has no proof; raise SourceMissing or ProofInvalid")
