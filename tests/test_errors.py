"""The error classes: their hierarchy, their attributes, and how `without_frames` hides local variables."""

from __future__ import annotations

import copy
import json
import os
import pickle
import signal
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
from fake_server import Answer, Request, fake_server, granted
from helpers import shown_locals

from stskit import (
    MFA,
    AssumedRole,
    Cached,
    Credentials,
    Role,
    SAMLAssertion,
    WebIdentityToken,
    assume,
    assume_all,
    boto3_session,
    errors,
)
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
    remove_frames,
    without_frames,
)
from stskit.proofs import Proof
from stskit.roles import ProvidedContext
from stskit.sinks import CredentialsFile, DotEnv
from stskit.sources import OIDCTokenFile, Static
from stskit.sts import BotocoreSTS
from stskit.testing import FakeSTS

ROLE = "arn:aws:iam::123456789012:role/app"
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
def test_each_error_has_one_parent(error: type[Exception], parent: type[Exception]) -> None:
    """Each error class has the parent that the module docstring shows."""
    assert error.__bases__ == (parent,)
    assert error.__name__ in (errors.__doc__ or "")


def test_all_errors_are_exported() -> None:
    """`__all__` of the module has the error classes and the functions that remove frames."""
    assert set(errors.__all__) == {error.__name__ for error in PARENTS} | {
        "init_without_frames",
        "prefixed",
        "remove_frames",
        "without_frames",
    }


@pytest.mark.parametrize("error", FULL, ids=BY_NAME)
def test_the_text_is_the_message_and_the_remedy(error: StskitError) -> None:
    """`str()` of an error is the message and the remedy; other details are attributes."""
    assert str(error) == ("what is wrong. do" if error.remedy else "what is wrong")


@pytest.mark.case("P18")
@pytest.mark.parametrize("error", FULL, ids=BY_NAME)
@pytest.mark.parametrize(
    "duplicate", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copy", "pickle"]
)
def test_an_error_survives_a_copy(error: StskitError, duplicate: Callable[[StskitError], StskitError]) -> None:
    """A copied or unpickled error has all attributes and arguments of the original."""
    twin = duplicate(error)
    assert type(twin) is type(error)
    assert (str(twin), vars(twin), twin.args) == (str(error), vars(error), error.args)
    assert twin != error  # as with all exceptions: equality is identity
    assert len({twin, error}) == 2


class Sealed(SignInRequired):
    """A third-party error class that does not call the `__init__` of its base."""

    def __init__(self) -> None:
        pass


@pytest.mark.parametrize(("error", "text"), [(Sealed(), ""), (ProofInvalid(OSError("no disk")), "no disk")])  # type: ignore[arg-type]
def test_an_error_of_a_third_party_has_a_message(error: StskitError, text: str) -> None:
    """An error without a call of the base's `__init__`, or with an exception as its message, has a text and can be
    copied.
    """
    assert (str(error), error.remedy, error.path) == (text, "", None)
    assert str(copy.copy(error)) == text
    assert str(errors.prefixed(error, "here: ")) == f"here: {text}"


def test_unknown_details_have_defaults() -> None:
    """All details of an error except the message have defaults."""
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


def test_removing_frames_has_no_effect_without_an_error() -> None:
    """A function with `without_frames` returns its value and keeps its name and docstring."""
    assert read("abc") == 3
    assert (read.__name__, read.__doc__) == ("read", "Read *document*.")


def test_the_frames_that_hold_the_content_are_removed() -> None:
    """`without_frames` raises the same error without context and without frames that show the arguments."""
    problem = ProofInvalid("broken")
    with pytest.raises(ProofInvalid) as caught:
        read("CANARY" * 2, problem=problem)
    assert caught.value is problem
    assert problem.__context__ is None
    assert problem.__cause__ is None
    assert shown_locals(problem) == ""


class Interrupted(BaseException):
    """An exception of a caller's signal handler."""


