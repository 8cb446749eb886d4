"""A project whose manifest was deleted: triggers first, then open runs, then everything else in reverse order; a day later its files.

Called by `flows.reconcile_project` once a delete marker has proven the deletion. Every step is a look of its own: whatever comes between
(a crash, a run that lasts an hour), the next reconcile goes on from what it sees. A manifest put back makes all of it moot.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from meshplane.errors import ManifestInvalid, PlaneError, Stale
from meshplane.flows.closing import Ended, Writer
from meshplane.flows.converge import Confirm, Converged, Task, Tools, converge
from meshplane.flows.preparation import Here
from meshplane.kinds import glue_job
from meshplane.model.manifest import load
from meshplane.model.project import Policy
from meshplane.model.resource import Owner
from meshplane.model.runs import Run
from meshplane.model.status import Condition
from meshplane.model.windows import iso, moment
from meshplane.plan.compile import Desired
from meshplane.plan.conditions import Judged, judge, unjudged
from meshplane.plan.guard import Verdict
from meshplane.plan.outcome import State
from meshplane.plan.planner import Plan
from meshplane.plan.retry import HOURLY, given_up
from meshplane.ports import Begun, Manifests, OpenRuns, States

FILES_STAY = timedelta(days=1)
RUNS_LOOK = timedelta(minutes=1)  # record_run asks for the look when a run has ended; what it missed, the next sweep finds due
TRIGGERS = frozenset({"event_rule", "schedule", "schedule_group"})


@dataclass(frozen=True, slots=True)
class Removal:
    """What one step of a removal needs."""

    states: States
    manifests: Manifests
    runs: OpenRuns
    tools: Tools
    here: Here
    begun: Begun
    writer: Writer


def remove(step: Removal, version: str) -> Ended:
    """One look at a project whose manifest's newest version is the delete marker `version`."""
    record, reached = step.begun.record, step.writer
    phase = "removed" if record.phase == "removed" and record.observed == version else "draining"
    step = _with(step, version, phase)
    try:
        if not record.last_attempted:
            step = _with_last_policy(step)
        if phase == "draining" and (record.phase != "draining" or record.observed != version):
            paused = {name: {**policy, "paused": "the project is being removed"} for name, policy in record.pipelines.items()}
            step.states.draining(step.begun, version, paused)
            step = replace(step, writer=step.writer.knowing(pipelines=paused))
        reached = step.writer
        return _further(step, version, phase)
    except Stale:
        raise
    except PlaneError as error:  # the next look goes on from what is certain
        return reached.refused(unjudged(error, reached.before), error)


def _further(step: Removal, version: str, phase: str) -> Ended:
    record = step.begun.record
    if phase == "removed" and record.files_due and moment(record.files_due) <= step.tools.clock.now():
        return _forgotten(step)
    if phase == "draining":
        triggers = converge(step.tools, _task(step, TRIGGERS), _confirm(step, version))
        if _unfinished(triggers):
            return _draining(step, triggers, "its triggers are being taken away")
        step = replace(step, writer=step.writer.knowing(inventory=triggers.inventory))
        jobs = {key.name for key in triggers.inventory if key.kind == glue_job.NAME}
        open_runs = step.runs.open(record.project, jobs)
        if open_runs and _stopped(step, open_runs):
            open_runs = step.runs.open(record.project, jobs)
        if open_runs:
            return _running(step, triggers, open_runs)
    converged = converge(step.tools, _task(step, None), _confirm(step, version))
    if _unfinished(converged):
        return _draining(step, converged, "what is left is being taken away")
    return _removed(step, converged)


def _with_last_policy(step: Removal) -> Removal:
    """The policy of the last valid manifest, which holds for the removal: the state that kept it was wiped."""
    name, here = step.begun.record.project, step.here
    for text in step.manifests.texts(name):
        with suppress(ManifestInvalid):
            policy = load(text, file=f"projects/{name}/project.yaml", env=here.naming.env, project=name, domain=here.domain).policy
            return replace(step, writer=step.writer.knowing(manage=policy.manage, while_running=policy.while_running))
    return step


def _with(step: Removal, version: str, phase: str) -> Removal:
    now = iso(step.tools.clock.now())
    return replace(step, writer=step.writer.knowing(observed=version, last_attempted=now, phase=phase))


