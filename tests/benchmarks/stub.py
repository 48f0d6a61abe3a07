"""A minimal STS that responds after a given delay and counts AssumeRole.

It runs in a separate process with its own HTTP code, so that only the client is measured.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

ARN = "<Arn>arn:aws:sts::123456789012:assumed-role/R/me</Arn>"
CALLER = f"<UserId>AROAEXAMPLE:me</UserId><Account>123456789012</Account>{ARN}"


def role() -> str:
    """Return credentials that are valid for an hour."""
    return (
        "<Credentials><AccessKeyId>ASIAEXAMPLEEXAMPLE00</AccessKeyId>"
        f"<SecretAccessKey>{'s' * 40}</SecretAccessKey><SessionToken>{'t' * 400}</SessionToken>"
        f"<Expiration>{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + 3600))}</Expiration>"
        f"</Credentials><AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:me</AssumedRoleId>{ARN}</AssumedRoleUser>"
    )


def answer(action: str, result: str) -> bytes:
    body = (
        f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>{result}</{action}Result>'
        f"<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{action}Response>"
    ).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Stub:
    """Respond to every POST, keep connections, and count. A GET returns the count."""

    def __init__(self, delay: float) -> None:
        self.delay, self.calls = delay, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not (head := await reader.readuntil(b"\r\n\r\n")).startswith(b"GET"):
                length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
                body = await reader.readexactly(int(length.split(b":")[1]))
                is_role = b"Action=AssumeRole" in body
                self.calls += is_role
                await asyncio.sleep(self.delay)
                writer.write(answer("AssumeRole", role()) if is_role else answer("GetCallerIdentity", CALLER))
            writer.write(json.dumps(self.calls).encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    async def run(self) -> None:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=1000)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


@contextmanager
def stub(delay: int = 30) -> Iterator[str]:
    """Yield the URL of a stub that responds after *delay* milliseconds."""
    with subprocess.Popen([sys.executable, __file__, str(delay)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def calls(url: str) -> int:
    """Return the number of calls to the stub at *url*."""
    with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1]))) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        return int(connection.makefile().read())


if __name__ == "__main__":
    asyncio.run(Stub(int(sys.argv[1]) / 1000).run())
