"""The blocks of the README and the docs, and the practice AWS that they are run on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from stskit.testing import FakeSTS
from stskit.testing.practice_server import PracticeFolder

ROOT = Path(__file__).parent.parent
PAGES = [
    "README.md",
    *sorted(
        str(path.relative_to(ROOT))
        for path in (ROOT / "docs").rglob("*.md")
        if not {"_build", "examples"} & {*path.relative_to(ROOT).parts}  # the examples have tests of their own
    ),
]


@frozen
class Block:
    """A fenced block: its language, its text, the line it begins at, and the paragraph before it."""

    language: str
    text: str
    line: int
    before: str

    @property
    def file(self) -> str | None:
        """The name under which the page has its reader save it."""
        found = re.search(r"\b[Ss]ave\s+this\s+as\s+`([\w./-]+)`", self.before)
        return found[1] if found else None

    @property
    def is_skipped(self) -> bool:
        """Whether the page says why it is not run."""
        return "<!-- not run: " in self.before


def blocks_of(page: str) -> list[Block]:
    text = (ROOT / page).read_text()
    found = []
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        before = text[: match.start()].rstrip().split("\n\n")[-1]
        found.append(Block(match[1], match[2], text.count("\n", 0, match.start()) + 1, before))
    return found


@contextmanager
def practice_aws(folder: Path) -> Iterator[Mapping[str, str]]:
    """What ``python -m stskit.testing FOLDER`` makes; gives the environment that ``. FOLDER/practice.env`` makes."""
    practice = PracticeFolder(folder, FakeSTS())
    with practice.sts.serve() as url:
        practice.make(url)
        exports = re.findall(r"^export (\w+)=(\S+)$", (folder / "practice.env").read_text(), re.MULTILINE)
        yield {**os.environ, **dict(exports)}
