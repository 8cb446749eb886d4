"""Make judged data visible: called by `handlers.publish_tables`, which a state machine invokes after each step that writes gated tables.

    request → gates as applied → outbox record → verdicts → each table's metadata → intent → main by compare-and-set → event → done

Every table is checked before the first one moves; then it goes forward only, in the order of the tables' names. A repeated call finds
what has moved and answers the same. Raises GateFailed, MainMoved (nothing is lost: job and gate are repeated), or an error of AWS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from meshplane.errors import Conflict, GateFailed, MainMoved, ServiceFault
from meshplane.model.publishing import Candidate, Request, announcements, candidates, check, published_value, read_record
from meshplane.model.windows import iso, moment
from meshplane.ports import Clock, Publisher, TableLook

ATTEMPTS = 5  # commits that collide; what moved `main` ends it sooner


@dataclass(frozen=True, slots=True)
class Published:
    """The answer, and what the log line and the metrics say of it. `latency`: seconds from the job's end to the end
    of the publication; empty where this call ended none, since a repeated call would draw the mean towards nothing."""

    request: Request
    tables: tuple[Candidate, ...] = ()
    moved: tuple[str, ...] = ()  # the tables whose `main` this call moved
    latency: tuple[float, ...] = ()
    fields: Mapping[str, object] = field(default_factory=dict)

    def answer(self) -> dict[str, Any]:
        """docs/contracts.md §9."""
        return {"published": [{"table": t.gate.table, "snapshot": t.snapshot} for t in self.tables], "nothing": not self.tables}


def publish_tables(publisher: Publisher, clock: Clock, event: Mapping[str, Any]) -> Published:
    """One step of one run."""
    request = Request.read(event)
    applied = publisher.applied(request.project)
    if applied.phase == "removed":
        raise GateFailed("project-removed", f"project {request.project} was removed")
    if applied.gates is None:
        raise GateFailed("project-unknown", f"no reconcile has written the gates of project {request.project}")
    text = publisher.record(request.project, request.run_id, request.step)
    if text is None:
        raise GateFailed("record-missing", f"step {request.step} of run {request.run_id} left no record")
    record = read_record(text)
    found = candidates(request, record, applied.gates)
    if not found:
        return Published(request)
    looks = {one.gate.table: _look(publisher, one, request) for one in found}
    # All of them first: what fails here fails before anything is visible.
    pending = [one for one in found if check(one, request, looks[one.gate.table].metadata)]
    before = publisher.note(request.project, request.run_id, request.step) or {}
    if not pending and before.get("state") == "done":
        return Published(request, found)
    note = _note(request, str(record.get("pipeline", "")), found, iso(clock.now()))
    if before.get("tables") == note["tables"]:  # a repeated call tells of the same moment: its events are the same
        note["started"] = before["started"]
    if pending:
        publisher.keep(request.project, request.run_id, request.step, note)
    for one in pending:
        _publish(publisher, one, request, looks[one.gate.table])
    publisher.announce(announcements(note))
    publisher.keep(request.project, request.run_id, request.step, {**note, "state": "done", "ended": iso(clock.now())})
    return Published(request, found, tuple(one.gate.table for one in pending), _since(record, clock))


def _look(publisher: Publisher, one: Candidate, request: Request) -> TableLook:
    gate = one.gate
    look = publisher.look(gate.database, gate.name)
    if look is None:
        raise GateFailed("table-missing", f"{gate.table}: {gate.database}.{gate.name} is not in the catalog")
    if look.project != request.project:
        raise GateFailed("table-foreign", f"{gate.table}: {gate.database}.{gate.name} is of project '{look.project or 'none'}'")
    if look.tombstone:
        raise GateFailed("table-tombstoned", f"{gate.table} was taken out of the manifest")
    return look


def _publish(publisher: Publisher, one: Candidate, request: Request, look: TableLook) -> None:
    """Compare and set. After a collision or a lost reply the table says itself what there is left to do."""
    for _ in range(ATTEMPTS):
        try:
            publisher.move(look, one, published_value(one, request))
        except (Conflict, ServiceFault):
            look = _look(publisher, one, request)
            if not check(one, request, look.metadata):
                return
        else:
            return
    raise MainMoved(f"{one.gate.table}: other writers committed first {ATTEMPTS} times")


def _note(request: Request, pipeline: str, tables: Sequence[Candidate], started: str) -> dict[str, Any]:
    named = {"run_id": request.run_id, "project": request.project, "step": request.step, "attempt": request.attempt}
    window = dict(zip(("window_start", "window_end"), request.window, strict=True))
    told = {"pipeline": pipeline, **window, "started": started, "ended": "", "tables": [one.to_json() for one in tables]}
    return {"schema": 1, "state": "intent", **named, **told}


def _since(record: Mapping[str, Any], clock: Clock) -> tuple[float, ...]:
    ended = str(record.get("ended") or "")
    return (max(0.0, (clock.now() - moment(ended)).total_seconds()),) if ended else ()
