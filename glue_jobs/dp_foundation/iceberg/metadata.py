"""A table's metadata file, read by the driver without Spark: snapshots, `main`'s ancestry, partition fields. Writers and the ledger ask."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from dp_foundation import storage

KEYS, BASE = "meshplane.unique", "meshplane.unique-base"  # of a snapshot's summary: TableMetadata.proven


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One commit; numbers in its summary are text, as Iceberg writes them."""

    snapshot_id: int
    parent_id: int | None
    summary: Mapping[str, str]
    schema_id: int | None = None

    def count(self, name: str) -> int:
        """A count of the summary, such as `added-records`; 0 when it is absent."""
        return int(self.summary.get(name, "0"))

    @property
    def empty(self) -> bool:
        """It says that it holds no rows and no deletes; one that does not say so is not known to be."""
        return all(self.summary.get(f"total-{kind}") == "0" for kind in ("records", "position-deletes", "equality-deletes"))


@dataclass(frozen=True, slots=True)
class TableMetadata:
    """What the metadata file says."""

    snapshots: Mapping[int, Snapshot]
    head: int | None
    partition: tuple[tuple[str, str], ...]  # (source column, transform) of the present spec
    refs: Mapping[str, int] = field(default_factory=dict)  # branches and tags

    def tip(self, branch: str = "") -> int | None:
        """The newest snapshot of a branch, of `main` without a name."""
        return self.refs.get(branch) if branch else self.head

    def ancestry(self, start: int | None = None) -> Iterator[Snapshot]:
        """The commits of `main`, newest first, as far back as they are kept; or those that lead to the snapshot `start`."""
        at = self.head if start is None else start
        while at is not None and (snapshot := self.snapshots.get(at)) is not None:
            yield snapshot
            at = snapshot.parent_id

    def own(self, properties: Mapping[str, str], branch: str = "") -> Snapshot | None:
        """The commit on `main` (or a branch) with this run id, step and number; which attempt made it does not matter."""
        return self.find({key: properties[key] for key in ("run_id", "meshplane.step", "meshplane.write")}, branch)

    def find(self, wanted: Mapping[str, str], branch: str = "") -> Snapshot | None:
        """The newest commit on `main` (or a branch) whose summary says this."""
        tip = self.tip(branch)
        line = self.ancestry(tip) if tip is not None else ()
        return next((s for s in line if all(s.summary.get(k) == v for k, v in wanted.items())), None)

    def proven(self, snapshot: int | None) -> frozenset[str]:
        """The columns (lower case) in which the rows of a snapshot are known to be unique: it came by a merge on them, whose source held
        each key once, onto a state of which the same was known, or onto no rows. Compaction changes no row."""
        line = list(self.ancestry(snapshot)) if snapshot is not None else []
        at = next((s for s in line if s.summary.get("operation") != "replace"), None)
        if at is None or KEYS not in at.summary or at.summary.get(BASE) != str(at.parent_id):
            return frozenset()  # the base differs where another commit came in between
        return frozenset(at.summary[KEYS].split(","))

    def promise(self, keys: Sequence[str], branch: str = "") -> dict[str, str]:
        """What a merge on these keys may say in its summary, for `proven`; nothing where the state before it is not known to be unique."""
        tip, names = self.tip(branch), sorted(key.lower() for key in keys)
        before = self.snapshots.get(tip) if tip is not None else None
        if before is None or before.count("total-records") == 0 or self.proven(tip) == frozenset(names):
            return {KEYS: ",".join(names), BASE: str(tip)}
        return {}


def load(database: str, name: str) -> TableMetadata | None:
    """The table as it is now; None when the catalog has no such Iceberg table."""
    glue = storage.client("glue")
    try:
        table = glue.get_table(DatabaseName=database, Name=name)["Table"]
    except glue.exceptions.EntityNotFoundException:
        return None
    location = table.get("Parameters", {}).get("metadata_location")
    if not location:
        return None
    return _read(location)


@lru_cache(maxsize=16)  # a step asks ten times for the same few; Iceberg's spec: a metadata file never changes
def _read(location: str) -> TableMetadata:
    body = storage.read(*storage.split(location))
    return parse(json.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body))


def parse(raw: Mapping[str, Any]) -> TableMetadata:
    """Read a metadata file (format 2)."""
    snapshots = {
        s["snapshot-id"]: Snapshot(s["snapshot-id"], s.get("parent-snapshot-id"), s.get("summary", {}), s.get("schema-id"))
        for s in raw.get("snapshots") or ()
    }
    refs = {name: ref["snapshot-id"] for name, ref in (raw.get("refs") or {}).items()}
    main = (raw.get("refs") or {}).get("main", {}).get("snapshot-id", raw.get("current-snapshot-id"))
    schema = next(s for s in raw["schemas"] if s["schema-id"] == raw["current-schema-id"])
    columns = {f["id"]: f["name"] for f in schema["fields"]}
    spec = next(s for s in raw["partition-specs"] if s["spec-id"] == raw["default-spec-id"])
    partition = tuple((columns[f["source-id"]], f["transform"]) for f in spec["fields"] if f["source-id"] in columns)
    return TableMetadata(snapshots, main if main not in (None, -1) else None, partition, refs)
