"""Look after what was published: called by `handlers.watch_tables`, which the state machine `statemachines/watchdog.asl.json` invokes.

    look      every published table: old refs of ours away, freshness by the clock; answers the tables that are to be judged as a whole
    prepare   the arguments by which a table's own job judges `main` and publishes nothing
    take      the verdict of that job run, into the state item; a reconcile shows it
    count     how many tables are not well: the alarm's metric

Nothing here moves `main` or takes anything back. Killed anywhere, the next pass finds what there is left to do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from meshplane.errors import Conflict, NotFound, PlaneError, Rejected, ServiceFault
from meshplane.model.gating import AppliedGates, GatedTable
from meshplane.model.publishing import published_in, unjudged
from meshplane.model.runs import Run, run_id
from meshplane.model.snapshots import refs
from meshplane.model.watching import (
    Watch,
    aged,
    branch_is_over,
    check_arguments,
    fresher,
    is_due,
    judged,
    old_refs,
    run_of_branch,
    run_of_tag,
    tag_is_ours,
    unhealthy,
)
from meshplane.model.windows import iso, moment
from meshplane.ports import Clock, TableLook

AT_MOST = 200  # tables that one pass has judged; the others come an hour later
Known = Mapping[str, Any]


class Watcher(Protocol):
    """What watch_tables needs of the world. Errors are `meshplane.errors`."""

    def projects(self) -> Sequence[str]:
        """Every project that is published, and neither removed nor being removed."""
        ...

    def watched(self, project: str) -> tuple[AppliedGates, Known]:
        """The gates as applied, and what was remembered of each table."""
        ...

    def remember(self, project: str, table: str, watch: Watch) -> None:
        """Keep it in the state item. A state that was wiped meanwhile keeps nothing."""
        ...

    def look(self, database: str, name: str) -> TableLook | None:
        """The table now; None when it is not in the catalog."""
        ...

    def run_ids(self, project: str) -> Collection[str]:
        """Every run that is recorded, or left records of its steps."""
        ...

    def run(self, project: str, run_id: str) -> Run | None:
        """One run's record in the state table."""
        ...

    def left_by(self, project: str, run_id: str) -> Sequence[Known]:
        """The records of a run's steps and of their publications."""
        ...

    def remove(self, look: TableLook, names: Sequence[str]) -> None:
        """One commit that takes these refs away. Raises Conflict when the table is no longer as in `look`."""
        ...

    def arguments(self, job: str) -> Mapping[str, str]:
        """The default arguments of a Glue job, by its physical name. Raises NotFound."""
        ...

    def check_script(self) -> str:
        """Where the built-in `check` lies, as an `s3://` path."""
        ...

    def ask_for_a_look(self, project: str) -> None:
        """Ask for a reconcile."""
        ...


@dataclass(frozen=True, slots=True)
class Passed:
    """What one look found. `removed`: `project.table` → refs; `faults`: project → what went wrong there."""

    due: tuple[tuple[str, str], ...]
    looked: int
    removed: Mapping[str, Sequence[str]]
    faults: Mapping[str, str]


def watch_tables(watcher: Watcher, clock: Clock, event: Known) -> dict[str, Any]:
    """One request of the state machine: `do` names what. Raises Rejected for what is none of it."""
    does: Callable[[Watcher, Clock, Known], dict[str, Any]] | None = {"prepare": prepare, "take": take}.get(str(event.get("do")))
    if does is None:
        raise Rejected(f"'{event.get('do')}' is nothing that can be done here; allowed: look, prepare, take, count")
    return does(watcher, clock, event)


def look(watcher: Watcher, clock: Clock) -> Passed:
    """Every published table of every project; one project's fault stops no other's."""
    due: list[tuple[str, str]] = []
    removed: dict[str, Sequence[str]] = {}
    faults: dict[str, str] = {}
    looked = 0
    for project in watcher.projects():
        try:
            applied, known = watcher.watched(project)
            for table, gate in sorted((applied.gates or {}).items()):
                looked += 1
                seen = _seen(watcher, project, gate)
                if seen is None:
                    continue
                if gone := reap(watcher, clock, project, gate, seen):
                    removed[f"{project}.{table}"] = gone
                if _look_at(watcher, clock, project, gate, seen, Watch.of(known.get(table, {}))):
                    due.append((project, table))
        except PlaneError as fault:
            faults[project] = str(fault)
    return Passed(tuple(due[:AT_MOST]), looked, removed, faults)


def count(watcher: Watcher) -> dict[str, list[str]]:
    """Project → its tables that are not well."""
    found = {
        project: list(unhealthy(known, applied.gates or {}))
        for project in watcher.projects()
        for applied, known in [watcher.watched(project)]
    }
    return {project: tables for project, tables in found.items() if tables}


