"""May a run's data become `main`? Verdict, gate and Iceberg metadata go in, the change to be made comes out. Pure; DESIGN §7.

Called by `flows/publish_tables`; `unjudged` also by whoever reads a table's metadata. Everything fails closed: what is not proven is a
`GateFailed` with one of CAUSES. docs/publishing.md has a row for each.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from meshplane.errors import GateFailed, MainMoved
from meshplane.model.gating import GatedRule, GatedTable
from meshplane.model.snapshots import MAIN, ancestry, by_id, main, refs, replaced, run_of

PROPERTY = "meshplane.published"  # table property: snapshot, run and digest of the last publication, as JSON
EVENT_SOURCE, TABLE_PUBLISHED = "meshplane", "Table Published"  # of the event on the default bus
ROUNDS = 3  # how often job and gate are tried while others move `main`

CAUSES: Mapping[str, str] = {
    "bad-request": "the request names no run, step or attempt, or a project that is not the run's",
    "script-overridden": "the job run was started with another script than its release has",
    "project-unknown": "no reconcile has said how the project's tables are judged",
    "project-removed": "the project's manifest was deleted and its removal is done",
    "record-missing": "the step left no record",
    "record-unreadable": "the record is not JSON, or holds NaN or another value that is no number",
    "record-foreign": "the record is of another run, step or project",
    "record-intent": "the job began to write and never said that it was done",
    "record-failed": "the job failed",
    "record-empty": "the record is done and names neither an output nor a verdict",
    "stale-attempt": "the verdict is of another attempt's branch",
    "verdict-missing": "an output has no verdict, or more than one",
    "verdict-without-output": "a verdict names a table that the record does not list as written",
    "verdict-snapshot": "the verdict is of another snapshot than the record's output or the branch's head",
    "verdict-schema": "the verdict is of another schema than its snapshot's",
    "verdict-rules": "the verdict is of another set of rules than the one that is applied",
    "rules-missing": "fewer rules ran than the gate has, one ran twice, or one ran that it has not",
    "rule-error": "a blocking rule ended in an error",
    "rule-failed": "a blocking rule failed",
    "verdict-tampered": "the verdict contradicts its own results, or its counts those of the snapshot",
    "verdict-failed": "the verdict says no",
    "empty-batch": "nothing was written and the table does not allow that",
    "table-ungated": "the table is no gated table of the project",
    "table-missing": "the table is not in the catalog",
    "table-foreign": "the table is another project's",
    "table-tombstoned": "the table was taken out of the manifest",
    "branch-missing": "the run's branch is not in the table",
    "branch-diverged": "the branch does not descend from main",
    "branch-foreign": "the branch holds a commit of another run",
    "main-unjudged": "main holds a commit that no publication made",
}
SCRIPT = "--scriptLocation"  # of a job run: goes before its job's own script (Glue guide, job parameters); no job of ours has it
_ATTEMPT = re.compile(r"[0-9]+_[0-9]+")
_OUTCOMES = ("passed", "failed", "error")


@dataclass(frozen=True, slots=True)
class Request:
    """What the state machine asks: publish what this attempt of a step wrote."""

    project: str
    run_id: str
    step: str
    attempt: str
    window: tuple[str, str] = ("", "")

    @staticmethod
    def read(event: Mapping[str, Any]) -> Request:
        """The attempt stands there itself, or among the `arguments` of the job run that a state machine hands on: what that run was started
        with. Raises GateFailed."""
        run = event.get("run")
        told = run if isinstance(run, Mapping) else {}
        had = event.get("arguments")
        attempt = event.get("attempt") or (had.get("--meshplane-attempt") if isinstance(had, Mapping) else "")
        fields = [told.get("project"), told.get("run_id"), event.get("step"), attempt]
        texts = [field if isinstance(field, str) and field else "" for field in fields]
        if not all(texts) or not _ATTEMPT.fullmatch(texts[3]) or any("/" in text for text in texts):
            raise GateFailed("bad-request", f"project, run_id, step and an attempt like 0_1 are needed, not {fields}")
        if isinstance(had, Mapping) and any(str(name).lower() == SCRIPT.lower() for name in had):
            raise GateFailed("script-overridden", f"step {texts[2]} was started with {SCRIPT}")
        start, end = (field if isinstance(field := told.get(name), str) else "" for name in ("window_start", "window_end"))
        return Request(texts[0], texts[1], texts[2], texts[3], (start, end))

    @property
    def branch(self) -> str:
        """`audit_<run_id>_<step>_<round>_<retry>`, every character outside `[A-Za-z0-9]` of run id and step as `_`."""
        return f"audit_{re.sub(r'[^A-Za-z0-9]', '_', f'{self.run_id}_{self.step}')}_{self.attempt}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One table of the run whose verdict says yes. `parent` is None where `main` was empty. `published`: an earlier round did it."""

    gate: GatedTable
    branch: str
    snapshot: int
    parent: int | None
    schema_id: int
    rows_total: int | None
    published: bool = False

    def to_json(self) -> dict[str, Any]:
        """As the publish record and the event name it."""
        return {"table": self.gate.table, "snapshot": self.snapshot, "parent": self.parent, "digest": self.gate.digest}

    @property
    def tag(self) -> str:
        """`validated-<snapshot id>`."""
        return f"validated-{self.snapshot}"


