"""Runs: what a pipeline's policy is, what a trigger message says, what a run is called and what is recorded of it. Pure.

`plan` builds `PipelinePolicy` from the manifest and the reconcile stores it in the project's state (attribute `pipelines`);
`flows.start_run`, `flows.record_run` and `flows.sweep_runs` read it. How runs live beside each other is `model.slots`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from meshplane.errors import Rejected
from meshplane.model.asl_ingest import sources_of
from meshplane.model.project import FilesTrigger, Param, Pipeline, PipelineTrigger, ScheduleTrigger, TableTrigger, Trigger
from meshplane.model.windows import iso, moment

Kind = Literal["files", "schedule", "pipeline", "table", "manual", "settle", "ended"]
Status = Literal["WAITING", "RUNNING", "SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT", "SKIPPED"]
OPEN: frozenset[str] = frozenset({"WAITING", "RUNNING"})


@dataclass(frozen=True, slots=True)
class TriggerPolicy:
    """One trigger, as start_run and the sweep need it. `since`: when it came to be as it is; the sweep looks no further back.

    `upstream`: `project.pipeline`, or the project whose `table` was published.
    """

    kind: str
    settle_seconds: int = 0
    timezone: str = "UTC"
    expression: str = ""
    table: str = ""
    upstream: str = ""
    enabled: bool = True
    since: str = ""

    @staticmethod
    def of(trigger: Trigger) -> TriggerPolicy:
        """From the manifest's trigger."""
        match trigger:
            case FilesTrigger():
                return TriggerPolicy("files", int(trigger.settle.total_seconds()), table=trigger.table, enabled=trigger.enabled)
            case ScheduleTrigger():
                return TriggerPolicy("schedule", timezone=trigger.timezone, expression=trigger.expression, enabled=trigger.enabled)
            case PipelineTrigger():
                return TriggerPolicy("pipeline", upstream=f"{trigger.project}.{trigger.pipeline}", enabled=trigger.enabled)
            case TableTrigger():
                return TriggerPolicy("table", table=trigger.table, upstream=trigger.project, enabled=trigger.enabled)


@dataclass(frozen=True, slots=True)
class PipelinePolicy:
    """How a pipeline is started. `paused` holds the reason when nothing may start (empty: it may)."""

    machine: str
    concurrency: int = 1
    when_busy: str = "queueOne"
    window: str = ""
    params: Mapping[str, Param] = field(default_factory=dict)
    triggers: Mapping[str, TriggerPolicy] = field(default_factory=dict)
    paused: str = ""
    sources: Mapping[str, Any] = field(default_factory=dict)  # what its ingest steps fetch, as `Source.to_json` writes it
    late: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # alarm → `by` and `timezone`: when a run shall have succeeded
    publishes: bool = False  # its machine has gates: a success is news to others once the run's publish records prove it

    @staticmethod
    def of(pipeline: Pipeline, machine: str, paused: str = "") -> PipelinePolicy:
        """From the manifest's pipeline and its state machine's ARN."""
        triggers = {trigger.name: TriggerPolicy.of(trigger) for trigger in pipeline.triggers}
        sources = {source.name: source.to_json() for source in sources_of(pipeline.steps)}
        params = dict(pipeline.params)
        return PipelinePolicy(machine, pipeline.concurrency, pipeline.when_busy, pipeline.window, params, triggers, paused, sources)

    def to_json(self) -> dict[str, Any]:
        """What stands in state item `project#X/state`, attribute `pipelines`, under the pipeline's name."""
        return asdict(self)

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> PipelinePolicy:
        """The inverse of `to_json`. Numbers may come as DynamoDB's Decimal."""
        params = {name: Param(**param) for name, param in stored.get("params", {}).items()}
        triggers = {
            name: TriggerPolicy(**{**trigger, "settle_seconds": int(trigger.get("settle_seconds", 0))})
            for name, trigger in stored.get("triggers", {}).items()
        }
        plain = {key: value for key, value in stored.items() if key not in {"params", "triggers", "concurrency"}}
        return PipelinePolicy(**plain, concurrency=int(stored.get("concurrency", 1)), params=params, triggers=triggers)

    def carry_since(self, before: PipelinePolicy | None, now: str) -> PipelinePolicy:
        """Every trigger that is as it was keeps its `since`; a new or changed one begins now. The reconcile calls it before it stores."""
        known = before.triggers if before else {}

        def began(name: str, trigger: TriggerPolicy) -> str:
            old = known.get(name)
            return old.since if old and old.since and replace(old, since="") == replace(trigger, since="") else now

        return replace(self, triggers={name: replace(trigger, since=began(name, trigger)) for name, trigger in self.triggers.items()})


