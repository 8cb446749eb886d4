"""The ledger: which versions of which raw files a job has consumed. Readers choose by it, `run.current` writes it.

One object per step, `{refined}/{project}/_runs/_ledger/{job}/{run_id}.json` (`schemas/ledger.schema.json`): written as `intent` before the
step's first commit and as `done` when it has ended well; one that wrote to a branch leaves its intent, since its publication is to come.
An intent counts as consumed when the step's snapshot stands in `main`'s ancestry of every table that it names: so a crash, and a branch
that is never published, lose nothing, whatever another step of that run brought to the same table. `rejected`: the gate of the raw table
turned the batch away; it is read again only after a reset. It stands beside the step's entry where that tells of other tables' files.
`reset` entries void earlier ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class FileVersion:
    """One version of one object. `version` is S3's id, or `etag:…` in a bucket without versions; `size` in bytes, `modified` when it
    arrived (`2026-11-20T06:00:00Z`), known when it was just listed."""

    key: str
    version: str
    size: int = field(default=0, compare=False)
    modified: str = field(default="", compare=False)

    def as_json(self) -> dict[str, Any]:
        """As the records of a run hold it."""
        return {"key": self.key, "version": self.version, "size": self.size}


@dataclass(frozen=True, slots=True)
class Entry:
    """What one run of the job consumed (`intent`, `done`), what its gate turned away (`rejected`, for `reason`), or that earlier entries
    no longer count (`reset`: all, or those of `runs`)."""

    state: str
    run_id: str
    step: str
    recorded: str
    files: Mapping[str, tuple[FileVersion, ...]] = field(default_factory=dict)
    outputs: tuple[tuple[str, str], ...] = ()  # (database, physical name) that the run means to commit to
    runs: tuple[str, ...] = ()
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """The object in S3."""
        return {
            "schema": 1,
            "state": self.state,
            "run_id": self.run_id,
            "step": self.step,
            "recorded": self.recorded,
            "objects": {table: [f.as_json() for f in files] for table, files in self.files.items()},
            "outputs": [{"database": database, "name": name} for database, name in self.outputs],
            "runs": list(self.runs),
            **({"reason": self.reason} if self.reason else {}),
        }


def entry(raw: Mapping[str, Any]) -> Entry:
    """Read an entry as it stands in S3."""
    return Entry(
        state=raw["state"],
        run_id=raw.get("run_id", ""),
        step=raw.get("step", ""),
        recorded=raw.get("recorded", ""),
        files={
            t: tuple(FileVersion(o["key"], o["version"], o.get("size", 0)) for o in objects)
            for t, objects in raw.get("objects", {}).items()
        },
        outputs=tuple((o["database"], o["name"]) for o in raw.get("outputs", ())),
        runs=tuple(raw.get("runs", ())),
        reason=raw.get("reason", ""),
    )


def listed(item: Mapping[str, Any]) -> FileVersion:
    """An item of ListObjectVersions. Without versioning S3 says `null` for all: then the ETag tells an overwritten object."""
    version = item.get("VersionId")
    told = version if version and version != "null" else "etag:" + item["ETag"].strip('"')
    return FileVersion(item["Key"], told, item["Size"], item["LastModified"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))


def is_data(key: str, prefix: str) -> bool:
    """Whether a key under the table's prefix holds rows: no folder's marker, no part of its path hidden by `_` or `.`, as in Hive."""
    parts = key[len(prefix) :].split("/")
    return bool(parts[-1]) and not any(part.startswith(("_", ".")) for part in parts)


def valid(entries: Iterable[Entry]) -> list[Entry]:
    """The entries that still count: those that no later reset voids."""
    known = list(entries)
    resets = [e for e in known if e.state == "reset"]
    return [
        e for e in known if e.state != "reset" and not any(r.recorded >= e.recorded and (not r.runs or e.run_id in r.runs) for r in resets)
    ]


def intended(entries: Iterable[Entry], own: tuple[str, str]) -> tuple[str, ...]:
    """The raw tables that the entry of this very step (run id, step) says it meant to consume, in an attempt before this one."""
    return next((tuple(e.files) for e in valid(entries) if (e.run_id, e.step) == own and e.state in ("intent", "done")), ())


def select(
    table: str, present: Iterable[FileVersion], entries: Iterable[Entry], own: tuple[str, str], landed: Callable[[Entry], bool]
) -> list[FileVersion]:
    """The files that this run reads, by key.

    `own` is (run id, step): a repeated attempt reads what its first one meant to read. `landed(entry)` says whether the commits of an
    open intent stand on `main`; it is asked for other runs' intents only.
    """
    still = valid(entries)
    mine = next((e for e in still if (e.run_id, e.step) == own and table in e.files), None)
    if mine is not None:
        wanted = set(mine.files[table])
        return sorted(f for f in present if f in wanted)
    consumed = {f for e in still if table in e.files and (e.state in ("done", "rejected") or landed(e)) for f in e.files[table]}
    return sorted(f for f in present if f not in consumed)
