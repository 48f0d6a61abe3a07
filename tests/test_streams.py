"""Standard input and pipes are read once, to their end, and kept for the source that read them."""

from __future__ import annotations

import copy
import io
import os
import pickle
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from helpers import START
from saml_samples import NAMED, ROLE, encoded, response

from stskit import AssumedRole, Cached
from stskit.errors import ProofInvalid
from stskit.sources import OIDCTokenFile, SAMLFile
from stskit.testing import FakeSTS, ManualClock

RESPONSE = encoded(response(NAMED))
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"


class Input:
    """Standard input with the given bytes."""

    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture(autouse=True)
def patience(no_wait_for_writers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for slow programs."""
    monkeypatch.setattr("stskit._io.streams.SECONDS_FOR_A_WRITER", 60)


def feed(path: Path, data: bytes) -> threading.Thread:
    """Write *data* to the pipe at *path* in another thread."""

    def write() -> None:
        with suppress(BrokenPipeError):  # the reader has had enough
            path.write_bytes(data)

    writer = threading.Thread(target=write)
    writer.start()
    return writer


def test_standard_input_is_read_once(monkeypatch: pytest.MonkeyPatch, clock: ManualClock) -> None:
    """A source reads standard input once and keeps it. A second source finds the end of the input."""
    monkeypatch.setattr(sys, "stdin", Input(RESPONSE.encode()))
    source = SAMLFile("-", clock=clock)
    assert source.read().value == source.fetch().value == source.fetch().value == RESPONSE
    assert copy.deepcopy(source).fetch().value == copy.copy(source).fetch().value == RESPONSE
    with pytest.raises(ProofInvalid, match="^standard input is empty. It must contain a SAML response"):
        SAMLFile("-", clock=clock).fetch()
    monkeypatch.setattr(sys, "stdin", Input(f"{TOKEN}\n".encode()))
    token = OIDCTokenFile("-")
    assert token.fetch().value == token.fetch().value == TOKEN


def test_a_recipe_refreshes_with_standard_input(monkeypatch: pytest.MonkeyPatch, clock: ManualClock) -> None:
    """A recipe refreshes with a token of standard input."""
    sts = FakeSTS(clock=clock)
    monkeypatch.setattr(sys, "stdin", Input(sts.idp.oidc_token().encode()))
    cached = Cached(AssumedRole(ROLE, source=OIDCTokenFile("-", clock=clock), sts=sts), clock=clock)
    first = cached.fetch()
    cached.invalidate(first.access_key_id)
    assert cached.fetch() != first


@pytest.mark.case("P69")
def test_a_pickled_source_contains_nothing_of_the_stream(monkeypatch: pytest.MonkeyPatch, clock: ManualClock) -> None:
    """The pickle, the repr and the hash of a source contain nothing of the stream."""
    monkeypatch.setattr(sys, "stdin", Input(RESPONSE.encode()))
    source = SAMLFile("-", clock=clock)
    source.fetch()
    assert RESPONSE[:40].encode() not in pickle.dumps(source)
    assert RESPONSE[:40] not in repr(source)
    assert pickle.loads(pickle.dumps(source)).path == "-"
    assert SAMLFile("-", clock=clock) == source


@pytest.mark.parametrize("stdin", [None, io.StringIO(" \n"), Input(b"")])
def test_an_empty_standard_input_is_an_error(stdin: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty or missing standard input is an error."""
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(ProofInvalid, match="standard input is empty"):
        OIDCTokenFile("-").fetch()


def test_the_error_for_an_expired_response_asks_for_a_new_command(
    monkeypatch: pytest.MonkeyPatch, clock: ManualClock
) -> None:
    """The error for an expired response of standard input asks for a new command."""
    monkeypatch.setattr(sys, "stdin", Input(RESPONSE.encode()))
    clock.set(START.replace(hour=15))
    with pytest.raises(ProofInvalid, match=r"^standard input: the SAML .* pass the new response to a new command\.$"):
        SAMLFile("-", clock=clock).fetch()


def test_the_size_limits_apply_to_streams(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The size limits of files apply to standard input and pipes."""
    monkeypatch.setattr(sys, "stdin", Input(b"x" * 100_001))
    with pytest.raises(ProofInvalid, match=r"^standard input cannot be read: it is larger than 100,000 bytes"):
        OIDCTokenFile("-").fetch()
    os.mkfifo(pipe := tmp_path / "pipe", 0o600)
    feed(pipe, b"x" * 300_000)
    with pytest.raises(ProofInvalid, match=r"pipe cannot be read: it is larger than 100,000 bytes"):
        OIDCTokenFile(pipe).fetch()


@pytest.mark.parametrize("make", [lambda folder: folder / "pipe", lambda folder: folder / "link"])
def test_a_pipe_is_read_completely(make: Callable[[Path], Path], tmp_path: Path, clock: ManualClock) -> None:
    """A pipe is read to its end and kept."""
    large = "\n".join([RESPONSE, *[""] * 200_000])
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    writer = feed(tmp_path / "pipe", large.encode())
    source = SAMLFile(make(tmp_path), clock=clock)
    assert source.fetch().value == RESPONSE
    writer.join()
    assert source.fetch().value == RESPONSE


def test_a_process_substitution_is_read(clock: ManualClock) -> None:
    """The pipe of a shell's <(command) is read."""
    reader, writer = os.pipe()
    source = SAMLFile(f"/dev/fd/{reader}", clock=clock)
    found: list[str] = []
    fetching = threading.Thread(target=lambda: found.append(source.fetch().value))
    fetching.start()
    for piece in (RESPONSE[:100], RESPONSE[100:]):
        os.write(writer, piece.encode())
    os.close(writer)
    fetching.join()
    os.close(reader)
    assert found == [RESPONSE]


def test_a_program_that_writes_later_is_waited_for(monkeypatch: pytest.MonkeyPatch, clock: ManualClock) -> None:
    """A program that has the pipe open and has not written yet is waited for, without a limit."""
    reader, writer = os.pipe()

    class Waiting:
        def register(self, _descriptor: int) -> None:
            pass

        def poll(self, *limit: float) -> None:
            assert limit == ()
            os.write(writer, RESPONSE.encode())
            os.close(writer)

    monkeypatch.setattr("stskit._io.streams.poll", Waiting)
    assert SAMLFile(f"/dev/fd/{reader}", clock=clock).fetch().value == RESPONSE
    os.close(reader)


def test_a_pipe_without_a_writer_is_an_error_after_the_time_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A pipe without a writer is an error after the time limit."""
    monkeypatch.setattr("stskit._io.streams.SECONDS_FOR_A_WRITER", 0)
    os.mkfifo(pipe := tmp_path / "pipe")
    with pytest.raises(
        ProofInvalid,
        match="cannot be read: it is not a regular file, and no program opened it for writing within 0 seconds",
    ):
        SAMLFile(pipe).fetch()


def test_a_closed_pipe_is_an_empty_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that is closed without content is an empty file."""
    monkeypatch.setattr("stskit._io.streams.SECONDS_FOR_A_WRITER", 9)
    reader, writer = os.pipe()
    os.close(writer)
    with pytest.raises(ProofInvalid, match="cannot be read|is empty"):
        OIDCTokenFile(f"/dev/fd/{reader}").fetch()
    os.close(reader)


def test_a_forked_child_does_not_wait_for_the_parent(monkeypatch: pytest.MonkeyPatch, clock: ManualClock) -> None:
    """A forked child reads a stream while another thread of the parent reads."""
    monkeypatch.setattr(sys, "stdin", Input(RESPONSE.encode()))
    source = SAMLFile("-", clock=clock)
    with source._stream._lock:
        monkeypatch.setattr(os, "getpid", lambda: -1)
        assert source.fetch().value == RESPONSE
