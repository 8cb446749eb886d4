"""A schedule that starts a pipeline, in its own time zone. Pure.

EventBridge Scheduler, not a rule: rules know no time zones. It sends the message of docs/contracts.md §4 to the trigger queue
through the plane's scheduler role.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from meshplane.kinds.comparing import differences
from meshplane.kinds.event_rule import message
from meshplane.kinds.schedule_group import group_id
from meshplane.kinds.state_machine import machine_id
from meshplane.model.context import Context
from meshplane.model.project import Pipeline, Project, ScheduleTrigger
from meshplane.model.resource import Difference, Id, Seen, Want


@dataclass(frozen=True, slots=True)
class ScheduleSpec:
    """All of a schedule, because UpdateSchedule resets what is left out. Times are ISO 8601 or empty; `window` is OFF or its minutes.

    `other` is empty: it holds, as JSON, any further setting that somebody gave the target.
    """

    expression: str
    timezone: str
    target: str
    role: str
    dead_letters: str
    input: str
    enabled: bool = True
    description: str = ""
    window: str = "OFF"
    start: str = ""
    end: str = ""
    kms_key: str = ""
    max_age_seconds: int = 86_400  # Scheduler's own defaults: a day, 185 attempts
    max_attempts: int = 185
    other: str = ""


class Schedule:
    """One per schedule trigger."""

    name = "schedule"

    def desired(self, project: Project, context: Context) -> Iterable[Want[ScheduleSpec]]:
        """Each in the project's group."""
        for pipeline in project.pipelines.values():
            for trigger in pipeline.triggers:
                if isinstance(trigger, ScheduleTrigger):
                    yield self._want(trigger, pipeline, project, context)

    def _want(self, trigger: ScheduleTrigger, pipeline: Pipeline, project: Project, context: Context) -> Want[ScheduleSpec]:
        plane, group = context.plane, group_id(project.name, context)
        event = {"id": "<aws.scheduler.execution-id>", "time": "<aws.scheduler.scheduled-time>"}
        spec = ScheduleSpec(
            expression=trigger.expression,
            timezone=trigger.timezone,
            target=plane.trigger_queue_arn,
            role=plane.scheduler_role_arn,
            dead_letters=plane.target_dlq_arn,
            input=json.dumps({**message(project.name, pipeline.name, trigger.name, "schedule"), "event": event}),
            enabled=trigger.enabled,
            description=f"Trigger {trigger.name} of pipeline {pipeline.name} of project {project.name}",
        )
        name = context.naming.of("schedule", pipeline=pipeline.name, trigger=trigger.name)
        needs = frozenset({group, machine_id(project.name, pipeline.name, context)})
        return Want(Id("schedule", f"{group.name}/{name}", f"{pipeline.name}.{trigger.name}"), spec, needs)

    def compare(self, want: ScheduleSpec, seen: ScheduleSpec) -> tuple[Difference, ...]:
        """Every field."""
        return differences(want, seen)

    def resting(self, seen: Seen[ScheduleSpec]) -> ScheduleSpec | None:
        """Deleted."""
        return None


KIND = Schedule()
