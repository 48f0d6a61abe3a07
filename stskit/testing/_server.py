"""The HTTP server of `FakeSTS`, on 127.0.0.1 only: the query protocol, and the verification of signatures.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hmac
import re
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

from stskit.testing import _service_model
from stskit.testing._account import Principal
from stskit.testing._dispatcher import Dispatcher, Reply
from stskit.testing._service_model import Refusal
from stskit.testing.calls import Drop, Garbage, Hang

__all__ = ["check_time", "served", "signature_mismatch", "unknown_key"]

_LIMIT: Final = 1_000_000  # bytes of a request; the longest one that STS accepts is a fifth of this
_POLL: Final = 0.02  # seconds until the server notices that it must stop
_TOLERANCE: Final = timedelta(minutes=15)
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_AUTHORIZATION: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,]+)/([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})"
)
_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


def unknown_key() -> Refusal:
    """Return the refusal of an unknown access key or session token."""
    return Refusal("InvalidClientTokenId", "The security token included in the request is invalid.", 403)


def signature_mismatch(message: str = _MISMATCH) -> Refusal:
    """Return the refusal of an invalid signature."""
    return Refusal("SignatureDoesNotMatch", message, 403)


def check_time(signed: datetime, now: datetime) -> None:
    """Raise `Refusal` if the time of a signature differs from *now* by more than 15 minutes."""
    stamp, here = signed.strftime(_STAMP), now.strftime(_STAMP)
    if signed < now - _TOLERANCE:
        edge = (now - _TOLERANCE).strftime(_STAMP)
        raise signature_mismatch(f"Signature expired: {stamp} is now earlier than {edge} ({here} - 15 min.)")
    if signed > now + _TOLERANCE:
        edge = (now + _TOLERANCE).strftime(_STAMP)
        raise signature_mismatch(f"Signature not yet current: {stamp} is still later than {edge} ({here} + 15 min.)")


@frozen
class Request:
    """A received request. Header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The fields of the body."""
        return dict(parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True))

    def signer(self, known: Mapping[str, Principal], offset: timedelta) -> Principal | None:
        """Return the principal that signed the request, or None if it is not signed.

        Callers use the clock of this machine, not the clock of the fake. Raises `Refusal` for an invalid signature.
        """
        if not (authorization := self.headers.get("authorization")):
            return None
        match = _AUTHORIZATION.fullmatch(authorization)
        stamp = self.headers.get("x-amz-date", "")
        signed_at = _parse_stamp(stamp)
        if match is None or signed_at is None:
            raise Refusal(
                "IncompleteSignature",
                "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters, and existence "
                "of an 'X-Amz-Date' header.",
            )
        key_id, scope, names, signature = match.groups()
        token = self.headers.get("x-amz-security-token")
        signer = known.get(key_id)
        if signer is None or signer.session_token != token:
            raise unknown_key()
        day, _, region = scope.removesuffix("/sts/aws4_request").partition("/")
        if day != stamp[:8] or scope != f"{day}/{region}/sts/aws4_request" or "/" in region:
            raise signature_mismatch(
                "Credential should be scoped to a valid region, the service 'sts', and the day of the request."
            )
        if token and "x-amz-security-token" not in names.split(";"):
            raise signature_mismatch("'X-Amz-Security-Token' must be a 'SignedHeader' in the AWS Authorization.")
        check_time(signed_at, datetime.now(UTC) + offset)
        if self.path != "/" or names.split(";") != sorted(names.split(";")):  # botocore would sort them
            raise signature_mismatch()
        if not hmac.compare_digest(self._signature(signer, names.split(";"), region, stamp), signature):
            raise signature_mismatch()
        return signer

    def _signature(self, signer: Principal, names: list[str], region: str, stamp: str) -> str:
        """Return botocore's signature of this request, with the secret of *signer* and the time of the request."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.compat import HTTPHeaders
        from botocore.credentials import Credentials

        class Signer(SigV4Auth):
            def headers_to_sign(self, request: Any) -> Any:  # noqa: ARG002 - only the headers that the caller signed
                return signed

        signed = HTTPHeaders()
        for name in names:
            signed[name] = self.headers.get(name, "")
        auth = Signer(Credentials(signer.access_key_id, signer.secret_access_key), "sts", region)
        request = AWSRequest("POST", f"http://127.0.0.1{self.path}", data=self.body)
        request.context["timestamp"] = stamp
        return str(auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request))


