"""Events lost, repeated, reordered and late: an event only says where to look, so one sweep makes every history end alike.

All histories of up to five events against the world in memory; a few against the real kinds and adapters on moto.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import permutations, product
from typing import Any

import pytest

from meshplane.model.manifest import load
from meshplane.model.project import Project
from tests.crash import estate
from tests.crash.forking import in_copy
from tests.crash.platform import PROJECTS, Platform
from tests.crash.scenarios import platform
from tests.unit.flows.fakes import Plane, manifest

# What people do, in this order: project and manifest (None: deleted). The last one of each project is what has to stand at the end.
PUTS: tuple[tuple[str, str | None], ...] = (
    ("customers", manifest("customers", readers="sales")),
    ("sales", manifest()),
    ("sales", None),
    ("customers", manifest("customers", readers="sales", tables={"orders": "{ id: long, amount: long }", "more": "{ id: long }"})),
    ("sales", manifest(tables={"orders": "{ id: long, amount: long }", "refunds": "{ id: long }"})),
)


def histories(puts: int) -> Iterator[tuple[int, ...]]:
    """Every order of `puts` events with every place each can come at: a number n > 0 is put n, a number -n its event."""
    steps = [*range(1, puts + 1), *range(-puts, 0)]

    def extended(before: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if len(before) == len(steps):
            yield before
        for step in steps:
            late_enough = all(n in before for n in range(1, step)) if step > 0 else -step in before
            if step not in before and late_enough:
                yield from extended((*before, step))

    return extended(())


def played(history: Sequence[int]) -> tuple[list[str], object]:
    """What stands after a history and one sweep, and every record without its times."""
    plane = Plane()
    for step in history:
        project, text = PUTS[abs(step) - 1]
        if step < 0:
            plane.look(project, f"event {step}")
        elif text is None:
            plane.bucket.drop(project)
        else:
            plane.bucket.put(project, text)
    plane.clock.at += timedelta(minutes=5)
    for _ in range(2):  # the second for whoever was woken, or waits for a neighbour
        for project in plane.sweep().queued:
            plane.look(project, "swept")
        plane.clock.at += timedelta(minutes=5)
    assert plane.sweep().queued == {}
    records = plane.table.records.items()
    told = {name: (record.phase, record.observed, record.applied, record.shares, plane.condition(project=name)) for name, record in records}
    things = [f"{key}: {sorted(thing.spec.fields.items())} {thing.spec.resting} {thing.owner}" for key, thing in plane.cloud.things.items()]
    for project in plane.table.records:
        plane.look(project, "a late one")
        assert plane.cloud.writes == [], "an event that comes after everything changes nothing"
    return sorted(things), told


@pytest.fixture(scope="module", autouse=True)
def _read_once() -> Iterator[None]:
    """Reading a manifest is pure, and takes most of a look's time here."""
    read: dict[tuple[str, str], Project] = {}

    def remembered(text: str, **known: Any) -> Project:
        key = (text, known["project"])
        if key not in read:
            read[key] = load(text, **known)
        return read[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("meshplane.flows.reconcile_project.load", remembered)
        yield


@pytest.fixture(scope="module")
def in_order() -> tuple[list[str], object]:
    return played([step for number in range(1, len(PUTS) + 1) for step in (number, -number)])


def test_every_order_of_five_events_ends_alike(in_order: tuple[list[str], object]) -> None:
    every = list(histories(len(PUTS)))
    assert len(every) == 945
    wrong = [history for history in every if played(history) != in_order]
    assert wrong == []


def test_every_subset_may_be_lost_and_every_event_repeated(in_order: tuple[list[str], object]) -> None:
    for times in product((0, 1, 2), repeat=len(PUTS)):
        history = [step for number, count in enumerate(times, 1) for step in (number, *[-number] * count)]
        assert played(history) == in_order, history


def test_all_at_the_end_in_any_order_and_five_times(in_order: tuple[list[str], object]) -> None:
    puts = range(1, len(PUTS) + 1)
    for late in permutations([-n for n in puts]):
        assert played([*puts, *late]) == in_order, late
    assert played([*puts, *([-number for number in puts] * 5)]) == in_order


ON_MOTO = {
    "all lost": [],
    "the first one only": ["customers"],
    "reversed": ["sales", "sales", "customers"],
    "each five times, mixed": ["sales", "customers"] * 5,
}


def _more_time(manifest: Any) -> None:
    manifest["jobs"]["daily_revenue"]["timeout"] = "45m"


def _ends(at: Platform, events: Sequence[str]) -> tuple[dict[str, object], dict[str, int]]:
    at.upload("customers")
    at.upload("sales")
    at.upload("sales", _more_time)
    at.instead(events)
    at.settle()
    for project in PROJECTS:
        at.world.look(project, "a last look")
    assert at.tap.wrong == []
    return estate.dump(at.world), dict(at.tap.counts())


def test_on_moto_too() -> None:
    with platform() as at:
        want = in_copy(lambda: _ends(at, ["customers", "sales", "sales"]))
        assert sum(want[1].values()) > 30
        for name, events in ON_MOTO.items():
            seen = in_copy(lambda events=events: _ends(at, events))  # type: ignore[misc]
            assert estate.differences(want[0], seen[0]) == [], name
            assert seen[1] == want[1], name
