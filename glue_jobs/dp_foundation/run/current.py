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
from typing import TYPE_CHECKING, Any

from dp_foundation import storage
from dp_foundation.config.arguments import Job, Run, Table, invocation
from dp_foundation.config.settings import get_config
from dp_foundation.errors import FoundationError
from dp_foundation.iceberg import metadata
from dp_foundation.logging.logger import get_logger
from dp_foundation.run import rebuild
from dp_foundation.run.ledger import Entry, FileVersion, entry, intended, is_data, listed, select

if TYPE_CHECKING:
    from dp_foundation.quality.tally import Tally
    from dp_foundation.run.gates import Written

Step = tuple[str, str]  # run id and step: who commits. Two steps of one run may write the same table


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
    snapshots: dict[str, list[int | None]] = field(default_factory=dict)  # of Iceberg tables: what was read, each state once
    again: set[str] = field(default_factory=set)  # raw tables whose files are read more than once
    outputs: list[dict[str, Any]] = field(default_factory=list)
    writes: dict[str, int] = field(default_factory=dict)
    state: str = ""
    error: str = ""  # why it failed: that is for good, whatever a script does after it
    may_mend: bool = False  # but for a frame that did not fit its table
    noted: tuple[str, ...] = ()  # the raw tables that the intent in S3 names, by this attempt or an earlier one
    round: int = 0
    audit: bool = False
    branches: dict[str, str] = field(default_factory=dict)  # identifier → the branch that this step writes; empty where it was published
    written: dict[str, Written] = field(default_factory=dict)  # logical name → what there is to judge
    batches: dict[tuple[str, int | None], dict[str, Any]] = field(default_factory=dict)  # verdicts on raw tables: batch, or snapshot
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    quarantined: dict[str, int] = field(default_factory=dict)  # table → rows that landing kept out
    turned_away: dict[str, Tally] = field(default_factory=dict)  # table → what they broke, by rule
    ancestry: dict[tuple[str, str], frozenset[Step]] = field(default_factory=dict)  # table → who committed to `main`, looked up once
    rejected: dict[str, str] = field(default_factory=dict)  # raw table → why its batch was turned away

    # --- what is read -----------------------------------------------------------------------------------------------------------

    def take(self, table: Table, present: Iterable[FileVersion]) -> list[FileVersion]:
        """The files of a raw table that this run reads; asked twice, it answers the same."""
        if table.logical not in self.files:
            prefix = self._ledger_prefix()
            entries = [entry(raw) for raw in storage.read_all_json(self._bucket, storage.keys_under(self._bucket, prefix))]
            own, window = (self.run.run_id, self.step), rebuild.asked(self.run, self.job)
            self.noted = self.noted or intended(entries, own)
            if window is None:
                taken = select(table.logical, present, entries, own, self._landed)
            else:
                taken = rebuild.select(table.logical, present, entries, own, window, self._holds_once)
            self.files[table.logical] = tuple(taken)
        return list(self.files[table.logical])

    @property
    def judged_at(self) -> str:
        """The moment that freshness is judged against: the window's end, else the run's start; of a rebuild the end of what it reads."""
        window = rebuild.asked(self.run, self.job)
        return self.run.window_end or (window.judged_at(self.started) if window else self.started)

    def saw(self, name: str, snapshot: int | None) -> None:
        """An Iceberg table was read at this snapshot. Read again later, it may stand at another one."""
        seen = self.snapshots.setdefault(name, [])
        if snapshot in seen:
            seen.remove(snapshot)
        seen.append(snapshot)

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
        """Before a commit: say which files the run will have consumed, again when it has read more since. Raises FoundationError in a run
        that has failed: a script that catches what it was told must not write on, for readers would see half of a run, or what was made
        without the batch that a gate turned away."""
        if self.state == "failed" and not self.may_mend:
            raise FoundationError(
                f"step {self.step} of run {self.run.run_id} has failed and writes no more; it failed by: {self.error}; "
                "mend: let that error end the job instead of catching it, put right what it names, and run again"
            )
        if self.state != "intent" or self.noted != tuple(self.files):
            self.error, self.may_mend = "", False
            self.state, self.noted = "intent", tuple(self.files)
            self._record()
            self._write_ledger("intent")

    def committed(self, output: dict[str, Any]) -> None:
        """A commit stands on its branch."""
        self.outputs.append(output)

    def reject(self, reason: str, table: str) -> None:
        """The gate of this raw table turned its batch away: mark its files, and no other table's, so that no later run takes them before a
        reset. Those that are read again were taken before, and stay as they are."""
        self.rejected[table] = reason
        self._write_rejected(alone=not self.noted)
        self.finish(reason[:2000])

    # --- how it ends ------------------------------------------------------------------------------------------------------------

    def finish(self, error: str = "") -> None:
        """Write the last record, once: failed, nothing (no commit and nothing consumed) or done. A script goes on after a built-in job that
        it ran; when it fails then, all of it has failed."""
        self.may_mend = self.may_mend and not error
        if self.state == "failed" or (self.state in ("done", "nothing") and not error):
            return
        if error:
            self.state, self.error = "failed", error
        elif not self.outputs:
            # A step that is to be published and changed nothing has nothing to publish; what it read is consumed all the same.
            consumed = self.state == "intent"
            self.state = "done" if consumed and not self.audit else "nothing"
            if consumed and self.audit:
                self._write_ledger("done")
        else:
            self.state = "done"
        self._judge()
        if self.state == "done":
            # What lies on a branch is consumed once it is published: its intent stays, and says what has to be on `main` for that.
            self._write_ledger("intent" if self._on_branches() else "done")
        self._record(error)

    def _judge(self) -> None:
        """The verdicts, also of a run that failed: nobody publishes it, but somebody may ask why."""
        if self.state == "done":
            from dp_foundation.run import gates

            self.verdicts = gates.verdicts(self)
        self.verdicts += [told for told in self.batches.values() if told not in self.verdicts]

    def _on_branches(self) -> list[tuple[str, str]]:
        tables = [self.job.tables[output["table"]] for output in self.outputs if output["branch"] != "main"]
        return list(dict.fromkeys((table.database, table.name) for table in tables))

    def missing(self) -> list[str]:
        """The declared writes that nothing was committed to."""
        return [
            w.table for w in self.job.writes if f"{self.job.tables[w.table].database}.{self.job.tables[w.table].name}" not in self.writes
        ]

    def _landed(self, open_intent: Entry) -> bool:
        """Whether another run's intent came true; if so it is written down as done, so that it is asked for once."""
        if not open_intent.outputs:
            return False
        on_main = all(self._holds(where, (open_intent.run_id, open_intent.step)) for where in open_intent.outputs)
        if not on_main and not self._published((open_intent.run_id, open_intent.step)):
            return False
        done = Entry("done", open_intent.run_id, open_intent.step, now(), open_intent.files, open_intent.outputs)
        storage.write_json(self._bucket, self._ledger_key(done.run_id, done.step), done.as_json())
        return True

    def stands(self, claim: str, table: Table) -> bool:
        """Whether what another step claimed of rows for this table is on `main`, or that step ended with nothing to write there; a step of
        this very run also where it has not failed: it may be running beside this one, or wait for its gate.

        Another job that merges the same rows brings other columns of them: its claim takes nothing from a job that merges too, which has
        them in the same run, and again where its own step of that run does not stand. Of a claim that names no step every one that may
        have made it has to stand: those of this job, or, where it has left no record there (it had another name), those that read the
        table's quarantine."""
        from dp_foundation.contracts.quarantine import ENDING, claimant

        run_id, step = claimant(claim)
        keys = [key for key in storage.keys_under(self._bucket, f"{self._prefix}{run_id}/") if "/publish-" not in key]
        records = [one for one in storage.read_all_json(self._bucket, keys) if (run_id, one.get("step")) != (self.run.run_id, self.step)]
        reading = [one for one in records if any(read.get("table") == f"{table.logical}{ENDING}" for read in one.get("inputs", ()))]
        ours = [one for one in records if one.get("job") == self.job.name]
        made = [one for one in records if one.get("step") == step]
        if not step:
            made = ours or reading
        elif made and made[0].get("job") != self.job.name and any((w.table, w.mode) == (table.logical, "merge") for w in self.job.writes):
            if run_id == self.run.run_id:
                return False
            made += [one for one in ours if one in reading]
        return bool(made) and all(self._stands(run_id, one, table) for one in made)

    def _stands(self, run_id: str, record: dict[str, Any], table: Table) -> bool:
        step = str(record.get("step"))
        if self._holds((table.database, table.name), (run_id, step)):
            return True
        if run_id == self.run.run_id and record.get("state") != "failed":
            return True
        outputs = [output for output in record.get("outputs", ()) if output.get("table") == table.logical]
        if record.get("state") in ("done", "nothing") and all(output.get("branch") == "main" for output in outputs):
            return True
        return bool(outputs) and self._published((run_id, step))

    def _holds(self, where: tuple[str, str], step: Step) -> bool:
        """Whether `main` has a commit of this step. One that names no step proves nothing: what it may have brought is read again."""
        return step in self._on_main(where)

    def _on_main(self, where: tuple[str, str]) -> frozenset[Step]:
        if where not in self.ancestry:
            table = metadata.load(*where)
            self.ancestry[where] = frozenset(map(_committer, table.ancestry())) if table else frozenset()
        return self.ancestry[where]

    def _holds_once(self, consumed: Entry) -> bool:
        """Whether reading an entry's files again would put their rows into a table twice: this job appends, the run was published, and no
        rollback is known to have taken its rows off `main` again. What is merged or overwritten may come as often as it likes."""
        appended = {write.table for write in self.job.writes if write.mode == "append"}
        places = {(t.database, t.name) for name in appended if (t := self.job.tables[name]).is_iceberg}
        if not places or (consumed.state == "intent" and not self._landed(consumed)):
            return False
        return not all(self._rolled_back(where, (consumed.run_id, consumed.step)) for where in places)

    def _rolled_back(self, where: tuple[str, str], step: Step) -> bool:
        """The step's commit is in the table, and not on `main`. One that has expired proves nothing; one that names no step may be its."""
        table = metadata.load(*where)
        may_be = {step, (step[0], "")}
        written = table is not None and not may_be.isdisjoint(map(_committer, table.snapshots.values()))
        return written and may_be.isdisjoint(self._on_main(where))

    def _published(self, step: Step) -> bool:
        """Snapshots expire: a step that was published long ago is known by its publish record."""
        note = storage.read_json(self._bucket, f"{self._prefix}{step[0]}/publish-{step[1]}.json")
        return note is not None and note.get("state") == "done"

    def _write_ledger(self, state: str) -> None:
        """What the step means to consume, or has: nothing of what a gate turned away, whose entry gives way to this one."""
        files = {table: found for table, found in self.files.items() if found and table not in self.rejected}
        if not files:
            return
        self._write_rejected(alone=False)
        tables = [self.job.tables[w.table] for w in self.job.writes]
        outputs = tuple(self._on_branches()) or tuple((t.database, t.name) for t in tables if t.is_iceberg)
        value = Entry(state, self.run.run_id, self.step, now(), files, outputs)
        storage.write_json(self._bucket, self._ledger_key(self.run.run_id, self.step), value.as_json())

    def _write_rejected(self, alone: bool) -> None:
        """All that gates turned away in this step, in its entry, or beside it where that tells of other files."""
        files = {table: self.files[table] for table in self.rejected if self.files.get(table)}
        if not files or rebuild.asked(self.run, self.job) is not None:
            return
        value = Entry("rejected", self.run.run_id, self.step, now(), files, reason="; ".join(self.rejected[table] for table in files))
        key = self._ledger_key(self.run.run_id, self.step) if alone else self._ledger_key(self.run.run_id, f"{self.step}~rejected")
        storage.write_json(self._bucket, key, value.as_json())

    def _record(self, error: str = "") -> None:
        inputs: list[dict[str, Any]] = [
            {"table": table, "objects": [f.as_json() for f in files], **({"rows": self.rows[table]} if table in self.rows else {})}
            for table, files in self.files.items()
        ]
        inputs += [{"table": table, "snapshot": snapshot} for table, seen in self.snapshots.items() for snapshot in seen]
        from dp_foundation.run import gates

        record = {
            "schema": 1,
            "state": self.state,
            "run_id": self.run.run_id,
            "project": self.job.project,
            "job": self.job.name,
            "step": self.step,
            "attempt": self.attempt,
            "round": self.round,
            "pipeline": self.run.pipeline,
            "started": self.started,
            "ended": "" if self.state == "intent" else now(),
            "error": error,
            "inputs": inputs,
            "outputs": gates.outputs(self),
            "verdicts": self.verdicts,
        }
        storage.write_json(self._bucket, f"{self._prefix}{self.run.run_id}/{self.step}.json", record)
        self._tell(record)

    def _tell(self, record: dict[str, Any]) -> None:
        """The same as OpenLineage events. Telemetry never fails a job."""
        try:
            from dp_foundation.lineage.records import events

            told = {"schema": 1, "events": events(self.job, self.run, record)}
            storage.write_json(self._bucket, f"{self._prefix}_lineage/{self.run.run_id}/{self.step}.json", told)
        except Exception:  # noqa: BLE001
            get_logger(__name__).warning("no lineage of step %s", self.step, exc_info=True)

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
    current = Current(call.job, call.run, call.step, call.attempt, now(), round=call.round, audit=call.audit)
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


def _committer(snapshot: metadata.Snapshot) -> Step:
    return snapshot.summary.get("run_id", ""), snapshot.summary.get("meshplane.step", "")


def now() -> str:
    """This moment, ISO 8601 in UTC with `Z`."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
