"""Trigger messages become runs: called by `handlers.start_run` with a batch of the trigger queue.

Each run's id is a function of its event (or of its files), so a duplicate starts nothing. Arrivals are collected until nothing
newer has come for the trigger's `settle`; one delayed message to ourselves looks then. DESIGN §7, docs/contracts.md §4 and §5.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from meshplane.errors import AlreadyExists, PlaneError, Rejected
from meshplane.flows.run_slots import RunPorts, change_slots, start_open, undeclared
from meshplane.model import windows
from meshplane.model.proof import unproven
from meshplane.model.run_params import run_params
from meshplane.model.runs import Arrival, PipelinePolicy, Run, TriggerMessage, TriggerPolicy, files_run_id, run_id
from meshplane.model.slots import Change, Pending, Slots, admit, collect, skipped, take

# A rule is live a little before the reconcile that made it has written its pipeline's policy, and wiped state takes a sweep to come back.
PATIENCE = timedelta(minutes=30)
BETWEEN_LOOKS = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that goes back to the queue, by its SQS id, and why."""

    id: str
    error: PlaneError

    def fields(self) -> dict[str, str]:
        """For the log line."""
        return {"message_id": self.id, "reason": self.error.reason, "error": str(self.error)}


def read_and_start(ports: RunPorts, records: Iterable[tuple[str, str, datetime]]) -> tuple[Refusal, ...]:
    """The same from raw messages: id, body, time sent. One that cannot be read is refused; the others go on."""
    messages: list[TriggerMessage] = []
    refused: list[Refusal] = []
    for message_id, body, sent in records:
        try:
            messages.append(TriggerMessage.read(message_id, body, sent))
        except Rejected as unreadable:
            refused.append(Refusal(message_id, unreadable))
    return (*refused, *start_run(ports, messages))


def start_run(ports: RunPorts, messages: Sequence[TriggerMessage]) -> tuple[Refusal, ...]:
    """Take the messages in. Returns those that must come again; a failure of one pipeline never holds up another's messages."""

    def of(message: TriggerMessage) -> tuple[str, str]:
        return message.project, message.pipeline

    refused: list[Refusal] = []
    for (project, pipeline), group in groupby(sorted(messages, key=of), key=of):
        refused += _take_in(ports, project, pipeline, list(group))
    return tuple(refused)


def _take_in(ports: RunPorts, project: str, pipeline: str, messages: list[TriggerMessage]) -> Iterable[Refusal]:
    try:
        policies = ports.runs.policies(project)
    except PlaneError as error:
        return [Refusal(message.id, error) for message in messages]
    policy = (policies or {}).get(pipeline)
    refused: list[Refusal] = []

    def attempt(group: list[TriggerMessage], policy: PipelinePolicy | None) -> None:
        try:
            if policy is None:
                _undeclared(ports, group[0], known=policies is not None)
            elif group[0].kind == "files":
                _arrived(ports, policy, group)
            elif group[0].kind == "settle":
                settle(ports, policy, project, pipeline, group[0].trigger)
            elif group[0].kind == "ended":
                start_open(ports, project, pipeline, policy)
            else:
                _event(ports, policy, group[0])
        except PlaneError as error:
            refused.extend(Refusal(message.id, error) for message in group)

    arrivals = sorted((m for m in messages if m.kind == "files" and policy), key=lambda m: m.trigger)
    for _, group in groupby(arrivals, key=lambda m: m.trigger):
        attempt(list(group), policy)
    for message in messages:
        if message not in arrivals:
            attempt([message], policy)
    return refused


def _undeclared(ports: RunPorts, message: TriggerMessage, known: bool) -> None:
    """A message for a pipeline that the last reconcile did not leave: it waits a little, then it is recorded as skipped."""
    if ports.clock.now() < message.sent + PATIENCE:
        # Sent anew rather than refused: waiting is no failure, and must not use up the queue's receive count.
        ports.queue.send([message.again()], BETWEEN_LOOKS)
        return
    if message.kind in {"settle", "ended"}:
        return
    reason = undeclared(message.project, message.pipeline) if known else f"no project {message.project} is published"
    files = (message.arrival(),) if message.kind == "files" else ()
    ports.runs.put(skipped(_run(ports, message, files), reason))


