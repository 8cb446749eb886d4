"""An Iceberg metadata file as plain data: its refs, its snapshots, what leads to what. Pure; `publishing` and `restoring` decide by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MAIN = "main"


def refs(raw: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Branches and tags by name, as the file has them: `snapshot-id`, `type`, and what they keep."""
    return raw.get("refs") or {}


def by_id(raw: Mapping[str, Any]) -> Mapping[int, Mapping[str, Any]]:
    """Every snapshot that the file still knows."""
    return {int(one["snapshot-id"]): one for one in raw.get("snapshots") or ()}


def main(raw: Mapping[str, Any]) -> int | None:
    """The snapshot that readers see."""
    found = refs(raw).get(MAIN, {}).get("snapshot-id", raw.get("current-snapshot-id"))
    return None if found in (None, -1) else int(found)


def ancestry(snapshots: Mapping[int, Mapping[str, Any]], head: int | None) -> Iterator[int]:
    """The snapshot and its parents. An expired parent is named, and nothing follows it."""
    seen: set[int] = set()
    while head is not None and head not in seen:
        seen.add(head)
        yield head
        head = snapshots.get(head, {}).get("parent-snapshot-id")


def run_of(snapshot: Mapping[str, Any]) -> str:
    """The run that its summary names; empty where none does."""
    return str(snapshot.get("summary", {}).get("run_id", ""))


def replaced(snapshot: Mapping[str, Any]) -> bool:
    """Whether it holds the rows of its parent in other files: compaction."""
    return bool(snapshot.get("summary", {}).get("operation") == "replace")
