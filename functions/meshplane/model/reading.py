"""A strict YAML reader: one document, plain values, the line and column of every key and value. Called by `manifest` and `domain`.

It stands on the scanner and parser of ruamel.yaml (events only) and resolves the scalars of YAML 1.2's core schema itself. There are no
aliases, anchors, tags, merge keys, directives or duplicate keys, and size, depth and number of nodes are bounded, each while reading, so
that a hostile file costs little (reliability C, "YAML tricks"). Every refusal is a Problem with a place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from meshplane.errors import ManifestInvalid, Problem
from meshplane.model.yaml_traps import name_trap, split_at_comma

LARGEST, DEEPEST, MOST_NODES = 256 * 1024, 20, 10_000

Path = tuple[str | int, ...]
Scalar = str | int | float | bool | None


class WrittenInt(int):
    """An int that remembers how it was written (`007`): fields that want text take that."""

    text: str = ""


class WrittenFloat(float):
    """A float that remembers how it was written (`1.10`)."""

    text: str = ""


@dataclass(slots=True)
class Node:
    """A value where it stands. `path` is the path as written; `line` and `column` (from 1) are the value's, for a block the key's."""

    value: dict[str, Node] | list[Node] | Scalar
    path: Path = ()
    line: int = 1
    column: int = 1
    key_line: int = 1
    key_column: int = 1
    text: str = ""  # a scalar as it was written

    def children(self) -> Iterator[tuple[str | int, Node]]:
        """Keys or indices with their nodes; nothing for a scalar."""
        if isinstance(self.value, dict):
            yield from self.value.items()
        elif isinstance(self.value, list):
            yield from enumerate(self.value)

    def child(self, key: str | int) -> Node | None:
        """The node of a key or index, None when there is none."""
        if isinstance(self.value, dict):
            return self.value.get(str(key)) if isinstance(key, str) else None
        if isinstance(self.value, list) and isinstance(key, int) and 0 <= key < len(self.value):
            return self.value[key]
        return None


def dotted(path: Path) -> str:
    """`tables.orders.key`, `pipelines.daily.steps[1]`."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out


def shown(value: object) -> str:
    """A value as a message shows it: as it was written, short."""
    if isinstance(value, WrittenInt | WrittenFloat):
        return value.text
    if isinstance(value, bool):
        return str(value).lower()
    text = (
        "nothing" if value is None else "a map" if isinstance(value, dict) else "a list" if isinstance(value, list | tuple) else str(value)
    )
    return text if len(text) <= 80 else text[:77] + "…"


