"""Killed at every write, before it and after it, and with every reply lost: redelivery alone brings the undisturbed end, nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from meshplane.errors import ServiceFault
from meshplane.model.runs import Run
from tests.unit.flows.fakes import Plane, Table, manifest

MORE = {"orders": "{ id: long, amount: long }", "refunds": "{ id: long }"}
OTHER = {"refunds": "{ id: long, why: string }", "returns": "{ id: long }"}
HOLDER = "the message"


class Killed(BaseException):
    """The process is gone: nothing catches this, so no `except` or `finally` cleans up behind it."""


class Fragile(Table):
    """A state table of which every write is a place to die."""

    plane: Any = None

    def _around(self, name: str, write: Callable[[], Any]) -> Any:
        self.plane.cloud.before_write(name)
        done = write()
        self.plane.cloud.after_write(name)
        return done

    def begin(self, *given: Any) -> Any:
        return self._around("begin", lambda: super(Fragile, self).begin(*given))

    def confirm(self, *given: Any) -> Any:
        return self._around("confirm", lambda: super(Fragile, self).confirm(*given))

    def draining(self, *given: Any) -> Any:
        return self._around("draining", lambda: super(Fragile, self).draining(*given))

    def finish(self, *given: Any) -> Any:
        return self._around("finish", lambda: super(Fragile, self).finish(*given))

    def note(self, *given: Any) -> Any:
        return self._around("note", lambda: super(Fragile, self).note(*given))


def a_plane() -> Plane:
    plane = Plane(table=Fragile())
    plane.table.plane = plane  # type: ignore[attr-defined]  # a Fragile
    return plane


def applied(**more: Any) -> Plane:
    plane = a_plane()
    plane.bucket.put("sales", manifest(**more))
    plane.look()
    return plane


def creation() -> Plane:
    plane = a_plane()
    plane.bucket.put("sales", manifest(tables=MORE))
    return plane


def change() -> Plane:
    plane = applied(tables=MORE)
    plane.bucket.put("sales", manifest(tables=OTHER, policy="{ approve: APPROVED }").replace("APPROVED", _digest()))
    return plane


def removal() -> Plane:
    plane = applied(tables=MORE, policy="{ whileRunning: stop }")
    plane.runs.runs = [Run("r1", "sales", "daily", "RUNNING", "landed", "files", "2030-01-01T00:00:00Z")]
    plane.bucket.drop("sales")
    return plane


def back() -> Plane:
    plane = removal()
    plane.look()
    plane.bucket.put("sales", manifest(tables=MORE))
    return plane


def _digest() -> str:
    plane = applied(tables=MORE)
    plane.bucket.put("sales", manifest(tables=OTHER))
    plane.look()
    return str(plane.table.records["sales"].status["plan"])


def settle(plane: Plane, all_writes: list[str]) -> None:
    """Redeliver until nothing is left to be done."""
    for _ in range(6):
        plane.look(holder=HOLDER)
        all_writes += plane.cloud.writes
        plane.queue.sent.clear()


def end(plane: Plane) -> tuple[Any, ...]:
    things = {key: (thing.spec, thing.owner) for key, thing in plane.cloud.things.items()}
    record = plane.table.records["sales"]
    known = {key: known.fingerprint for key, known in record.inventory.items()}
    return things, record.phase, known, record.shares, record.status["conditions"]


SCENARIOS = [creation, change, removal, back]


def undisturbed(scenario: Callable[[], Plane]) -> tuple[tuple[Any, ...], Counter[str], int]:
    plane, writes, calls = scenario(), list[str](), list[str]()
    plane.cloud.before_write = calls.append
    plane.look(holder=HOLDER)
    writes += plane.cloud.writes
    count = len(calls)
    settle(plane, writes)
    return end(plane), Counter(writes), count


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_killed_at_every_write(scenario: Callable[[], Plane], when: str) -> None:
    expected, counts, points = undisturbed(scenario)
    assert points > 5
    for point in range(points):
        plane, seen, writes = scenario(), list[str](), list[str]()

        def maybe(call: str, point: int = point, seen: list[str] = seen) -> None:
            seen.append(call)
            if len(seen) == point + 1:
                raise Killed(call)

        setattr(plane.cloud, f"{when}_write", maybe)
        with pytest.raises(Killed):
            plane.look(holder=HOLDER)
        writes += plane.cloud.writes
        plane.clock.at += timedelta(minutes=18)
        settle(plane, writes)
        assert end(plane) == expected, f"killed {when} write {point}: {seen[point]}"
        assert Counter(writes) == counts, f"killed {when} write {point}: {seen[point]}"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_reply_lost(scenario: Callable[[], Plane]) -> None:
    expected, counts, _ = undisturbed(scenario)
    for call in counts:
        verb, label = call.split(" ", 1)
        plane, writes = scenario(), list[str]()
        plane.cloud.lost[verb, label] = ServiceFault("the connection dropped")
        settle(plane, writes)
        assert end(plane) == expected, f"lost the reply to {call}"
        assert Counter(writes) == counts, f"lost the reply to {call}"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_two_holders_never_write_state_for_each_other(scenario: Callable[[], Plane]) -> None:
    """The first is paused at every write past its lease; a second runs to the end; the first wakes up and goes on."""
    expected, _, points = undisturbed(scenario)
    for point in range(points):
        plane, seen = scenario(), list[str]()

        def maybe(call: str, plane: Plane = plane, point: int = point, seen: list[str] = seen) -> None:
            seen.append(call)
            if len(seen) == point + 1:
                plane.look(holder="another", after=timedelta(minutes=5))

        plane.cloud.before_write = maybe
        plane.look(holder=HOLDER)
        plane.cloud.before_write = lambda call: None
        settle(plane, [])
        assert end(plane) == expected, f"paused at write {point}: {seen[point]}"
