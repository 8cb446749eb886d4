"""How a reconcile ends: the record it leaves, the status it publishes, the history entry, and when to look again.

One `Writer` lives for one reconcile and is refined on the way (`observing`, `knowing`); each ending makes an `Ended` from it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from meshplane.errors import ManifestInvalid, NotFound, PlaneError
from meshplane.flows.converge import Converged
from meshplane.model.naming import Naming
from meshplane.model.resource import Id
from meshplane.model.status import Condition, Status, conditions_of, timeless
from meshplane.model.windows import iso, moment
from meshplane.plan.conditions import MENDS, Judged, status, unjudged
from meshplane.plan.digest import digest
from meshplane.plan.outcome import Outcome, State
from meshplane.plan.planner import Verb
from meshplane.plan.record import Record
from meshplane.plan.retry import HOURLY, Failure, advance, delay, next_try
from meshplane.plan.shares import to_neighbours
from meshplane.ports import Begun, Clock, Manifests, States

WAIT = timedelta(minutes=5)  # a wait with no time of its own: the sweep's step; whoever is waited for wakes us sooner
KEPT = timedelta(days=400)  # how long history stays


@dataclass(frozen=True, slots=True)
class Ended:
    """`again`: look again at once (time was up). `wake`: what neighbours may know of this project has changed."""

    record: Record
    result: str
    again: bool = False
    wake: bool = False
    fields: Mapping[str, object] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Writer:
    """What is known so far of the record to be left."""

    states: States
    manifests: Manifests
    clock: Clock
    naming: Naming
    begun: Begun
    changed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def record(self) -> Record:
        """The record as it would be left now."""
        return replace(self.begun.record, **self.changed)

    @property
    def before(self) -> Mapping[str, Condition]:
        """The conditions as the last reconcile left them."""
        return conditions_of(self.begun.record.status)

    def knowing(self, **changes: Any) -> Writer:
        """With these fields of the record."""
        return replace(self, changed={**self.changed, **changes})

    def observing(self, version: str, release: str = "") -> Writer:
        """Looking at this version of the manifest. A project that was being removed is active again."""
        now = iso(self.clock.now())
        return self.knowing(observed=version, last_attempted=now, phase="active", files_due="", awaits_runs=False)

    def settling(self) -> dict[Id, datetime]:
        """Roles of earlier reconciles that may still not be relied upon."""
        now = self.clock.now()
        until = {key: moment(at) for key, at in self.begun.record.settling.items()}
        return {Id(*key.split(":", 1)): at for key, at in until.items() if at > now}

    def stalled(self, converged: Converged) -> frozenset[str]:
        """Keys of actions that are given up on after this reconcile."""
        return frozenset(key for key, failure in self._failures(converged.outcomes).items() if failure.stalled)

    def _failures(self, outcomes: tuple[Outcome, ...]) -> dict[str, Failure]:
        now, before = iso(self.clock.now()), self.begun.record.failures
        failed = {}
        for o in outcomes:
            if o.state in (State.FAILED, State.AGAIN) and o.action.verb is not Verb.BLOCKED:
                old = before.get(o.action.key)
                tried = not (old and old.stalled and old.message == o.message[:300] and moment(old.at) + HOURLY > self.clock.now())
                at = now if tried or not old else old.at
                failed[o.action.key] = Failure(o.reason, 1, o.retryable, o.message[:300], at)
        return advance(before, failed)

    def converged(self, judged: Judged, converged: Converged) -> Ended:
        """The ending of a look that came to a plan."""
        now = self.clock.now()
        failures = self._failures(converged.outcomes)
        synced = judged.conditions[0]
        applied = synced.status == "True"
        looked = not any(action.error for action in converged.plan.actions)
        wrote = bool(converged.wrote)
        writer = self.knowing(
            inventory=converged.inventory,
            failures=failures,
            settling={f"{key.kind}:{key.name}": iso(at) for key, at in converged.settling.items() if at > now},
            approved=() if applied else tuple(sorted({*self.begun.record.approved, *converged.verdict.approved})),
            applied=self.record.observed if applied else self.record.applied,
            last_applied=iso(now) if applied and (wrote or not self.record.last_applied) else self.record.last_applied,
            last_verified=iso(now) if looked else self.record.last_verified,
            due_at=iso(_due(now, failures, converged.outcomes)),
            awaits_runs=converged.awaits_runs,
        )
        unnoted = writer.noted(converged, now) if wrote else ""
        result = "applied" if wrote else "unchanged" if applied else synced.reason.lower()
        again = converged.out_of_time
        ended = writer._end(judged, result, again, _counts(converged))
        return replace(ended, fields={**ended.fields, "unnoted": unnoted}) if unnoted else ended

    def noted(self, converged: Converged, now: datetime) -> str:
        """Add to the history; what went wrong otherwise. What was done is done, and the log line tells it too."""
        try:
            self.states.note(self.begun, _history(self.record, converged, iso(now)), now + KEPT)
        except PlaneError as error:
            return str(error)
        return ""

    def refused(self, judged: Judged, error: PlaneError) -> Ended:
        """The ending when the manifest or its surroundings allow no plan. The author's fault waits for a new manifest."""
        now = self.clock.now()
        author = isinstance(error, ManifestInvalid)
        failures = (
            {}
            if author
            else advance(self.begun.record.failures, {"": Failure(error.reason, 1, error.retryable, str(error)[:300], iso(now))})
        )
        after = HOURLY if author else getattr(error, "after", None) or delay(failures[""].count)
        writer = self.knowing(failures=failures, due_at=iso(now + after))
        problems = error.problems if isinstance(error, ManifestInvalid) else ()
        return writer._end(judged, error.reason.lower(), False, {}, problems)

    def unread(self, error: PlaneError) -> Ended:
        """The ending when the manifest could not be read: nothing is known, nothing is changed."""
        return self.refused(unjudged(error, self.before), error)

    def absent(self) -> Ended:
        """The ending when there is no manifest and no proof that it was deleted: nothing is changed."""
        message = "there is no manifest, and no delete marker that proves it was removed; nothing was changed"
        judged = unjudged(PlaneError(message), self.before)
        synced = Condition("Synced", "Unknown", "NoManifest", message)
        judged = replace(judged, conditions=(synced, *judged.conditions[1:]), to_do=MENDS["NoManifest"])
        return self.knowing(due_at=iso(self.clock.now() + HOURLY))._end(judged, "absent", False, {})

    def files_missing(self, judged: Judged, missing: tuple[str, ...]) -> Judged:
        """A wait for files is told as such, unless something worse is in the way."""
        synced = judged.conditions[0]
        if synced.reason != "Waiting":
            return judged
        told = Condition("Synced", "False", "FileMissing", f"waits for files that are nowhere: {', '.join(missing)}", synced.object)
        return replace(judged, conditions=(told, *judged.conditions[1:]), to_do=MENDS["FileMissing"])

    def removal(self, judged: Judged, result: str, again: bool = False, metrics: Mapping[str, float] | None = None) -> Ended:
        """The ending of a step of a project's removal."""
        return self._end(judged, result, again, metrics or {})

    def _end(self, judged: Judged, result: str, again: bool, metrics: Mapping[str, float], problems: Any = ()) -> Ended:
        record = self.record
        retry = record.due_at if judged.conditions[0].status != "True" else ""
        document = status(
            record.project,
            self.naming.env,
            judged,
            observed_version=record.observed,
            release=record.release.digest,
            phase=record.phase,
            last_attempted=record.last_attempted,
            last_applied=record.last_applied,
            last_verified=record.last_verified,
            next_retry=retry,
            problems=tuple(problems),
        )
        kept = document.to_json()
        record = replace(record, status=kept, published=self._publish(document, kept, not metrics.get("Writes")))
        if not record.published:
            soon = iso(self.clock.now() + WAIT)
            record = replace(record, due_at=min(record.due_at, soon) if record.due_at else soon)
        old = self.begun.record
        fields = {
            "phase": record.phase,
            "manifest": record.observed,
            "release": record.release.digest,
            "fence": self.begun.fence,
            "synced": judged.conditions[0].reason,
            "told": judged.conditions[0].message[:500],
            "plan": judged.plan,
            **{f"count_{verb}": count for verb, count in (judged.counts or {}).items()},
        }
        axes = {str(condition.axis): float(condition.status == "True") for condition in judged.conditions}
        metrics = {"Stalled": float(record.stalled), **axes, **metrics}
        wake = to_neighbours(record.shares) != to_neighbours(old.shares) or (record.phase == "removed") != (old.phase == "removed")
        return Ended(record, result, again, wake, fields, metrics)

    def _publish(self, document: Status, kept: Mapping[str, Any], quiet: bool) -> str:
        """Write the copies beside the manifests when something changed that an author would want to read."""
        now = digest(timeless(kept))
        if now == self.begun.record.published:
            return now
        try:
            if quiet and not self.begun.record.published and self._told_already(document.project, kept):
                return now
            self.manifests.publish_status(document.project, _json(kept), document.text())
        except PlaneError:
            return ""  # the state item has the status; the copies are written by the next look, which is soon
        return now

    def _told_already(self, project: str, kept: Mapping[str, Any]) -> bool:
        """Does the copy say so? Asked only where no memory tells: before the first status, and after the state was wiped."""
        try:
            stands = json.loads(self.manifests.read(self.naming.of("status_key", project=project)))
        except (NotFound, ValueError):
            return False
        return isinstance(stands, dict) and timeless(stands) == timeless(json.loads(_json(kept)))


