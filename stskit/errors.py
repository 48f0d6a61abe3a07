"""The exceptions of stskit. The class says which part failed, and the remedy says what to do.

::

    StskitError
    ├── RoleError             the role or an option is not valid; nothing was sent
    │   └── RoleNotOffered    the SAML assertion does not offer the role
    ├── SourceError           there is no proof to send; nothing was sent
    │   ├── SourceMissing     the file, the profile or the keys do not exist
    │   └── ProofInvalid      the proof is not valid
    │       └── SignInRequired  a person must sign in again
    ├── STSError              STS refused the request
    ├── STSUnavailable        STS could not be reached, or its response was not usable
    └── SinkError             the credentials could not be delivered; nothing was changed

    StskitWarning             a problem that did not stop the work
    └── CacheWarning          a cache cannot be used; the credentials are still returned

Catch ``StskitError`` or ``SourceError`` for several at once. No message, argument or attribute contains a secret. No
error has the exception of botocore as its context, because that contains requests and responses in plain text.
"""

from __future__ import annotations

import sys
import warnings
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

# Packages whose frames are removed from tracebacks, and packages whose frames are removed if the former call them.
_OWN: Final = frozenset({"stskit", "botocore", "boto3"})
# Packages between the line of the user and a warning. The code that attrs generates has no package.
_NOT_THE_CALLER: Final = _OWN | {"contextlib", ""}
_SHARED: Final = sys.stdlib_module_names | {"", "attr", "attrs", "awscrt", "dateutil", "jmespath", "urllib3"}


@define(slots=False)
class StskitError(Exception):
    """The base class of all errors of stskit. stskit raises its subclasses.

    ``str()`` is the message followed by the remedy. Programs that show errors in their own way use the attributes.

    Attributes:
        message: What happened and why. It contains no secret.
        remedy: What to do, for a Python program. Empty if nothing is known.
        cli_remedy: What to do, for the command line. Empty if `remedy` fits both.
        cli_message: The message as it continues after an option of the command line: "is 60 seconds" follows
            "--duration". Empty if `message` does not begin with the name of the argument.
        option: The argument that was wrong, for example ``"duration"``, or None.
        variable: The environment variable that was wrong, or None.
        path: The file or folder that was wrong, or None.

    Example:
        >>> from stskit import Role, StskitError
        >>> try:
        ...     Role("arn:aws:iam::123456789012:role/Deploy", duration=60)
        ... except StskitError as error:
        ...     print(error.option, "/", error.message, "/", error.remedy)
        duration / duration is 60 seconds, but STS allows 900 to 43,200. / Pass a larger value.
    """

    message: str = ""
    remedy: str = field(default="", kw_only=True)
    cli_remedy: str = field(default="", kw_only=True)
    cli_message: str = field(default="", kw_only=True)
    option: str | None = field(default=None, kw_only=True)
    variable: str | None = field(default=None, kw_only=True)
    path: str | None = field(default=None, kw_only=True)

    def __new__(cls, *args: Any, **_options: Any) -> Self:
        """Set the defaults, so that a subclass has them even if its ``__init__`` does not call this one."""
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
    """Return a copy of an error with a prefix before its message, without traceback and cause.

    Args:
        error: The error to copy.
        prefix: Text before the message, for example ``"Profile base: "``.
        path: New value of ``path``. Defaults to that of the error.

    Returns:
        The copy, with all other attributes unchanged. Raises nothing.

    Example:
        >>> from stskit.errors import SourceMissing, prefixed
        >>> print(prefixed(SourceMissing("There is no token.", remedy="Start the agent."), "Vault: "))
        Vault: There is no token. Start the agent.
    """
    message = f"{prefix}{error.message}"
    attributes = vars(error) | {"message": message, "cli_message": ""} | ({} if path is None else {"path": path})
    return _rebuilt(type(error), (message, *error.args[1:]), attributes)


def _rebuilt(kind: type[E], args: tuple[object, ...], attributes: Mapping[str, object]) -> E:
    error = kind.__new__(kind, *args)
    vars(error).update(attributes)
    return error


