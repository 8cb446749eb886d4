"""An in-memory state table, Step Functions, queue and clock: what the flows of runs are tried against."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from meshplane.errors import AlreadyExists, NotFound, PlaneError, Stale
from meshplane.flows.run_slots import RunPorts
from meshplane.model.gating import AppliedGates
from meshplane.model.runs import OPEN, Arrival, Execution, JobRun, PipelinePolicy, Run, StepEnd, TriggerMessage, TriggerPolicy
from meshplane.model.slots import Change, Slots
from meshplane.model.windows import iso

NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)
MACHINE = "arn:aws:states:eu-central-1:390403879405:stateMachine:f01-sales-pipeline-daily-dev"
SETTLE = 10


class Killed(BaseException):
    """The process ended here, with what it had written."""


@dataclass
class FakeClock:
    at: datetime = NOON

    def now(self) -> datetime:
        return self.at

    def advance(self, **by: float) -> None:
        self.at += timedelta(**by)


@dataclass
class FakeRuns:
    known: dict[str, dict[str, PipelinePolicy]] = field(default_factory=dict)
    records: dict[tuple[str, str], Run] = field(default_factory=dict)
    held: dict[tuple[str, str], Slots] = field(default_factory=dict)
    marks: set[tuple[str, str, str, str]] = field(default_factory=set)
    overtake: int = 0  # how many commits lose a race
    kill_after: str = ""
    past_the_gate: dict[str, str] = field(default_factory=dict)  # project → what stands on a gated `main` unjudged
    gated: dict[str, AppliedGates] = field(default_factory=dict)
    awaiting: set[str] = field(default_factory=set)  # projects whose reconcile waits for a run's end

    def awaited(self, project: str) -> bool:
        return project in self.awaiting

    def unjudged(self, project: str) -> str:
        return self.past_the_gate.get(project, "")

    def gates(self, project: str) -> AppliedGates:
        return self.gated.get(project, AppliedGates())

    def policies(self, project: str) -> Mapping[str, PipelinePolicy] | None:
        return self.known.get(project)

    def slots(self, project: str, pipeline: str) -> Slots:
        return self.held.get((project, pipeline), Slots())

    def all_slots(self, project: str) -> Mapping[str, Slots]:
        return {pipeline: slots for (name, pipeline), slots in self.held.items() if name == project}

    def commit(self, project: str, pipeline: str, change: Change) -> None:
        if any((run.project, run.run_id) in self.records for run in change.put):
            raise AlreadyExists("recorded")
        now = self.slots(project, pipeline)
        if self.overtake:
            self.overtake -= 1
            self.held[project, pipeline] = replace(now, version=now.version + 1)
        if self.slots(project, pipeline).version != change.slots.version:
            raise Stale("moved on")
        if change.closed and self.records[project, change.closed.run_id].status not in OPEN:
            raise Stale("ended")
        self.held[project, pipeline] = replace(change.slots, version=change.slots.version + 1)
        for run in (*change.put, *([change.closed] if change.closed else [])):
            self.records[run.project, run.run_id] = run
        if change.merge:
            twin = self.records[project, change.merge.run_id]
            total = twin.files_total + change.merge.count
            self.records[project, twin.run_id] = replace(twin, files=twin.files + change.merge.files, files_total=total)
        self._die("commit")

    def run(self, project: str, run_id: str) -> Run | None:
        return self.records.get((project, run_id))

    def put(self, run: Run) -> bool:
        return self.records.setdefault((run.project, run.run_id), run) is run

    def started(self, project: str, run_id: str, execution: str, at: str) -> bool:
        noted = self._waiting(project, run_id, status="RUNNING", execution=execution, started=at, reason="")
        self._die("started")
        return noted

    def _die(self, write: str) -> None:
        if self.kill_after == write:
            self.kill_after = ""
            raise Killed

    def noted(self, project: str, run_id: str, reason: str) -> bool:
        return self._waiting(project, run_id, reason=reason)

    def _waiting(self, project: str, run_id: str, **change: str) -> bool:
        run = self.records[project, run_id]
        if run.status == "WAITING":
            self.records[project, run_id] = replace(run, **change)  # type: ignore[arg-type]
        return run.status == "WAITING"

    def step_ended(self, project: str, run_id: str, key: str, step: StepEnd) -> bool:
        if (project, run_id) not in self.records:
            return False
        run = self.records[project, run_id]
        self.records[project, run_id] = replace(run, steps={**run.steps, key: step})
        return True

    def seen(self, project: str, pipeline: str, trigger: str, files: Sequence[Arrival]) -> frozenset[str]:
        return frozenset(file.identity for file in files if (project, pipeline, trigger, file.identity) in self.marks)

    def mark_seen(self, project: str, pipeline: str, trigger: str, files: Sequence[Arrival]) -> None:
        self.marks |= {(project, pipeline, trigger, file.identity) for file in files}

    def by_status(self, *status: str) -> list[Run]:
        return [run for run in self.records.values() if run.status in status]


@dataclass
class FakeExecutions:
    """Step Functions: names are unique per machine, also after the end."""

    clock: FakeClock
    machines: set[str] = field(default_factory=lambda: {MACHINE})
    executions: dict[str, Execution] = field(default_factory=dict)
    job_runs: dict[str, JobRun] = field(default_factory=dict)
    starts: list[str] = field(default_factory=list)
    most_at_once: int = 0
    fault: PlaneError | None = None
    kill_after: str = ""

    def arn(self, machine: str, run_id: str) -> str:
        return machine.replace(":stateMachine:", ":execution:") + f":{run_id}"

    def start(self, machine: str, run: Run) -> str:
        if self.fault:
            raise self.fault
        if machine not in self.machines:
            raise NotFound(f"no state machine {machine}")
        arn = self.arn(machine, run.run_id)
        if arn not in self.executions:
            self.starts.append(run.run_id)
            self.executions[arn] = Execution(arn, "RUNNING", json.loads(json.dumps(run.input())), iso(self.clock.now()))
        self.most_at_once = max(self.most_at_once, len(self.open()))
        if self.kill_after == "start":
            self.kill_after = ""
            raise Killed
        return arn

    def describe(self, arn: str) -> Execution | None:
        return self.executions.get(arn)

    def stop(self, arn: str, why: str) -> None:
        self.end(arn, "ABORTED", "Stopped", why)

    def job_run(self, job: str, job_run_id: str) -> JobRun | None:
        return self.job_runs.get(job_run_id)

    def open_job_runs(self, jobs: Collection[str]) -> Sequence[JobRun]:
        return [one for one in self.job_runs.values() if one.job in jobs and one.state == "RUNNING"]

    def stop_job_run(self, job: str, job_run_id: str) -> None:
        self.job_runs[job_run_id] = replace(self.job_runs[job_run_id], state="STOPPED")

    def running(self, machines: str) -> Sequence[Execution]:
        return [one for one in map(self.executions.__getitem__, self.open()) if fnmatchcase(one.arn.split(":")[-2], machines)]

    def open(self) -> list[str]:
        return [arn for arn, execution in self.executions.items() if execution.status == "RUNNING"]

    def end(self, arn: str, status: str = "SUCCEEDED", error: str = "", cause: str = "") -> dict[str, object]:
        """End an execution; the event that tells of it."""
        if self.executions[arn].status == "RUNNING":
            now = iso(self.clock.now())
            self.executions[arn] = replace(self.executions[arn], status=status, ended=now, error=error, cause=cause)
        return {"source": "aws.states", "detail": {"executionArn": arn, "status": status}}


@dataclass
class FakeQueue:
    clock: FakeClock
    sent: list[tuple[datetime, Mapping[str, object]]] = field(default_factory=list)

    def send(self, bodies: Sequence[Mapping[str, object]], delay: timedelta = timedelta()) -> None:
        self.sent += [(self.clock.now() + delay, body) for body in bodies]

    def due(self) -> list[TriggerMessage]:
        """Take the messages whose delay is over."""
        now = self.clock.now()
        due = [body for at, body in self.sent if at <= now]
        self.sent = [(at, body) for at, body in self.sent if at > now]
        return [TriggerMessage.read(f"own-{index}", json.dumps(body), now) for index, body in enumerate(due)]


@dataclass
class Notes:
    """The publish records of runs."""

    of: dict[tuple[str, str], list[dict[str, object]]] = field(default_factory=dict)

    steps: dict[tuple[str, str], list[dict[str, object]]] = field(default_factory=dict)  # the outbox records

    def of_run(self, project: str, run_id: str) -> Sequence[Mapping[str, object]]:
        return self.of.get((project, run_id), [])

    def left_by(self, project: str, run_id: str) -> Sequence[Mapping[str, object]]:
        return [*self.steps.get((project, run_id), []), *self.of_run(project, run_id)]


@dataclass
class Asked:
    """The reconcile queue: who was asked for."""

    projects: list[str] = field(default_factory=list)

    def send(self, projects: Collection[str]) -> None:
        self.projects += projects


@dataclass
class World:
    clock: FakeClock
    runs: FakeRuns
    executions: FakeExecutions
    queue: FakeQueue
    reconciles: Asked = field(default_factory=Asked)
    notes: Notes = field(default_factory=Notes)

    @property
    def kill_after(self) -> str:
        """The write after which the process dies, once: commit, start, started."""
        return self.runs.kill_after or self.executions.kill_after

    @kill_after.setter
    def kill_after(self, write: str) -> None:
        self.runs.kill_after = self.executions.kill_after = write

    @property
    def ports(self) -> RunPorts:
        return RunPorts(self.runs, self.executions, self.queue, self.clock, self.notes)


def world(**policy: object) -> World:
    """One pipeline `sales.daily` with a files trigger `landed`, a schedule `nightly` in Berlin and an upstream `after`."""
    clock = FakeClock()
    triggers = {
        "landed": TriggerPolicy("files", SETTLE, table="orders_raw", since=iso(NOON)),
        "nightly": TriggerPolicy("schedule", timezone="Europe/Berlin", expression="cron(0 6 * * ? *)", since=iso(NOON)),
        "after": TriggerPolicy("pipeline", upstream="customers.daily", since=iso(NOON)),
    }
    daily = PipelinePolicy(MACHINE, triggers=triggers, **policy)  # type: ignore[arg-type]
    return World(clock, FakeRuns({"sales": {"daily": daily}}), FakeExecutions(clock), FakeQueue(clock))


def message(kind: str, trigger: str, event: Mapping[str, object], sent: datetime = NOON, **named: str) -> TriggerMessage:
    told = {"project": "sales", "pipeline": "daily", "trigger": trigger, "kind": kind, **named, "event": event}
    return TriggerMessage.read("m", json.dumps(told), sent)


def arrived(key: str, version: str = "v1", at: datetime = NOON) -> TriggerMessage:
    object_ = {"key": key, "version-id": version, "size": 3}
    return message("files", "landed", {"id": "e", "time": iso(at), "detail": {"object": object_}})


def manual(name: str, **event: object) -> TriggerMessage:
    return message("manual", "", {"id": name, "time": iso(NOON), "by": "ann", **event})


def tick(at: datetime) -> TriggerMessage:
    return message("schedule", "nightly", {"id": "x", "time": iso(at)})
