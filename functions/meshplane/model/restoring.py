"""Restoring a table: which published state readers may see again, and which files of raw are to be run once more. Pure.

Called by `flows/restore_table` and by the command line. That a snapshot was published is proven by our own publish record; the tag
`validated-<snapshot id>` only says where to look, since whoever may write the table may set it. docs/decisions/0010.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from meshplane.errors import RestoreRefused
from meshplane.model.gating import AppliedGates, GatedTable
from meshplane.model.publishing import PROPERTY, unjudged
from meshplane.model.snapshots import ancestry, by_id, main, refs, replaced, run_of
from meshplane.model.windows import iso, moment

REBUILD = "meshplane.rebuild"  # the run's parameter that says which files of raw are to be read again
TAG = re.compile(r"validated-(\d+)")
Notes = Sequence[Mapping[str, Any]]
"""The publish records of one run (docs/contracts.md §9)."""


@dataclass(frozen=True, slots=True)
class RollBack:
    """What is asked: `main` of a table to `snapshot`. `seen`: what it was at when that was decided (0: nothing). `id` names the execution,
    `by` the person."""

    project: str
    table: str
    snapshot: int
    seen: int
    id: str
    by: str = ""

    @staticmethod
    def read(event: Mapping[str, Any]) -> RollBack:
        """Snapshot ids are text: JSON's numbers do not hold 63 bits in every reader. Raises RestoreRefused."""
        told = {name: str(event.get(name) or "") for name in ("project", "table", "snapshot", "seen", "id", "by")}
        wrong = [name for name in ("project", "table", "id") if not told[name] or "/" in told[name]]
        wrong += [name for name in ("snapshot", "seen") if not told[name].isdecimal()]
        if wrong:
            raise RestoreRefused([f"the request lacks {', '.join(wrong)}; allowed: names, and snapshot ids as text"])
        return RollBack(told["project"], told["table"], int(told["snapshot"]), int(told["seen"]), told["id"], told["by"])

    def to_json(self) -> dict[str, str]:
        """As `read` takes it."""
        return {name: str(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Rebuild:
    """What is asked: the pipeline that fills the table to read the files of raw again that arrived from `start` on and before `end`
    (ISO 8601, UTC). `at`: when it was asked."""

    project: str
    table: str
    pipeline: str
    start: str
    end: str
    id: str
    at: str
    by: str = ""

    @staticmethod
    def read(event: Mapping[str, Any]) -> Rebuild:
        """Raises RestoreRefused, with every reason."""
        told = {name: str(event.get(name) or "") for name in ("project", "table", "pipeline", "from", "until", "id", "at", "by")}
        missing = [name for name in ("project", "table", "pipeline", "id", "at") if not told[name] or "/" in told[name]]
        reasons = [f"the request lacks {', '.join(missing)}"] if missing else []
        try:
            start, end = arrived(told["from"], told["until"])
        except ValueError as wrong:
            raise RestoreRefused([*reasons, str(wrong)]) from wrong
        if reasons:
            raise RestoreRefused(reasons)
        return Rebuild(told["project"], told["table"], told["pipeline"], start, end, told["id"], told["at"], told["by"])

    def param(self) -> str:
        """The value of the run's parameter REBUILD."""
        return json.dumps({"table": self.table, "from": self.start, "until": self.end}, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Choice:
    """A published state that readers may be led back to. `published`: when. `rows`: how many the table held, if the snapshot says so.
    `rules`: rule → outcome, as the run's record has it. `todays`: judged by the rules that are applied now. `read`: readers see it."""

    snapshot: int
    published: str
    run_id: str
    pipeline: str
    step: str
    digest: str
    rows: int | None = None
    rules: Mapping[str, str] = field(default_factory=dict)
    todays: bool = False
    read: bool = False

    def to_json(self) -> dict[str, Any]:
        """For programs; the snapshot as text."""
        return {**asdict(self), "rules": dict(self.rules), "snapshot": str(self.snapshot)}


def arrived(start: str, end: str) -> tuple[str, str]:
    """The two ends of a window of arrivals, each a day or a moment, as ISO texts. Raises ValueError saying what is allowed."""
    try:
        first, last = moment(start), moment(end)
    except ValueError as wrong:
        raise ValueError(f"from '{start}' until '{end}': allowed are days and moments, like 2026-11-20 or 2026-11-20T06:00:00Z") from wrong
    if first >= last:
        raise ValueError(f"the window from {iso(first)} ends at {iso(last)}, before it begins; `until` itself is not part of it")
    return iso(first), iso(last)


def tagged(raw: Mapping[str, Any]) -> tuple[int, ...]:
    """The snapshots that carry their `validated-` tag and are still there, newest first."""
    known = by_id(raw)
    found = {int(name[1]): ref for text, ref in refs(raw).items() if ref.get("type") == "tag" and (name := TAG.fullmatch(text))}
    ids = [number for number, ref in found.items() if ref["snapshot-id"] == number and number in known]
    return tuple(sorted(ids, key=lambda number: (int(known[number].get("timestamp-ms", 0)), number), reverse=True))


def choice(raw: Mapping[str, Any], gate: GatedTable, number: int, notes: Notes, record: str | None = None) -> Choice | None:
    """A snapshot as a choice; None where no finished publish record of its run names it. `record`: the text of the step's own record."""
    note = published(notes, gate.table, number)
    if note is None:
        return None
    told = next(one for one in note["tables"] if one["table"] == gate.table)
    total = by_id(raw)[number].get("summary", {}).get("total-records")
    return Choice(
        number,
        str(note.get("ended") or note.get("started") or ""),
        str(note.get("run_id", "")),
        str(note.get("pipeline", "")),
        str(note.get("step", "")),
        str(told.get("digest", "")),
        None if total is None else int(total),
        _outcomes(record, gate.table, number),
        told.get("digest") == gate.digest,
        number == base(raw),
    )


def published(notes: Notes, table: str, number: int) -> Mapping[str, Any] | None:
    """The finished publish record that names this snapshot of the table."""

    def names(note: Mapping[str, Any]) -> bool:
        return any(one.get("table") == table and one.get("snapshot") == number for one in note.get("tables", ()))

    return next((note for note in notes if note.get("state") == "done" and names(note)), None)


def base(raw: Mapping[str, Any]) -> int | None:
    """The published snapshot whose rows readers see; None where they see a commit that no gate let through."""
    if unjudged(raw):
        return None
    known = by_id(raw)
    return next((number for number in ancestry(known, main(raw)) if not replaced(known, number)), None)


def below(raw: Mapping[str, Any]) -> Iterator[int]:
    """The tagged states below what readers see, newest first, as far as snapshots lead there."""
    numbers, stands = set(tagged(raw)), base(raw)
    return (number for number in ancestry(by_id(raw), main(raw)) if number in numbers and number != stands)


def previous(raw: Mapping[str, Any], known: Callable[[int], Choice | None]) -> Choice | None:
    """The newest published state below what readers see: what a person means who wants the last publication, or what came past the
    gate, undone."""
    return next((found for number in below(raw) if (found := known(number)) is not None), None)


def way_back(raw: Mapping[str, Any]) -> int | None:
    """The state that a rollback would lead to today, which no reaper takes away however old it is. Where a snapshot between has expired,
    the newest tagged one but what readers see."""
    stands = base(raw)
    return next(below(raw), None) or next((number for number in tagged(raw) if number != stands), None)


def check_restore(
    asked: RollBack, applied: AppliedGates, raw: Mapping[str, Any], notes: Notes, open_runs: Sequence[str]
) -> tuple[str, ...]:
    """Everything that speaks against it, in sentences; empty when `main` may be moved. `notes`: the publish records of the run that wrote
    the snapshot; `open_runs`: the project's runs that have not ended."""
    reasons, known = [], by_id(raw)
    if applied.phase != "active":
        reasons.append(f"project {asked.project} is {applied.phase}")
    if asked.snapshot not in known:
        reasons.append(f"snapshot {asked.snapshot} is not in the table any more; allowed: {_few(tagged(raw))}")
    elif asked.snapshot not in tagged(raw):
        reasons.append(f"snapshot {asked.snapshot} has no tag validated-{asked.snapshot}; allowed: {_few(tagged(raw))}")
    elif published(notes, asked.table, asked.snapshot) is None:
        run = run_of(known[asked.snapshot]) or "no run"
        reasons.append(
            f"no publish record says that snapshot {asked.snapshot} ({run} wrote it) passed its gate: a tag alone proves nothing"
        )
    if (main(raw) or 0) != asked.seen:
        reasons.append(f"main is at {main(raw) or 'nothing'} now, and was at {asked.seen} when this was asked; look again, then decide")
    writing = [run for run in open_runs if any(name.startswith(f"audit_{_branch(run)}_") for name in refs(raw))]
    if writing:
        reasons.append(f"{', '.join(writing)} is writing the table; wait for its end: meshplane runs {asked.project}")
    return tuple(reasons)


def value(asked: RollBack, notes: Notes) -> str:
    """The table property PROPERTY after it: what was published then, and by which request it was brought back. `unjudged` reads it."""
    note = published(notes, asked.table, asked.snapshot) or {}
    digest = next((one["digest"] for one in note.get("tables", ()) if one["table"] == asked.table), "")
    named = {"snapshot": asked.snapshot, "run_id": note.get("run_id", ""), "digest": digest, "restored": asked.id}
    return json.dumps(named, separators=(",", ":"))


def stands(asked: RollBack, raw: Mapping[str, Any]) -> bool:
    """Whether this very request has moved `main` already, or compaction went on from there."""
    try:
        told = json.loads((raw.get("properties") or {}).get(PROPERTY) or "{}")
    except ValueError:
        return False
    return isinstance(told, Mapping) and told.get("restored") == asked.id and base(raw) == asked.snapshot


def undone(raw: Mapping[str, Any], to: int) -> tuple[str, ...]:
    """The runs, newest first, whose rows are in what readers see and will not be in the snapshot: their files of raw stay consumed."""
    known = by_id(raw)
    kept = {run_of(known.get(number, {})) for number in ancestry(known, to)}
    runs = [run_of(known.get(number, {})) for number in ancestry(known, main(raw))]
    return tuple(dict.fromkeys(run for run in runs if run and run not in kept))


def note(asked: RollBack, gone: Sequence[str], at: datetime) -> dict[str, Any]:
    """The record of a rollback as it stands before the commit, under the request's id beside the records of runs. `gone`: the runs whose
    rows readers will not see any more."""
    return {"schema": 1, "state": "intent", **asked.to_json(), "undone": list(gone), "started": iso(at), "ended": ""}


def _outcomes(record: str | None, table: str, number: int) -> dict[str, str]:
    try:
        told = json.loads(record or "{}")
    except ValueError:
        return {}
    verdicts = [v for v in told.get("verdicts", ()) if v.get("table") == table and v.get("snapshot") == number]
    return {str(r.get("rule")): str(r.get("outcome")) for v in verdicts for r in v.get("results", ())}


def _branch(run_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", run_id)


def _few(numbers: Sequence[int]) -> str:
    told = ", ".join(map(str, numbers[:5])) + (" …" if len(numbers) > 5 else "")
    return told or "none: nothing of the table was published, or its tags have expired"