@dataclass(frozen=True, slots=True, order=True)
class Arrival:
    """An object version that arrived under a raw table's prefix."""

    key: str
    version: str
    size: int = 0
    at: str = ""

    @property
    def identity(self) -> str:
        """Equal for every event about the same object version."""
        return f"{self.key}\n{self.version}"

    @property
    def hidden(self) -> bool:
        """Spark and Hive read no file whose name begins with `_` or `.`, and a key that ends in `/` is no file."""
        name = self.key.rsplit("/", 1)[-1]
        return not name or name[0] in "_."


@dataclass(frozen=True, slots=True)
class TriggerMessage:
    """One message of the trigger queue (docs/contracts.md §4). `id` is SQS's, `sent` the moment it was sent first."""

    id: str
    project: str
    pipeline: str
    trigger: str
    kind: str
    event: Mapping[str, Any]
    sent: datetime

    @staticmethod
    def read(message_id: str, text: str, sent: datetime) -> TriggerMessage:
        """Raises Rejected for a message that is none of ours: it ends in the dead-letter queue, where people look."""
        try:
            body = json.loads(text)
        except ValueError as error:
            raise Rejected(f"trigger message {message_id} is not JSON: {error}") from error
        if not isinstance(body, Mapping):
            raise Rejected(f"trigger message {message_id} is not an object")
        missing = [key for key in ("project", "pipeline", "trigger", "kind", "event") if key not in body]
        if missing or not isinstance(body.get("event"), Mapping):
            raise Rejected(f"trigger message {message_id} lacks {', '.join(missing) or 'an event object'}")
        project, pipeline, trigger, kind = (str(body[key]) for key in ("project", "pipeline", "trigger", "kind"))
        first = moment(str(body["sent"])) if body.get("sent") else sent
        return TriggerMessage(message_id, project, pipeline, trigger, kind, body["event"], first)

    def again(self) -> dict[str, Any]:
        """The body that says the same once more, and since when."""
        named = {"project": self.project, "pipeline": self.pipeline, "trigger": self.trigger, "kind": self.kind}
        return {"schema": 1, **named, "event": dict(self.event), "sent": iso(self.sent)}

    @property
    def detail(self) -> Mapping[str, Any]:
        """The EventBridge event's `detail`, empty where there is none."""
        detail = self.event.get("detail")
        return detail if isinstance(detail, Mapping) else {}

    @property
    def time(self) -> datetime:
        """When what it tells of happened (a schedule: when it was due); when it was sent, if the event does not say.

        For an execution it is the moment it stopped, for a publication the one in its record: every copy of the event tells them alike.
        """
        if self.kind == "pipeline" and self.detail.get("stopDate"):
            return datetime.fromtimestamp(int(self.detail["stopDate"]) // 1000, UTC)
        if self.kind == "table" and self.detail.get("published"):
            return moment(str(self.detail["published"]))
        return moment(str(self.event["time"])) if self.event.get("time") else self.sent

    def arrival(self) -> Arrival:
        """The object of an S3 `Object Created` event. Raises Rejected when the event names none."""
        found = self.detail.get("object")
        if not isinstance(found, Mapping) or not found.get("key"):
            raise Rejected(f"trigger message {self.id} of {self.project}.{self.pipeline} names no object")
        version = str(found.get("version-id") or found.get("etag") or found.get("sequencer") or "")
        return Arrival(str(found["key"]), version, int(found.get("size") or 0), str(self.event.get("time", "")))

    @property
    def upstream(self) -> Mapping[str, Any]:
        """The run whose success or publication this event tells of; empty where it names none."""
        if self.kind == "table":
            return self.detail
        try:
            run = json.loads(self.detail.get("input") or "{}").get("run")
        except (ValueError, AttributeError):  # an execution that a person started with an input of their own
            return {}
        return run if isinstance(run, Mapping) else {}

    @property
    def upstream_run(self) -> str:
        """The id of that run: what its input says, which is where its steps left their records, else the execution's name."""
        return str(self.upstream.get("run_id") or str(self.detail.get("executionArn", "")).rpartition(":")[2])

    @property
    def identity(self) -> str:
        """Equal for every copy of one event: a schedule's due time, the upstream run, the published snapshot, the caller's id."""
        if self.kind == "schedule":
            return str(self.event.get("time", ""))
        if self.kind == "pipeline":
            return str(self.detail.get("executionArn") or self.event.get("id", ""))
        if self.kind == "table":
            return "{project}.{table}@{snapshot}".format_map({"project": "", "table": "", "snapshot": "", **self.detail})
        return str(self.event.get("id", ""))


@dataclass(frozen=True, slots=True)
class StepEnd:
    """One job run of a run, as Glue reported its end. `round` counts how often job and gate began anew because `main` had moved."""

    job: str
    job_run_id: str
    state: str
    attempt: int = 0
    started: str = ""
    ended: str = ""
    error: str = ""
    round: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """What is recorded of a run (`run#<run_id>`). `job` is set and `pipeline` empty for the run of a single job.

    Times are ISO texts in UTC, empty while unknown. `files` lists what one item holds, `files_total` counts all.
    `reason` says why a run was skipped or merged; `error` and `cause` why it failed.
    """

    run_id: str
    project: str
    pipeline: str
    status: str
    trigger: str
    kind: str
    created: str
    job: str = ""
    started: str = ""
    ended: str = ""
    window_start: str = ""
    window_end: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Arrival, ...] = ()
    files_total: int = 0
    by: str = ""
    execution: str = ""
    error: str = ""
    cause: str = ""
    reason: str = ""
    steps: Mapping[str, StepEnd] = field(default_factory=dict)

    @property
    def work(self) -> str:
        """What the run is about: two waiting runs with the same window and parameters would do the same work."""
        return digest(self.window_start, self.window_end, *(f"{key}={self.params[key]}" for key in sorted(self.params)))

    def input(self) -> dict[str, Any]:
        """The execution's input. A pure function of the record, so that starting twice is starting once."""
        keys = ("run_id", "project", "pipeline", "trigger", "window_start", "window_end")
        return {"run": {"schema": 1, **{key: getattr(self, key) for key in keys}, "params": dict(self.params)}}


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution of a state machine as it is now. `input` is its JSON, read."""

    arn: str
    status: str
    input: Mapping[str, Any] = field(default_factory=dict)
    started: str = ""
    ended: str = ""
    error: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class JobRun:
    """A Glue job run as it is now. `run` is the `--meshplane-run` argument, read; empty for a run that is none of ours."""

    job: str
    job_run_id: str
    state: str
    run: Mapping[str, Any] = field(default_factory=dict)
    step: str = ""
    attempt: int = 0
    started: str = ""
    ended: str = ""
    error: str = ""
    round: int = 0

    @property
    def key(self) -> str:
        """What tells it from the step's other job runs: `load#1`, in a later round `load#2_0`."""
        return f"{self.step or self.job}#{f'{self.round}_' if self.round else ''}{self.attempt}"