def _task(step: Removal, only: frozenset[str] | None) -> Task:
    record = step.writer.record
    return Task(
        Desired(record.project),
        Owner(step.here.domain.domain_name, step.here.naming.env, record.project),
        Policy(manage=record.manage),  # type: ignore[arg-type]  # the verbs as the last valid manifest had them
        record.release.provenance,
        record.inventory,
        given_up=given_up(record.failures, step.tools.clock.now()),
        removing=True,
        only=only,
    )


def _confirm(step: Removal, version: str) -> Confirm:
    def confirm(plan: Plan, verdict: Verdict) -> None:
        newest = step.manifests.version(step.begun.record.project)
        if newest != version:
            raise Stale(f"the manifest is back, or deleted anew: {newest}")
        step.states.confirm(step.begun, verdict.approved)

    return confirm


def _unfinished(converged: Converged) -> bool:
    return any(outcome.state is not State.DONE for outcome in converged.outcomes)


def _draining(step: Removal, converged: Converged, what: str) -> Ended:
    judged = judge(converged.plan, converged.verdict, converged.outcomes, converged.wrote, step.writer.stalled(converged))
    if judged.conditions[0].reason in ("Waiting", "InProgress", "Applied"):
        judged = _told(judged, "Draining", f"the manifest was deleted; {what}: {judged.conditions[0].message}")
    return step.writer.converged(judged, converged)


def _stopped(step: Removal, runs: Sequence[Run]) -> bool:
    """Stop what policy says is to be stopped. A run that only waits never begins, whatever the policy."""
    stop = [run for run in runs if run.status == "WAITING" or step.writer.record.while_running == "stop"]
    for run in stop:
        step.runs.stop(run, "the project's manifest was deleted")
    return bool(stop)


def _running(step: Removal, triggers: Converged, runs: Sequence[Run]) -> Ended:
    stop = step.writer.record.while_running == "stop"
    names = ", ".join(run.run_id for run in runs[:5])
    message = f"the manifest was deleted; {'stopping' if stop else 'waiting for'} open runs: {names}"
    judged = judge(triggers.plan, triggers.verdict, triggers.outcomes, triggers.wrote)
    ended = step.writer.converged(_told(judged, "Draining", message), triggers)
    due = iso(step.tools.clock.now() + RUNS_LOOK)
    return replace(ended, record=replace(ended.record, due_at=due), result="draining")


def _removed(step: Removal, converged: Converged) -> Ended:
    """Nothing of ours is left but what rests. The files stay for a day, so that a manifest put back finds all as it was."""
    record, now = step.begun.record, step.tools.clock.now()
    known = record.phase == "removed" and record.observed == step.writer.record.observed
    files_due = record.files_due if known else iso(now + FILES_STAY)
    left = sum(outcome.action.verb.value == "none" or outcome.action.verb.value == "rest" for outcome in converged.outcomes)
    message = "the project is removed; tables rest with their data" if left else "the project is removed"
    judged = judge(converged.plan, converged.verdict, converged.outcomes, converged.wrote)
    writer = step.writer.knowing(phase="removed", files_due=files_due, shares={}, pipelines={}, refers=(), settling={})
    ended = writer.converged(_told(judged, "Removed", message, "True"), converged)
    due = min(ended.record.due_at, files_due) if files_due else ended.record.due_at
    return replace(ended, record=replace(ended.record, due_at=due), result="removed")


def _forgotten(step: Removal) -> Ended:
    """The day is over: the project's files leave the artifacts bucket. Versioned, so even this can be undone for a while."""
    record = step.writer.record
    step.states.confirm(step.begun, ())
    gone = step.manifests.forget_files(record.project)
    writer = step.writer.knowing(files_due="", release=type(record.release)(), loose={}, due_at=iso(step.tools.clock.now() + HOURLY))
    told = Condition("Synced", "True", "Removed", "the project is removed; tables rest with their data")
    before = step.writer.before
    rest = tuple(before[axis] for axis in ("Healthy", "Drifted") if axis in before)
    return writer.removal(Judged((told, *rest)), "forgotten", metrics={"FilesForgotten": float(gone)})


def _told(judged: Judged, reason: str, message: str, truth: str = "False") -> Judged:
    synced = Condition("Synced", truth, reason, message, judged.conditions[0].object)  # type: ignore[arg-type]  # True or False
    return replace(judged, conditions=(synced, *judged.conditions[1:]), to_do="")
