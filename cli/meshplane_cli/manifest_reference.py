"""`python -m meshplane_cli.manifest_reference`: docs/reference/manifest.md from the manifest's JSON Schema. A test compares the two.

Each map of the manifest is a section, in the order in which an author meets it; a map that is used in several places is told once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from meshplane.model.manifest import schema
from meshplane.model.manifest.document import Document
from meshplane.model.manifest.parts import Part
from meshplane.model.problems import LATER

PAGE = Path("docs/reference/manifest.md")
Node = Mapping[str, Any]
_HEAD = """\
# Every field of the manifest

Made by `python -m meshplane_cli.manifest_reference` from the models that read a manifest; [the JSON Schema](../manifest.schema.json)
tells an editor the same. Keys in angle brackets are names of your own. **Bold** fields are required. A field marked ↕ may differ per
environment, under `environments`. Whatever is not listed is refused with its line, what is allowed and how to mend it (`meshplane
validate`); so are YAML's own traps, such as `decimal(12,2)` inside braces, which wants quotes.
"""
_TYPES = """\
## Types
The names are Iceberg's: {names}, and `decimal(12,2)` with up to 38 digits.
Nested: `{{ list: string }}`, `{{ map: {{ key: string, value: long }} }}`, `{{ struct: {{ sku: string, quantity: int }} }}`, or in one text
`list<string>`. Names of other systems (`bigint`, `varchar`, …) are refused with the right one.
"""


def page() -> str:
    """The whole page."""
    whole = schema()
    names = ", ".join(f"`{each}`" for each in whole["$defs"]["Type"]["anyOf"][0]["enum"])
    return _HEAD + "".join(f"\n{line}" for line in _Page(whole).lines()) + "\n" + _TYPES.format(names=names)


class _Page:
    """`told`: at which path each definition of the schema has its section."""

    def __init__(self, whole: Node) -> None:
        self.whole, self.definitions, self.told = whole, whole["$defs"], dict[str, str]()
        self.later = {kind.__name__: kind.later for kind in _parts(Part)}

    def lines(self) -> Iterator[str]:
        yield from self._section("", "Document", {**self.whole, "description": Document.__doc__})

    def _section(self, path: str, name: str, node: Node) -> Iterator[str]:
        """One map: its fields, then the maps below them that have no section yet."""
        self.told[name] = path
        choices = list(_choices(node))
        long = next(each for each in choices if "properties" in each)
        fields = {key: (f"{path}.{key}" if path else key, field) for key, field in long["properties"].items()}
        below = [found for place, field in fields.values() for found in self._below(place, field)]
        yield f"## {f'`{path}`' if path else 'The document'}"
        yield str(node.get("description", ""))
        short = [self._kind(each) for each in choices if each is not long]
        if short:
            yield f"Short form: {', or '.join(short)}."
        yield from ("", "| field | is | default | meaning |", "|---|---|---|---|")
        for key, (_, field) in fields.items():
            spelled = f"**`{key}`**" if key in long.get("required", ()) else f"`{key}`"
            kinds = ", or ".join(dict.fromkeys(self._kind(each) for each in _choices(field)))
            yield f"| {spelled}{' ↕' * bool(field.get('x-overlay'))} | {kinds} | {_default(field)} | {self._meaning(field)} |"
        for key, issue in self.later.get(name, {}).items():
            yield f"| `{key}` | refused | | Not delivered yet: comes with {LATER[issue]}. |"
        yield ""
        for place, inner in below:
            if self.told[inner] == place:
                yield from self._section(place, inner, self.definitions[inner])

    def _below(self, path: str, node: Node) -> Iterator[tuple[str, str]]:
        """Path and name of the definitions with fields that a field leads to; each gets its section at the first path that does."""
        name = _name(node)
        if name:
            if "properties" in str(self.definitions[name]) and name != "Type":
                self.told.setdefault(name, path)
                yield path, name
            return
        for each in node.get("anyOf", ()):
            yield from self._below(path, each)
        if "items" in node:
            yield from self._below(f"{path}[]", node["items"])
        for inner in _held(node):
            yield from self._below(f"{path}.<name>", inner)

    def _meaning(self, field: Node) -> str:
        """Without what other columns say; a field that says nothing is what it leads to."""
        text = str(field.get("description") or self.definitions.get(_name(field), {}).get("description", ""))
        return text.removesuffix(" May differ per environment.").replace("|", r"\|")

    def _kind(self, node: Node) -> str:
        """In words, with what is allowed."""
        name = _name(node)
        if name in self.told:
            return f"[`{self.told[name]}`](#{_anchor(self.told[name])})"
        if name:
            return "[type](#types)" if name == "Type" else ", or ".join(self._kind(each) for each in _choices(self.definitions[name]))
        if "const" in node or "enum" in node:
            allowed = [node["const"]] if "const" in node else [each for each in node["enum"] if each != ""]
            return ", ".join(dict.fromkeys(f"`{each}`" for each in allowed))
        if node.get("type") == "array":
            return f"list of {', or '.join(self._kind(each) for each in _choices(node['items']))}"
        if node.get("type") == "object":
            return f"map of {', or '.join(self._kind(each) for each in _held(node)) or 'paths to values'}"
        kinds = node.get("type", ())
        return " or ".join(_limited(each, node) for each in ([kinds] if isinstance(kinds, str) else kinds))


def _name(node: Node) -> str:
    return str(node.get("$ref", "")).rpartition("/")[2]


def _choices(node: Node) -> Iterator[Node]:
    """What a field may be, null left out: that is the same as leaving the field out."""
    for each in node.get("anyOf", (node,)):
        if each.get("type") != "null":
            yield from _choices(each) if "anyOf" in each else (each,)


def _held(node: Node) -> Iterator[Node]:
    """What a map with names of one's own holds."""
    for each in (*node.get("patternProperties", {}).values(), node.get("additionalProperties")):
        if isinstance(each, dict) and ("type" in each or "$ref" in each or "anyOf" in each) and "patternProperties" not in each:
            yield each


def _anchor(path: str) -> str:
    """GitHub's of a heading."""
    return re.sub(r"[^a-z0-9_-]", "", path.lower().replace(" ", "-"))


_WORDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}


def _limited(kind: str, node: Node) -> str:
    """`whole number, 0 to 10`; patterns as they are."""
    if node.get("pattern", "").startswith("^[0-9]+[smhd]"):
        return "duration (`30s`, `5m`, `2h`, `7d`)"
    limits = [str(node[key]) for key in ("minimum", "maximum") if key in node]
    within = f", {' to '.join(limits)}" if len(limits) == 2 else f", at least {limits[0]}" if "minimum" in node else ""
    pattern = f" like `{node['pattern']}`".replace("|", r"\|") if "pattern" in node and kind == "string" else ""
    return f"{_WORDS[kind]}{within}{pattern}"


def _default(field: Node) -> str:
    value = field.get("default")
    return "" if value in (None, "", [], {}) else f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _parts(kind: type[Part]) -> Iterator[type[Part]]:
    for each in kind.__subclasses__():
        yield each
        yield from _parts(each)


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