GLUE_STATUS: Mapping[str, Status] = {
    "SUCCEEDED": "SUCCEEDED",
    "FAILED": "FAILED",
    "ERROR": "FAILED",
    "EXPIRED": "FAILED",
    "STOPPED": "ABORTED",
    "TIMEOUT": "TIMED_OUT",
}


def digest(*parts: str) -> str:
    """Ten hex digits that tell different parts apart."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:10]


def run_id(project: str, pipeline: str, trigger: str, identity: str, at: datetime) -> str:
    """`daily-20261120T050000-3f9c1b2a77`: the run's id and its execution's name, at most 80 characters (Step Functions' quota).

    A pure function: the same event, however often it comes, has the same run.
    """
    return f"{pipeline[:50]}-{at:%Y%m%dT%H%M%S}-{digest(project, pipeline, trigger, identity)}"


def files_run_id(project: str, pipeline: str, trigger: str, files: tuple[Arrival, ...], at: datetime) -> str:
    """The id of the run that a set of arrivals makes, whatever order they came in."""
    return run_id(project, pipeline, trigger, "\n".join(sorted(file.identity for file in files)), at)


def settle_params(declared: Mapping[str, Param], given: Mapping[str, Any]) -> dict[str, str]:
    """Defaults filled in. Raises Rejected, naming what is declared, for an unknown, missing or unreadable parameter."""
    allowed = ", ".join(f"{name} ({param.type})" for name, param in declared.items()) or "none: the pipeline declares no params"
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise Rejected(f"no parameter {', '.join(unknown)}; allowed: {allowed}")
    values = {name: str(given.get(name, param.default)) for name, param in declared.items() if name in given or param.default is not None}
    missing = sorted(set(declared) - set(values))
    if missing:
        raise Rejected(f"parameter {', '.join(missing)} must be given; allowed: {allowed}")
    for name, value in values.items():
        if not _readable(declared[name].type, value):
            raise Rejected(f"parameter {name} is '{value}', not a {declared[name].type}")
    return values


def _readable(kind: str, value: str) -> bool:
    if kind == "int":
        return value.lstrip("-").isdecimal()
    if kind == "boolean":
        return value in {"true", "false"}
    if kind == "date":
        try:
            return len(value) == len("2026-11-20") and bool(moment(value))
        except ValueError:
            return False
    return True