def _due(now: datetime, failures: Mapping[str, Failure], outcomes: tuple[Outcome, ...]) -> datetime:
    waits = [outcome.until or now + WAIT for outcome in outcomes if outcome.state in (State.WAITING, State.SKIPPED)]
    retry = next_try(failures)
    return min([*waits, now + HOURLY, *([now + retry] if retry else [])])


def _counts(converged: Converged) -> dict[str, float]:
    failed = sum(outcome.state is State.FAILED for outcome in converged.outcomes)
    healed = sum(outcome.action.drift for outcome in converged.wrote)
    found = sum(action.drift for action in converged.plan.actions)
    return {"Writes": float(len(converged.wrote)), "Failures": float(failed), "Drift": float(found), "Healed": float(healed)}


def _history(record: Record, converged: Converged, at: str) -> dict[str, Any]:
    tags = record.release.provenance.tags()
    actions = [f"{o.action.verb.value} {o.action.id.kind} {o.action.id.name}" for o in converged.wrote]
    return {
        "at": at,
        "manifest": record.observed,
        "release": record.release.digest,
        "plan": converged.plan.digest,
        **tags,
        "actions": actions[:2000],
        "healed": [str(o.action.id) for o in converged.wrote if o.action.drift],
    }


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, default=str) + "\n"
