"""What happens by itself as time passes: rules' schedules, EventBridge Scheduler, alarms, delayed messages, optimizers.

Fired in the order of their times, each at its own moment of the clock: while time runs by itself (`start`), and when it is advanced.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from meshplane_cli.local import schedules
from meshplane_cli.local.clock import CLOCK
from meshplane_cli.local.repairs.sqs import next_change
from meshplane_cli.local.router import ROUTER
from meshplane_cli.local.router.routing import Delivery, envelope

log = logging.getLogger("meshplane.timeline")
_START = datetime(2000, 1, 1, tzinfo=UTC)  # a rule's rate counts from a fixed moment: moto keeps no creation time of rules
_STEP = 0.5  # seconds between looks while time runs by itself


class Source(Protocol):
    """Something that is due at times."""

    def next_after(self, moment: datetime) -> datetime | None:
        """The first time later than `moment`; None when nothing is due."""
        ...

    def fire(self, moment: datetime) -> None:
        """Do what is due at `moment`."""
        ...


class Timeline:
    """The sources, in one order of time. `settle` waits until what was fired has been worked through."""

    def __init__(self, sources: list[Source], settle: Callable[[], None]) -> None:
        self.sources = sources
        self._settle = settle
        self._turn = threading.RLock()
        self._last = CLOCK.now()

    def start(self) -> None:
        """Fire what falls due as time runs by itself."""
        self._last = CLOCK.now()
        threading.Thread(target=self._run, name="timeline", daemon=True).start()

    def advance(self, by: timedelta) -> int:
        """Move the clock on, firing everything on the way; how many moments something was due at."""
        if by < timedelta():
            raise ValueError("time only moves forward")
        with self._turn:
            target, moments = CLOCK.now() + by, 0
            self._settle()
            while (due := self._next(self._last)) is not None and due <= target:
                CLOCK.move_to(due)
                self._fire(due)
                moments += 1
                self._settle()
            CLOCK.move_to(target)
            self._last = CLOCK.now()
            self._settle()
            return moments

    def _run(self) -> None:
        while True:
            time.sleep(_STEP)
            with self._turn:
                now = CLOCK.now()
                while (due := self._next(self._last)) is not None and due <= now:
                    self._fire(due)
                self._last = max(self._last, now)

    def _next(self, moment: datetime) -> datetime | None:
        return min((due for source in self.sources if (due := source.next_after(moment)) is not None), default=None)

    def _fire(self, due: datetime) -> None:
        for source in self.sources:
            if source.next_after(self._last) == due:
                try:
                    source.fire(due)
                except Exception:
                    log.exception("what was due at %s failed", due)
        self._last = due


class RuleSchedules:
    """Rules of EventBridge with a schedule."""

    def next_after(self, moment: datetime) -> datetime | None:
        """Over all enabled rules."""
        return min((due for _, _, rule in _rules() if (due := _rule_due(rule, moment)) is not None), default=None)

    def fire(self, moment: datetime) -> None:
        """Send the scheduled event to the targets of each rule that is due."""
        before = moment - timedelta(microseconds=1)
        for account, region, rule in _rules():
            if _rule_due(rule, before) == moment:
                head = {"source": "aws.events", "detail-type": "Scheduled Event", "resources": [rule.arn]}
                ROUTER.to_targets(rule, envelope(account, region, {**head, "time": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}))


class Schedules:
    """EventBridge Scheduler."""

    def next_after(self, moment: datetime) -> datetime | None:
        """Over all enabled schedules."""
        return min((due for _, schedule in _schedules() if (due := _schedule_due(schedule, moment)) is not None), default=None)

    def fire(self, moment: datetime) -> None:
        """Send each due schedule's input, its context attributes filled (Scheduler user guide, "Adding context attributes")."""
        before = moment - timedelta(microseconds=1)
        for group, schedule in _schedules():
            if _schedule_due(schedule, before) != moment:
                continue
            known = {
                "<aws.scheduler.schedule-arn>": schedule.arn,
                "<aws.scheduler.scheduled-time>": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "<aws.scheduler.execution-id>": uuid.uuid4().hex[:24],
                "<aws.scheduler.attempt-number>": "1",
            }
            body = str(schedule.target.get("Input") or "{}")
            for word, value in known.items():
                body = body.replace(word, value)
            ROUTER.deliver(Delivery(dict(schedule.target), body, {"id": known["<aws.scheduler.execution-id>"]}))
            if schedule.action_after_completion == "DELETE" and _schedule_due(schedule, moment) is None:
                group.delete_schedule(schedule.name)


class DelayedMessages:
    """Moments at which a message of a polled queue can be received: nothing to fire, but `advance` must stop there."""

    def __init__(self, queues: Callable[[], list[Any]]) -> None:
        self._queues = queues

    def next_after(self, moment: datetime) -> datetime | None:
        """Of the polled queues only: nobody else waits inside."""
        due = next_change(self._queues())
        found = None if due is None else datetime.fromtimestamp(due / 1000, UTC) + timedelta(milliseconds=1)
        return found if found is not None and found > moment else None

    def fire(self, moment: datetime) -> None:
        """The pollers look by themselves."""


def _rules() -> Iterator[tuple[str, str, Any]]:
    from moto.events.models import events_backends

    for account, region, backend in list(events_backends.iter_backends()):
        for bus in list(backend.event_buses.values()):
            for rule in list(bus.rules.values()):
                if rule.scheduled_expression and rule.state != "DISABLED":
                    yield account, region, rule


def _rule_due(rule: Any, after: datetime) -> datetime | None:
    return schedules.next_after(rule.scheduled_expression, "UTC", after, _START)


def _schedules() -> Iterator[tuple[Any, Any]]:
    from moto.scheduler.models import scheduler_backends

    for _, _, backend in list(scheduler_backends.iter_backends()):
        for group in list(backend.schedule_groups.values()):
            for schedule in list(group.schedules.values()):
                if schedule.state == "ENABLED":
                    yield group, schedule


def _schedule_due(schedule: Any, after: datetime) -> datetime | None:
    start = _moment(schedule.start_date) or _moment(schedule.creation_date) or _START
    end = _moment(schedule.end_date)
    floor = max(after, start - timedelta(microseconds=1)) if schedule.start_date else after
    due = schedules.next_after(schedule.schedule_expression, schedule.schedule_expression_timezone, floor, start)
    return None if due is None or (end is not None and due > end) else due


def _moment(value: Any) -> datetime | None:
    return datetime.fromtimestamp(float(value), UTC) if value else None
