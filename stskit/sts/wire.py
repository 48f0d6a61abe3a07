"""Check and limit every request of a botocore session: TLS, the size of the response, and the time of the exchange.

`guard` registers the handlers. They cover each client of the session, also the clients that botocore creates for the
credentials of a profile. They do not cover name lookups, nor botocore's fetchers of container and instance
credentials, which use no client.
"""

from __future__ import annotations

import io
import socket
import threading
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from heapq import heappop, heappush
from http.client import HTTPResponse
from ipaddress import ip_address
from itertools import count
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from weakref import ReferenceType, ref

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
    AWSPreparedRequest,
)
from botocore.client import BaseClient
from botocore.utils import get_environ_proxies
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from stskit._io.fork import reset_in_children

if TYPE_CHECKING:
    from botocore.session import Session

__all__ = ["TOTAL_TIMEOUT", "AnswerTooLongError", "PlaintextError", "check_url", "guard"]

TOTAL_TIMEOUT: Final = 60.0
"""Seconds for one exchange with its retries."""
MAX_ANSWER_BYTES: Final = 1_000_000
_NEXT_LOOK: Final = 1.0  # seconds until an exchange that is still running is stopped again


class PlaintextError(Exception):
    """The request was not sent, because it would have left this machine without TLS."""


class AnswerTooLongError(Exception):
    """The server sent more than `MAX_ANSWER_BYTES`."""


def guard(session: Session, *, allow_http: bool = False, total_timeout: float | None = TOTAL_TIMEOUT) -> None:
    """Check and limit each request of the clients that *session* makes from now on.

    With *allow_http*, requests may go to another machine without TLS. *total_timeout* is the number of seconds for each
    exchange with its retries. With None, there is no limit. If a request breaks a limit, the method of the client
    raises `PlaintextError`, `AnswerTooLongError` or `TimeoutError`.
    """
    session.register("creating-client-class", _expose_connections)
    session.register("before-call", partial(_begin_exchange, total_timeout))
    session.register("before-send", partial(_check_request, allow_http))
    session.register("after-call", _end_exchange)
    session.register("after-call-error", _end_failed_exchange)


# Where a request goes -------------------------------------------------------------------------------------------------


def check_url(url: str) -> None:
    """Raise `PlaintextError` if a request to *url* would leave this machine without TLS.

    Raise `OSError` if a name cannot be resolved. The URL is parsed by urllib3, because urllib3 connects to it. Other
    parsers find another host in some URLs.
    """
    try:
        parsed = parse_url(url)
    except LocationParseError:
        raise PlaintextError("the URL is not valid") from None
    if parsed.auth is not None:
        raise PlaintextError("the URL contains a user name or a password")
    if parsed.scheme == "https":
        return
    if parsed.scheme != "http":
        raise PlaintextError("the URL has no https://")
    if not _is_loopback((parsed.hostname or "").strip("[]")):
        raise PlaintextError("no TLS")
    if get_environ_proxies(url).get(urlsplit(url).scheme):
        raise PlaintextError("no TLS, and HTTP_PROXY names a proxy")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        name = host.rstrip(".").lower()
    if name != "localhost" and not name.endswith(".localhost"):
        return False
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return all(ip_address(address[0]).is_loopback for *_, address in found)


# The time and the size of an exchange ------------------------------------------------------------------------------


class _Exchange:
    """One call with its retries, in the thread that makes it.

    Only botocore's context of the call refers to it. If an exception of a signal handler ends the call, botocore emits
    no event, and the object is freed with the context.
    """

    def __init__(self, outer: ReferenceType[_Exchange] | None) -> None:
        self.outer = outer
        self.problem: Exception | None = None
        self.connection: _Connection | None = None
        self.is_over = False

    def use(self, connection: _Connection) -> None:
        """Remember the connection that it uses now."""
        self.connection = connection

    def fail(self, problem: Exception) -> None:
        """Make the call raise *problem*, without another attempt."""
        self.problem = problem

    def end(self) -> None:
        """Forget its connection, which may serve another exchange next."""
        self.is_over = True
        self.connection = None

    def stop(self) -> None:
        """Shut down its connection, so that the waiting thread continues."""
        self.fail(TimeoutError("the exchange took too long"))
        connection = self.connection
        if connection is not None and connection.exchange is not None and connection.exchange() is self:
            # An SSLSocket's own shutdown() would let a later send() go out without TLS. Without a socket: TypeError.
            with suppress(OSError, TypeError):
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)


_KEY: Final = "stskit_exchange"  # in the context that botocore hands to the handlers of one call
_current: ContextVar[ReferenceType[_Exchange] | None] = ContextVar("stskit_exchange", default=None)


def _exchange_under_way() -> _Exchange | None:
    current = _current.get()
    return None if current is None else current()


def _begin_exchange(total_timeout: float | None, context: dict[str, Any], **_event: object) -> None:
    exchange = context[_KEY] = _Exchange(_current.get())
    _current.set(ref(exchange))
    if total_timeout is not None:
        _watchdog.watch(exchange, total_timeout)