def without_frames(function: Callable[P, R]) -> Callable[P, R]:
    """Remove the frames of stskit and botocore from every exception that leaves a function.

    pytest and error trackers show the local variables of a traceback, and those of these frames may be secrets. Frames
    of other code stay. A `StskitError` also loses its cause, its context, and the frames of the function's own package.
    Use this decorator in your own sources, sinks and caches too.

    Args:
        function: The function to decorate.

    Returns:
        A function that returns and raises the same. Raises nothing of its own.

    Example:
        >>> from stskit.errors import SourceMissing, without_frames
        >>> class Vault:
        ...     @without_frames
        ...     def fetch(self):
        ...         raise SourceMissing("The vault is locked.")
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
    """Decorate the ``__init__`` of a class with `without_frames`, because its arguments may be secrets.

    Args:
        kind: The class to decorate.

    Returns:
        The same class. Raises nothing.

    Example:
        >>> from attrs import frozen
        >>> from stskit.errors import init_without_frames
        >>> @init_without_frames
        ... @frozen
        ... class VaultToken:
        ...     value: str
    """
    type.__setattr__(kind, "__init__", without_frames(vars(kind)["__init__"]))
    return kind


def remove_frames(error: BaseException, package: str = "stskit") -> None:
    """Remove the frames of stskit and botocore from an exception, its causes, its contexts and its group.

    A cause or a context that no other code has seen is removed, because its arguments may be secrets. A `StskitError`
    then has neither a cause nor a context. Raises nothing.

    Args:
        error: The exception to change.
        package: A package whose frames are removed from a `StskitError`. Defaults to stskit.

    Example:
        >>> from stskit.errors import remove_frames
        >>> try:
        ...     1 / 0
        ... except ZeroDivisionError as error:
        ...     remove_frames(error)
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
        each.__suppress_context__ = is_suppressed  # setting a cause changes it
        members = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        following = [link for link in (each.__cause__, each.__context__, *members) if link and id(link) not in seen]
        seen.update(map(id, following))
        todo += following