class Failing:
    """A third-party STS that raises an exception."""

    def __init__(self, problem: BaseException) -> None:
        self.problem = problem

    def exchange(self, proof: Proof, role: Role) -> Credentials:
        raise self.problem


FOREIGN: list[BaseException] = [
    KeyboardInterrupt(),
    SystemExit(3),
    Interrupted(),
    OSError(28, "No space left on device"),
    ValueError("embedded null byte"),
    TypeError(),
    ProofInvalid("broken"),
]


@pytest.mark.case("P25", "P43")
@pytest.mark.parametrize("problem", FOREIGN, ids=lambda problem: type(problem).__name__)
def test_no_exception_keeps_frames_of_stskit(problem: BaseException) -> None:
    """An exception of any class leaves stskit with its class and without frames that show local variables."""
    keys, sts = Credentials("AKIA", "CANARY" * 4, "CANARY" * 9), Failing(problem)
    recipe = AssumedRole(ROLE, source=Static(keys), sts=sts)
    for call in (recipe.fetch, lambda: assume(ROLE, ROLE, source=Static(keys), sts=sts), Cached(recipe).fetch):
        with pytest.raises(type(problem)) as caught:
            call()
        assert shown_locals(caught.value) == ""


@pytest.mark.case("P25")
def test_an_alarm_during_a_call_shows_no_secret() -> None:
    """An exception of a signal handler during a call leaves no frame of stskit, botocore or their callees."""

    def limit(_signal: int, _frame: object) -> None:
        raise Interrupted

    def answer(request: Request) -> Answer:
        os.kill(os.getpid(), signal.SIGALRM)
        return granted(request)

    before = signal.signal(signal.SIGALRM, limit)
    try:
        with fake_server(answer) as server, pytest.raises(Interrupted) as caught:
            keys = Credentials("AKIA", "CANARY" * 4, "CANARY" * 9)
            assume(ROLE, source=Static(keys), sts=BotocoreSTS(endpoint_url=server.url, total_timeout=None))
    finally:
        signal.signal(signal.SIGALRM, before)
    names = [frame.name for frame in caught.traceback]
    assert names == ["test_an_alarm_during_a_call_shows_no_secret", "limit"]


