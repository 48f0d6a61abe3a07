"""Many roles at once: `assume_all` against a new boto3 session and client for each role, in one run.

    python tests/benchmarks/bulk.py [--roles 1000] [--workers 32] [--delay 30] [--naive 40] [--rounds 3]

A stub of STS, in a process of its own, answers each call after the delay (milliseconds), so that what is measured is
the client. Each way runs in a process of its own, start-up included, and tells its time and its peak of memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio  # loaded where it is used: a client that is measured must not pay for it


def answer() -> bytes:
    """What STS says to AssumeRole, good for an hour from now."""
    body = (
        '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
        "<AccessKeyId>ASIAEXAMPLEEXAMPLE00</AccessKeyId>"
        f"<SecretAccessKey>{'s' * 40}</SecretAccessKey><SessionToken>{'t' * 400}</SessionToken>"
        f"<Expiration>{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + 3600))}</Expiration>"
        "</Credentials><AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:me</AssumedRoleId>"
        "<Arn>arn:aws:sts::123456789012:assumed-role/R/me</Arn></AssumedRoleUser></AssumeRoleResult>"
        "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>"
    ).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Stub:
    """Answers every POST alike, keeps connections, and counts; a GET is told the counts."""

    def __init__(self, delay: float) -> None:
        self.delay, self.calls, self.connections, self.answer = delay, 0, 0, answer()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import asyncio

        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"GET"):
                    self.connections -= 1
                    writer.write(json.dumps([self.calls, self.connections]).encode())
                    break
                length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
                await reader.readexactly(int(length.split(b":")[1]))
                self.calls += 1
                await asyncio.sleep(self.delay)
                writer.write(self.answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    async def run(self) -> None:
        import asyncio

        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


def roles(number: int) -> list[str]:
    return [f"arn:aws:iam::123456789012:role/r{each}" for each in range(number)]


def naive(url: str, number: int, _workers: int) -> None:
    """What is copied from page to page: a session and a client for each role, one after the other."""
    import boto3

    for arn in roles(number):
        session = boto3.session.Session("AKIAEXAMPLE", "secret", region_name="us-east-1")
        sts = session.client("sts", endpoint_url=url)
        sts.assume_role(RoleArn=arn, RoleSessionName="me")["Credentials"]


def ours(url: str, number: int, workers: int) -> None:
    from stskit import Credentials, assume_all
    from stskit.sources import Static
    from stskit.sts import BotocoreSTS

    source, sts = Static(Credentials("AKIAEXAMPLE", "secret")), BotocoreSTS("us-east-1", endpoint_url=url)
    kept = [outcome.credentials for outcome in assume_all(roles(number), source=source, sts=sts, workers=workers)]
    assert None not in kept


def measured(way: str, url: str, number: int, workers: int) -> tuple[float, float]:
    """Seconds for each role, and peak MiB, of a process of its own."""
    command = [sys.executable, __file__, "--way", way, "--url", url, "--roles", str(number), "--workers", str(workers)]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return (time.perf_counter() - start) / number, float(done.stdout)


def counts(port: int) -> tuple[int, int]:
    """Calls and connections that the stub has seen so far."""
    import socket

    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        calls, connections = json.loads(connection.makefile().read())
    return calls, connections


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in {"roles": 1000, "workers": 32, "naive": 40, "rounds": 3, "delay": 30}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--way", choices=["stub", "naive", "ours"], help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way == "stub":
        import asyncio

        asyncio.run(Stub(given.delay / 1000).run())
    elif given.way:
        {"naive": naive, "ours": ours}[given.way](given.url, given.roles, given.workers)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    else:
        compare(given)


def compare(given: argparse.Namespace) -> None:
    from itertools import pairwise

    command = [sys.executable, __file__, "--way", "stub", "--delay", str(given.delay)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as stub:
        try:
            assert stub.stdout
            port = int(stub.stdout.readline())
            url, rows, seen = f"http://127.0.0.1:{port}", [], [counts(port)]
            for _ in range(given.rounds):
                one = measured("naive", url, given.naive, 1)
                seen.append(counts(port))
                many = measured("ours", url, given.roles, given.workers)
                seen.append(counts(port))
                rows.append((one, many))
        finally:
            stub.terminate()
    report(given, rows, [(after[0] - before[0], after[1] - before[1]) for before, after in pairwise(seen)])


def report(
    given: argparse.Namespace,
    rows: Sequence[tuple[tuple[float, float], tuple[float, float]]],
    seen: list[tuple[int, int]],
) -> None:
    from statistics import median

    print(f"{given.delay} ms server, medians of {given.rounds} rounds, start-up included")
    print(f"{'way':34}{'roles':>7}{'ms/role':>9}{'peak MiB':>10}{'calls':>7}{'connections':>13}")
    for at, name in enumerate(("boto3 session and client per role", f"assume_all, {given.workers} workers")):
        number = (given.naive, given.roles)[at]
        each, peak = median(row[at][0] for row in rows) * 1000, max(row[at][1] for row in rows)
        print(f"{name:34}{number:7}{each:9.2f}{peak:10.1f}{seen[at][0]:7}{seen[at][1]:13}")
    ratios = sorted(one[0] / many[0] for one, many in rows)
    print(f"ratio {median(ratios):.1f} (of {', '.join(f'{ratio:.1f}' for ratio in ratios)})")


if __name__ == "__main__":
    main()
