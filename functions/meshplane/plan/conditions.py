"""From a plan and what became of it to the three conditions, the drift and the next step. Pure; called by the reconciling flows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from meshplane.errors import ManifestInvalid, PlaneError
from meshplane.kinds import iceberg_table
from meshplane.model.status import REASONS, Condition, Drift, Status
from meshplane.model.watching import unhealthy
from meshplane.plan.guard import Verdict
from meshplane.plan.outcome import Outcome, State
from meshplane.plan.planner import Action, Plan, Verb

MENDS: Mapping[str, str] = {
    "ManifestInvalid": "mend the manifest and upload it again; until then nothing is changed",
    "FileMissing": "run `meshplane publish`, or put the file beside the manifest",
    "Blocked": "mend the manifest as the message says",
    "Conflict": "remove or rename what stands there, or rename it in the manifest; nothing of it was touched",
    "Denied": "let the platform team grant the function's role the action that the message names",
    "Rejected": "AWS refuses the request as it is: mend what the message names",
    "Paused": "policy.manage or policy.drift keeps it so: take the policy out when it has served",
    "Waiting": "nothing: it goes on by itself as soon as what it waits for is there",
    "Throttled": "nothing: AWS asked to slow down, and it is tried again by itself",
    "ServiceFault": "nothing: AWS failed or its answer was lost, and it is looked at again by itself",
    "NoManifest": "upload a manifest, or restore it: an absent one without a delete marker changes nothing",
    "UnjudgedCommit": "roll main back to its last validated-<snapshot id> tag, then run the pipeline again",
    "RulesBroken": "mend the data by a run of the table's pipeline, or roll it back (meshplane restore); nothing was unpublished",
    "NotJudged": "see the table's newest run of the watchdog (meshplane runs), and mend what it names",
    "NotFresh": "see why no newer rows came: the pipeline that writes the table, and its source",
    "Stalled": "mend what the message names; a changed manifest starts anew, and it is tried hourly in any case",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """The part of a status that follows from plan and outcomes."""

    conditions: tuple[Condition, ...]
    blocking: str = ""
    to_do: str = ""
    drift: tuple[Drift, ...] = ()
    added: tuple[str, ...] = ()
    brought: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    plan: str = ""
    counts: Mapping[str, int] | None = None


def judge(
    plan: Plan, verdict: Verdict, outcomes: Sequence[Outcome], wrote: Sequence[Outcome] = (), stalled: frozenset[str] = frozenset()
) -> Judged:
    """The conditions after a look at everything. `outcomes` are the last round's (empty for a held plan), `wrote` all
    writes of every round; `stalled` holds the keys of actions given up on."""
    synced = _synced(plan, verdict, outcomes, stalled)
    waiting = tuple(f"{o.action.id}: {o.message}" for o in outcomes if o.state in (State.WAITING, State.SKIPPED))
    return Judged(
        (synced, _healthy(plan, outcomes), _drifted(plan, outcomes)),
        synced.object,
        _mend(synced.reason, plan, verdict),
        _drift(plan, outcomes, wrote),
        tuple(f"{action.id}: {text}" for action in plan.actions for text in action.extra),
        tuple(f"{action.id}: {text}" for action in plan.actions for text in action.brought),
        waiting,
        tuple(f"{o.action.id}: {o.message}" for o in outcomes if o.state is State.FAILED),
        verdict.held,
        plan.digest if verdict.held and verdict.approvable else "",
        dict(Counter(action.verb.value for action in plan.actions)),
    )


def past_the_gate(plan: Plan, gated: Collection[str], before: Mapping[str, str]) -> dict[str, str]:
    """Gated table (`database.table`) → why its `main` is at no published snapshot. A table whose metadata was not read anew is as `before`
    said: that file never changes."""
    found: dict[str, str] = {}
    for action in plan.actions:
        name = action.id.name
        if action.id.kind == iceberg_table.NAME and name in gated:
            spec = action.seen.spec if action.seen else None
            why = before.get(name, "") if action.seen and spec is None else getattr(spec, "unjudged", "")
            found |= {name: why} if why else {}
    return found


def with_commits(judged: Judged, unjudged_tables: Mapping[str, str]) -> Judged:
    """The same, Unhealthy where somebody committed past a gate. Something missing is said first."""
    synced, healthy, drifted = judged.conditions
    if not unjudged_tables or healthy.status == "False":
        return judged
    text = "; ".join(f"{name}: {why}" for name, why in sorted(unjudged_tables.items()))
    condition = Condition("Healthy", "False", "UnjudgedCommit", text, f"{iceberg_table.NAME}:{min(unjudged_tables)}")
    return replace(judged, conditions=(synced, condition, drifted), to_do=judged.to_do or MENDS["UnjudgedCommit"])


def with_watches(judged: Judged, watched: Mapping[str, Any], gates: Mapping[str, Any]) -> Judged:
    """The same, Unhealthy where the watchdog found published data that no longer keeps its rules. What is missing is said first."""
    synced, healthy, drifted = judged.conditions
    found = unhealthy(watched, gates)
    if not found or healthy.status != "True":
        return judged
    first = next(iter(found.values()))
    reason = "RulesBroken" if first.broken else "NotJudged" if first.unclear else "NotFresh"
    text = "; ".join(f"{table}: {watch.why}" for table, watch in found.items())
    gate = gates[next(iter(found))]
    condition = Condition("Healthy", "False", reason, text, f"{iceberg_table.NAME}:{gate['database']}.{gate['name']}")
    return replace(judged, conditions=(synced, condition, drifted), to_do=judged.to_do or MENDS[reason])


def unjudged(error: PlaneError, before: Mapping[str, Condition] | None = None) -> Judged:
    """The conditions when it did not come to a look: the manifest or the surroundings could not be read. Healthy and Drifted stay as
    they were last seen."""
    before = before or {}
    reason = "Waiting" if error.reason == "NotReady" else error.reason if error.reason in REASONS else "PlaneError"
    message = "the manifest is not valid; nothing was changed" if isinstance(error, ManifestInvalid) else str(error)
    truth = "False" if error.fault == "author" or error.reason == "NotReady" else "Unknown"
    synced = Condition("Synced", truth, reason, message)  # type: ignore[arg-type]  # one of Truth by the line above
    unknown = "not looked at since this cannot be planned"
    healthy = before.get("Healthy") or Condition("Healthy", "Unknown", "NotLooked", unknown)
    drifted = before.get("Drifted") or Condition("Drifted", "Unknown", "NotLooked", unknown)
    return Judged((synced, healthy, drifted), to_do=MENDS.get(reason, ""))


def _synced(plan: Plan, verdict: Verdict, outcomes: Sequence[Outcome], stalled: frozenset[str]) -> Condition:
    """The ladder: the first thing in the way names the condition."""
    if verdict.held:
        blocked = plan.of(Verb.BLOCKED)
        first = blocked[0].id if blocked else next((a.id for a in plan.writes if str(a.id) in verdict.held[0]), "")
        return Condition("Synced", "False", "Held" if verdict.approvable else "Blocked", "; ".join(verdict.held), str(first))
    for failed in sorted((o for o in outcomes if o.state is State.FAILED), key=lambda o: o.action.key not in stalled):
        reason = "Stalled" if failed.action.key in stalled else failed.reason
        return Condition("Synced", "False", reason, f"{failed.action.id}: {failed.message}", str(failed.action.id))
    for state, reason in ((State.WAITING, ""), (State.AGAIN, "InProgress"), (State.SKIPPED, "")):
        for outcome in outcomes:
            if outcome.state is state:
                word = reason or outcome.reason or "Waiting"
                return Condition("Synced", "False", word, f"{outcome.action.id}: {outcome.message}", str(outcome.action.id))
    kept = [o for o in outcomes if o.state is State.WITHHELD and not o.action.drift]
    if kept:
        return Condition("Synced", "False", "Paused", f"{kept[0].action.id}: {kept[0].message}", str(kept[0].action.id))
    return Condition("Synced", "True", "Applied", "AWS is as the manifest says")


def _healthy(plan: Plan, outcomes: Sequence[Outcome]) -> Condition:
    done = {outcome.action.id for outcome in outcomes if outcome.state is State.DONE}
    unread = [action for action in plan.actions if action.error]
    if unread:
        return Condition("Healthy", "Unknown", _word(unread[0].error), f"{unread[0].id}: {unread[0].reason}", str(unread[0].id))
    missing = [action.id for action in plan.actions if action.want and action.seen is None and action.id not in done]
    if missing:
        return Condition("Healthy", "False", "Missing", f"not there: {', '.join(map(str, missing[:10]))}", str(missing[0]))
    return Condition("Healthy", "True", "AllStand", "everything that is declared stands")


def _drifted(plan: Plan, outcomes: Sequence[Outcome]) -> Condition:
    if any(action.error for action in plan.actions):
        return Condition("Drifted", "Unknown", "NotLooked", "not everything could be looked at")
    done = {outcome.action.id for outcome in outcomes if outcome.state is State.DONE}
    drifted = [action.id for action in plan.actions if (action.drift and action.id not in done) or action.extra]
    if drifted:
        return Condition("Drifted", "True", "Drift", f"changed outside Meshplane: {', '.join(map(str, drifted[:10]))}", str(drifted[0]))
    return Condition("Drifted", "False", "NoDrift", "nothing was changed outside Meshplane")


def _drift(plan: Plan, outcomes: Sequence[Outcome], wrote: Sequence[Outcome]) -> tuple[Drift, ...]:
    done = {outcome.action.id for outcome in (*outcomes, *wrote) if outcome.state is State.DONE}
    healed = [item for outcome in wrote if outcome.action.drift for item in _fields(outcome.action, True)]
    left = [item for action in plan.actions if action.drift and action.id not in done for item in _fields(action, False)]
    return (*healed, *left)


def _fields(action: Action, healed: bool) -> tuple[Drift, ...]:
    if action.verb is Verb.CREATE:
        return (Drift(str(action.id), "existence", "there", "deleted", healed),)
    # As applied is what is still wanted: the manifest did not change.
    return tuple(Drift(str(action.id), d.field, d.wanted, d.was, healed) for d in action.differences)


def _mend(reason: str, plan: Plan, verdict: Verdict) -> str:
    if reason == "Held":
        return f"mend the manifest, or set policy.approve: {plan.digest} to go on with exactly this plan"
    return MENDS.get(reason, "")


def _word(reason: str) -> str:
    return reason if reason in REASONS else "PlaneError"


def status(project: str, env: str, judged: Judged, **fields: object) -> Status:
    """A Status of the judged part and the given times and versions."""
    return Status(
        project,
        env,
        judged.conditions,
        blocking=judged.blocking,
        to_do=judged.to_do,
        drift=judged.drift,
        added=judged.added,
        brought=judged.brought,
        waiting=judged.waiting,
        failing=judged.failing,
        held=judged.held,
        plan=judged.plan,
        counts=judged.counts or {},
        **fields,  # type: ignore[arg-type]  # the caller's keywords are Status's own
    )
