"""What the watchdog knows of a published table, when it has it judged again, and which of our own refs have outlived their use. Pure.

`flows.watch_tables` asks and remembers (state item, attribute `watched`); `plan.conditions` shows it. DESIGN §7, docs/publishing.md.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from meshplane.model.gating import GatedTable
from meshplane.model.publishing import leftovers, published_in
from meshplane.model.restoring import way_back
from meshplane.model.runs import OPEN, Run
from meshplane.model.snapshots import by_id, main, run_of
from meshplane.model.windows import iso, moment

EVERY = timedelta(days=1)  # a table that goes on changing is judged as a whole once a day; its gate judges each batch anyway
PATIENCE = timedelta(hours=3)  # after which a judgement that was asked for and never came is asked for again
BRANCH_AGE = timedelta(days=7)  # how long people may look at the branch of a run that ended
UNKNOWN_RUN = timedelta(days=14)  # no job run lasts so long (Glue: 7 days): what the state table forgot has ended
_STEP_AND_ATTEMPT = re.compile(r"(?:[A-Za-z0-9_]+_)?[0-9]+_[0-9]+")


@dataclass(frozen=True, slots=True)
class Watch:
    """One published table. Times are ISO texts in UTC. `snapshot`, `digest`: what was judged last, by which rules, at `judged`.

    `broken`: the rules that do not hold; `stale`: the newest row is too old; `unclear`: why it could not be judged; each empty when well.
    `newest`: freshness rule → newest time that a verdict saw; `published`: the publication whose verdict it has taken in.
    """

    snapshot: int = 0
    digest: str = ""
    judged: str = ""
    asked: str = ""
    broken: str = ""
    stale: str = ""
    unclear: str = ""
    newest: Mapping[str, str] = field(default_factory=dict)
    published: int = 0

    @staticmethod
    def of(stored: Mapping[str, Any]) -> Watch:
        """From the state item."""
        return Watch(**{key: value for key, value in stored.items() if key in Watch.__slots__})

    def to_json(self) -> dict[str, Any]:
        """For the state item."""
        return asdict(self)

    @property
    def why(self) -> str:
        """Why the table is unhealthy; empty when it is well."""
        return "; ".join(text for text in (self.broken, self.unclear, self.stale) if text)


def is_due(watch: Watch, gate: GatedTable, raw: Mapping[str, Any], now: datetime) -> bool:
    """Whether `main` is to be judged as a whole. One that is as it was at its last good verdict is not; a bad one is as soon as something
    changed. The gate's own verdict counts for the first day."""
    head = main(raw)
    if head is None or published_in(raw) is None or not gate.writer:
        return False
    if watch.asked > watch.judged and moment(watch.asked) + PATIENCE > now:
        return False
    began = moment(watch.judged) if watch.judged else datetime.fromtimestamp(_millis(raw, head) / 1000, now.tzinfo)
    changed = (watch.snapshot, watch.digest) != (head, gate.digest)
    if watch.broken or watch.unclear:
        return changed or began + EVERY <= now
    return changed and began + EVERY <= now


def judged(watch: Watch, gate: GatedTable, verdict: Mapping[str, Any] | None, failure: str, now: datetime) -> Watch:
    """After a judgement of `main`. No verdict, one of other rules, or one that fewer rules ran for is no good one: fail closed."""
    at = replace(watch, judged=iso(now))
    if verdict is None:
        return replace(at, unclear=f"it could not be judged: {failure or 'the job run left no verdict'}"[:500])
    results = {str(one.get("rule")): one for one in verdict.get("results", ())}
    if verdict.get("rules_digest") != gate.digest or results.keys() != {rule.name for rule in gate.rules}:
        return replace(at, unclear="it was judged by other rules than those that are applied")
    bad = [rule for rule in gate.rules if rule.severity == "block" and results[rule.name].get("outcome") != "passed"]
    # What freshness says ages by itself: `aged` tells it by the clock.
    told = "; ".join(_told(results[rule.name]) for rule in bad if not (rule.within and results[rule.name].get("newest")))
    if not told and verdict.get("passed") is not True and not bad:
        told = "it holds no row"
    seen = replace(at, snapshot=int(verdict.get("snapshot") or 0), digest=gate.digest, broken=told[:500], unclear="")
    return fresher(seen, gate, verdict)


def _told(result: Mapping[str, Any]) -> str:
    return f"{result.get('rule')}: {result.get('violations')} of {result.get('rows')} rows {result.get('detail', '')}".strip()


