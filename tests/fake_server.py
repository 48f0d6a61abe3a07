"""A fake STS on loopback that sends the answers that a test chooses, also answers that a real server never sends.

Two helpers check whether a request is signed with a key, and whether an error contains a secret.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import socket
import ssl
import struct
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Literal, TypeAlias
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from attrs import Factory, field, frozen
from helpers import PACKAGE, reachable_text

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
SECRET_KEY, SESSION_TOKEN = "new/secret+canary-" + "k" * 22, "new/token+canary-" + "t" * 400


@frozen
class Request:
    """A received request: its headers with lower-case names, and its body as text and as a form."""

    headers: Mapping[str, str]
    body: str

    @property
    def form(self) -> dict[str, str]:
        """Return the fields of the body; each field occurs once in a request to STS."""
        return {name: value for name, (value,) in parse_qs(self.body, keep_blank_values=True).items()}

    @property
    def access_key_id(self) -> str:
        """Return the access key ID that signed the request."""
        return self.headers["authorization"].split("Credential=")[1].split("/")[0]

    def is_signed_with(self, secret_access_key: str) -> bool:
        """Return whether the request has a valid signature (version 4) with this key for its body."""
        pattern = r"AWS4-HMAC-SHA256 Credential=[^/]+/(\S+), SignedHeaders=(\S+), Signature=(\w+)"
        match = re.fullmatch(pattern, self.headers["authorization"])
        assert match
        scope, names, signature = match.groups()
        headers = "".join(f"{name}:{self.headers[name]}\n" for name in names.split(";"))
        canonical = f"POST\n/\n\n{headers}\n{names}\n{hashlib.sha256(self.body.encode()).hexdigest()}"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        key = f"AWS4{secret_access_key}".encode()
        for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{self.headers['x-amz-date']}\n{scope}\n{digest}"):
            key = hmac.digest(key, part.encode(), "sha256")
        return key.hex() == signature


@frozen
class Answer:
    """A response to send. `length` replaces the true Content-Length."""

    body: str = ""
    status: int = 200
    headers: Mapping[str, str] = Factory(dict)
    length: int | None = None


Reaction: TypeAlias = Answer | Callable[[Request], Answer] | Literal["hang", "reset"]


@frozen
class FakeServer:
    """A server that sends its reactions in order, repeats the last one, and records the requests."""

    url: str
    reactions: tuple[Reaction, ...]
    requests: list[Request] = field(factory=list)
    connections: set[object] = field(factory=set)
    closing: Event = field(factory=Event)

    def react(self, request: Request) -> Answer | Literal["hang", "reset"]:
        """Record the request and return the reaction to it."""
        self.requests.append(request)
        reaction = self.reactions[min(len(self.requests), len(self.reactions)) - 1]
        return reaction(request) if callable(reaction) else reaction


@contextmanager
def fake_server(*reactions: Reaction, tls: ssl.SSLContext | None = None) -> Iterator[FakeServer]:
    """Run the server while the block runs. It keeps connections open, as STS does."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            fake.connections.add(self.client_address)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            match fake.react(Request({name.lower(): value for name, value in self.headers.items()}, body)):
                case "hang":
                    fake.closing.wait(30)
                case "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                    self.close_connection = True
                case Answer() as answer:
                    self._send(answer)

        do_GET = do_PUT = do_POST  # noqa: N815 - http.server's names

        def _send(self, answer: Answer) -> None:
            self.close_connection = answer.length is not None
            data = answer.body.encode()
            self.send_response_only(answer.status)
            usual = {"Date": self.date_time_string(), "Content-Length": str(answer.length or len(data))}
            for name, value in {**usual, **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_request(self, *_status: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        fake = FakeServer(f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}", reactions)
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield fake
        finally:
            fake.closing.set()
            server.shutdown()
            thread.join()


def document(operation: str, result: str) -> str:
    """Return the XML of a response to *operation*."""
    metadata = "<ResponseMetadata><RequestId>request-1</RequestId></ResponseMetadata>"
    inner = f"<{operation}Result>{result}</{operation}Result>"
    return f'<{operation}Response xmlns="{NAMESPACE}">{inner}{metadata}</{operation}Response>'


def granted(request: Request, **changes: str | None) -> Answer:
    """Return credentials in the form of STS.

    The access key ID says who asked for which credentials. *changes* replaces or removes fields.
    """
    form = request.form
    if form["Action"] == "GetCallerIdentity":
        key = request.access_key_id
        identity = {"Arn": f"arn:aws:iam::123456789012:user/{key}", "UserId": key, "Account": "123456789012", **changes}
        return Answer(document("GetCallerIdentity", _fields(identity)))
    who = request.access_key_id if "authorization" in request.headers else "nobody"
    keys = {
        "AccessKeyId": f"{who}.{form.get('RoleSessionName', '')}",
        "SecretAccessKey": SECRET_KEY,
        "SessionToken": SESSION_TOKEN,
        "Expiration": "2036-11-25T12:00:00Z",
        **changes,
    }
    user = {"Arn": "arn:aws:sts::123456789012:assumed-role/R/s", "AssumedRoleId": "AROA:s"}
    answer = {"Credentials": _fields(keys), "AssumedRoleUser": _fields(user)}
    return Answer(document(form["Action"], _fields(answer)))


def refused(code: str | None, message: str = "No.", status: int = 400) -> Answer:
    """Return an error in the form of STS. Some other servers send errors without a code."""
    error = _fields({"Type": "Sender", "Code": code and escape(code), "Message": escape(message)})
    body = f'<ErrorResponse xmlns="{NAMESPACE}"><Error>{error}</Error><RequestId>request-1</RequestId></ErrorResponse>'
    return Answer(body, status)


def told(error: BaseException) -> str:
    """Return all text of *error*: its attributes, its causes, and the local variables in the frames of stskit."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in shown.stack if frame.filename.startswith(str(PACKAGE))]
    return "\n".join([reachable_text(error), *(str(frame.locals) for frame in frames)])


def tells(text: str, secret: str) -> bool:
    """Return whether *text* has *secret* or a long part of it, in clear text or form-encoded."""
    return any(run in text for run in re.findall(r"[A-Za-z0-9-]{12,}", secret))


def _fields(values: Mapping[str, str | None]) -> str:
    return "".join(f"<{name}>{value}</{name}>" for name, value in values.items() if value is not None)
