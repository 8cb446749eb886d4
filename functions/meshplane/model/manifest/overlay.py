"""`environments:`: what differs per environment, by dotted path or nested, laid over the rest before anything is judged. Pure.

Only fields that the models mark (`x-overlay`) may differ; what an overlay changes keeps the overlay's own line. Called by `judging`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from meshplane.errors import Problem
from meshplane.model.manifest.document import Document
from meshplane.model.problems import LATER, Findings, Loc, did_you_mean
from meshplane.model.reading import Node, shown
from meshplane.model.shape import bare, field_of


def base(root: Node) -> Node:
    """The manifest without its overlays."""
    children = root.value if isinstance(root.value, dict) else {}
    return replace(root, value={key: child for key, child in children.items() if key != "environments"})


def overlays(root: Node, file: str, environments: Collection[str]) -> tuple[dict[str, Node], list[Problem]]:
    """Each declared environment's merged form, and what is wrong with the overlays themselves."""
    findings = Findings(file, root)
    section = root.child("environments")
    if section is None:
        return {}, []
    if not isinstance(section.value, dict):
        findings.add(
            "want-map", ("environments",), "a map is wanted here", found=shown(section.value), allowed="environment: { path: value }"
        )
        return {}, findings.problems
    merged = {}
    for env, node in section.value.items():
        loc: Loc = ("environments", env)
        if env not in environments:
            findings.add("overlay-environment", loc, f"there is no environment '{env}'", found=env, allowed=", ".join(environments),
                         mend=did_you_mean(env, environments), at_key=True)  # fmt: skip
        elif not isinstance(node.value, dict):
            findings.add("want-map", loc, "a map is wanted here", found=shown(node.value), allowed="jobs.load.workers: 4 x G.1X")
        else:
            merged[env] = _merge(root, node, findings)
    return merged, findings.problems


def _merge(root: Node, overlay: Node, findings: Findings) -> Node:
    walker = _Walker(base(root), findings)
    walker.walk(Document, overlay, ())
    result = walker.root
    for loc, node in walker.changes.items():
        result = _put(result, loc, node)
    return result


class _Walker:
    """Finds what an overlay changes: location in the manifest → the overlay's node."""

    def __init__(self, root: Node, findings: Findings) -> None:
        self.root = root
        self.findings = findings
        self.changes: dict[Loc, Node] = {}

    def fail(self, node: Node, code: str, message: str, allowed: str = "", mend: str = "", found: str = "") -> None:
        self.findings.add(code, node.path, message, found=found, allowed=allowed, mend=mend, at_key=True)

    def walk(self, cursor: Any, node: Node, at: Loc) -> None:
        for key, child in node.children():
            self.follow(cursor, str(key).split("."), child, at)

    def follow(self, cursor: Any, keys: list[str], node: Node, at: Loc) -> None:
        """One dotted key, from the model `cursor` at `at`."""
        while keys:
            if isinstance(cursor, type) and issubclass(cursor, BaseModel):
                name = keys.pop(0)
                info = field_of(cursor, name)
                if info is None:
                    return self.unknown(cursor, name, node, at)
                at, cursor = (*at, name), bare(info.annotation)
                if is_marked(info):
                    return self.change(cursor, at, keys, node)
            elif get_origin(cursor) is dict:
                name = keys.pop(0)
                known = [str(key) for key, _ in _at(self.root, at).children()]
                if name not in known:
                    message = f"there is no '{name}' under {'.'.join(map(str, at))} to change"
                    return self.fail(node, "overlay-unknown", message, ", ".join(known), did_you_mean(name, known), name)
                at, cursor = (*at, name), bare(get_args(cursor)[1])
            else:
                break
        is_part = isinstance(cursor, type) and issubclass(cursor, BaseModel)
        if isinstance(node.value, dict) and not keys and (is_part or get_origin(cursor) is dict):
            return self.walk(cursor, node, at)
        return self.fixed(node, at)

    def change(self, cursor: Any, at: Loc, keys: list[str], node: Node) -> None:
        """A marked field: what is below it may differ too. The keys of free maps (Spark's) hold dots themselves."""
        loc = (*at, ".".join(keys)) if keys and get_origin(cursor) is dict else (*at, *keys)
        for other, earlier in self.changes.items():
            shared = min(len(other), len(loc))
            if other[:shared] == loc[:shared]:  # the same field, or one inside the other: which wins would hang on the order of keys
                return self.fail(
                    node,
                    "overlay-twice",
                    f"'{'.'.join(map(str, loc))}' is changed twice",
                    mend=f"line {earlier.key_line} changes it already",
                )
        self.changes[loc] = node
        return None

    def unknown(self, cursor: type[BaseModel], name: str, node: Node, at: Loc) -> None:
        later = getattr(cursor, "later", {})
        if name in later:
            message = f"not delivered yet: '{name}' comes with {LATER[later[name]]}"
            return self.fail(node, "not-delivered", message, mend="leave it out until then")
        known = [info.alias or key for key, info in cursor.model_fields.items()]
        where = f" under {'.'.join(map(str, at))}" if at else ""
        return self.fail(
            node, "overlay-unknown", f"there is no '{name}'{where} to change", ", ".join(known), did_you_mean(name, known), name
        )

    def fixed(self, node: Node, at: Loc) -> None:
        marked = ", ".join(sorted(may_differ()))
        self.fail(
            node,
            "overlay-fixed",
            f"'{'.'.join(map(str, at))}' is the same in every environment",
            marked,
            "change it for all, or leave it out",
        )


def is_marked(info: FieldInfo) -> bool:
    """May this field differ per environment?"""
    return isinstance(info.json_schema_extra, dict) and bool(info.json_schema_extra.get("x-overlay"))


def may_differ(cursor: Any = Document, at: str = "") -> set[str]:
    """The paths that an overlay may change, `jobs.*.workers`."""
    if get_origin(cursor) is dict:
        return may_differ(bare(get_args(cursor)[1]), f"{at}.*")
    if not (isinstance(cursor, type) and issubclass(cursor, BaseModel)):
        return set()
    found: set[str] = set()
    for name, info in cursor.model_fields.items():
        path = f"{at}.{info.alias or name}".lstrip(".")
        found |= {path} if is_marked(info) else may_differ(bare(info.annotation), path)
    return found


def _at(root: Node, loc: Loc) -> Node:
    node = root
    for key in loc:
        node = node.child(key) or Node(None)
    return node


def _put(node: Node, loc: Loc, value: Node) -> Node:
    """A copy of `node` with `value` laid over what stands at `loc`; all else is shared."""
    if not loc:
        return _over(node, value)
    children = dict(node.value) if isinstance(node.value, dict) else {}
    key = str(loc[0])
    empty = Node({}, value.path, value.line, value.column, value.key_line, value.key_column)
    children[key] = _put(children.get(key, empty), loc[1:], value)
    return replace(node, value=children)


def _over(node: Node, value: Node) -> Node:
    """Maps are merged key by key; anything else replaces what stood there."""
    if not (isinstance(node.value, dict) and isinstance(value.value, dict)):
        return value
    children = dict(node.value)
    for key, child in value.value.items():
        children[key] = _over(children[key], child) if key in children else child
    return replace(node, value=children)
