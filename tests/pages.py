"""The code blocks of the README and the docs, and the practice AWS on which they run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).parent.parent
PAGES = [
    "README.md",
    *sorted(
        str(path.relative_to(ROOT))
        for path in (ROOT / "docs").rglob("*.md")
        if not {"_build", "examples"} & {*path.relative_to(ROOT).parts}  # The examples have their own tests.
    ),
]


@frozen
class Block:
    """A fenced block: its language, its text, its line, the paragraph before it, and the output shown below it."""

    language: str
    text: str
    line: int
    before: str
    output: str | None = None

    @property
    def file(self) -> str | None:
        """The name of the file in which the page asks its reader to save the block."""
        found = re.search(r"\b[Ss]ave\s+this\s+as\s+`([\w./-]+)`", self.before)
        return found[1] if found else None

    @property
    def is_skipped(self) -> bool:
        """Whether the page has a comment that says why the block is not run."""
        return "<!-- not run: " in self.before


def blocks_of(page: str) -> list[Block]:
    text = (ROOT / page).read_text()
    found = []
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        before = text[: match.start()].rstrip().split("\n\n")[-1]
        output = re.match(r"\n\n```text\n(.*?)^```$", text[match.end() :], re.MULTILINE | re.DOTALL)
        shown = output[1].rstrip() if output and match[1] == "python" else None
        found.append(Block(match[1], match[2], text.count("\n", 0, match.start()) + 1, before, shown))
    return found


@contextmanager
def practice_aws(folder: Path) -> Iterator[Mapping[str, str]]:
    """Run ``python -m stskit.testing FOLDER`` and yield the environment that ``. FOLDER/practice.env`` makes."""
    command = [sys.executable, "-m", "stskit.testing", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            introduction = process.stdout.readline()  # printed once the folder is complete
            assert introduction.startswith("A practice AWS is at ")
            exports = re.findall(r"^export (\w+)=(\S+)$", (folder / "practice.env").read_text(), re.MULTILINE)
            yield {**os.environ, **dict(exports)}
        finally:
            process.terminate()


def fits(printed: str, shown: str) -> bool:
    """Return whether an output is the one that a page shows, in which ``...`` stands for any text."""
    pattern = ".*".join(re.escape(part) for part in shown.split("..."))
    visible = re.sub(r"[ \t]+$", "", printed, flags=re.MULTILINE).rstrip()
    return re.fullmatch(pattern, visible, re.DOTALL) is not None
