"""Lead readers back to a published state, or have it made anew from raw: called by `handlers.restore_table`, which the state machines
`statemachines/roll_back.asl.json` and `statemachines/rebuild.asl.json` invoke, and by the command line, which only looks.

    roll_back   state item, metadata, publish records → every reason at once → intent → main and property in one commit → done
    rebuild     a message to the trigger queue, as a person's `run` sends it, with one parameter more (docs/decisions/0010)
    look        how far that run is

A rollback goes forward only: after a crash or a lost reply the same request finds what it has moved. Raises RestoreRefused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Protocol

from meshplane.errors import Conflict, RestoreRefused, ServiceFault
from meshplane.model.gating import AppliedGates, GatedTable
from meshplane.model.restoring import Choice, Rebuild, RollBack, check_restore, choice, note, stands, tagged, undone, value
from meshplane.model.runs import OPEN, PipelinePolicy, Run, run_id
from meshplane.model.snapshots import by_id, main, run_of
from meshplane.model.windows import iso, moment
from meshplane.ports import Clock, TableLook

ATTEMPTS = 5  # commits that collide without moving `main`: compaction, the plane's own properties


class Restorer(Protocol):
    """What restore_table needs of the world. Errors are `meshplane.errors`."""

    def applied(self, project: str) -> AppliedGates:
        """The gates as the state item names them."""
        ...

    def policies(self, project: str) -> Mapping[str, PipelinePolicy] | None:
        """The pipelines as the state item names them; None before the first reconcile."""
        ...

    def open_runs(self, project: str) -> Sequence[str]:
        """The ids of the runs that hold a place and have not ended."""
        ...

    def run(self, project: str, run_id: str) -> Run | None:
        """One run's record."""
        ...

    def look(self, database: str, name: str) -> TableLook | None:
        """The table now; None when it is not in the catalog."""
        ...

    def published(self, project: str, run_id: str) -> Sequence[Mapping[str, Any]]:
        """The publish records of a run."""
        ...

    def record(self, project: str, run_id: str, step: str) -> str | None:
        """The text of a step's outbox record; None when there is none."""
        ...

    def note(self, project: str, request: str, table: str) -> Mapping[str, Any] | None:
        """The record of a rollback."""
        ...

    def keep(self, project: str, request: str, table: str, note: Mapping[str, Any]) -> None:
        """Write the record of a rollback."""
        ...

    def roll_back(self, look: TableLook, snapshot: int, value: str) -> None:
        """One commit: `main` to the snapshot, the property of publications to `value`. Raises Conflict when the table is no longer as in
        `look`, ServiceFault when the outcome is unknown."""
        ...

    def start(self, asked: Rebuild) -> None:
        """Ask for the run, as a person would."""
        ...

    def ask_for_a_look(self, project: str) -> None:
        """Ask for a reconcile."""
        ...


def restore_table(restorer: Restorer, clock: Clock, event: Mapping[str, Any]) -> dict[str, Any]:
    """One request of a state machine: `do` names what, `request` is the execution's input."""
    asked = event.get("request")
    told = {**(asked if isinstance(asked, Mapping) else {}), **{key: event[key] for key in ("id", "at", "run_id") if key in event}}
    does = {"roll_back": roll_back, "rebuild": rebuild, "look": look}.get(str(event.get("do")))
    if does is None:
        raise RestoreRefused([f"'{event.get('do')}' is nothing that can be done here; allowed: roll_back, rebuild, look"])
    return does(restorer, clock, told)


def roll_back(restorer: Restorer, clock: Clock, told: Mapping[str, Any]) -> dict[str, Any]:
    """`main` to a published snapshot. Answers what readers see then, and the runs whose rows they see no longer."""
    asked = RollBack.read(told)
    gate = gated(restorer, asked.project, asked.table)
    for _ in range(ATTEMPTS):
        seen = looked(restorer, gate, asked.project)
        if stands(asked, seen.metadata):
            break
        notes = _notes(restorer, asked.project, seen, asked.snapshot)
        reasons = check_restore(asked, restorer.applied(asked.project), seen.metadata, notes, restorer.open_runs(asked.project))
        if reasons:
            raise RestoreRefused(reasons)
        begun = note(asked, undone(seen.metadata, asked.snapshot), clock.now())
        restorer.keep(asked.project, asked.id, asked.table, begun)
        try:
            restorer.roll_back(seen, asked.snapshot, value(asked, notes))
            break
        except (Conflict, ServiceFault):  # overtaken, or the outcome is unknown: the table says what there is left to do
            continue
    else:
        raise ServiceFault(f"{asked.table}: other writers committed first {ATTEMPTS} times")
    known = restorer.note(asked.project, asked.id, asked.table) or {}
    restorer.keep(asked.project, asked.id, asked.table, {**known, "state": "done", "ended": iso(clock.now())})
    restorer.ask_for_a_look(asked.project)  # an UnjudgedCommit that this mends is not to stand until the next sweep
    return {"table": asked.table, "snapshot": str(asked.snapshot), "undone": list(known.get("undone", ()))}


