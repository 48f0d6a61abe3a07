"""The face of `FakeSTS` on the network: the query protocol over HTTP, on this machine only."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from selectors import EVENT_READ, DefaultSelector
from threading import Lock, Thread
from typing import Any, Final
from urllib.parse import parse_qsl

from attrs import define, field, frozen

from stskit.testing import _model, _signatures
from stskit.testing._brain import Brain, Reply, unknown_key
from stskit.testing._world import Principal
from stskit.testing.faults import Drop, Garbage, Hang

__all__ = ["served"]

_MOST: Final = 1_000_000  # bytes of a request; the longest that STS takes has a fifth of it
_POLL: Final = 0.02  # seconds until the server notices that it shall stop


@frozen
class Request:
    """What came in. The names of headers are in small letters."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The fields of the body."""
        return dict(parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True))

    def signer(self, known: Mapping[str, Principal], off: timedelta) -> Principal | None:
        """Who of those *known* signed it. Raises `Refusal` where the signature is not in order.

        Callers sign by the clock of this machine, whatever clock the fake has.
        """
        signed = _signatures.Signed.read(self.headers)
        if signed is None:
            return None
        signer = known.get(signed.access_key_id)
        if signer is None or signer.session_token != signed.token:
            raise unknown_key()
        now = datetime.now(UTC) + off
        _signatures.check(signed, signer.secret_access_key, self.path, self.headers, self.body, now)
        return signer


@define
class Visits:
    """The connections that are open and the threads that serve them, so that none is left over.

    The first of `over` can be read from when all shall end.
    """

    sockets: set[socket.socket] = field(factory=set)
    threads: set[Thread] = field(factory=set)
    lock: Lock = field(factory=Lock)
    over: tuple[socket.socket, socket.socket] = field(factory=socket.socketpair)

    def begin(self, visitor: socket.socket, thread: Thread) -> None:
        """Somebody has come."""
        with self.lock:
            self.sockets.add(visitor)
            self.threads.add(thread)
        thread.start()

    def end(self, visitor: socket.socket, thread: Thread) -> None:
        """They have gone."""
        with self.lock:
            self.sockets.discard(visitor)
            self.threads.discard(thread)

    def close(self) -> None:
        """End what is open, and wait for whoever is at it."""
        self.over[1].close()
        with self.lock:
            threads = list(self.threads)
            for each in self.sockets:
                with suppress(OSError):  # the other side was faster
                    each.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
        self.over[0].close()


@contextmanager
def served(brain: Brain) -> Iterator[str]:
    """The URL of a server that answers as *brain* does, for as long as the block lasts."""
    visits = Visits()
    with _Server(brain, visits) as server:
        thread = Thread(target=server.serve_forever, args=(_POLL,), name="stskit-fake-sts", daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            visits.close()


class _Server(ThreadingHTTPServer):
    def __init__(self, brain: Brain, visits: Visits) -> None:
        self.brain, self.visits = brain, visits
        super().__init__(("127.0.0.1", 0), _Handler)

    def server_bind(self) -> None:
        """As for any TCP server: the name of this machine is not looked up, which can take seconds."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        visits = self.visits

        def serve() -> None:
            try:
                self.process_request_thread(request, client_address)
            finally:
                visits.end(request, thread)

        thread = Thread(target=serve, name="stskit-fake-sts", daemon=True)
        visits.begin(request, thread)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a caller who has gone in the middle: that is what some tests are about."""
        import sys

        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "stskit.testing", ""
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        size = self.headers.get("Content-Length", "")
        if not size.isdecimal() or int(size) > _MOST:
            self.close_connection = True
            self.send_error(413 if size.isdecimal() else 411)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.path, headers, self.rfile.read(int(size)))
        form = request.form
        operation = form.get("Action", "")
        reply = self.server.brain.reply(operation, lambda: _model.parse(operation, form), request.signer)
        match reply.fault:
            case Hang():
                self._wait(self.server.visits.over[0])
            case Drop():
                self._drop()
            case Garbage(body, status):
                self._send(status, body, reply, "text/html")
            case None if reply.refusal:
                self._send(reply.refusal.status, _model.error(reply.refusal, reply.request_id), reply)
            case _:
                self._send(200, _model.answer(operation, reply.result, reply.request_id), reply)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's names
        """Write nothing: `FakeSTS.calls` says what came."""

    def _send(self, status: int, text: str, reply: Reply, kind: str = "text/xml") -> None:
        data = text.encode()
        self.send_response_only(status)
        self.send_header("Date", format_datetime(datetime.now(UTC) + reply.off, usegmt=True))
        self.send_header("x-amzn-RequestId", reply.request_id)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _wait(self, over: socket.socket) -> None:
        with DefaultSelector() as selector:
            selector.register(self.connection, EVENT_READ)
            selector.register(over, EVENT_READ)
            selector.select()
        self.close_connection = True

    def _drop(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, at once
        self.close_connection = True