def prepare(watcher: Watcher, clock: Clock, event: Known) -> dict[str, Any]:
    """What to start for a table. `job` is empty where it cannot be judged now; why is remembered."""
    project, table = str(event["project"]), str(event["table"])
    applied, known = watcher.watched(project)
    gate, watch = (applied.gates or {}).get(table), Watch.of(known.get(table, {}))
    if gate is None:
        return {"project": project, "table": table, "job": ""}
    now = clock.now()
    try:
        arguments = watcher.arguments(gate.writer)
        told, why = check_arguments(json.loads(arguments.get("--meshplane-job", "{}")), gate)
    except NotFound as gone:
        told, why = {}, str(gone)
    if why:
        _remember(watcher, project, table, watch, judged(watch, gate, None, why, now))
        return {"project": project, "table": table, "job": ""}
    run = run_id(project, "watch", "", f"{event['id']}\n{table}", moment(str(event["at"])))
    asked = {"schema": 1, "run_id": run, "project": project, "pipeline": "", "trigger": "watchdog", "by": "watchdog"}
    step = f"check-{table}"
    watcher.remember(project, table, replace(watch, asked=iso(now)))
    return {
        "project": project,
        "table": table,
        "job": gate.writer,
        "run_id": run,
        "step": step,
        "failure": {"Error": "", "Cause": ""},
        "arguments": {
            "--scriptLocation": watcher.check_script(),
            "--meshplane-job": json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False),
            "--meshplane-run": json.dumps({**asked, "window_start": "", "window_end": "", "params": {}}, separators=(",", ":")),
            "--meshplane-step": step,
            "--meshplane-attempt": "0",
        },
    }


def take(watcher: Watcher, clock: Clock, event: Known) -> dict[str, Any]:
    """The verdict that a job run left. A job run that failed has left one, too, where it judged at all."""
    project, table = str(event["project"]), str(event["table"])
    applied, known = watcher.watched(project)
    gate, watch = (applied.gates or {}).get(table), Watch.of(known.get(table, {}))
    if gate is None:
        return {"project": project, "table": table, "why": ""}
    left = [told for told in watcher.left_by(project, str(event["run_id"])) if told.get("step") == event.get("step")]
    verdicts = [one for told in left for one in told.get("verdicts", ()) if one.get("table") == table and one.get("branch") == "main"]
    failure = event.get("failure") or {}
    told = judged(watch, gate, verdicts[0] if len(verdicts) == 1 else None, str(failure.get("Error", "")), clock.now())
    told = aged(told, gate, clock.now())
    _remember(watcher, project, table, watch, told)
    return {"project": project, "table": table, "why": told.why}


def reap(watcher: Watcher, clock: Clock, project: str, gate: GatedTable, seen: TableLook) -> Sequence[str]:
    """Take our old refs away; the names of those that went. What somebody else made stands, whatever it is called."""
    now, raw = clock.now(), seen.metadata
    names = old_refs(raw, gate, now)
    branches = [name for name in names if refs(raw)[name]["type"] == "branch"]
    runs = watcher.run_ids(project) if branches else ()

    def ours(name: str) -> bool:
        run = run_of_branch(name, runs) if name in branches else run_of_tag(raw, name)
        if not run:
            return False
        left = watcher.left_by(project, run)
        return branch_is_over(watcher.run(project, run), left, now) if name in branches else tag_is_ours(name, gate, left)

    gone = [name for name in names if ours(name)]
    if not gone:
        return ()
    try:
        watcher.remove(seen, gone)
    except (Conflict, ServiceFault):  # somebody committed first, or the outcome is unknown: the next pass looks again
        return ()
    return gone


def _seen(watcher: Watcher, project: str, gate: GatedTable) -> TableLook | None:
    """The table, where it is this project's and not laid to rest."""
    found = watcher.look(gate.database, gate.name)
    return found if found and found.project == project and not found.tombstone else None


def _look_at(watcher: Watcher, clock: Clock, project: str, gate: GatedTable, seen: TableLook, watch: Watch) -> bool:
    """Freshness, by what the last publication says and by the clock. Whether the table is to be judged as a whole."""
    now, published = clock.now(), published_in(seen.metadata)
    told = watch
    if published and published != watch.published and any(rule.within for rule in gate.rules):
        told = _newer(watcher, project, gate, published, seen, watch)
    told = aged(told, gate, now)
    if told != watch:
        _remember(watcher, project, gate.table, watch, told)
    return not unjudged(seen.metadata) and is_due(told, gate, seen.metadata, now)


def _newer(watcher: Watcher, project: str, gate: GatedTable, published: int, seen: TableLook, watch: Watch) -> Watch:
    """With what the gate of the last publication saw."""
    run = run_of_publication(seen)
    verdicts = [one for told in watcher.left_by(project, run) for one in told.get("verdicts", ())] if run else []
    for verdict in verdicts:
        if verdict.get("table") == gate.table and verdict.get("snapshot") == published:
            watch = fresher(watch, gate, verdict)
    return replace(watch, published=published)


def run_of_publication(seen: TableLook) -> str:
    """The run that `main` was published by."""
    published = published_in(seen.metadata)
    name = next((name for name, ref in refs(seen.metadata).items() if ref["type"] == "tag" and ref["snapshot-id"] == published), "")
    return run_of_tag(seen.metadata, name) if name else ""


def _remember(watcher: Watcher, project: str, table: str, before: Watch, after: Watch) -> None:
    watcher.remember(project, table, after)
    if before.why != after.why:  # the status tells of it
        watcher.ask_for_a_look(project)