def rebuild(restorer: Restorer, clock: Clock, told: Mapping[str, Any]) -> dict[str, Any]:
    """Ask for the run. Its id follows from the execution, so that asking twice starts once."""
    asked = Rebuild.read(told)
    gated(restorer, asked.project, asked.table)
    policy = (restorer.policies(asked.project) or {}).get(asked.pipeline)
    if policy is None or policy.paused:
        why = f"may not start: {policy.paused}" if policy else "is not there"
        raise RestoreRefused([f"pipeline {asked.project}.{asked.pipeline} {why}"])
    restorer.start(asked)
    return {"run_id": run_id(asked.project, asked.pipeline, "", asked.id, moment(asked.at))}


def look(restorer: Restorer, clock: Clock, told: Mapping[str, Any]) -> dict[str, Any]:
    """The run's status; `published` names the snapshot that readers of the table see by it, empty where nothing of the window was new."""
    project, table, run = (str(told.get(name) or "") for name in ("project", "table", "run_id"))
    found = restorer.run(project, run)
    if found is None or found.status in OPEN:
        return {"run_id": run, "status": found.status if found else "WAITING", "ended": False, "cause": "", "published": ""}
    done = [one for each in restorer.published(project, run) if each.get("state") == "done" for one in each.get("tables", ())]
    snapshot = next((str(one["snapshot"]) for one in done if one["table"] == table), "")
    cause = found.cause or found.reason or found.error
    return {"run_id": run, "status": found.status, "ended": True, "cause": cause, "published": snapshot}


def gated(restorer: Restorer, project: str, table: str) -> GatedTable:
    """The table as the last reconcile left it in the state item. Raises RestoreRefused."""
    applied = restorer.applied(project)
    if applied.gates is None:
        raise RestoreRefused([f"project {project} is not published"])
    if table not in applied.gates:
        raise RestoreRefused([f"{project} publishes no table {table}; allowed: {', '.join(sorted(applied.gates)) or 'none'}"])
    return applied.gates[table]


def looked(restorer: Restorer, gate: GatedTable, project: str) -> TableLook:
    """The table now. Raises RestoreRefused where it is not this project's to restore."""
    found = restorer.look(gate.database, gate.name)
    where = f"{gate.database}.{gate.name}"
    if found is None:
        raise RestoreRefused([f"{where} is not in the catalog"])
    reasons = [f"{where} is of project '{found.project or 'none'}'"] if found.project != project else []
    reasons += [f"{gate.table} was taken out of the manifest"] if found.tombstone else []
    if reasons:
        raise RestoreRefused(reasons)
    return found


def known_choice(restorer: Restorer, gate: GatedTable, project: str, seen: TableLook, number: int) -> Choice | None:
    """A tagged snapshot with what the records of its run say of it; None where they do not say that it was published."""
    notes = _notes(restorer, project, seen, number)
    found = choice(seen.metadata, gate, number, notes)
    return choice(seen.metadata, gate, number, notes, restorer.record(project, found.run_id, found.step)) if found else None


def choices(restorer: Restorer, gate: GatedTable, project: str, seen: TableLook, limit: int) -> tuple[Choice, ...]:
    """The published states that are still there, newest first. Each costs a listing and two reads."""
    found = (known_choice(restorer, gate, project, seen, number) for number in tagged(seen.metadata))
    return tuple(islice((one for one in found if one is not None), limit))


def _notes(restorer: Restorer, project: str, seen: TableLook, number: int) -> tuple[Mapping[str, Any], ...]:
    run = run_of(by_id(seen.metadata).get(number, {}))
    return tuple(restorer.published(project, run)) if run else ()


def head(seen: TableLook) -> int:
    """What `main` is at, as a request says it."""
    return main(seen.metadata) or 0
