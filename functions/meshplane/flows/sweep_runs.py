"""What no event told us: called (through `wiring`) by the sweep for all projects, every few minutes.

It closes runs whose end was lost, starts what holds a place and was never started, settles files whose look was lost, and sends
anew what never became a run: files, ticks of schedules, successes of other pipelines, publications of tables. All of it goes the
same ways as the events would have, under the same ids, so that an event which was only late finds its run there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from meshplane.errors import PlaneError
from meshplane.flows.record_run import execution_ended
from meshplane.flows.run_slots import RunPorts, change_slots, close_run, start_open
from meshplane.flows.start_run import settle, take_files
from meshplane.model.cron import due
from meshplane.model.lateness import Late, is_late
from meshplane.model.publishing import announcements
from meshplane.model.runs import PipelinePolicy, Run, TriggerMessage, TriggerPolicy, run_id
from meshplane.model.slots import Change, Ended, Slots
from meshplane.model.windows import iso, moment
from meshplane.ports import Landings

GRACE = timedelta(minutes=5)  # an event younger than this is late, not lost (aws-facts C4: S3 takes over a minute at times)
HORIZON = timedelta(days=3)  # shorter than what the store remembers of files (30 days), longer than an outage should be
BETWEEN_LISTINGS = timedelta(hours=1)
MISSED_AT_ONCE = 24  # ticks of one schedule that one sweep makes up for


@dataclass(frozen=True, slots=True)
class SweepPorts:
    """What the sweep of runs needs."""

    run: RunPorts
    landings: Landings
    late: list[Late] = field(default_factory=list)  # what was found of the alarms for late pipelines, for the metrics of the invocation


def sweep_runs(ports: SweepPorts, projects: Iterable[str]) -> Mapping[str, PlaneError]:
    """Mend the runs of all projects; successes are passed on last, since this sweep may just have found them.

    Returns what went wrong, by project: one project's fault stops no other's sweep.
    """
    known: dict[str, Mapping[str, PipelinePolicy]] = {}
    faults: dict[str, PlaneError] = {}
    ends: dict[str, tuple[Ended, ...]] = {}
    for project in projects:
        try:
            policies = ports.run.runs.policies(project)
            if policies is not None:  # None: no reconcile yet; its messages wait, and so do we
                known[project] = policies
                _sweep(ports, project, policies)
                now_held = ports.run.runs.all_slots(project)
                ends |= {f"{project}.{pipeline}": slots.ended for pipeline, slots in now_held.items()}
                ports.late.extend(_late(project, policies, now_held, ports.run.clock.now()))
        except PlaneError as fault:
            faults[project] = fault
    for project, policies in known.items():
        try:
            _send_lost_successes(ports.run, project, policies, ends)
            _send_lost_publications(ports, project, policies, ends)
        except PlaneError as fault:
            faults[project] = fault
    return faults


def _late(project: str, policies: Mapping[str, PipelinePolicy], held: Mapping[str, Slots], now: datetime) -> Iterable[Late]:
    for pipeline, policy in policies.items():
        for alarm, at in policy.late.items():
            yield Late(project, alarm, is_late(at["by"], at["timezone"], held.get(pipeline, Slots()).ended, now))


def _sweep(ports: SweepPorts, project: str, policies: Mapping[str, PipelinePolicy]) -> None:
    held = ports.run.runs.all_slots(project)
    for pipeline, slots in held.items():
        _mend(ports.run, project, pipeline, policies.get(pipeline), slots)
    for pipeline, policy in policies.items():
        _find_files(ports, project, pipeline, policy, held.get(pipeline, Slots()))
        _send_missed_ticks(ports.run, project, pipeline, policy)


def _send_lost_successes(
    ports: RunPorts, project: str, policies: Mapping[str, PipelinePolicy], ends: Mapping[str, Iterable[Ended]]
) -> None:
    """For each pipeline trigger: a success of its upstream that is over GRACE old and made no run is told once more."""
    for pipeline, policy in policies.items():
        for name, trigger in policy.triggers.items():
            for ended in ends.get(trigger.upstream, ()) if trigger.kind == "pipeline" else ():
                if ended.status == "SUCCEEDED" and _looked_for(ports, trigger, moment(ended.at)):
                    _send_success(ports, project, pipeline, name, trigger, ended)


def _send_lost_publications(
    ports: SweepPorts, project: str, policies: Mapping[str, PipelinePolicy], ends: Mapping[str, Iterable[Ended]]
) -> None:
    """For each table trigger: what runs of the upstream project published, whatever became of those runs afterwards."""
    triggers = [(pipeline, name, one) for pipeline, p in policies.items() for name, one in p.triggers.items() if one.kind == "table"]
    for pipeline, name, trigger in triggers:
        runs = [ended for where, all_ended in ends.items() if where.partition(".")[0] == trigger.upstream for ended in all_ended]
        for ended in runs:
            if not _looked_for(ports.run, trigger, moment(ended.at)):
                continue
            for note in ports.run.publications.of_run(trigger.upstream, ended.run_id):
                for told in announcements(note) if note.get("state") == "done" else ():
                    if told["table"] == trigger.table:
                        event = {"id": f"sweep-{ended.run_id}", "detail": told}
                        _send_unless_run(ports.run, TriggerMessage("", project, pipeline, name, "table", event, moment(told["published"])))


def _mend(ports: RunPorts, project: str, pipeline: str, policy: PipelinePolicy | None, slots: Slots) -> None:
    for open_id in slots.open:
        run = ports.runs.run(project, open_id)
        if run and run.execution and moment(run.started) < ports.clock.now() - GRACE:
            _find_end(ports, run)
    if policy:
        for trigger, pending in slots.pending.items():
            wait = policy.triggers[trigger].settle_seconds if trigger in policy.triggers else 0
            if pending.settles(wait) + GRACE < ports.clock.now():
                settle(ports, policy, project, pipeline, trigger)
    if slots.open or slots.waiting:
        start_open(ports, project, pipeline, policy)


def _find_end(ports: RunPorts, run: Run) -> None:
    execution = ports.executions.describe(run.execution)
    if execution:
        execution_ended(ports, execution)
        return
    gone = replace(
        run, status="ABORTED", ended=iso(ports.clock.now()), error="NotFound", cause="its execution is gone, with its state machine"
    )
    close_run(ports, gone, ports.runs.policies(run.project))


def _find_files(ports: SweepPorts, project: str, pipeline: str, policy: PipelinePolicy, slots: Slots) -> None:
    """Hand every file that arrived a while ago to start_run's own collecting, which knows those that have been in a run."""
    now = ports.run.clock.now()
    triggers = {name: one for name, one in policy.triggers.items() if one.kind == "files" and one.enabled and one.since}
    if not triggers or policy.paused or (slots.looked and moment(slots.looked) + BETWEEN_LISTINGS > now):
        return
    for name, trigger in triggers.items():
        after = max(moment(trigger.since), now - HORIZON)
        files = [file for file in ports.landings.arrived(project, trigger.table, after, now - GRACE) if not file.hidden]
        take_files(ports.run, policy, project, pipeline, name, files)
    change_slots(ports.run, project, pipeline, lambda slots: Change(replace(slots, looked=iso(now))))


