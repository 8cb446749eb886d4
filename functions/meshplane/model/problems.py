"""The catalogue of message ids, and the collector that gives each Problem its place. Called by `shape` and the manifest's checks. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches

from pydantic_core import PydanticCustomError

from meshplane.errors import Problem
from meshplane.model.reading import Node, dotted

Loc = tuple[str | int, ...]

# What `later` marks stand for in messages: the part of Meshplane that brings a key.
LATER = {"data": "contracts, gates and sources", "operate": "operations"}


class Findings:
    """Collects problems about one tree. Locations are pydantic's: keys and indices of the long form, found again in what was written.

    `lost` holds the nodes that were refused and taken out, so that nothing else is blamed for them.
    """

    def __init__(self, file: str, root: Node) -> None:
        self.file = file
        self.root = root
        self.lost: set[int] = set()
        self.problems: list[Problem] = []

    def resolve(self, loc: Loc) -> Node:
        """The deepest written node on the way; segments that only the long form has are skipped."""
        node = self.root
        for segment in loc:
            if isinstance(segment, int):
                kept = [child for _, child in node.children() if id(child) not in self.lost] if isinstance(node.value, list) else []
                node = kept[segment] if 0 <= segment < len(kept) else node
            else:
                node = node.child(segment) or node
        return node

    def lose(self, node: Node) -> None:
        """Take a refused node out of what is judged further."""
        self.lost.add(id(node))

    def written(self, loc: Loc) -> bool:
        """Does this very key stand in the file?"""
        return self.resolve(loc) is not self.resolve(loc[:-1])

    def refused(self, loc: Loc) -> bool:
        """Does this very key stand in the file, and was it (or something in it) refused?"""
        return self.written(loc) and self.is_lost(loc)

    def is_lost(self, loc: Loc) -> bool:
        """Was what stands there, or something in it, refused already?"""
        return any(id(node) in self.lost for node in within(self.resolve(loc)))

    def add(self, code: str, loc: Loc, message: str, *, found: str = "", allowed: str = "", mend: str = "", at_key: bool = False) -> None:
        """Note a problem at the value of `loc` (or at its key). What was refused already is not blamed again."""
        node = self.resolve(loc)
        if id(node) in self.lost:
            return
        line, column = (node.key_line, node.key_column) if at_key else (node.line, node.column)
        problem = Problem(code, message, dotted(node.path), self.file, line, column, found, allowed, mend)
        if problem not in self.problems:
            self.problems.append(problem)

    def attempt(self, loc: Loc, call: Callable[[], object]) -> None:
        """Run a check that refuses by raising, as the models' checks do, and note what it says."""
        try:
            call()
        except PydanticCustomError as error:
            context = error.context or {}
            self.add(error.type, loc, context["text"], found=context["found"], allowed=context["allowed"], mend=context["mend"])


def within(node: Node) -> Iterator[Node]:
    """The node and everything below it."""
    yield node
    for _, child in node.children():
        yield from within(child)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A mend that names the nearest known name, or nothing."""
    names = list(known)
    near = get_close_matches(name, names, 1) or get_close_matches(name.lower(), names, 1)
    return f"did you mean '{near[0]}'?" if near else ""


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """By place, each once."""
    return tuple(sorted(dict.fromkeys(problems), key=lambda p: (p.file, p.line, p.column, p.path, p.code)))