def _check_request(allow_http: bool, request: AWSPreparedRequest, **_event: object) -> None:
    exchange = _exchange_under_way()
    if exchange is not None and exchange.problem is not None:
        raise exchange.problem
    if not allow_http:
        check_url(str(request.url))


def _end_exchange(**event: Any) -> None:
    # There is no exchange if a handler, such as a stub, answered before the request.
    if (exchange := event["context"].get(_KEY)) is not None:
        exchange.end()
        _current.set(exchange.outer)


def _end_failed_exchange(**event: Any) -> None:
    _end_exchange(**event)
    exchange: _Exchange = event["context"][_KEY]
    if exchange.problem is not None:
        raise exchange.problem


class _Watchdog:
    """One thread of this process that stops exchanges after their time limit."""

    def __init__(self) -> None:
        self.reset_after_fork()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        self._lock = threading.RLock()  # a signal handler may make a call while this thread holds it
        self._new: SimpleQueue[tuple[float, ReferenceType[_Exchange]]] | None = None

    def watch(self, exchange: _Exchange, seconds: float) -> None:
        """Stop *exchange* after some seconds, unless it has ended."""
        with self._lock:
            if self._new is None:
                new: SimpleQueue[tuple[float, ReferenceType[_Exchange]]] = SimpleQueue()
                threading.Thread(target=_stop_late, args=(new,), name="stskit-watchdog", daemon=True).start()
                self._new = new
        self._new.put((seconds, ref(exchange)))


def _stop_late(new: SimpleQueue[tuple[float, ReferenceType[_Exchange]]]) -> None:
    watched: list[tuple[float, int, ReferenceType[_Exchange]]] = []
    numbers = count()  # two exchanges cannot be compared
    while True:
        with suppress(Empty):
            seconds, exchange = new.get(timeout=max(0.0, watched[0][0] - monotonic()) if watched else None)
            heappush(watched, (monotonic() + seconds, next(numbers), exchange))  # as this thread's clock has it
        while watched and (_is_over(watched[0][2]) or watched[0][0] <= monotonic()):
            _, number, exchange = heappop(watched)
            if _stop(exchange):
                heappush(watched, (monotonic() + _NEXT_LOOK, number, exchange))


def _is_over(reference: ReferenceType[_Exchange]) -> bool:
    exchange = reference()
    return exchange is None or exchange.is_over


def _stop(reference: ReferenceType[_Exchange]) -> bool:
    """Stop an exchange, and return whether it was running."""
    exchange = reference()
    if exchange is None or exchange.is_over:
        return False
    exchange.stop()
    return True


_watchdog: Final = _Watchdog()


# The connections of a client ------------------------------------------------------------------------------------------


def _expose_connections(**event: Any) -> None:
    """Make the clients of a new class use connections that know their exchange."""

    def __init__(self: Any, *args: Any, **options: Any) -> None:  # noqa: N807 - it becomes the method of a class
        BaseClient.__init__(self, *args, **options)
        # This is a private name of botocore. If it disappears, the limits of time and size do not apply.
        pools = getattr(self._endpoint.http_session, "_pool_classes_by_scheme", None)
        if pools is not None:
            pools.update(http=_HTTPPool, https=_HTTPSPool)

    event["class_attributes"]["__init__"] = __init__


class _BoundedStream(io.RawIOBase):
    """The bytes of a response, up to the limit."""

    def __init__(self, stream: io.RawIOBase, exchange: _Exchange | None) -> None:
        self._stream, self._exchange, self._left = stream, exchange, MAX_ANSWER_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        size = self._stream.readinto(buffer)
        self._left -= size or 0
        if self._left < 0:
            problem = AnswerTooLongError(f"more than {MAX_ANSWER_BYTES:,} bytes")
            if self._exchange is not None:
                self._exchange.fail(problem)
            raise problem
        return size

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fp = io.BufferedReader(_BoundedStream(self.fp.detach(), _exchange_under_way()))


class _Connection:
    """A mixin for botocore's connections that remembers the exchange of a connection."""

    exchange: ReferenceType[_Exchange] | None = None
    sock: socket.socket
    response_class = _Response

    def connect(self) -> None:
        self._serve_exchange()
        super().connect()  # type: ignore[misc]

    def request(self, *args: Any, **options: Any) -> None:
        self._serve_exchange()
        super().request(*args, **options)  # type: ignore[misc]

    def _serve_exchange(self) -> None:
        self.exchange = _current.get()
        exchange = _exchange_under_way()
        if exchange is not None:
            exchange.use(self)


class _HTTPConnection(_Connection, AWSHTTPConnection):  # type: ignore[misc]
    pass


class _HTTPSConnection(_Connection, AWSHTTPSConnection):  # type: ignore[misc]
    pass


class _HTTPPool(AWSHTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(AWSHTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection
