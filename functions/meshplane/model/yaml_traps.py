"""YAML's own traps, named when an author walks into one (MANIFEST, "Principles"). Called by `reading` only. Pure."""

from __future__ import annotations

import re

from meshplane.errors import Problem

_STRUCT = re.compile(r"(struct|map)\s*<[^\"'>]*:\s")
_BRACES = re.compile(r"\{[^\"']*:\s*[^\"'{},\[\]]*[^\s\"'{},:\[]\{|\{[^\"']*:\s*\[?[^\"'{},]*\]\{|\{[^\"']*:\s*\^?\[[^\]]*\]\{")


def split_at_comma(value: object) -> bool:
    """Is this a text whose parenthesis or < was left open, as `decimal(12` of `decimal(12,2)` inside `{ }` or `[ ]`?"""
    if not isinstance(value, str):
        return False
    return value.count("(") > value.count(")") or (
        re.match(r"(list|map|struct)\s*<", value) is not None and value.count("<") > value.count(">")
    )


def name_trap(text: str, file: str, line: int, column: int, said: str) -> Problem:
    """The Problem for a place where YAML cannot be read: the trap, when it is a known one, else what the parser said."""
    lines = text.splitlines()
    near = [lines[number - 1] for number in (line, line - 1) if 0 < number <= len(lines)]

    def problem(code: str, message: str, found: str = "", mend: str = "") -> Problem:
        return Problem(code, message, "", file, line, column, found, "", mend)

    for source in near:
        shown = source.strip()[:80]
        if _STRUCT.search(source):
            return problem(
                "yaml-struct", "YAML reads the colon inside < > as a key", shown, "quote the type, or write struct: { name: type } as a map"
            )
        if source[: len(source) - len(source.lstrip())].count("\t"):
            return problem("yaml-tab", "a tab stands where YAML wants spaces", shown, "indent with spaces")
        if _BRACES.search(source):
            return problem("yaml-braces", "YAML reads the brace inside { } as a map", shown, "quote it, or use a line of its own")
    found = near[0].strip()[:80] if near else ""
    return problem(
        "yaml-syntax", f"this is not YAML: {said}" if said != "this is not YAML" else said, found, "look at quotes, indentation, and colons"
    )