def _arrived(ports: RunPorts, policy: PipelinePolicy, messages: list[TriggerMessage]) -> None:
    first = messages[0]
    files = tuple(file for file in (message.arrival() for message in messages) if not file.hidden)
    take_files(ports, policy, first.project, first.pipeline, first.trigger, files)


def take_files(ports: RunPorts, policy: PipelinePolicy, project: str, pipeline: str, trigger: str, files: Sequence[Arrival]) -> None:
    """Collect arrivals that no run was made of yet, and see to it that one delayed message looks when they have settled."""
    known = ports.runs.seen(project, pipeline, trigger, files)
    fresh = tuple(file for file in files if file.identity not in known)
    seconds = _trigger(policy, trigger).settle_seconds
    if fresh and seconds and trigger not in ports.runs.slots(project, pipeline).pending:
        # Before the store: a second look does no harm, none would.
        _look_again(ports, project, pipeline, trigger, timedelta(seconds=seconds))
    while fresh:
        now_in = Pending(fresh, "").fit  # no more than one item holds
        pending = _collected(ports, project, pipeline, trigger, fresh[:now_in])
        fresh = fresh[now_in:]
        if pending and (pending.full or not seconds):
            settle(ports, policy, project, pipeline, trigger)


def _collected(ports: RunPorts, project: str, pipeline: str, trigger: str, files: tuple[Arrival, ...]) -> Pending | None:
    def decide(slots: Slots) -> Change | None:
        collected = collect(slots, trigger, files, ports.clock.now())
        return Change(collected) if collected is not slots else None

    return change_slots(ports, project, pipeline, decide).pending.get(trigger)


def settle(ports: RunPorts, policy: PipelinePolicy, project: str, pipeline: str, trigger: str) -> None:
    """If nothing newer has come for the trigger's `settle`: one run that lists all files. Else look again when it may be so."""
    slots = ports.runs.slots(project, pipeline)
    while (pending := slots.pending.get(trigger)) is not None:
        left = pending.settles(_trigger(policy, trigger).settle_seconds) - ports.clock.now()
        if left > timedelta() and not pending.full:
            _look_again(ports, project, pipeline, trigger, left)
            break
        ports.runs.mark_seen(project, pipeline, trigger, pending.files)
        slots = _settled(ports, policy, project, pipeline, trigger, pending)
    start_open(ports, project, pipeline, policy)


def _settled(ports: RunPorts, policy: PipelinePolicy, project: str, pipeline: str, trigger: str, pending: Pending) -> Slots:
    now = ports.clock.now()

    def decide(slots: Slots) -> Change | None:
        if slots.pending.get(trigger) != pending:  # something newer came, or another message was faster
            return None
        left, files = take(slots, trigger)
        at = max(windows.moment(file.at) if file.at else now for file in files)
        run = Run(files_run_id(project, pipeline, trigger, files, at), project, pipeline, "WAITING", trigger, "files", windows.iso(now))
        cut = windows.containing(policy.window, at, _trigger(policy, trigger).timezone)
        return admit(left, policy, replace(_asked(policy, run, cut, {}), files=files, files_total=len(files)))

    try:
        return change_slots(ports, project, pipeline, decide)
    except AlreadyExists:  # a run was made of exactly these files long ago: they are no news

        def forget(slots: Slots) -> Change | None:
            return Change(take(slots, trigger)[0]) if slots.pending.get(trigger) == pending else None

        return change_slots(ports, project, pipeline, forget)


def _event(ports: RunPorts, policy: PipelinePolicy, message: TriggerMessage) -> None:
    """A schedule's tick, another pipeline's success or a person's wish: one event, one run."""
    run = _run(ports, message)
    if (why := _held(ports, policy, message)) and ports.runs.run(run.project, run.run_id) is None:
        # Under an id of its own: the run's stays free, so that the sweep, which finds none, tells the event again until it may start.
        ports.runs.put(skipped(replace(run, run_id=_run_id(message, f"{message.identity}\nheld")), why))
        return
    try:
        run = _asked(policy, run, _window(policy, message), message.event.get("params") or {})
    except (Rejected, ValueError) as wrong:
        run = skipped(run, str(wrong))
    with suppress(AlreadyExists):  # the duplicate of an event whose run has been recorded: it may still have to be started
        change_slots(ports, run.project, run.pipeline, lambda slots: None if slots.holds(run.run_id) else admit(slots, policy, run))
    start_open(ports, run.project, run.pipeline, policy)


