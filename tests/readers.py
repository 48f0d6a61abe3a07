"""Readers of the credentials file that share no code with botocore: the AWS SDK for JavaScript and the AWS SDK in C."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from awscrt.auth import AwsCredentialsProvider
from awscrt.io import ClientBootstrap, DefaultHostResolver, EventLoopGroup

NODE = Path(__file__).parent / "node"

Keys = tuple[str | None, str | None, str | None]
Answer = Keys | str  # "none" where there are no keys, "error" where the reader cannot read the file
Reader = Callable[[Path, Iterable[str]], dict[str, Answer]]


def node() -> str:
    """Return the path of Node. Skips the test if Node or its packages are not installed."""
    found = shutil.which("node")
    if found is None or not (NODE / "node_modules").exists():
        pytest.skip("node, or npm install in tests/node, is missing")
    return found


@contextmanager
def javascript() -> Iterator[Reader]:
    """Yield the profile loader of the AWS SDK for JavaScript. One process reads all files."""
    with subprocess.Popen(
        [node(), str(NODE / "read_ini.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def read(path: Path, profiles: Iterable[str]) -> dict[str, Answer]:
            print(path, file=stdin, flush=True)
            found = json.loads(stdout.readline())
            return {profile: _keys(found.get(profile, {})) for profile in profiles}

        yield read
        stdin.close()


class CRT:
    """The AWS Common Runtime, on which the SDKs for C++, Swift and other languages are built."""

    def __init__(self) -> None:
        loop = EventLoopGroup(1)
        self.bootstrap = ClientBootstrap(loop, DefaultHostResolver(loop))

    def __call__(self, path: Path, profiles: Iterable[str]) -> dict[str, Answer]:
        return {profile: self._read(path, profile) for profile in profiles}

    def _read(self, path: Path, profile: str) -> Answer:
        try:
            keys = (
                AwsCredentialsProvider.new_profile(self.bootstrap, profile, "/dev/null", str(path))
                .get_credentials()
                .result(10)
            )
        except Exception:
            return "error"
        return keys.access_key_id, keys.secret_access_key, keys.session_token or None


def _keys(found: dict[str, str]) -> Answer:
    key, secret = found.get("aws_access_key_id"), found.get("aws_secret_access_key")
    return (key, secret, found.get("aws_session_token") or None) if key and secret else "none"
