"""Schedules: one ListSchedules per group, one GetSchedule each. UpdateSchedule resets what it does not name, so all is sent."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from meshplane.aws.faults import translated
from meshplane.aws.kinds.opening import Opening, owner_in, prove
from meshplane.aws.kinds.schedule_group import group_tags
from meshplane.errors import NotFound
from meshplane.kinds.schedule import ScheduleSpec
from meshplane.model.resource import Difference, Done, Id, Owner, Seen, Wait, Want

_NAMED = ("Arn", "RoleArn", "Input", "DeadLetterConfig", "RetryPolicy")


class ScheduleAdapter:
    """Ownership: that of its group, because schedules take no tags."""

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        self.scheduler = opening.clients("scheduler")

    def observe(self, ids: Collection[Id], owner: Owner, known: Mapping[Id, str]) -> Sequence[Seen[ScheduleSpec]]:
        """All of the owner's group, and the wanted ones of any other group of that name."""
        listings = self.opening.listings
        indexed = {arn.rpartition("/")[2]: tags for arn, tags in listings.tagged(owner, "scheduler:schedule-group").items()}
        asked = {each.name: each for each in ids}
        found = []
        for group in sorted({name.partition("/")[0] for name in asked} | set(indexed)):
            names = listings.schedules(group)
            if names is None:
                continue
            holder = owner_in(indexed[group] if group in indexed else group_tags(self.opening, group))
            wanted = [name for name in names if holder == owner or f"{group}/{name}" in asked]
            for name in sorted(wanted):
                what = asked.get(f"{group}/{name}", Id("schedule", f"{group}/{name}"))
                with translated("scheduler:GetSchedule", what.name):
                    found.append(Seen(what, _spec(self.scheduler.get_schedule(GroupName=group, Name=name)), owner=holder))
        return found

    def create(self, want: Want[ScheduleSpec], owner: Owner) -> Done | Wait:
        """Into the owner's group only."""
        prove(owner_in(group_tags(self.opening, want.id.name.partition("/")[0])), owner, want.id)
        with translated("scheduler:CreateSchedule", want.id.name):
            self.scheduler.create_schedule(**_definition(want.id, want.spec))
        return Done()

    def update(self, seen: Seen[ScheduleSpec], to: ScheduleSpec, diff: tuple[Difference, ...], owner: Owner) -> Done | Wait:
        """The whole schedule."""
        prove(owner_in(group_tags(self.opening, seen.id.name.partition("/")[0])), owner, seen.id)
        with translated("scheduler:UpdateSchedule", seen.id.name):
            self.scheduler.update_schedule(**_definition(seen.id, to))
        return Done()

    def claim(self, seen: Seen[ScheduleSpec], owner: Owner) -> Done | Wait:
        """Nothing of its own to put: claiming the group claims it."""
        return Done()

    def delete(self, seen: Seen[ScheduleSpec], owner: Owner) -> Done | Wait:
        """A group that is gone took its schedules along."""
        group, _, name = seen.id.name.partition("/")
        try:
            prove(owner_in(group_tags(self.opening, group)), owner, seen.id)
            with translated("scheduler:DeleteSchedule", seen.id.name):
                self.scheduler.delete_schedule(GroupName=group, Name=name)
        except NotFound:
            return Done()
        return Done()


def _definition(what: Id, spec: ScheduleSpec) -> dict[str, Any]:
    group, _, name = what.name.partition("/")
    window = {"Mode": "OFF"} if spec.window == "OFF" else {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": int(spec.window)}
    optional = {"StartDate": spec.start, "EndDate": spec.end, "KmsKeyArn": spec.kms_key}
    return {
        "GroupName": group,
        "Name": name,
        "ScheduleExpression": spec.expression,
        "ScheduleExpressionTimezone": spec.timezone,
        "State": "ENABLED" if spec.enabled else "DISABLED",
        "Description": spec.description,
        "FlexibleTimeWindow": window,
        "Target": {
            "Arn": spec.target,
            "RoleArn": spec.role,
            "Input": spec.input,
            "DeadLetterConfig": {"Arn": spec.dead_letters},
            "RetryPolicy": {"MaximumEventAgeInSeconds": spec.max_age_seconds, "MaximumRetryAttempts": spec.max_attempts},
        },
        **{key: value for key, value in optional.items() if value},
    }


def _spec(schedule: Mapping[str, Any]) -> ScheduleSpec:
    """What Scheduler says, its defaults filled in."""
    target, window = schedule["Target"], schedule["FlexibleTimeWindow"]
    retry = target.get("RetryPolicy") or {}
    rest = {key: value for key, value in target.items() if key not in _NAMED and value}
    start, end = schedule.get("StartDate"), schedule.get("EndDate")
    return ScheduleSpec(
        expression=schedule["ScheduleExpression"],
        timezone=schedule.get("ScheduleExpressionTimezone") or "UTC",
        target=target["Arn"],
        role=target.get("RoleArn", ""),
        dead_letters=(target.get("DeadLetterConfig") or {}).get("Arn", ""),
        input=target.get("Input", ""),
        enabled=schedule.get("State", "ENABLED") == "ENABLED",
        description=schedule.get("Description") or "",
        window="OFF" if window["Mode"] == "OFF" else str(window.get("MaximumWindowInMinutes", "")),
        start=start.isoformat() if start else "",
        end=end.isoformat() if end else "",
        kms_key=schedule.get("KmsKeyArn") or "",
        max_age_seconds=retry.get("MaximumEventAgeInSeconds", 86_400),
        max_attempts=retry.get("MaximumRetryAttempts", 185),
        other=json.dumps(rest, sort_keys=True) if rest else "",
    )


def adapter(opening: Opening) -> ScheduleAdapter:
    """Opened for one reconcile."""
    return ScheduleAdapter(opening)
