"""A table's metadata file, read by the driver without Spark: snapshots, `main`'s ancestry, partition fields. Writers and the ledger ask."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dp_foundation import storage


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One commit; numbers in its summary are text, as Iceberg writes them."""

    snapshot_id: int
    parent_id: int | None
    summary: Mapping[str, str]

    def count(self, name: str) -> int:
        """A count of the summary, such as `added-records`; 0 when it is absent."""
        return int(self.summary.get(name, "0"))


@dataclass(frozen=True, slots=True)
class TableMetadata:
    """What the metadata file says."""

    snapshots: Mapping[int, Snapshot]
    head: int | None
    partition: tuple[tuple[str, str], ...]  # (source column, transform) of the present spec

    def ancestry(self) -> Iterator[Snapshot]:
        """The commits of `main`, newest first, as far back as they are kept."""
        at = self.head
        while at is not None and (snapshot := self.snapshots.get(at)) is not None:
            yield snapshot
            at = snapshot.parent_id

    def own(self, properties: Mapping[str, str]) -> Snapshot | None:
        """The commit on `main` with this run id, step and number; which attempt made it does not matter."""
        wanted = {key: properties[key] for key in ("run_id", "meshplane.step", "meshplane.write")}
        return next((s for s in self.ancestry() if all(s.summary.get(k) == v for k, v in wanted.items())), None)


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
    body = storage.read(*storage.split(location))
    return parse(json.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body))


def parse(raw: Mapping[str, Any]) -> TableMetadata:
    """Read a metadata file (format 2)."""
    snapshots = {
        s["snapshot-id"]: Snapshot(s["snapshot-id"], s.get("parent-snapshot-id"), s.get("summary", {})) for s in raw.get("snapshots") or ()
    }
    main = (raw.get("refs") or {}).get("main", {}).get("snapshot-id", raw.get("current-snapshot-id"))
    schema = next(s for s in raw["schemas"] if s["schema-id"] == raw["current-schema-id"])
    columns = {f["id"]: f["name"] for f in schema["fields"]}
    spec = next(s for s in raw["partition-specs"] if s["spec-id"] == raw["default-spec-id"])
    partition = tuple((columns[f["source-id"]], f["transform"]) for f in spec["fields"] if f["source-id"] in columns)
    return TableMetadata(snapshots, main if main not in (None, -1) else None, partition)
