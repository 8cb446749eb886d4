"""The pages under docs/ as their tests read them: fenced blocks, each with its mark, and commands. Used here and by what runs pages."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
_COMMAND = re.compile(r"""(?:^|[\s(/])meshplane ((?:"[^"]*"|'[^']*'|[^"'|;)&>#\n])+)""", re.MULTILINE)
_MARK = re.compile(r"^<!-- (?P<how>file|run|as|not run): (?P<what>.+) -->$")


@dataclass(frozen=True)
class Block:
    """A fenced block. `how` and `what` are its mark's, of the line above it; both empty where there is none."""

    page: str
    line: int
    language: str
    text: str
    how: str = ""
    what: str = ""

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """Every Markdown page of the repository that people read."""
    return ["README.md", "examples/README.md", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))]


@cache
def blocks(page: str) -> tuple[Block, ...]:
    """A page's fenced blocks, in order."""
    return tuple(read(page, (ROOT / page).read_text(encoding="utf-8")))


def read(page: str, text: str) -> Iterator[Block]:
    """The blocks of a text. A fence that nothing closes is a fault of the page."""
    place = 0
    lines, fence = text.splitlines(), None
    for number, line in enumerate(lines, 1):
        if line.startswith("```") and fence is None:
            fence, place = line[3:].strip(), number
        elif line.startswith("```"):
            mark = _MARK.match(lines[place - 2]) if place > 1 else None
            body = "".join(f"{each}\n" for each in lines[place : number - 1])
            yield Block(page, place, fence, body, mark["how"] if mark else "", mark["what"] if mark else "")
            fence = None
    assert fence is None, f"{page}:{place} opens a block that nothing closes"


def commands(text: str) -> list[list[str]]:
    """The words of each `meshplane` command in a bash text, without what comes before the verb: `./dev meshplane plan x` → [plan, x]."""
    with_options = re.sub(r"\$\{\w+:\+([^}]*)\}", r"\1", text)  # what bash puts there when the variable is set
    return [shlex.split(found) for found in _COMMAND.findall(with_options)]
