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


def replaced(snapshots: Mapping[int, Mapping[str, Any]], number: int) -> bool:
    """Whether a snapshot holds the rows of its parent in other files, as compaction leaves them: as far as its summary proves it. Records
    may only become fewer by as many as the parent's delete files may hide, and no new ones hide any.

    A summary is its writer's word: who forges that as well is found when the watchdog judges the table's rows."""
    snapshot = snapshots.get(number, {})
    summary = snapshot.get("summary", {})
    before = snapshots.get(snapshot.get("parent-snapshot-id") or 0, {}).get("summary", {})
    if summary.get("operation") != "replace" or _count(summary, "added-equality-deletes"):
        return False
    lost = _count(summary, "deleted-records") - _count(summary, "added-records")
    if lost < 0 or _count(summary, "added-position-deletes") > _count(summary, "removed-position-deletes"):
        return False
    if "total-records" not in before:  # expired, or of a writer that does not count
        return True
    hidden = lost if _count(before, "total-equality-deletes") else _count(before, "total-position-deletes")
    return lost <= hidden and _count(before, "total-records") - lost == _count(summary, "total-records", -1)


def _count(summary: Mapping[str, Any], name: str, missing: int = 0) -> int:
    text = str(summary.get(name, missing))
    return int(text) if text.isdecimal() else -1