def fresher(watch: Watch, gate: GatedTable, verdict: Mapping[str, Any]) -> Watch:
    """With the newest times that a verdict saw; none goes back."""
    seen = {str(one.get("rule")): str(one.get("newest") or "") for one in verdict.get("results", ())}
    newest = {rule.name: max(seen.get(rule.name, ""), watch.newest.get(rule.name, "")) for rule in gate.rules if rule.within}
    return replace(watch, newest={name: at for name, at in newest.items() if at})


def aged(watch: Watch, gate: GatedTable, now: datetime) -> Watch:
    """Freshness by the clock, also where nothing runs: what was the newest row then is older now. `observe` alone is not told."""
    old = [
        f"{rule.name}: the newest row is of {watch.newest[rule.name]}, and older than {timedelta(seconds=rule.within)}"
        for rule in gate.rules
        if rule.within
        and rule.severity != "observe"
        and rule.name in watch.newest
        and moment(watch.newest[rule.name]) + timedelta(seconds=rule.within) < now
    ]
    return replace(watch, stale="; ".join(old)[:500])


def check_arguments(description: Mapping[str, Any], gate: GatedTable) -> tuple[dict[str, Any], str]:
    """`--meshplane-job` of a job run that judges `main` of one table and writes nothing, made of its writer's own; and why it cannot be.

    Tables, rules and role are those of the job that writes it, as applied; what runs is the built-in `check`.
    """
    table = description.get("tables", {}).get(gate.table, {})
    if table.get("gate", {}).get("digest") != gate.digest:
        return {}, f"the job {gate.writer} carries other rules than those that are applied"
    return {**description, "use": "check", "with": {}, "sql": "", "reads": [{"table": gate.table, "columns": []}], "writes": []}, ""


def old_refs(raw: Mapping[str, Any], gate: GatedTable, now: datetime) -> tuple[str, ...]:
    """Names of refs that look like ours and are old: candidates, which our records have yet to prove. What a rollback would lead to is
    never one: a table that is published once a month has to have a way back, too."""
    days = timedelta(days=gate.retention_days)
    kept = f"validated-{way_back(raw)}"
    return tuple(name for name in leftovers(raw, _ms(now - BRANCH_AGE), _ms(now - days)) if name != kept)


def tag_is_ours(name: str, gate: GatedTable, left: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a publish record of the snapshot's run names table and snapshot."""
    number = name.removeprefix("validated-")
    published = {(one.get("table"), str(one.get("snapshot"))) for told in left for one in told.get("tables", ())}
    return (gate.table, number) in published


def run_of_tag(raw: Mapping[str, Any], name: str) -> str:
    """The run that wrote the tagged snapshot, by its summary."""
    return run_of(by_id(raw).get(int(raw["refs"][name]["snapshot-id"]), {}))


def run_of_branch(name: str, runs: Iterable[str]) -> str:
    """Which of these runs the audit branch belongs to; empty for none. A branch's name is a run's id and (but in earlier releases) its
    step, with `_` for what is no letter."""
    for run in sorted(runs, key=len, reverse=True):
        start = f"audit_{re.sub(r'[^A-Za-z0-9]', '_', run)}_"
        if name.startswith(start) and _STEP_AND_ATTEMPT.fullmatch(name.removeprefix(start)):
            return run
    return ""


def branch_is_over(run: Run | None, left: Sequence[Mapping[str, Any]], now: datetime) -> bool:
    """Whether the run ended so long ago that nobody goes on with its branch: by its record, or, where the state was wiped, by those of
    its steps."""
    if run is not None:
        return run.status not in OPEN and bool(run.ended) and moment(run.ended) + BRANCH_AGE < now
    steps = [told for told in left if isinstance(told.get("outputs"), list)]
    last = max((str(told.get("ended") or told.get("started") or "") for told in steps), default="")
    return bool(last) and moment(last) + UNKNOWN_RUN < now


def unhealthy(watched: Mapping[str, Any], gates: Collection[str]) -> Mapping[str, Watch]:
    """The tables that are published still and not well."""
    found = {table: Watch.of(stored) for table, stored in watched.items() if table in gates}
    return {table: watch for table, watch in sorted(found.items()) if watch.why}


def _millis(raw: Mapping[str, Any], snapshot: int) -> int:
    return int(by_id(raw).get(snapshot, {}).get("timestamp-ms", 0))


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
