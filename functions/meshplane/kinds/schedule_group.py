"""The one schedule group of a project: schedules take no tags, so their group carries who owns them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from meshplane.model.context import Context
from meshplane.model.project import Project, ScheduleTrigger
from meshplane.model.resource import Difference, Id, Seen, Want


@dataclass(frozen=True, slots=True)
class ScheduleGroupSpec:
    """A group has a name and tags, nothing to compare."""


def group_id(project: str, context: Context) -> Id:
    """`f01-sales-dev`."""
    return Id("schedule_group", context.naming.schedule_group(project), "schedules")


class ScheduleGroup:
    """There when a pipeline of the project has a schedule."""

    name = "schedule_group"

    def desired(self, project: Project, context: Context) -> Iterable[Want[ScheduleGroupSpec]]:
        """One or none."""
        triggers = (trigger for pipeline in project.pipelines.values() for trigger in pipeline.triggers)
        if any(isinstance(trigger, ScheduleTrigger) for trigger in triggers):
            yield Want(group_id(project.name, context), ScheduleGroupSpec())

    def compare(self, want: ScheduleGroupSpec, seen: ScheduleGroupSpec) -> tuple[Difference, ...]:
        """Nothing can differ."""
        return ()

    def resting(self, seen: Seen[ScheduleGroupSpec]) -> ScheduleGroupSpec | None:
        """Deleted, with every schedule in it."""
        return None


KIND = ScheduleGroup()
