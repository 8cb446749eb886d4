"""The gate of a run: notes what each commit brought, judges it when the run ends, and arrived raw batches before the job goes on.

`io` reports commits and batches; `run.current` asks for the verdicts and writes them into the outbox (docs/contracts.md §9).
Row rules, row count and freshness judge what the run brought: the rows appended, the rows merged, the window overwritten (the whole table
where it was overwritten). Uniqueness, references, reconciliation, change and own SQL judge the table as the run would leave it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from dp_foundation.config.arguments import Table
from dp_foundation.errors import ConfigError, DataError
from dp_foundation.iceberg import metadata
from dp_foundation.io.raw import lacking
from dp_foundation.io.tables import Target, find
from dp_foundation.logging.logger import get_logger
from dp_foundation.quality.engine import Surroundings, judge, measured
from dp_foundation.quality.rules import Gate, Result, broke, holds, of_a_table, passes
from dp_foundation.quality.tally import Tally, shared, tally

if TYPE_CHECKING:
    from dp_foundation.run.current import Current


@dataclass(slots=True)
class Written:
    """What this step's commits brought to one table: `parts` are read at the end, `counted` is counted already."""

    target: Target
    snapshot: metadata.Snapshot
    parts: list[tuple[str, metadata.Snapshot, Any]] = field(default_factory=list)
    counted: Tally = field(default_factory=Tally)


def wrote(
    current: Current,
    target: Target,
    mode: str,
    snapshot: metadata.Snapshot,
    rows: Any = None,
    gone: Any = None,
    counted: Tally | None = None,
) -> None:
    """A commit stands. `rows`: of a merge the frame that was merged (counted now, while it is at hand), of a window its condition.
    `gone`: the frame of rows that asked for a deletion: no rule looks at them, but a batch of them is not empty. `counted`: what was
    counted of the very rows that were merged, before they were written."""
    if target.table is None or target.table.gate is None:
        return
    known = current.written.setdefault(target.table.logical, Written(target, snapshot))
    known.target, known.snapshot = target, snapshot
    if mode == "merge":
        known.counted.add(counted if counted is not None else tally(rows, target.table.gate))
        known.counted.add(Tally(rows=gone.count() if gone is not None else 0))
    else:
        known.parts.append((mode, snapshot, rows))


def verdicts(current: Current) -> list[dict[str, Any]]:
    """One per gated table that was written. Never raises: what cannot be judged is a verdict that says no."""
    made = []
    for logical, written in current.written.items():
        gate = written.target.table.gate if written.target.table else None
        if gate is None:
            continue
        try:
            made.append(_verdict(current, logical, written, gate))
        except Exception as error:  # noqa: BLE001  without a session, say
            get_logger(__name__).exception("%s could not be judged", logical)
            results = {rule.name: broke(rule, error) for rule in gate.rules}
            made.append(_told(gate, written.target.branch or "main", written.snapshot, results, 0))
    return made


def outputs(current: Current) -> list[dict[str, Any]]:
    """What the step committed, a table on a branch once: its last snapshot, what stood on `main` before, all rows that were added. So it
    stands there, too, when an earlier round has published it: the gate proves what it published, which is the last commit."""
    made: dict[str, dict[str, Any]] = {}
    for at, output in enumerate(current.outputs):
        on_main = output["branch"] == "main"
        if on_main and output["table"] not in _published_before(current):
            made[str(at)] = output
            continue
        told = next((v for v in current.verdicts if (v["table"], v["branch"]) == (output["table"], output["branch"])), None)
        before = made.get(output["table"], {"rows_added": 0, "parent": output["parent"]})
        fork = {"parent": told["parent"]} if told and not on_main else {"parent": before["parent"]} if on_main else {}
        made[output["table"]] = {**output, **fork, "rows_added": before["rows_added"] + output["rows_added"]}
    return list(made.values())


def _published_before(current: Current) -> frozenset[str]:
    """The tables that an earlier round of this step published: no branch was opened for them (`branches.opened`)."""
    places = {where for where, branch in current.branches.items() if not branch}
    return frozenset(name for name, table in current.job.tables.items() if Target(table.database, table.name, table).identifier in places)