def _seen_by_others(error: BaseException | None) -> BaseException | None:
    return error if error is not None and _other_frames(error.__traceback__) else None


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn at the line outside stskit that called it, directly or through an AWS SDK."""
    level, frame = 2, sys._getframe(1)  # noqa: SLF001 - `skip_file_prefixes` of `warn` needs Python 3.12
    while frame.f_back is not None and _package(frame.f_globals.get("__name__", "")) in _NOT_THE_CALLER:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _package(module: object) -> str:
    return str(module).partition(".")[0]


def _other_frames(traceback: TracebackType | None, own: frozenset[str] = _OWN) -> TracebackType | None:
    """Return a traceback without the frames of *own* packages and of the libraries that these called."""
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
    """A problem that did not stop the work.

    Example:
        >>> import warnings
        >>> from stskit.errors import StskitWarning
        >>> warnings.simplefilter("error", StskitWarning)
    """


class CacheWarning(StskitWarning):
    """A cache cannot be read or written. Everything works, with more calls. Each cache warns once.

    Example:
        >>> import warnings
        >>> from stskit.errors import CacheWarning
        >>> warnings.simplefilter("ignore", CacheWarning)
    """


class RoleError(StskitError):
    """A role or one of its options is not valid. Raised before any call.

    Example:
        >>> from stskit import Role
        >>> from stskit.errors import RoleError
        >>> try:
        ...     Role("arn:aws:iam::12345678901:role/Deploy")
        ... except RoleError as error:
        ...     print(error.message)
        'arn:aws:iam::12345678901:role/Deploy' is not a valid role ARN: the account ID has 11 digits, not 12.
    """


@define(slots=False)
class RoleNotOffered(RoleError):
    """The SAML assertion does not offer the role. Raised before any call.

    Attributes:
        offered: ARNs of the roles that the assertion offers.

    Example:
        >>> from stskit import assume
        >>> from stskit.errors import RoleNotOffered
        >>> from stskit.sources import SAMLFile
        >>> try:
        ...     assume("arn:aws:iam::123456789012:role/Admin", source=SAMLFile("samlresponse.log"))
        ... except RoleNotOffered as error:
        ...     print(len(error.offered), error.offered[0])
        2 arn:aws:iam::123456789012:role/Deploy
    """

    offered: tuple[str, ...] = ()


class SourceError(StskitError):
    """A source cannot return a proof. The base class of `SourceMissing` and `ProofInvalid`.

    Example:
        >>> from stskit.errors import SourceError
        >>> from stskit.sources import OIDCTokenFile
        >>> try:
        ...     OIDCTokenFile("no-such-file").fetch()
        ... except SourceError as error:
        ...     print(type(error).__name__, error.path)
        SourceMissing no-such-file
    """


class SourceMissing(SourceError):
    """The file, the profile or the keys of a source do not exist.

    Example:
        >>> from stskit.errors import SourceMissing
        >>> raise SourceMissing("There is no file token.", remedy="Start the agent that writes it.", path="token")
        Traceback (most recent call last):
        ...
        stskit.errors.SourceMissing: There is no file token. Start the agent that writes it.
    """


class ProofInvalid(SourceError):
    """A proof is not valid: it is empty, malformed, too large, unreadable or has expired.

    Example:
        >>> from stskit.errors import ProofInvalid
        >>> raise ProofInvalid("The vault returned no JSON.", remedy="Upgrade the vault.")
        Traceback (most recent call last):
        ...
        stskit.errors.ProofInvalid: The vault returned no JSON. Upgrade the vault.
    """


class SignInRequired(ProofInvalid):
    """A person must sign in again: the SAML assertion or the SSO session has expired, or a new MFA code is needed.

    Nothing was sent. A recipe that refreshes raises it when its credentials have expired. It tries again as soon as the
    file of the source changes, and after the pauses of any other failure.

    Example:
        >>> from stskit.errors import SignInRequired
        >>> raise SignInRequired("The session has expired.", remedy="Sign in again.")
        Traceback (most recent call last):
        ...
        stskit.errors.SignInRequired: The session has expired. Sign in again.
    """


@define(slots=False)
class STSError(StskitError):
    """STS refused the request.

    Attributes:
        code: Error code without the suffix ``Exception``. None if the server sent none.
        http_status: HTTP status of the response, for example 403.
        operation: STS operation, for example ``"AssumeRole"``.
        role_arn: Role ARN. None if the call is not about a role.
        region: Region that the call was signed for.
        endpoint: URL of STS.
        request_id: ID by which AWS Support finds the call. None if the response had none.
        attempts: Number of requests that were sent.
        retryable: Whether the same call may succeed later without a change.
        clock_skew: How far the clock of STS is ahead of this machine's, in whole seconds. None if the response had no
            date.

    Example:
        >>> from stskit import Credentials, caller_identity
        >>> from stskit.errors import STSError
        >>> try:
        ...     caller_identity(Credentials("AKIAUNKNOWN", "secret"))
        ... except STSError as error:
        ...     print(error.code, error.http_status)
        InvalidClientTokenId 403

    https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
    """

    code: str | None = None
    http_status: int | None = None
    operation: str | None = None
    role_arn: str | None = None
    region: str | None = None
    endpoint: str | None = None
    request_id: str | None = None
    attempts: int = 1
    retryable: bool = False
    clock_skew: timedelta | None = None


@define(slots=False)
class STSUnavailable(StskitError):
    """STS could not be reached, or its response was not usable.

    Attributes:
        kind: ``"connection"``, ``"timeout"``, ``"tls"``, ``"answer"`` (an unreadable or incomplete response) or
            ``"setup"`` (wrong settings).
        operation: STS operation, for example ``"AssumeRole"``.
        role_arn: Role ARN. None if the call is not about a role.
        region: Region of the call. None if it was not known yet.
        endpoint: URL of STS. None if it was not known yet.
        retryable: Whether the same call may succeed later without a change.

    Example:
        >>> from stskit import caller_identity
        >>> from stskit.errors import STSUnavailable
        >>> from stskit.sts import BotocoreSTS
        >>> try:
        ...     caller_identity(sts=BotocoreSTS("us-east-1", endpoint_url="http://127.0.0.1:9"))
        ... except STSUnavailable as error:
        ...     print(error.kind, error.endpoint)
        connection http://127.0.0.1:9
    """

    kind: str = "connection"
    operation: str | None = None
    role_arn: str | None = None
    region: str | None = None
    endpoint: str | None = None
    retryable: bool = True


class SinkError(StskitError):
    """The credentials could not be delivered. Everything is as it was before.

    Example:
        >>> from stskit import assume
        >>> from stskit.errors import SinkError
        >>> from stskit.sinks import DotEnv
        >>> try:
        ...     assume("arn:aws:iam::123456789012:role/Deploy").to(DotEnv("no-such-folder/.env"))
        ... except SinkError as error:
        ...     print(error.path)
        no-such-folder/.env
    """
