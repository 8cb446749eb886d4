"""GetResources as the service behaves: moto's index knows neither EventBridge rules nor schedule groups, and ends a page at 100 tags
where nobody asked for `TagsPerPage`.

Schedule groups too: moto lists the schedules of a group that does not exist as none, makes a group a second time over the first, and
fails at deleting one that is not there.

Called by `repairs.apply` and by the adapters' tests. Repairs are made once per process.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import moto.events.models as events
import moto.resourcegroupstaggingapi.models as index
import moto.scheduler.models as scheduler
from moto.core.exceptions import JsonRESTError
from moto.core.resource_tagging import TaggableResourcesMixin, TaggedResource

_original_rules = events.EventsBackend.iter_tagged_resources
_original_get = index.ResourceGroupsTaggingAPIBackend.get_resources
_original_backends = index.iter_taggable_backends
_original_list = scheduler.EventBridgeSchedulerBackend.list_schedules
_original_create = scheduler.EventBridgeSchedulerBackend.create_schedule_group
_original_delete = scheduler.EventBridgeSchedulerBackend.delete_schedule_group


class _ScheduleGroups(TaggableResourcesMixin):  # type: ignore[misc]
    """The scheduler's backend, seen by the index."""

    SERVICE_NAMESPACE = "scheduler"

    def __init__(self, backend: Any) -> None:
        self.backend, self.partition = backend, backend.partition

    def iter_tagged_resources(self) -> Iterator[TaggedResource]:
        for group in self.backend.schedule_groups.values():
            yield TaggedResource(group.arn, self.backend.tagger.get_tag_dict_for_resource(group.arn), "scheduler:schedule-group")


def _rules(self: Any) -> Iterator[TaggedResource]:
    yield from _original_rules(self)
    for bus in self.event_buses.values():
        for rule in bus.rules.values():
            yield TaggedResource(rule.arn, self.tagger.get_tag_dict_for_resource(rule.arn), "events:rule")


def _backends(account: str, region: str) -> Iterator[Any]:
    yield from _original_backends(account, region)
    if account in scheduler.scheduler_backends and region in scheduler.scheduler_backends[account]:
        yield _ScheduleGroups(scheduler.scheduler_backends[account][region])


def _get_resources(self: Any, *args: Any, tags_per_page: int = 100, **asked: Any) -> Any:
    """100 is what moto makes of no limit; the plane limits pages by resources only."""
    return _original_get(self, *args, tags_per_page=sys.maxsize if tags_per_page == 100 else tags_per_page, **asked)


def _list_schedules(self: Any, group_names: list[str] | None, *args: Any, **asked: Any) -> Any:
    for name in group_names or ():
        self.get_schedule_group(name)
    return _original_list(self, group_names, *args, **asked)


def _create_group(self: Any, name: str, tags: list[dict[str, str]]) -> Any:
    if name in self.schedule_groups:
        raise JsonRESTError("ConflictException", f"Schedule group {name} already exists.")
    return _original_create(self, name, tags)


def _delete_group(self: Any, name: str | None) -> None:
    self.get_schedule_group(name)
    _original_delete(self, name)


def apply() -> None:
    """Mend the index in this process; calling again changes nothing."""
    events.EventsBackend.iter_tagged_resources = _rules
    index.iter_taggable_backends = _backends
    index.ResourceGroupsTaggingAPIBackend.get_resources = _get_resources
    scheduler.EventBridgeSchedulerBackend.list_schedules = _list_schedules
    scheduler.EventBridgeSchedulerBackend.create_schedule_group = _create_group
    scheduler.EventBridgeSchedulerBackend.delete_schedule_group = _delete_group