def read(text: str, file: str) -> tuple[Node, tuple[Problem, ...]]:
    """The root node (always a map), and what was wrong although it could be read on. Raises ManifestInvalid where it could not."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > LARGEST:
        raise _fatal(file, (1, 1), "too-large", "the file is too large", f"{size} bytes", f"{LARGEST} bytes", "split the project in two")
    reader = _Reader(text, file)
    try:
        root = reader.document()
    except ReaderError as error:
        raise _fatal(
            file,
            _place(text, error.position),
            "yaml-character",
            "a character that YAML does not allow stands here",
            f"U+{_code(error):04X}",
        ) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise ManifestInvalid((*reader.problems, name_trap(text, file, line, column, str(error.problem or error.context or "")))) from error
    except (YAMLError, ValueError, IndexError, OverflowError, AssertionError, AttributeError, TypeError) as error:
        # ruamel's scanner trips over some malformed escapes and directives with Python's own errors: a syntax error all the same.
        raise ManifestInvalid((*reader.problems, name_trap(text, file, reader.line, reader.column, "this is not YAML"))) from error
    if not isinstance(root.value, dict):
        found = "nothing" if root.value is None else "a list" if isinstance(root.value, list) else "a single value"
        raise _fatal(file, (1, 1), "not-a-map", "the file is not a map of keys", found, "apiVersion, kind, metadata, tables, …")
    return root, tuple(reader.problems)


@dataclass
class _Reader:
    text: str
    file: str
    problems: list[Problem] = field(default_factory=list)
    nodes: int = 0
    line: int = 1
    column: int = 1

    def __post_init__(self) -> None:
        self.events: Iterator[Any] = iter(YAML(typ="safe", pure=True).parse(self.text))

    def next(self) -> Any:
        event = next(self.events)
        self.line, self.column = event.start_mark.line + 1, event.start_mark.column + 1
        return event

    def stop(self, code: str, message: str, found: str = "", allowed: str = "", mend: str = "") -> ManifestInvalid:
        problem = Problem(code, message, "", self.file, self.line, self.column, found, allowed, mend)
        return ManifestInvalid((*self.problems, problem))

    def report(self, code: str, message: str, path: Path, found: str = "", mend: str = "") -> None:
        self.problems.append(Problem(code, message, dotted(path), self.file, self.line, self.column, found, "", mend))

    def document(self) -> Node:
        self.next()  # stream start
        event = self.next()
        if not isinstance(event, DocumentStartEvent):
            raise self.stop("not-a-map", "the file holds nothing", "nothing", "apiVersion, kind, metadata, tables, …")
        if event.version or event.tags:
            raise self.stop("yaml-directive", "YAML directives are not allowed", mend="leave out the line that begins with %")
        root = self.node(self.next(), (), 0)
        self.next()  # document end
        if isinstance(self.next(), DocumentStartEvent):
            raise self.stop("yaml-documents", "a second document begins here", "---", "one document", "one file per project")
        return root

    def node(self, event: Any, path: Path, depth: int) -> Node:
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise self.stop(
                "too-many-nodes", "the file has too many keys and values", f"more than {MOST_NODES}", str(MOST_NODES), "split the project"
            )
        if depth > DEEPEST:
            raise self.stop("too-deep", "this is nested too deep", f"more than {DEEPEST} levels", f"{DEEPEST} levels")
        if isinstance(event, AliasEvent):
            raise self.stop("yaml-alias", "aliases are not allowed", f"*{event.anchor}", mend="write the value out")
        if isinstance(event, NodeEvent) and event.anchor:
            raise self.stop(
                "yaml-anchor", "anchors are not allowed", f"&{event.anchor}", mend="leave it out, and write values out where they are used"
            )
        if getattr(event, "ctag", None) is not None:
            raise self.stop(
                "yaml-tag", "tags are not allowed", str(event.ctag).replace("tag:yaml.org,2002:", "!!"), mend="leave the tag out"
            )
        line, column = self.line, self.column
        if isinstance(event, MappingStartEvent):
            return Node(self.mapping(event, path, depth), path, line, column)
        if isinstance(event, SequenceStartEvent):
            return Node(self.sequence(event, path, depth), path, line, column)
        if not isinstance(event, ScalarEvent):
            raise self.stop("yaml-syntax", "a value is expected here")
        return Node(_core(event) if event.implicit[0] else event.value, path, line, column, text=event.value)

    def mapping(self, start: MappingStartEvent, path: Path, depth: int) -> dict[str, Node]:
        out: dict[str, Node] = {}
        last = ""
        while True:
            event = self.next()
            if isinstance(event, MappingEndEvent):
                return out
            if not isinstance(event, ScalarEvent) or event.anchor is not None or event.ctag is not None:
                self.key_refused(event)
            key, plain, line, column = event.value, event.implicit[0], self.line, self.column
            if plain and key == "<<":
                raise self.stop("yaml-merge-key", "merge keys are not allowed", "<<", mend="write the keys out")
            child = self.node(self.next(), (*path, key), depth + 1)
            child.key_line, child.key_column = line, column
            if isinstance(child.value, dict | list) and child.line != line:
                child.line, child.column = line, column
            self.line, self.column = line, column
            if start.flow_style and plain and child.value is None and last and split_at_comma(out[last].value):
                # `{ type: decimal(12,2) }`: put together what YAML split, so that nothing else is blamed for it.
                self.joined(out[last], f"{out[last].value},{key}", "{ }")
                continue
            if key in out:
                self.report(
                    "yaml-duplicate-key", f"key '{key}' stands twice", (*path, key), mend=f"it stands in line {out[key].key_line} already"
                )
                continue
            if not key:
                self.report("yaml-key", "a key is missing before the colon", path, mend="write a name before the colon")
                continue
            out[key], last = child, key

    def joined(self, node: Node, whole: str, inside: str) -> None:
        """A value that YAML split at its commas, put together again; the last report of it holds all of it."""
        node.value = whole
        path = dotted(node.path)
        if self.problems and (self.problems[-1].code, self.problems[-1].path) == ("yaml-split", path):
            self.problems.pop()
        self.line, self.column = node.line, node.column
        quoted = f"'{whole}'" if '"' in whole else f'"{whole}"'
        self.report("yaml-split", f"YAML splits this at the comma inside {inside}", node.path, whole, f"quote it: {quoted}")

    def key_refused(self, event: Any) -> None:
        if isinstance(event, AliasEvent | ScalarEvent):
            self.node(event, (), 0)  # names the alias, anchor or tag
        raise self.stop("yaml-key", "a key must be a simple text", "a list or a map", mend="quote it if it is meant as text")

    def sequence(self, start: SequenceStartEvent, path: Path, depth: int) -> list[Node]:
        out: list[Node] = []
        while isinstance(event := self.next(), NodeEvent):
            child = self.node(event, (*path, len(out)), depth + 1)
            child.key_line, child.key_column = child.line, child.column
            plain = isinstance(event, ScalarEvent) and event.implicit[0]
            if start.flow_style and plain and out and isinstance(child.value, str | int) and split_at_comma(out[-1].value):
                self.joined(out[-1], f"{out[-1].value}, {getattr(child.value, 'text', child.value)}", "[ ]")
                continue
            out.append(child)
        return out


# Whole numbers of as many digits as a decimal may have: a float would be another value.
_INT = re.compile(r"[-+]?[0-9]{1,38}|0o[0-7]{1,18}|0x[0-9a-fA-F]{1,15}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,40}|[0-9]{1,40}(\.[0-9]{0,40})?)([eE][-+]?[0-9]{1,3})?")
_NULL, _TRUE, _FALSE = ("", "~", "null", "Null", "NULL"), ("true", "True", "TRUE"), ("false", "False", "FALSE")


def _core(event: ScalarEvent) -> Scalar:
    """A plain scalar by YAML 1.2's core schema; not-a-number and the infinities stay text, for no field of ours takes them."""
    text: str = event.value
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INT.fullmatch(text):
        whole = WrittenInt(int(text, 0) if text[:2] in ("0x", "0o") else int(text))
        whole.text = text
        return whole
    if _FLOAT.fullmatch(text):
        number = WrittenFloat(text)
        number.text = text
        return number
    return text


def _fatal(
    file: str, place: tuple[int, int], code: str, message: str, found: str = "", allowed: str = "", mend: str = ""
) -> ManifestInvalid:
    return ManifestInvalid([Problem(code, message, "", file, *place, found, allowed, mend)])


def _place(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1


def _code(error: ReaderError) -> int:
    character = error.character
    return character if isinstance(character, int) else ord(str(character)[:1] or "\0")