def arrived(current: Current, table: Table, frame: Any) -> None:
    """Judge what of a raw table this job is about to read before it sees it: the batch of new files, or an Iceberg table as it stands,
    each of its states once. Raises DataError for one that is rejected; files are marked then."""
    gate, files = table.gate, current.files.get(table.logical)
    there = current.snapshots.get(table.logical, [None])[-1]
    what = (table.logical, there)
    if gate is None or not (there or files):
        return
    if (known := current.batches.get(what)) is not None:
        if not known["passed"]:  # a script that has caught the refusal asks again
            raise _refused(current, table, known)
        return
    needed = any(rule.kind != "columns" for rule in gate.rules)
    done = tally(frame, gate) if needed else Tally()
    around = _around(current, frame.sparkSession, Target(table.database, table.name, table), partial(_same, frame), None)
    results = judge(gate, done, replace(around, lacking=lacking(frame)))
    told = _told(gate, "", None, results, done.rows)
    if not needed:  # nothing asks for a scan: the job's own count, if it makes one, is the record's
        told |= {"passed": holds(gate, results)}
    current.batches[what] = told
    if needed:
        current.rows[table.logical] = done.rows
    if not told["passed"]:
        raise _refused(current, table, told)


def _refused(current: Current, table: Table, told: Mapping[str, Any]) -> DataError:
    """Marks what was turned away, and says so."""
    files, there = current.files.get(table.logical), current.snapshots.get(table.logical, [None])[-1]
    named = f"the batch of {len(files)} file(s)" if files else f"the table at snapshot {there}"
    reason = f"{table.logical}: {named} is rejected: {why(told)}"
    current.reject(reason, table.logical)
    again = f"meshplane files {current.job.name} --reset, and run again" if files else "run again"
    return DataError(f"{reason}; mend: put right what is wrong, then {again}")


def standing(current: Current, spark: Any, target: Target) -> dict[str, Any]:
    """The verdict on a table as it stands on `main`; the row rules look at all of its rows, which many batches may have brought
    (`of_a_table`). Raises ConfigError for one without a gate."""
    table, known = target.table, metadata.load(target.database, target.name)
    if table is None or table.gate is None:
        raise ConfigError(f"{target.identifier} has no gate to be judged by; allowed: this project's tables")
    spark.catalog.refreshTable(target.identifier)
    head = known.snapshots.get(known.head) if known and known.head is not None else None
    state = partial(_at, spark, target, head.snapshot_id) if head else partial(spark.table, target.identifier)
    # A raw table is never judged by its batches, but as it stands (`arrived`).
    gate = table.gate if table.layer == "raw" else replace(table.gate, rules=tuple(map(of_a_table, table.gate.rules)))
    done = tally(state(), gate)
    written = Written(target, head) if head else None
    return _told(gate, "main", head, judge(gate, done, _around(current, spark, target, state, known, written)), done.rows)


def why(told: Mapping[str, Any]) -> str:
    """What a verdict says no by, in a line."""
    bad = [r for r in told["results"] if r["outcome"] != "passed" and r["severity"] == "block"]
    lines = [f"{r['rule']} {r['outcome']} ({r['violations']} of {r['rows']}{': ' + r['detail'] if r['detail'] else ''})" for r in bad]
    return "; ".join(lines) or "it holds no rows"


def _verdict(current: Current, logical: str, written: Written, gate: Gate) -> dict[str, Any]:
    spark, target = _session(), written.target
    known = metadata.load(target.database, target.name)
    spark.catalog.clearCache()  # Iceberg 1.10 tells cached tables apart by name only: a cached older state must not be judged
    done = written.counted
    for mode, snapshot, rows in written.parts:
        if shared(gate) or mode != "append":
            done.add(tally(_brought(spark, target, mode, snapshot, rows), gate))
        else:
            done.add(Tally(rows=snapshot.count("added-records")))
    state = partial(_at, spark, target, written.snapshot.snapshot_id)
    # What landing kept out for a rule still broke it: the rule's threshold says whether such a batch may be published.
    done.add(current.turned_away.get(logical, Tally()))
    results = judge(gate, done, _around(current, spark, target, state, known, written))
    told = _told(gate, target.branch or "main", written.snapshot, results, done.rows, _fork(current, known, written.snapshot))
    return {**told, "quarantined": current.quarantined[logical]} if current.quarantined.get(logical) else told


def _around(
    current: Current, spark: Any, target: Target, state: Any, known: metadata.TableMetadata | None, written: Written | None = None
) -> Surroundings:
    table = target.table
    assert table is not None  # noqa: S101  gated tables are declared
    proven = known.proven(written.snapshot.snapshot_id) if known and written else frozenset()
    return Surroundings(
        state=state,
        other=partial(_other, spark),
        history=partial(_history, spark, target, known, written),
        reference=datetime.fromisoformat(current.judged_at),
        name=table.logical,
        tables=tuple(current.job.tables),
        declared={c.name: c.type for c in table.columns},
        proven=frozenset({proven}) if proven else frozenset(),
    )