def _held(ports: RunPorts, policy: PipelinePolicy, message: TriggerMessage) -> str:
    """Why a trigger by another pipeline or table rests: its project's `main` holds what no gate judged, or the run that is told of
    published nothing that it wrote (DESIGN §7). Else empty.

    Schedules, files and people do not wait: they bring what the run is about themselves, and one of them mends the upstream.
    """
    if message.kind not in {"pipeline", "table"}:
        return ""
    upstream, _, pipeline = _trigger(policy, message.trigger).upstream.partition(".")
    if found := ports.runs.unjudged(upstream) if upstream else "":
        return f"held: UnjudgedCommit in {upstream}: {found}; the run starts when main is back at a published snapshot"
    return _unpublished(ports, upstream, pipeline, message) if message.kind == "pipeline" and upstream else ""


def _unpublished(ports: RunPorts, project: str, pipeline: str, message: TriggerMessage) -> str:
    """A machine that somebody changed past the manifest ends as SUCCEEDED without its gates, too: only the run's own records prove it."""
    upstream = (ports.runs.policies(project) or {}).get(pipeline)
    if upstream is None or not upstream.publishes:
        return ""
    run = message.upstream_run
    if not run:
        return f"held: a success of {project}.{pipeline} that names no run proves no publication"
    why = unproven(ports.publications.left_by(project, run), ports.runs.gates(project).gates or ())
    return why and f"held: {project}.{pipeline} succeeded in {run} and proves no publication: {why}"


def _run_id(message: TriggerMessage, identity: str) -> str:
    return run_id(message.project, message.pipeline, message.trigger, identity, message.time)


def _run(ports: RunPorts, message: TriggerMessage, files: tuple[Arrival, ...] = ()) -> Run:
    identity = files[0].identity if files else message.identity
    return Run(
        _run_id(message, identity),
        message.project,
        message.pipeline,
        "WAITING",
        message.trigger,
        message.kind,
        windows.iso(ports.clock.now()),
        files=files,
        files_total=len(files),
        by=str(message.event.get("by", "")),
    )


def _asked(policy: PipelinePolicy, run: Run, window: tuple[str, str], params: Mapping[str, Any]) -> Run:
    """Window and parameters filled in; a wrong parameter is a person's fault: recorded, since to try again would not mend it."""
    run = replace(run, window_start=window[0], window_end=window[1])
    try:
        return replace(run, params=run_params(policy.params, params))
    except Rejected as wrong:
        return skipped(run, str(wrong))


def _window(policy: PipelinePolicy, message: TriggerMessage) -> tuple[str, str]:
    zone = _trigger(policy, message.trigger).timezone
    given = message.event if message.kind == "manual" else message.upstream
    start, end = str(given.get("window_start") or ""), str(given.get("window_end") or "")
    if message.kind == "manual" and start:
        if not policy.window:
            raise Rejected(f"{message.pipeline} declares no window, so none can be given")
        if end and not windows.fits(policy.window, start, end, zone):
            raise Rejected(f"{start} to {end} is not one {policy.window}; give its start only, and the end follows")
        return windows.containing(policy.window, windows.moment(start), zone)
    if windows.fits(policy.window, start, end, zone):
        return start, end
    cut = windows.ended if message.kind == "schedule" else windows.containing
    return cut(policy.window, message.time, zone)


def _trigger(policy: PipelinePolicy, name: str) -> TriggerPolicy:
    return policy.triggers.get(name, TriggerPolicy("manual"))


def _look_again(ports: RunPorts, project: str, pipeline: str, trigger: str, delay: timedelta) -> None:
    at = windows.iso(ports.clock.now() + delay)
    body = {"schema": 1, "project": project, "pipeline": pipeline, "trigger": trigger, "kind": "settle", "event": {"id": at}}
    ports.queue.send([body], delay)
