"""Schedule groups: the tagged home of a project's schedules. Listing those, which the plan needs anyway, proves that the group stands."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from meshplane.aws.faults import translated
from meshplane.aws.kinds.opening import Opening, mapping, owner_in, pairs, prove
from meshplane.errors import NotFound
from meshplane.kinds.schedule_group import ScheduleGroupSpec
from meshplane.model.resource import Difference, Done, Id, Owner, Seen, Wait, Want

AGAIN = timedelta(seconds=10)


class ScheduleGroupAdapter:
    """Ownership: tags, found by the shared index."""

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        self.scheduler = opening.clients("scheduler")

    def observe(self, ids: Collection[Id], owner: Owner, known: Mapping[Id, str]) -> Sequence[Seen[ScheduleGroupSpec]]:
        """The wanted and the indexed ones."""
        listings = self.opening.listings
        indexed = {arn.rpartition("/")[2]: tags for arn, tags in listings.tagged(owner, "scheduler:schedule-group").items()}
        asked = {each.name: each for each in ids}
        found = []
        for name in sorted({*asked, *indexed}):
            if listings.schedules(name) is not None:
                tags = indexed[name] if name in indexed else group_tags(self.opening, name)
                found.append(Seen(asked.get(name, Id("schedule_group", name)), ScheduleGroupSpec(), owner=owner_in(tags)))
        return found

    def create(self, want: Want[ScheduleGroupSpec], owner: Owner) -> Done | Wait:
        """One call, tags included."""
        with translated("scheduler:CreateScheduleGroup", want.id.name):
            self.scheduler.create_schedule_group(Name=want.id.name, Tags=pairs(self.opening.tags(owner)))
        return Done()

    def update(self, seen: Seen[ScheduleGroupSpec], to: ScheduleGroupSpec, diff: tuple[Difference, ...], owner: Owner) -> Done | Wait:
        """A group has nothing to change."""
        prove(owner_in(group_tags(self.opening, seen.id.name)), owner, seen.id)
        return Done()

    def claim(self, seen: Seen[ScheduleGroupSpec], owner: Owner) -> Done | Wait:
        """Tags only."""
        with translated("scheduler:TagResource", seen.id.name):
            self.scheduler.tag_resource(ResourceArn=group_arn(self.opening, seen.id.name), Tags=pairs(self.opening.tags(owner)))
        return Done()

    def delete(self, seen: Seen[ScheduleGroupSpec], owner: Owner) -> Done | Wait:
        """Asynchronous: Done only when it is gone."""
        name = seen.id.name
        state = self._state(name)
        if not state:
            return Done()
        prove(owner_in(group_tags(self.opening, name)), owner, seen.id)
        if state != "DELETING":
            with translated("scheduler:DeleteScheduleGroup", name):
                self.scheduler.delete_schedule_group(Name=name)
        if not self._state(name):
            return Done()
        return Wait(self.opening.clock.now() + AGAIN, f"schedule group {name} is still being deleted")

    def _state(self, name: str) -> str:
        try:
            with translated("scheduler:GetScheduleGroup", name):
                return str(self.scheduler.get_schedule_group(Name=name)["State"])
        except NotFound:
            return ""


def group_arn(opening: Opening, name: str) -> str:
    """The ARN by which a group is tagged."""
    return opening.naming.arn("scheduler", f"schedule-group/{name}")


def group_tags(opening: Opening, name: str) -> Mapping[str, str]:
    """A group's tags, read directly. Raises NotFound."""
    with translated("scheduler:ListTagsForResource", name):
        return mapping(opening.clients("scheduler").list_tags_for_resource(ResourceArn=group_arn(opening, name))["Tags"])


def adapter(opening: Opening) -> ScheduleGroupAdapter:
    """Opened for one reconcile."""
    return ScheduleGroupAdapter(opening)