def _told(
    gate: Gate, branch: str, snapshot: metadata.Snapshot | None, results: Mapping[str, Result], rows: int, fork: int | None = None
) -> dict[str, Any]:
    return {
        "table": gate.table,
        "branch": branch,
        "snapshot": snapshot.snapshot_id if snapshot else None,
        "parent": fork,
        "schema_id": snapshot.schema_id if snapshot else None,
        "rules_digest": gate.digest,
        "rows": rows,
        "passed": passes(gate, results, rows),
        "results": [results[rule.name].as_json() for rule in gate.rules if rule.name in results],
    }


def _session() -> Any:
    """The session of this process; a script may have stopped its own before it ended."""
    from dp_foundation.spark.session import get_spark

    return get_spark()


def _at(spark: Any, target: Target, snapshot: int) -> Any:
    return spark.read.format("iceberg").option("snapshot-id", snapshot).load(target.identifier)


def _brought(spark: Any, target: Target, mode: str, snapshot: metadata.Snapshot, rows: Any) -> Any:
    """The rows that one commit brought, read from what it wrote."""
    if mode == "append" and snapshot.parent_id is not None:
        reader = spark.read.format("iceberg").option("start-snapshot-id", snapshot.parent_id)
        return reader.option("end-snapshot-id", snapshot.snapshot_id).load(target.identifier)
    frame = _at(spark, target, snapshot.snapshot_id)
    return frame.where(rows) if rows is not None else frame


def _other(spark: Any, logical: str) -> Any:
    """Another table as this step would read it. Raises TableRefusedError when the job does not declare it."""
    from dp_foundation.run import branches

    target = branches.seen(find(logical))
    spark.catalog.refreshTable(target.identifier)
    return spark.table(target.ref)


def _history(
    spark: Any, target: Target, known: metadata.TableMetadata | None, written: Written | None, measure: str, count: int, condition: str
) -> list[Any]:
    if known is None or written is None:
        return []
    states = islice(_before(known.ancestry(written.snapshot.snapshot_id)), count)
    found = [_then(spark, target, state, measure, condition) for state in states]
    return [value for value in found if value is not None]


def _before(line: Iterator[metadata.Snapshot]) -> Iterator[metadata.Snapshot]:
    """What readers saw before the state that this line of commits leads to, newest first: of each step of a run its last commit, however
    many it made, and each that no run made. Not what compaction wrote, which holds the same rows; and not a state without rows, with
    which the branch of an empty table begins: nothing can be compared with it, and no change is small beside it."""
    seen = set()
    for at, snapshot in enumerate(s for s in line if s.summary.get("operation") != "replace"):
        step = (snapshot.summary.get("run_id", ""), snapshot.summary.get("meshplane.step"))
        repeated = bool(step[0]) and step in seen
        seen.add(step)
        if at and not repeated and not snapshot.empty:
            yield snapshot


def _then(spark: Any, target: Target, snapshot: metadata.Snapshot, measure: str, condition: str) -> Any:
    """A measure of an earlier state; None where the table had no such column yet. Its summary says how many rows it had, where none of
    them is deleted."""
    from pyspark.errors import AnalysisException

    exact = "total-records" in snapshot.summary and not (
        snapshot.count("total-position-deletes") or snapshot.count("total-equality-deletes")
    )
    if measure == "count(*)" and not condition and exact:
        return snapshot.count("total-records")
    try:
        return measured(_at(spark, target, snapshot.snapshot_id), measure, condition)
    except AnalysisException as error:
        if not str(error.getErrorClass()).startswith("UNRESOLVED_COLUMN"):
            raise
        return None


def _fork(current: Current, known: metadata.TableMetadata | None, snapshot: metadata.Snapshot) -> int | None:
    """What stood on `main` when this step began: the newest ancestor that is not of it. None for an empty table, whose branch begins with
    an empty snapshot that `main` does not have."""
    line = known.ancestry(snapshot.snapshot_id) if known else iter(())
    before = next((s for s in line if not _mine(current, s)), None)
    if before is None or known is None:
        return None
    begun = (
        before.parent_id is None
        and before.count("total-records") == 0
        and before.snapshot_id not in {s.snapshot_id for s in known.ancestry()}
    )
    return None if begun else before.snapshot_id


def _mine(current: Current, snapshot: metadata.Snapshot) -> bool:
    return (snapshot.summary.get("run_id"), snapshot.summary.get("meshplane.step")) == (current.run.run_id, current.step)


def _same(frame: Any) -> Any:
    return frame
