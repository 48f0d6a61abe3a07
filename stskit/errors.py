"""What stskit raises. The class says which side failed; the message says what to do next.

::

    StskitError
    ├── RoleError             what was asked for is not valid; nothing was sent
    │   └── RoleNotOffered    the SAML assertion does not list that role
    ├── SourceError           there is no proof to send; nothing was sent
    │   ├── SourceMissing     nothing is there: no such file, profile or keys
    │   └── ProofInvalid      something is there, and it is no usable proof
    │       └── SignInRequired  only a person can bring the next one
    ├── STSError              STS answered, and refused
    ├── STSUnavailable        STS gave no answer that can be used
    └── SinkError             the credentials could not be delivered; nothing was changed

    StskitWarning             not fatal, and worth knowing
    └── CacheWarning          a cache cannot be used; the credentials are there all the same

The base classes ``StskitError`` and ``SourceError`` are for catching. No message, argument or attribute holds a
secret, and no error carries the exception it stands for as its context: those hold requests and answers in clear.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import wraps
from types import TracebackType
from typing import Any, Final, ParamSpec, Self, TypeVar

from attrs import define, field

__all__ = [
    "CacheWarning",
    "ProofInvalid",
    "RoleError",
    "RoleNotOffered",
    "STSError",
    "STSUnavailable",
    "SignInRequired",
    "SinkError",
    "SourceError",
    "SourceMissing",
    "StskitError",
    "StskitWarning",
    "init_without_frames",
    "prefixed",
    "remove_frames",
    "without_frames",
]


P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=type)
E = TypeVar("E", bound="StskitError")

# Packages whose frames are removed from tracebacks; and packages whose frames are removed where these call them.
_OWN: Final = frozenset({"stskit", "botocore", "boto3"})
_SHARED: Final = sys.stdlib_module_names | {"", "attr", "attrs", "awscrt", "dateutil", "jmespath", "urllib3"}


@define(slots=False)
class StskitError(Exception):
    """The base of every error of this package; never raised itself.

    ``str()`` is the message and the remedy. Programs that show errors in their own way read the attributes.
    """

    message: str = ""
    """What happened, and why. It contains no secret."""
    remedy: str = field(default="", kw_only=True)
    """What to do next, in the words of a Python program; empty where nothing is known."""
    cli_remedy: str = field(default="", kw_only=True)
    """The same in the words of the command line; empty where `remedy` fits both."""
    cli_message: str = field(default="", kw_only=True)
    """The message as it continues after the option of the command line: "has 60 seconds" follows "--duration". Empty
    where `message` does not begin with the name of the argument."""
    option: str | None = field(default=None, kw_only=True)
    """The argument that was wrong, for example ``"duration"``; None where it was none."""
    variable: str | None = field(default=None, kw_only=True)
    """The environment variable that was wrong; None where it was none."""
    path: str | None = field(default=None, kw_only=True)
    """The file or folder that was wrong; None where it was none."""

    def __new__(cls, *args: Any, **_options: Any) -> Self:
        """Set the defaults, so that a subclass whose ``__init__`` does not call this class's has them as well."""
        error = super().__new__(cls, *args)
        text = str(args[0]) if args else ""
        vars(error).update(
            message=text, remedy="", cli_remedy="", cli_message="", option=None, variable=None, path=None
        )
        return error

    def __str__(self) -> str:
        return joined(str(self.message), self.remedy)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.args, vars(self))


def joined(message: str, remedy: str) -> str:
    """Return *message* and *remedy* as sentences that follow each other, or *message* alone if there is no remedy."""
    if not remedy:
        return message
    return f"{message} {remedy}" if message.endswith((".", "?", "!")) else f"{message}. {remedy}"


def prefixed(error: E, prefix: str, *, path: str | None = None) -> E:
    """Return a copy of *error* whose message begins with *prefix*, and which has no traceback and no cause.

    All other attributes, the remedy included, stay as they are; *path* is set where it is given. Raises nothing.
    """
    message = f"{prefix}{error.message}"
    attributes = vars(error) | {"message": message, "cli_message": ""} | ({} if path is None else {"path": path})
    return _rebuilt(type(error), (message, *error.args[1:]), attributes)


def _rebuilt(kind: type[E], args: tuple[object, ...], attributes: Mapping[str, object]) -> E:
    error = kind.__new__(kind, *args)
    vars(error).update(attributes)
    return error


def without_frames(function: Callable[P, R]) -> Callable[P, R]:
    """Remove the frames of stskit and botocore from each exception that leaves *function*, whatever its class.

    Pytest and error trackers show the locals of a traceback, and the locals of these frames may hold secrets. Frames of
    other code stay. A `StskitError` also loses its cause, its context, and the frames of the package of *function*: use
    this decorator for your own sources, sinks and caches too. All that *function* raises is raised.
    """
    package = _package(function.__module__)

    @wraps(function)
    def guarded(*args: P.args, **options: P.kwargs) -> R:
        try:
            return function(*args, **options)
        except BaseException as error:
            del args, options
            remove_frames(error, package)
            raise

    return guarded


