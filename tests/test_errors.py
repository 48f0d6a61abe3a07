"""The error tree: what derives from what, what each error carries, and how `without_frames` hides locals."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
from helpers import shown_locals

from stskit import errors
from stskit.errors import (
    CacheWarning,
    ProofInvalid,
    RoleError,
    RoleNotOffered,
    SignInRequired,
    SinkError,
    SourceError,
    SourceMissing,
    STSError,
    StskitError,
    StskitWarning,
    STSUnavailable,
    without_frames,
)

PARENTS: dict[type[Exception], type[Exception]] = {
    StskitError: Exception,
    RoleError: StskitError,
    RoleNotOffered: RoleError,
    SourceError: StskitError,
    SourceMissing: SourceError,
    ProofInvalid: SourceError,
    SignInRequired: ProofInvalid,
    STSError: StskitError,
    STSUnavailable: StskitError,
    SinkError: StskitError,
    StskitWarning: UserWarning,
    CacheWarning: StskitWarning,
}
FULL = [
    ProofInvalid("what is wrong"),
    SignInRequired("what is wrong"),
    RoleNotOffered("what is wrong", ("arn:aws:iam::123456789012:role/a",)),
    STSError(
        "what is wrong", "AccessDenied", 403, "AssumeRole", role_arn="arn", attempts=3, retryable=True, remedy="do"
    ),
    STSUnavailable("what is wrong", "timeout", "AssumeRole", endpoint="https://sts.example", retryable=False),
    SinkError("what is wrong", path="/home/u/.aws/credentials"),
]
BY_NAME = [type(error).__name__ for error in FULL]


@pytest.mark.parametrize(("error", "parent"), PARENTS.items())
def test_each_error_has_its_one_parent(error: type[Exception], parent: type[Exception]) -> None:
    """The tree is the one that the module docstring draws."""
    assert error.__bases__ == (parent,)
    assert error.__name__ in (errors.__doc__ or "")


def test_all_errors_are_exported_and_nothing_else() -> None:
    """``__all__`` names exactly the classes of the tree, and what lets them leave without frames."""
    assert set(errors.__all__) == {error.__name__ for error in PARENTS} | {"prefixed", "without_frames"}


@pytest.mark.parametrize("error", FULL, ids=BY_NAME)
def test_the_text_is_the_message_and_the_remedy(error: StskitError) -> None:
    """Details are attributes; ``str()`` returns what happened and what to do."""
    assert str(error) == ("what is wrong; do" if error.remedy else "what is wrong")


@pytest.mark.parametrize("error", FULL, ids=BY_NAME)
@pytest.mark.parametrize(
    "duplicate", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copy", "pickle"]
)
def test_an_error_survives_a_copy(error: StskitError, duplicate: Callable[[StskitError], StskitError]) -> None:
    """An error that comes back from another process still has all of its attributes."""
    twin = duplicate(error)
    assert type(twin) is type(error)
    assert (str(twin), vars(twin)) == (str(error), vars(error))
    assert twin != error  # as with all exceptions, equality is identity
    assert len({twin, error}) == 2


class Sealed(SignInRequired):
    """An error of a third party, which does not call the `__init__` of its base."""

    def __init__(self) -> None:
        pass


@pytest.mark.parametrize(("error", "text"), [(Sealed(), ""), (ProofInvalid(OSError("no disk")), "no disk")])  # type: ignore[arg-type]
def test_an_error_of_a_third_party_has_a_text(error: StskitError, text: str) -> None:
    """Without a call of the base's `__init__`, or around another exception, `str()` and a copy work all the same."""
    assert (str(error), error.remedy, error.path) == (text, "", None)
    assert str(copy.copy(error)) == text
    assert str(errors.prefixed(error, "here: ")) == f"here: {text}"


def test_details_that_are_not_known_have_defaults() -> None:
    """Only the message is required, so a server that says little still makes a whole error."""
    refused, silent = STSError("no"), STSUnavailable("no")
    assert (refused.code, refused.http_status, refused.attempts) == (None, None, 1)
    assert (refused.retryable, refused.remedy) == (False, "")
    assert (silent.kind, silent.retryable, silent.endpoint) == ("connection", True, None)
    assert (SinkError("no").path, RoleNotOffered("no").offered) == (None, ())


@without_frames
def read(document: str, *, problem: Exception | None = None) -> int:
    """Read *document*."""
    copied = document
    if problem is not None:
        raise problem
    return len(copied)


def test_removing_frames_changes_nothing_where_all_goes_well() -> None:
    """Value, name and docstring are those of the function."""
    assert read("abc") == 3
    assert (read.__name__, read.__doc__) == ("read", "Read *document*.")


def test_removing_frames_drops_the_frames_that_hold_what_was_read() -> None:
    """The same error comes out, without context, and no frame of stskit below it or its own shows the argument."""
    problem = ProofInvalid("broken")
    with pytest.raises(ProofInvalid) as caught:
        read("CANARY" * 2, problem=problem)
    assert caught.value is problem
    assert problem.__context__ is None
    assert problem.__cause__ is None
    assert "CANARY" not in shown_locals(problem)
    assert [frame.name for frame in caught.traceback][1:] == ["guarded"]


def test_removing_frames_leaves_the_frames_of_a_bug() -> None:
    """An exception that is not stskit's own keeps its traceback, for it has to be found."""
    with pytest.raises(ZeroDivisionError) as caught:
        read("x", problem=ZeroDivisionError())
    assert caught.traceback[-1].name == "read"