def read_record(text: str) -> Mapping[str, Any]:
    """The outbox record. NaN and Infinity, which Python's JSON would take, make every comparison false: they are refused."""

    def no_number(word: str) -> float:
        raise ValueError(f"{word} is no number")

    try:
        record = json.loads(text, parse_constant=no_number)
    except ValueError as error:
        raise GateFailed("record-unreadable", str(error)) from error
    if not isinstance(record, Mapping):
        raise GateFailed("record-unreadable", "the record is no object")
    return record


def candidates(request: Request, record: Mapping[str, Any], gates: Mapping[str, GatedTable]) -> tuple[Candidate, ...]:
    """The tables to publish, by name. None for a step that had nothing to do. Raises GateFailed for all that speaks against it."""
    named = {"run_id": request.run_id, "step": request.step, "project": request.project}
    wrong = [f"{key} {record.get(key)}" for key, wanted in named.items() if record.get(key) != wanted]
    if wrong:
        raise GateFailed("record-foreign", f"the record of run {request.run_id} names {', '.join(wrong)}")
    state = record.get("state")
    if state == "nothing":
        return ()
    if state != "done":
        cause = "record-intent" if state == "intent" else "record-failed"
        raise GateFailed(cause, f"step {request.step} of run {request.run_id} ended as {state}: {record.get('error', '')}")
    outputs, verdicts = _rows(record, "outputs"), _rows(record, "verdicts")
    if not outputs and not verdicts:
        raise GateFailed(
            "record-empty", f"step {request.step} wrote nothing that was judged, and does not say that there was nothing to do"
        )
    for verdict in verdicts:
        if verdict.get("passed") is not True:
            raise _refused(verdict, gates.get(str(verdict.get("table"))))
    written = {str(output.get("table")) for output in outputs}
    strays = sorted({str(v.get("table")) for v in verdicts if v.get("branch")} - written)
    if strays:
        raise GateFailed("verdict-without-output", f"{', '.join(strays)} was judged and not written")
    return tuple(sorted((_candidate(request, out, verdicts, gates) for out in outputs), key=lambda one: one.gate.table))