def init_without_frames(kind: C) -> C:
    """Decorate the ``__init__`` of the class *kind* with `without_frames`, because its arguments may be secrets.

    Returns *kind* and raises nothing.
    """
    type.__setattr__(kind, "__init__", without_frames(vars(kind)["__init__"]))
    return kind


def remove_frames(error: BaseException, package: str = "stskit") -> None:
    """Remove the frames of stskit and botocore from *error*, its causes, its contexts and the exceptions of a group.

    A cause or a context that no other code has seen is removed: its arguments may hold secrets too. A `StskitError` has
    neither a cause nor a context afterwards, and no frames of *package*. Raises nothing.
    """
    if isinstance(error, StskitError):
        error.__traceback__ = _other_frames(error.__traceback__, _OWN | {package})
        error.__cause__ = error.__context__ = None
    todo, seen = [error], {id(error)}
    while todo:
        each = todo.pop()
        each.__traceback__ = _other_frames(each.__traceback__)
        is_suppressed = each.__suppress_context__
        each.__cause__, each.__context__ = _seen_by_others(each.__cause__), _seen_by_others(each.__context__)
        each.__suppress_context__ = is_suppressed  # setting a cause sets it
        members = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        following = [link for link in (each.__cause__, each.__context__, *members) if link and id(link) not in seen]
        seen.update(map(id, following))
        todo += following


def _seen_by_others(error: BaseException | None) -> BaseException | None:
    return error if error is not None and _other_frames(error.__traceback__) else None


def _package(module: object) -> str:
    return str(module).partition(".")[0]


def _other_frames(traceback: TracebackType | None, own: frozenset[str] = _OWN) -> TracebackType | None:
    """Return *traceback* without the frames of *own* packages, and without those of libraries that they called."""
    kept: list[TracebackType] = []
    is_own = False
    while traceback is not None:
        package = _package(traceback.tb_frame.f_globals.get("__name__", ""))
        is_own = package in own or (is_own and package in _SHARED)
        if not is_own:
            kept.append(traceback)
        traceback = traceback.tb_next
    for each in reversed(kept):
        traceback = TracebackType(traceback, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return traceback


class StskitWarning(UserWarning):
    """Something that did not stop the work, and that somebody should look at."""


class CacheWarning(StskitWarning):
    """A cache cannot be used as it should: everything works, with more calls. Said once by each cache."""


class RoleError(StskitError):
    """The role or one of its options breaks a rule of STS; raised before any call."""


@define(slots=False)
class RoleNotOffered(RoleError):
    """The SAML assertion does not list the role that was asked for; raised before any call."""

    offered: tuple[str, ...] = ()
    """ARNs of the roles that the assertion does list."""


class SourceError(StskitError):
    """A source has no proof to give; the base of `SourceMissing` and `ProofInvalid`."""


class SourceMissing(SourceError):
    """Nothing is there: the file, the profile or the keys do not exist."""


class ProofInvalid(SourceError):
    """Something is there, and it is no usable proof: empty, malformed, too large or unreadable."""


class SignInRequired(ProofInvalid):
    """Only a person can go on: the SAML assertion or the SSO session has ended, or a new MFA code is needed.

    Nothing was sent. A recipe that refreshes raises it once nothing valid is left. It tries again as soon as the file
    of the source changes, and after the pauses of any other failure.
    """


@define(slots=False)
class STSError(StskitError):
    """STS answered, and refused.

    https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
    """

    code: str | None = None
    """The error code without the ``Exception`` suffix; None when the server sent none."""
    http_status: int | None = None
    """Of the answer, for example 403."""
    operation: str | None = None
    """What was called, for example ``"AssumeRole"``."""
    role_arn: str | None = None
    """The role that was asked for; None where the call is about none."""
    region: str | None = None
    """Where it was asked, as the call was signed."""
    endpoint: str | None = None
    """The URL that was asked."""
    request_id: str | None = None
    """By which AWS support finds the call; None where the answer had none."""
    attempts: int = 1
    """How many requests were sent."""
    retryable: bool = False
    """Whether the same call may succeed later without any change."""
    clock_skew: timedelta | None = None
    """By how much the clock of STS is ahead of this machine's, to the second; None where the answer had no date."""


@define(slots=False)
class STSUnavailable(StskitError):
    """STS gave no usable answer: no connection, a time-out, or an answer that is not STS's."""

    kind: str = "connection"
    """``"connection"``, ``"timeout"``, ``"tls"``, ``"answer"`` (unreadable or incomplete) or ``"setup"``."""
    operation: str | None = None
    """What was called, for example ``"AssumeRole"``."""
    role_arn: str | None = None
    """The role that was asked for; None where the call is about none."""
    region: str | None = None
    """Where it was asked; None where that was not known yet."""
    endpoint: str | None = None
    """The URL that was asked; None where that was not known yet."""
    retryable: bool = True
    """Whether the same call may succeed later without any change."""


class SinkError(StskitError):
    """The credentials could not be delivered; what was there before is unchanged."""
