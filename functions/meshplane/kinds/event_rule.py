"""The rules that start pipelines: files that arrived in raw, another pipeline's success, a table that was published. Pure.

A rule makes exactly the message of docs/contracts.md §4 and hands it to the trigger queue; what it cannot deliver goes to a
dead-letter queue. Schedules are a kind of their own: rules have no time zone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from meshplane.kinds.comparing import differences
from meshplane.kinds.state_machine import machine_id
from meshplane.model.access import foreign_table
from meshplane.model.context import Context
from meshplane.model.project import FilesTrigger, Pipeline, PipelineTrigger, Project, TableRef, TableTrigger
from meshplane.model.publishing import EVENT_SOURCE, TABLE_PUBLISHED
from meshplane.model.resource import Difference, Id, Seen, Want

TARGET = "trigger-queue"  # the id of the one target


@dataclass(frozen=True, slots=True)
class RuleTarget:
    """Where a matching event goes. `template` is the input transformer's; `<aws.events.event.json>` is the whole event.

    `other` is empty: it holds, as JSON, any further setting that somebody gave the target.
    """

    id: str
    arn: str
    dead_letters: str
    template: str
    other: str = ""


@dataclass(frozen=True, slots=True)
class EventRuleSpec:
    """`pattern` is canonical JSON. `schedule` is empty: only a rule that somebody altered has one."""

    pattern: str
    targets: tuple[RuleTarget, ...]
    enabled: bool = True
    description: str = ""
    schedule: str = ""


def canonical_pattern(pattern: str | Mapping[str, Any]) -> str:
    """An event pattern as one comparable text; empty when there is none."""
    if not pattern:
        return ""
    return json.dumps(json.loads(pattern) if isinstance(pattern, str) else pattern, sort_keys=True, separators=(",", ":"))


def message(project: str, pipeline: str, trigger: str, kind: str) -> dict[str, Any]:
    """The envelope of docs/contracts.md §4, without its event. `kind` is `files`, `pipeline`, `table` or `schedule`."""
    return {"schema": 1, "project": project, "pipeline": pipeline, "trigger": trigger, "kind": kind}


def template(project: str, pipeline: str, trigger: str, kind: str) -> str:
    """The envelope around the event. The reserved variable stands unquoted: EventBridge puts JSON in its place."""
    return json.dumps(message(project, pipeline, trigger, kind))[:-1] + ', "event": <aws.events.event.json>}'


class EventRule:
    """One per trigger of files, of another pipeline or of a published table."""

    name = "event_rule"

    def desired(self, project: Project, context: Context) -> Iterable[Want[EventRuleSpec]]:
        """On the default bus, where S3, Step Functions and publish_tables put their events."""
        for pipeline in project.pipelines.values():
            for trigger in pipeline.triggers:
                match trigger:
                    case FilesTrigger():
                        yield self._want(trigger, "files", _arrivals(trigger, project, context), pipeline, project, context)
                    case PipelineTrigger():
                        yield self._want(trigger, "pipeline", _success(trigger, context), pipeline, project, context)
                    case TableTrigger():
                        yield self._want(trigger, "table", _publication(trigger), pipeline, project, context)

    def _want(
        self,
        trigger: FilesTrigger | PipelineTrigger | TableTrigger,
        kind: str,
        pattern: Mapping[str, Any],
        pipeline: Pipeline,
        project: Project,
        context: Context,
    ) -> Want[EventRuleSpec]:
        plane = context.plane
        text = template(project.name, pipeline.name, trigger.name, kind)
        target = RuleTarget(TARGET, plane.trigger_queue_arn, plane.target_dlq_arn, text)
        description = f"Trigger {trigger.name} of pipeline {pipeline.name} of project {project.name}"
        spec = EventRuleSpec(canonical_pattern(pattern), (target,), trigger.enabled, description)
        name = context.naming.rule(project.name, pipeline.name, trigger.name)
        waits = "" if isinstance(trigger, FilesTrigger) else _waits(trigger, project, context)
        needs = frozenset({machine_id(project.name, pipeline.name, context)})
        return Want(Id("event_rule", name, f"{pipeline.name}.{trigger.name}"), spec, needs, waits=waits)

    def compare(self, want: EventRuleSpec, seen: EventRuleSpec) -> tuple[Difference, ...]:
        """Pattern, state and every target, one that somebody else added included: it would get the project's events."""
        return differences(want, seen)

    def resting(self, seen: Seen[EventRuleSpec]) -> EventRuleSpec | None:
        """Deleted."""
        return None


def _arrivals(trigger: FilesTrigger, project: Project, context: Context) -> Mapping[str, Any]:
    """Objects made in the raw bucket under the table's prefix; S3 sends each at least once, in no order."""
    table = project.tables[trigger.table]
    prefix = context.naming.table_location(project.name, table.name, table.layer, table.is_iceberg).split("/", 3)[3]
    bucket = {"name": [context.naming.bucket(table.layer)]}
    detail = {"bucket": bucket, "object": {"key": [{"prefix": prefix}]}}
    return {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": detail}


def _success(trigger: PipelineTrigger, context: Context) -> Mapping[str, Any]:
    machine = context.naming.arn("states", f"stateMachine:{context.naming.state_machine(trigger.project, trigger.pipeline)}")
    detail = {"status": ["SUCCEEDED"], "stateMachineArn": [machine]}
    return {"source": ["aws.states"], "detail-type": ["Step Functions Execution Status Change"], "detail": detail}


def _publication(trigger: TableTrigger) -> Mapping[str, Any]:
    detail = {"project": [trigger.project], "table": [trigger.table]}
    return {"source": [EVENT_SOURCE], "detail-type": [TABLE_PUBLISHED], "detail": detail}


def _waits(trigger: PipelineTrigger | TableTrigger, project: Project, context: Context) -> str:
    """What another project has not published or granted yet is a stated wait, not a failure."""
    if trigger.project == project.name:
        return ""
    if isinstance(trigger, TableTrigger):
        found, why = foreign_table(TableRef(trigger.project, trigger.table), project.name, context)
        if found and found.layer == "raw":
            return f"waits for project '{trigger.project}' to judge table '{trigger.table}': raw tables are not published"
        return why
    other = context.neighbours.get(trigger.project)
    if other is None or not other.published:
        return f"waits for project '{trigger.project}' to be published: it has pipeline {trigger.project}.{trigger.pipeline}"
    if trigger.pipeline not in other.pipelines:
        return f"waits for project '{trigger.project}' to declare pipeline '{trigger.pipeline}'"
    return ""


KIND = EventRule()
