"""The run of this process: collects what was read and committed, writes the outbox record and the ledger, notes how it ended.

`get_spark`, the readers and the writers report here. A process without `--meshplane-run` has no run: nothing is recorded.
"""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from types import TracebackType
from typing import Any

from dp_foundation import storage
from dp_foundation.config.arguments import Job, Run, Table, invocation
from dp_foundation.config.settings import get_config
from dp_foundation.errors import FoundationError
from dp_foundation.iceberg import metadata
from dp_foundation.run.ledger import Entry, FileVersion, entry, is_data, listed, select


@dataclass(slots=True)
class Current:
    """One job run in progress. Times are ISO 8601 in UTC."""

    job: Job
    run: Run
    step: str
    attempt: int
    started: str
    files: dict[str, tuple[FileVersion, ...]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    snapshots: dict[str, int | None] = field(default_factory=dict)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    writes: dict[str, int] = field(default_factory=dict)
    state: str = ""
    noted: tuple[str, ...] = ()  # the raw tables that the intent in S3 names

    # --- what is read -----------------------------------------------------------------------------------------------------------

    def take(self, table: Table, present: Iterable[FileVersion]) -> list[FileVersion]:
        """The files of a raw table that this run reads; asked twice, it answers the same."""
        if table.logical not in self.files:
            prefix = self._ledger_prefix()
            entries = [entry(raw) for raw in storage.read_all_json(self._bucket, storage.keys_under(self._bucket, prefix))]
            taken = select(table.logical, present, entries, (self.run.run_id, self.step), self._landed)
            self.files[table.logical] = tuple(taken)
        return list(self.files[table.logical])

    def saw(self, table: Table, snapshot: int | None) -> None:
        """An Iceberg table was read at this snapshot."""
        self.snapshots.setdefault(table.logical, snapshot)

    # --- what is committed ------------------------------------------------------------------------------------------------------

    def next_write(self, database: str, name: str) -> dict[str, str]:
        """The summary of the next commit to a table. `meshplane.write` numbers a step's commits to one table, so that a repeated
        attempt finds each of them again."""
        where = f"{database}.{name}"
        self.writes[where] = self.writes.get(where, 0) + 1
        return {
            "run_id": self.run.run_id,
            "meshplane.project": self.job.project,
            "meshplane.job": self.job.name,
            "meshplane.step": self.step,
            "meshplane.attempt": str(self.attempt),
            "meshplane.write": str(self.writes[where]),
        }

    def intend(self) -> None:
        """Before a commit: say which files the run will have consumed, again when it has read more since."""
        if self.state != "intent" or self.noted != tuple(self.files):
            self.state, self.noted = "intent", tuple(self.files)
            self._record()
            self._write_ledger("intent")

    def committed(self, output: dict[str, Any]) -> None:
        """A commit stands on `main`."""
        self.outputs.append(output)

    # --- how it ends ------------------------------------------------------------------------------------------------------------

    def finish(self, error: str = "") -> None:
        """Write the last record, once: failed, nothing (no commit and nothing consumed) or done."""
        if self.state in ("done", "failed", "nothing"):
            return
        if error:
            self.state = "failed"
        elif not self.outputs:
            self.state = "done" if self.state == "intent" else "nothing"
        else:
            self.state = "done"
        if self.state == "done":
            self._write_ledger("done")
        self._record(error)

    def missing(self) -> list[str]:
        """The declared writes that nothing was committed to."""
        return [
            w.table for w in self.job.writes if f"{self.job.tables[w.table].database}.{self.job.tables[w.table].name}" not in self.writes
        ]

    def _landed(self, open_intent: Entry) -> bool:
        """Whether another run's intent came true; if so it is written down as done, so that it is asked for once."""
        if not open_intent.outputs or not all(_has_run(database, name, open_intent.run_id) for database, name in open_intent.outputs):
            return False
        done = Entry("done", open_intent.run_id, open_intent.step, now(), open_intent.files, open_intent.outputs)
        storage.write_json(self._bucket, self._ledger_key(done.run_id, done.step), done.as_json())
        return True

    def _write_ledger(self, state: str) -> None:
        if not any(self.files.values()):
            return
        tables = [self.job.tables[w.table] for w in self.job.writes]
        outputs = tuple((t.database, t.name) for t in tables if t.is_iceberg)
        value = Entry(state, self.run.run_id, self.step, now(), {t: f for t, f in self.files.items() if f}, outputs)
        storage.write_json(self._bucket, self._ledger_key(self.run.run_id, self.step), value.as_json())

    def _record(self, error: str = "") -> None:
        inputs: list[dict[str, Any]] = [
            {"table": table, "objects": [f.as_json() for f in files], **({"rows": self.rows[table]} if table in self.rows else {})}
            for table, files in self.files.items()
        ]
        inputs += [{"table": table, "snapshot": snapshot} for table, snapshot in self.snapshots.items()]
        record = {
            "schema": 1,
            "state": self.state,
            "run_id": self.run.run_id,
            "project": self.job.project,
            "job": self.job.name,
            "step": self.step,
            "attempt": self.attempt,
            "pipeline": self.run.pipeline,
            "started": self.started,
            "ended": "" if self.state == "intent" else now(),
            "error": error,
            "inputs": inputs,
            "outputs": self.outputs,
        }
        storage.write_json(self._bucket, f"{self._prefix}{self.run.run_id}/{self.step}.json", record)

    @property
    def _bucket(self) -> str:
        return get_config().names.bucket("refined")

    @property
    def _prefix(self) -> str:
        return get_config().names.runs_prefix(self.job.project)

    def _ledger_prefix(self) -> str:
        return f"{self._prefix}_ledger/{self.job.name}/"

    def _ledger_key(self, run_id: str, step: str) -> str:
        # A job that a pipeline uses twice has an entry per use.
        return f"{self._ledger_prefix()}{run_id}{'' if step == self.job.name else '~' + step}.json"


@cache
def begin() -> Current | None:
    """The run of this process, or None outside of one; the first call installs what notes its end."""
    call = invocation()
    if call.job is None or call.run is None:
        return None
    current = Current(call.job, call.run, call.step, call.attempt, now())
    before = sys.excepthook

    def note(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        try:
            current.finish(f"{kind.__name__}: {error}"[:2000])
        finally:
            before(kind, error, trace)

    sys.excepthook = note
    atexit.register(at_exit, current)
    return current


def at_exit(current: Current) -> None:
    """The process ends and no exception was seen. Glue's own runner may have swallowed one, so a run that consumed files and left out a
    declared write is not believed to be done: its files are read again."""
    missing = current.missing() if current.outputs and any(current.files.values()) else []
    current.finish(f"ended without writing {', '.join(missing)}" if missing else "")


def files_of(table: Table, taken: Callable[[str], bool] = lambda key: True) -> list[FileVersion]:
    """The files of a raw table that this process reads: in a run what is not consumed yet, else all. `taken` chooses by key."""
    if table.is_iceberg:
        raise FoundationError(f"{table.logical} is an Iceberg table; only raw tables of files have a ledger")
    bucket, prefix = storage.split(table.location)
    present = [listed(item) for item in storage.versions_under(bucket, prefix) if is_data(item["Key"], prefix) and taken(item["Key"])]
    current = begin()
    return current.take(table, present) if current else sorted(present)


def now() -> str:
    """This moment, ISO 8601 in UTC with `Z`."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _has_run(database: str, name: str, run_id: str) -> bool:
    table = metadata.load(database, name)
    return table is not None and any(s.summary.get("run_id") == run_id for s in table.ancestry())
