"""Just enough of HCL to list arguments: the files are formatted (`terraform fmt` is a test), so a line says what it is.

For where no provider can be had; with one, `terraform validate` knows better.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_BLOCK = re.compile(r'^([a-z_]+)((?: "[^"]+")*) \{(\s*\})?$')
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_ARGUMENT = re.compile(r"^([a-z_]+)\s+=\s+(.*)$")


@dataclass
class Block:
    """`resource "aws_vpc" "this" {…}`: kind, labels, the names of its arguments and its blocks."""

    kind: str
    labels: tuple[str, ...] = ()
    arguments: dict[str, str] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    @property
    def address(self) -> str:
        return ".".join(self.labels)


def blocks(folder: Path) -> Iterator[tuple[Path, Block]]:
    """The top-level blocks of every file of a module."""
    for path in sorted(folder.glob("*.tf")):
        root = Block("file")
        _read(path.read_text(encoding="utf-8").splitlines(), root)
        yield from ((path, block) for block in root.blocks)


def _read(lines: list[str], root: Block) -> None:
    stack, depth = [root], 0  # depth: brackets of an expression that goes on over lines
    for raw in lines:
        line = _TEXT.sub(lambda text: re.sub(r"[(){}\[\]#]", "·", text[0]), raw.strip())  # brackets in texts open nothing
        line = re.sub(r"\s*#.*$", "", line)
        if not line:
            continue
        if depth == 0 and (opening := _BLOCK.match(line)):
            block = Block(opening[1], tuple(re.findall(r'"([^"]+)"', opening[2])))
            stack[-1].blocks.append(block)
            if not opening[3]:
                stack.append(block)
            continue
        if depth == 0 and line == "}":
            stack.pop()
            continue
        if depth == 0 and (argument := _ARGUMENT.match(line)):
            stack[-1].arguments[argument[1]] = argument[2]
        depth += sum(line.count(bracket) for bracket in "([{") - sum(line.count(bracket) for bracket in ")]}")