def _rows(record: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    rows = record.get(key, [])
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise GateFailed("record-unreadable", f"{key} is no list of objects")
    return rows


def _refused(verdict: Mapping[str, Any], gate: GatedTable | None) -> GateFailed:
    """Why a verdict says no, as exactly as its results tell."""
    table = verdict.get("table")
    if verdict.get("rows") == 0 and not (gate and gate.allow_empty):
        return GateFailed("empty-batch", f"{table}: there is no row; allowEmpty: true would let it pass")
    for outcome, cause in (("error", "rule-error"), ("failed", "rule-failed")):
        bad = [r for r in _rows(verdict, "results") if r.get("outcome") == outcome and r.get("severity") == "block"]
        if bad:
            told = "; ".join(f"{r.get('rule')}: {r.get('violations')} of {r.get('rows')} rows {r.get('detail', '')}".strip() for r in bad)
            return GateFailed(cause, f"{table}: {told}")
    return GateFailed("verdict-failed", f"{table}: the verdict says no")


def _candidate(
    request: Request, output: Mapping[str, Any], verdicts: Sequence[Mapping[str, Any]], gates: Mapping[str, GatedTable]
) -> Candidate:
    table = str(output.get("table"))
    gate = gates.get(table)
    if gate is None:
        raise GateFailed("table-ungated", f"{table} is no table that project {request.project} publishes")
    snapshot, parent, total = output.get("snapshot"), output.get("parent"), output.get("rows_total")
    if output.get("branch") == MAIN:  # an earlier round published it; the metadata has to prove that
        return Candidate(gate, MAIN, _whole(snapshot, table), None, -1, None, published=True)
    if output.get("branch") != request.branch:
        raise GateFailed("stale-attempt", f"{table}: written to {output.get('branch')}, and attempt {request.attempt} has {request.branch}")
    found = [verdict for verdict in verdicts if verdict.get("table") == table]
    if len(found) != 1:
        raise GateFailed("verdict-missing", f"{table}: {len(found)} verdicts for one output")
    verdict = found[0]
    if verdict.get("branch") != request.branch:
        raise GateFailed("stale-attempt", f"{table}: the verdict is of branch {verdict.get('branch')}, not of {request.branch}")
    if verdict.get("snapshot") != snapshot or verdict.get("parent") != parent:
        raise GateFailed("verdict-snapshot", f"{table}: {verdict.get('snapshot')} was judged, {snapshot} was written")
    _check_rules(verdict, gate)
    counted = None if total is None else _whole(total, table)
    forked = None if parent is None else _whole(parent, table)
    return Candidate(gate, request.branch, _whole(snapshot, table), forked, _whole(verdict.get("schema_id"), table), counted)


def _whole(value: Any, table: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise GateFailed("record-unreadable", f"{table}: {value} is no whole number")
    return value


def _check_rules(verdict: Mapping[str, Any], gate: GatedTable) -> None:
    """The verdict again, from its own results: whoever wrote `passed` may have been wrong."""
    table, rows = gate.table, _whole(verdict.get("rows"), gate.table)
    if verdict.get("rules_digest") != gate.digest:
        raise GateFailed("verdict-rules", f"{table}: judged by {verdict.get('rules_digest')}, applied is {gate.digest}")
    if rows == 0 and not gate.allow_empty:
        raise GateFailed("empty-batch", f"{table}: no row was written; allowEmpty: true would let it pass")
    results = _rows(verdict, "results")
    ran = [str(result.get("rule")) for result in results]
    if sorted(ran) != sorted(rule.name for rule in gate.rules):
        odd = sorted({rule.name for rule in gate.rules} ^ set(ran)) or sorted({name for name in ran if ran.count(name) > 1})
        raise GateFailed("rules-missing", f"{table}: not each rule ran once: {', '.join(odd)}")
    rules = {rule.name: rule for rule in gate.rules}
    for result in results:
        _check_result(result, rules[str(result["rule"])], table)


def _check_result(result: Mapping[str, Any], rule: GatedRule, table: str) -> None:
    outcome, violations, rows = result.get("outcome"), _whole(result.get("violations"), table), _whole(result.get("rows"), table)
    if rule.severity == "block" and outcome == "error":
        raise GateFailed("rule-error", f"{table}: {rule.name}: {result.get('detail', '')}")
    too_many = violations > rule.threshold_rows
    if rule.threshold_percent:  # decimal as in the job: 0.57 % of 10,000 rows are 57, and a hair less as a float
        too_many = too_many and Decimal(violations) * 100 > Decimal(rule.threshold_percent) * rows
    tampered = outcome not in _OUTCOMES or result.get("severity") != rule.severity or violations < 0 or rows < 0
    if tampered or (outcome == "passed" and too_many) or (rule.severity == "block" and outcome != "passed"):
        raise GateFailed(
            "verdict-tampered", f"{table}: {rule.name} is {outcome} with {violations} of {rows} rows, and the verdict says yes"
        )


def check(candidate: Candidate, request: Request, raw: Mapping[str, Any]) -> bool:
    """Against the table's metadata file: True when it is to be published now, False when it has been. Raises GateFailed or MainMoved."""
    table, snapshots = candidate.gate.table, by_id(raw)
    head = main(raw)
    ours = run_of(snapshots.get(candidate.snapshot, {})) == request.run_id
    if ours and candidate.tag in refs(raw) and candidate.snapshot in ancestry(snapshots, head):
        return False
    if candidate.published:
        raise GateFailed("main-unjudged", f"{table}: snapshot {candidate.snapshot} was written to main past the gate")
    if why := unjudged(raw, first=True):
        raise GateFailed("main-unjudged", f"{table}: {why}")
    branch = refs(raw).get(candidate.branch)
    if branch is None or branch.get("type") != "branch":
        raise GateFailed("branch-missing", f"{table}: no branch {candidate.branch}")
    if branch["snapshot-id"] != candidate.snapshot:
        raise GateFailed("verdict-snapshot", f"{table}: {candidate.snapshot} was judged, the branch is at {branch['snapshot-id']}")
    _check_snapshot(candidate, snapshots[candidate.snapshot])
    if head != candidate.parent:
        raise MainMoved(f"{table}: main is at {head}, the branch began at {candidate.parent}")
    above = []
    for number in ancestry(snapshots, candidate.snapshot):
        if number == head:
            break
        above.append(number)
    else:
        if head is not None:
            raise GateFailed("branch-diverged", f"{table}: the branch at {candidate.snapshot} does not descend from main at {head}")
    foreign = [n for n in above if run_of(snapshots.get(n, {})) != request.run_id and not _beginning(snapshots.get(n, {}))]
    if foreign:
        raise GateFailed("branch-foreign", f"{table}: snapshots {foreign} on the branch are not of run {request.run_id}")
    return True


def _beginning(snapshot: Mapping[str, Any]) -> bool:
    """The empty snapshot that Spark makes when it opens a branch of an empty table: it has neither parent nor rows."""
    return snapshot.get("parent-snapshot-id") is None and str(snapshot.get("summary", {}).get("total-data-files")) == "0"


def _check_snapshot(candidate: Candidate, snapshot: Mapping[str, Any]) -> None:
    table = candidate.gate.table
    if snapshot.get("schema-id") != candidate.schema_id:
        raise GateFailed(
            "verdict-schema", f"{table}: schema {candidate.schema_id} was judged, the snapshot has {snapshot.get('schema-id')}"
        )
    total = snapshot.get("summary", {}).get("total-records")
    if candidate.rows_total is not None and total is not None and str(candidate.rows_total) != total:
        raise GateFailed("verdict-tampered", f"{table}: the record counts {candidate.rows_total} rows, the snapshot {total}")


def published_value(candidate: Candidate, request: Request) -> str:
    """The table property's text."""
    told = {"snapshot": candidate.snapshot, "run_id": request.run_id, "digest": candidate.gate.digest}
    return json.dumps(told, separators=(",", ":"))


def announcements(note: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The details of the events that a publish record stands for, one a table: the same however often they are told."""
    named = {key: str(note.get(key, "")) for key in ("project", "run_id", "pipeline", "step", "window_start", "window_end")}
    told = {"schema": 1, **named, "published": str(note.get("started", ""))}
    return [{**told, "table": str(one["table"]), "snapshot": str(one["snapshot"])} for one in note.get("tables", ())]


def unjudged(raw: Mapping[str, Any], first: bool = False) -> str:
    """Why `main` is not at a published snapshot; empty when it is, or was empty ever since. What compaction rewrote holds the same rows,
    and counts.

    `first`: a table that was never published may hold rows of before it was gated, which its first publication takes as its base. Whoever
    may write to the table may take the property away: a tag of a publication says that it was there.
    """
    head, snapshots = main(raw), by_id(raw)
    text = (raw.get("properties") or {}).get(PROPERTY, "")
    if not text and (head is None or (first and not _tagged(raw))):
        return ""
    published = _published(text)
    if head is None:
        return f"main is empty, and snapshot {published} was published"
    for number in ancestry(snapshots, head):
        if number == published:
            return ""
        if not replaced(snapshots, number):
            run = run_of(snapshots.get(number, {}))
            return f"snapshot {number} on main was published by no gate" + (f" (run {run} wrote it)" if run else "")
    return f"main at {head} does not descend from the published snapshot {published}"


def published_in(raw: Mapping[str, Any]) -> int | None:
    """The snapshot of the last publication, as the table's property names it; None for a table that was never published."""
    found = _published((raw.get("properties") or {}).get(PROPERTY, ""))
    return found if isinstance(found, int) else None


def _tagged(raw: Mapping[str, Any]) -> bool:
    return any(ref["type"] == "tag" and name == f"validated-{ref['snapshot-id']}" for name, ref in refs(raw).items())


def _published(text: str) -> Any:
    """The snapshot that the property names. Anybody may write a property: one that is not ours names none."""
    try:
        told = json.loads(text or "{}")
    except ValueError:
        return None
    return told.get("snapshot") if isinstance(told, Mapping) else None


def leftovers(raw: Mapping[str, Any], before_ms: int, retention_ms: int) -> tuple[str, ...]:
    """Refs named as ours are that have outlived their use: audit branches whose head is older than `before_ms`, and validated tags whose
    snapshot is older than the table's retention and neither what `main` is at nor what was published last. That they are ours is
    proven by the records of their runs (`model.watching`)."""
    snapshots, kept = by_id(raw), {main(raw), published_in(raw)}
    out = []
    for name, ref in refs(raw).items():
        at = int(snapshots.get(ref["snapshot-id"], {}).get("timestamp-ms", 0))
        old_branch = ref["type"] == "branch" and name.startswith("audit_") and at < before_ms
        old_tag = (
            ref["type"] == "tag" and name == f"validated-{ref['snapshot-id']}" and at < retention_ms and ref["snapshot-id"] not in kept
        )
        if old_branch or old_tag:
            out.append(name)
    return tuple(sorted(out))