def _send_missed_ticks(ports: RunPorts, project: str, pipeline: str, policy: PipelinePolicy) -> None:
    now = ports.clock.now()
    for name, trigger in policy.triggers.items():
        if trigger.kind != "schedule" or not trigger.enabled or not trigger.since or policy.paused:
            continue
        after = max(moment(trigger.since), now - HORIZON)
        for at in list(due(trigger.expression, trigger.timezone, after, now - GRACE))[-MISSED_AT_ONCE:]:
            event = {"id": f"sweep-{iso(at)}", "time": iso(at)}
            _send_unless_run(ports, TriggerMessage("", project, pipeline, name, "schedule", event, at))


def _send_success(ports: RunPorts, project: str, pipeline: str, name: str, trigger: TriggerPolicy, ended: Ended) -> None:
    upstream = ports.runs.run(trigger.upstream.partition(".")[0], ended.run_id)
    if upstream is None:
        return
    event = success_event(upstream)
    _send_unless_run(ports, TriggerMessage("", project, pipeline, name, "pipeline", event, moment(ended.at)))


def success_event(run: Run) -> dict[str, object]:
    """What EventBridge would have said of the success of this run: the same identity and time."""
    stop = int(moment(run.ended).timestamp()) * 1000
    return {"id": f"sweep-{run.run_id}", "detail": {"executionArn": run.execution, "stopDate": stop, "input": json.dumps(run.input())}}


def _send_unless_run(ports: RunPorts, message: TriggerMessage) -> None:
    made = run_id(message.project, message.pipeline, message.trigger, message.identity, message.time)
    if ports.runs.run(message.project, made) is None:
        ports.queue.send([message.again()])


def _looked_for(ports: RunPorts, trigger: TriggerPolicy, at: datetime) -> bool:
    now = ports.clock.now()
    return trigger.enabled and bool(trigger.since) and max(moment(trigger.since), now - HORIZON) < at < now - GRACE
