"""Change a pipeline's slots, then start what may start: the one way in which start_run, record_run and the sweep do it.

The store is optimistic: slots and run records are written in one transaction on condition that the slots are as they were read.
A process that dies between the store and StartExecution leaves a WAITING record in an open slot; whoever comes next
(a redelivery, the sweep) finds it there and starts it: the execution's name makes that once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from meshplane.errors import NotFound, NotReady, PlaneError, Stale
from meshplane.model.runs import OPEN, PipelinePolicy, Run
from meshplane.model.slots import Change, Slots, capacity, promote, release, skipped
from meshplane.model.windows import iso, moment
from meshplane.ports import Clock, Executions, RunStore, TriggerQueue

SOON, BETWEEN_TRIES = timedelta(minutes=15), timedelta(seconds=30)
ATTEMPTS = 20  # each lost race means that another process got on


class Publications(Protocol):
    """What runs left beside their data."""

    def of_run(self, project: str, run_id: str) -> Sequence[Mapping[str, Any]]:
        """The publish records that a run left, in the order of its steps' names."""
        ...

    def left_by(self, project: str, run_id: str) -> Sequence[Mapping[str, Any]]:
        """Everything that a run left: the records of its steps (with `outputs`) and of their publications (with `tables`)."""
        ...


@dataclass(frozen=True, slots=True)
class RunPorts:
    """What the flows of runs need of the world."""

    runs: RunStore
    executions: Executions
    queue: TriggerQueue
    clock: Clock
    publications: Publications
    ended: list[Run] = field(default_factory=list)  # what was closed through these ports, for the metrics of the invocation


Decide = Callable[[Slots], Change | None]


def change_slots(ports: RunPorts, project: str, pipeline: str, decide: Decide) -> Slots:
    """Load, decide, store; again when somebody else stored meanwhile. The slots as they stand after it.

    `decide` returns None when there is nothing to store. Raises NotReady when every attempt was overtaken, AlreadyExists when a
    new run's record is there (a duplicate).
    """
    for _ in range(ATTEMPTS):
        slots = ports.runs.slots(project, pipeline)
        change = decide(slots)
        if change is None:
            return slots
        try:
            ports.runs.commit(project, pipeline, change)
        except Stale:
            continue
        return replace(change.slots, version=slots.version + 1)
    raise NotReady(f"the slots of {project}.{pipeline} changed {ATTEMPTS} times while we looked: try again")


def start_open(ports: RunPorts, project: str, pipeline: str, policy: PipelinePolicy | None) -> None:
    """Start every run that holds a place and has not been started; then move up what waits, until nothing changes."""
    while True:
        slots = change_slots(ports, project, pipeline, lambda slots: _moved_up(slots, policy))
        held = slots.open if policy else (*slots.open, *(one.run_id for one in slots.waiting))
        records = [ports.runs.run(project, run_id) for run_id in held]
        todo = [run for run in records if run and run.status == "WAITING"]
        freed = [_start(ports, run, policy) for run in todo]
        if not any(freed):
            return


def close_run(ports: RunPorts, run: Run, policies: Mapping[str, PipelinePolicy] | None) -> bool:
    """Store the end of a run, free its place and start what waits. False when it had ended already: nothing is stored then.

    `run` is the record as it shall stand. Its own record is read again under the same condition as the slots.
    """
    policy = (policies or {}).get(run.pipeline)
    closed = False

    def decide(slots: Slots) -> Change | None:
        nonlocal closed
        now = ports.runs.run(run.project, run.run_id)
        closed = now is not None and now.status in OPEN
        if not closed and not slots.holds(run.run_id):
            return None
        change = release(slots, run, capacity(policy))
        return change if closed else replace(change, closed=None)

    change_slots(ports, run.project, run.pipeline, decide)
    if closed:
        ports.ended.append(run)
    start_open(ports, run.project, run.pipeline, policy)
    return closed


def look_at(project: str, pipeline: str) -> dict[str, object]:
    """The message that makes start_run look at a pipeline's slots."""
    return {"schema": 1, "project": project, "pipeline": pipeline, "trigger": "", "kind": "ended", "event": {}}


def failed(run: Run, error: str, cause: str, at: datetime) -> Run:
    """The record of a run that could not be started."""
    return replace(run, status="FAILED", error=error, cause=cause, ended=iso(at))


def undeclared(project: str, pipeline: str) -> str:
    """Why a run of a pipeline that is gone is skipped."""
    return f"{project} no longer declares the pipeline {pipeline}"


def _moved_up(slots: Slots, policy: PipelinePolicy | None) -> Change | None:
    change = promote(Change(slots), capacity(policy))
    return change if change.slots != slots else None


def _start(ports: RunPorts, run: Run, policy: PipelinePolicy | None) -> bool:
    """Start one run. True when that freed its place instead, so that another may move up."""
    if policy is None:
        _free(ports, replace(skipped(run, undeclared(run.project, run.pipeline)), ended=iso(ports.clock.now())), 0)
        return True
    if policy.paused:  # the project is being removed: what was admitted and not started never starts
        return False
    try:
        arn = ports.executions.start(policy.machine, run)
    except NotFound as gone:
        # A plain end, not a retry: the next reconcile makes the machine anew, and the next arrival or tick its run.
        _free(ports, failed(run, gone.reason, str(gone), ports.clock.now()), capacity(policy))
        return True
    except PlaneError as unsure:
        # The run keeps its place. Looked at again soon while it is new (a role that has not settled, throttling), then by the sweep.
        if ports.clock.now() < moment(run.created) + SOON:
            ports.queue.send([look_at(run.project, run.pipeline)], BETWEEN_TRIES)
        ports.runs.noted(run.project, run.run_id, f"cannot be started yet: {unsure.reason}: {unsure}")
        return False
    ports.runs.started(run.project, run.run_id, arn, iso(ports.clock.now()))
    return False


def _free(ports: RunPorts, ended: Run, concurrency: int) -> None:
    held = False

    def decide(slots: Slots) -> Change | None:
        nonlocal held
        held = slots.holds(ended.run_id)
        return release(slots, ended, concurrency) if held else None

    change_slots(ports, ended.project, ended.pipeline, decide)
    if held:
        ports.ended.append(ended)