def _parse_stamp(stamp: str) -> datetime | None:
    try:
        return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


@define
class Connections:
    """The open connections and their threads, so that closing the server ends all of them.

    The first socket of `closing` becomes readable when the server closes.
    """

    sockets: set[socket.socket] = field(factory=set)
    threads: set[Thread] = field(factory=set)
    lock: Lock = field(factory=Lock)
    closing: tuple[socket.socket, socket.socket] = field(factory=socket.socketpair)

    def begin(self, connection: socket.socket, thread: Thread) -> None:
        """Start the thread of a connection."""
        with self.lock:
            self.sockets.add(connection)
            self.threads.add(thread)
        thread.start()

    def end(self, connection: socket.socket, thread: Thread) -> None:
        """Forget a finished connection."""
        with self.lock:
            self.sockets.discard(connection)
            self.threads.discard(thread)

    def close(self) -> None:
        """Shut down all connections, and wait for their threads."""
        self.closing[1].close()
        with self.lock:
            threads = list(self.threads)
            for each in self.sockets:
                with suppress(OSError):  # the caller has closed it
                    each.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
        self.closing[0].close()


@contextmanager
def served(dispatcher: Dispatcher) -> Iterator[str]:
    """Run a server for the block, and yield its URL."""
    connections = Connections()
    with _Server(dispatcher, connections) as server:
        thread = Thread(target=server.serve_forever, args=(_POLL,), name="stskit-fake-sts", daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            connections.close()


class _Server(ThreadingHTTPServer):
    def __init__(self, dispatcher: Dispatcher, connections: Connections) -> None:
        self.dispatcher, self.connections = dispatcher, connections
        super().__init__(("127.0.0.1", 0), _Handler)

    def server_bind(self) -> None:
        """Bind without looking up the name of this machine, which can take seconds."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        connections = self.connections

        def serve() -> None:
            try:
                self.process_request_thread(request, client_address)
            finally:
                connections.end(request, thread)

        thread = Thread(target=serve, name="stskit-fake-sts", daemon=True)
        connections.begin(request, thread)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a caller that disconnected, as some tests do on purpose."""
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
        if not size.isdecimal() or int(size) > _LIMIT:
            self.close_connection = True
            self.send_error(413 if size.isdecimal() else 411)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.path, headers, self.rfile.read(int(size)))
        form = request.form
        operation = form.get("Action", "")
        reply = self.server.dispatcher.reply(
            operation, lambda: _service_model.parse_form(operation, form), request.signer
        )
        match reply.fault:
            case Hang():
                self._wait(self.server.connections.closing[0])
            case Drop():
                self._drop()
            case Garbage(body, status):
                self._send(status, body, reply, "text/html")
            case None if reply.refusal:
                self._send(reply.refusal.status, _service_model.error_xml(reply.refusal, reply.request_id), reply)
            case _:
                self._send(200, _service_model.response_xml(operation, reply.result, reply.request_id), reply)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's names
        """Log nothing, because `FakeSTS.calls` records the calls."""

    def _send(self, status: int, text: str, reply: Reply, kind: str = "text/xml") -> None:
        data = text.encode()
        self.send_response_only(status)
        self.send_header("Date", format_datetime(datetime.now(UTC) + reply.clock_offset, usegmt=True))
        self.send_header("x-amzn-RequestId", reply.request_id)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _wait(self, closing: socket.socket) -> None:
        with DefaultSelector() as selector:
            selector.register(self.connection, EVENT_READ)
            selector.register(closing, EVENT_READ)
            selector.select()
        self.close_connection = True

    def _drop(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # sends a reset
        self.close_connection = True
