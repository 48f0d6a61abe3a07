"""Every console block of the docs runs as printed. The blocks of one page run in order in one shell.

A line that begins with ``$ `` is a command, and the lines below it are its output; ``...`` stands for any text. A block
that the page asks its reader to save as a file is saved. A block after the comment ``<!-- another terminal -->`` runs
in the background while the other blocks run.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from select import select
from time import monotonic

import pytest
from attrs import define, frozen
from pages import PAGES, Block, blocks_of, fits, practice_aws

pytestmark = pytest.mark.gate

LIMIT = 60  # seconds for one command
END = "\x1e"  # a character that no program prints


@frozen
class Command:
    """A typed command and its expected output."""

    typed: str
    printed: str


def commands(block: Block) -> list[Command]:
    found = []
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        typed, _, printed = re.sub(r"\\\n> ", "\\\n", part).partition("\n")
        while typed.endswith("\\"):
            more, _, printed = printed.partition("\n")
            typed = f"{typed}\n{more}"
        found.append(Command(typed, printed.rstrip()))
    return found


@define
class Terminal:
    """A shell that runs one command after the other."""

    process: subprocess.Popen[bytes]
    status: str = "0"

    def run(self, command: Command) -> None:
        """Run the command. Raises if its output differs, or if it fails and the page shows no output."""
        self.type(f"{{\n(exit {self.status})\n{command.typed}\n}} </dev/null\nprintf '{END}%s{END}' $?\n")
        said = self.read(lambda text: text.endswith(END) and text.count(END) == 2)
        printed, self.status, _ = said.split(END)
        assert fits(printed, command.printed), f"$ {command.typed}\n{printed}\n--- and not\n{command.printed}"
        assert self.status == "0" or command.printed, f"$ {command.typed}: exit status {self.status}"

    def start(self, command: Command) -> None:
        """Start the command in the background. Raises if it does not begin with the expected output."""
        self.type(f"{command.typed}\n")
        self.read(lambda text: fits(text, command.printed))

    def type(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def read(self, is_all: Callable[[str], bool]) -> str:
        assert self.process.stdout is not None
        said, deadline = b"", monotonic() + LIMIT
        while not is_all(said.decode()):
            assert select([self.process.stdout], [], [], max(0, deadline - monotonic()))[0], said.decode()
            more = os.read(self.process.stdout.fileno(), 65536)
            assert more, f"the shell has ended: {said.decode()}"
            said += more
        return said.decode()


@contextmanager
def terminal(folder: Path, environment: Mapping[str, str]) -> Iterator[Terminal]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with subprocess.Popen(
        ["bash", "--norc"],
        cwd=folder,
        env={**environment, "PATH": path, "COLUMNS": "80"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            yield Terminal(process)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate()


def follow(blocks: Sequence[Block], folder: Path, environment: Mapping[str, str]) -> None:
    """Run the blocks one after the other in one shell."""
    with ExitStack() as stack:
        shell = stack.enter_context(terminal(folder, environment))
        for block in blocks:
            if block.is_skipped:
                continue
            if block.file:
                (folder / block.file).write_text(block.text)
            if block.language != "console":
                continue
            if "<!-- another terminal -->" in block.before:
                (command,) = commands(block)
                stack.enter_context(terminal(folder, environment)).start(command)
                continue
            for command in commands(block):
                shell.run(command)


@pytest.mark.case("P8")
def test_the_tutorial_runs_as_printed(tmp_path: Path) -> None:
    """The tutorial runs from top to bottom in an empty folder."""
    follow(blocks_of("docs/tutorial.md"), tmp_path, os.environ)


def test_the_commands_of_the_readme_run_as_printed(tmp_path: Path) -> None:
    """The commands of the README run as printed in the practice AWS.

    The two blocks that start it are lower on the page, so they run first here.
    """
    blocks = sorted(blocks_of("README.md"), key=lambda block: "practice" not in block.text)
    follow(blocks, tmp_path, os.environ)


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if "howto" in page and any(block.language == "console" for block in blocks_of(page))],
)
def test_the_commands_of_a_page_run_as_printed(page: str, tmp_path: Path) -> None:
    """The commands of a how-to page run as printed in the folder of a practice AWS."""
    folder = tmp_path / "practice"
    with practice_aws(folder) as environment:
        follow(blocks_of(page), folder, environment)