@pytest.mark.case("P43")
@pytest.mark.parametrize("sink", [CredentialsFile("p"), DotEnv(".env")], ids=lambda sink: type(sink).__name__)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_sink_shows_no_secret(
    sink: CredentialsFile | DotEnv, kind: type[BaseException], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted write to a file leaves no frames of stskit, because they have the content of the file."""

    def interrupted(*_arguments: object, **_options: object) -> None:
        raise kind

    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(kind) as caught:
        Credentials("AKIA", "CANARY" * 4, "CANARY" * 9).to(sink)
    assert [frame.name for frame in caught.traceback] == ["test_an_interrupted_sink_shows_no_secret", "interrupted"]


class Vault:
    """A third-party source with an error in another library."""

    def fetch(self) -> Credentials:
        return Credentials.from_dict(json.loads("{"))


@pytest.mark.case("P43")
def test_frames_of_other_code_stay() -> None:
    """Frames of third-party code stay in the traceback, so that an error in it can be found."""
    with pytest.raises(json.JSONDecodeError) as caught:
        assume(ROLE, source=Vault(), sts=Failing(AssertionError()))
    names = [frame.name for frame in caught.traceback]
    assert names == ["test_frames_of_other_code_stay", "fetch", "loads", "decode", "raw_decode"]


MAKERS: list[Callable[[Any], object]] = [
    lambda value: Credentials("AKIA", value),
    lambda value: Credentials("AKIA", "CANARY", value),
    lambda value: Credentials("AKIA", "CANARY", expiration=value),
    WebIdentityToken,
    SAMLAssertion,
    lambda value: Role(ROLE, external_id=value),
    lambda value: Role(ROLE, policy="CANARY", external_id=value),
    lambda value: MFA("arn:aws:iam::123456789012:mfa/me", value),
    lambda value: ProvidedContext("a" * 20, value),
    OIDCTokenFile,
    lambda value: CredentialsFile("p", value),
]


@pytest.mark.case("P43")
@pytest.mark.parametrize("value", [b"CANARY", ["CANARY"], {"CANARY": 1}, datetime(2026, 1, 1)], ids=repr)
def test_no_constructor_leaves_a_frame(value: object) -> None:
    """If a constructor refuses a value, neither the message nor a frame shows it."""
    for make in MAKERS:
        with pytest.raises((TypeError, StskitError)) as caught:
            make(value)
        assert shown_locals(caught.value) == ""
        assert "CANARY" not in f"{caught.value!r} {caught.value}"


def fail_after(problem: BaseException) -> None:
    """Raise *problem* from another error that has its own frames."""
    try:
        raise ValueError("CANARY")
    except ValueError as error:
        raise problem from error


def test_causes_and_contexts_keep_no_frames() -> None:
    """A cause that was raised inside stskit is removed, because it can have secrets; other causes stay."""
    ours = FunctionType(fail_after.__code__, {**globals(), "__name__": "stskit.example"})
    for function, has_cause in ((ours, False), (fail_after, True)):
        with pytest.raises(KeyboardInterrupt) as caught:
            without_frames(function)(KeyboardInterrupt())
        error = caught.value
        assert ((error.__cause__ is None), (error.__context__ is None)) == (not has_cause, not has_cause)
        assert error.__suppress_context__


def test_the_context_of_the_caller_stays() -> None:
    """An exception that the caller was handling stays as the context, with its frames."""
    handled = LookupError("of the caller")
    try:
        raise handled
    except LookupError:
        with pytest.raises(KeyboardInterrupt) as caught:
            assume(ROLE, source=Static(Credentials("AKIA", "s")), sts=Failing(KeyboardInterrupt()))
    assert caught.value.__context__ is handled
    assert handled.__traceback__ is not None


def test_the_members_of_a_group_lose_their_frames() -> None:
    """The errors in an exception group lose their frames of stskit, also if they refer to the group."""
    member = ProofInvalid("broken")
    with pytest.raises(ProofInvalid):
        read.__wrapped__("CANARY", problem=member)  # type: ignore[attr-defined]
    group = BaseExceptionGroup("tasks", [member, KeyboardInterrupt()])
    member.__cause__ = group  # A circular reference, which third parties can create too.
    frames = FunctionType(fail_after.__code__, {**globals(), "__name__": "stskit.example"})
    with pytest.raises(BaseExceptionGroup):
        frames(group)
    remove_frames(group)
    assert shown_locals(group) == shown_locals(member) == ""
    assert group.__cause__ is None


# Warnings --------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("always")
def test_a_warning_points_at_the_line_of_the_caller(tmp_path: Path) -> None:
    """A warning points at the line that called stskit, for each way to call it."""
    sts = FakeSTS()
    token = tmp_path / "token"
    token.write_text(sts.idp.oidc_token())
    token.chmod(0o644)
    recipe = AssumedRole(ROLE, source=OIDCTokenFile(token), sts=sts)
    session = boto3_session(ROLE, source=OIDCTokenFile(token), sts=sts, region_name="eu-west-1")
    credentials = sts.user()
    file = tmp_path / "credentials"
    file.write_text("[other]\n")
    file.chmod(0o644)
    calls: list[Callable[[], object]] = [
        lambda: assume(ROLE, source=OIDCTokenFile(token), sts=sts),
        recipe.fetch,
        Cached(recipe).fetch,
        lambda: list(assume_all([ROLE], source=OIDCTokenFile(token), sts=sts)),
        lambda: session.client("sts").generate_presigned_url("get_caller_identity"),
        lambda: credentials.to(CredentialsFile("a", file)),
    ]
    for call in calls:
        with pytest.warns(StskitWarning, match="chmod 600") as caught:
            call()
        assert {each.filename for each in caught} == {__file__}
