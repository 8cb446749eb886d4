"""Whatever happens to the events, the same runs happen: duplicated, reordered, late, or lost and found by the sweep.

A schedule of the world is a list of steps; hypothesis draws it. Lost events are those that no step delivers; the sweep comes at the end.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from meshplane.flows.record_run import record_run
from meshplane.flows.start_run import start_run
from meshplane.flows.sweep_runs import SweepPorts, sweep_runs
from meshplane.model.runs import Arrival, TriggerMessage
from tests.unit.flows.run_fakes import NOON, SETTLE, Killed, World, arrived, manual, world

FILES = [f"sales/orders_raw/{name}.csv" for name in "abcdef"]
WISHES = ["1", "2", "3", "4"]


class Landed:
    """What the sweep finds in the raw bucket."""

    def arrived(self, project: str, table: str, after: object, before: object) -> list[Arrival]:
        return [Arrival(key, "v1", 3, "2030-05-01T12:00:00Z") for key in FILES]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("file"), st.sampled_from(FILES)),
        st.tuples(st.just("wish"), st.sampled_from(WISHES)),
        st.tuples(st.just("time"), st.sampled_from([1, SETTLE, 60])),
        st.tuples(st.just("end"), st.sampled_from(["told", "lost", "twice"])),
        st.tuples(st.just("race"), st.integers(1, 4)),
        st.tuples(st.just("kill"), st.sampled_from(["start", "commit", "started"])),
    ),
    max_size=40,
)


def act(at: World, step: tuple[str, object]) -> None:
    """One step; a process that dies in it leaves what it had written."""
    with suppress(Killed):
        _act(at, *step)


def _act(at: World, kind: str, value: object) -> None:
    if kind == "file":
        start_run(at.ports, [arrived(str(value))])
    elif kind == "wish":
        start_run(at.ports, [manual(str(value))])
    elif kind == "time":
        at.clock.advance(seconds=float(str(value)))
        start_run(at.ports, at.queue.due())
    elif kind == "race":
        at.runs.overtake = int(str(value))
    elif kind == "kill":
        at.kill_after = str(value)
    elif running := at.executions.open():
        event = at.executions.end(running[0])
        for _ in range({"told": 1, "lost": 0, "twice": 2}[str(value)]):
            record_run(at.ports, at.reconciles, event)


def recover(at: World) -> None:
    """Everything that was lost is found: sweeps, deliveries and ends until nothing runs."""
    at.kill_after = ""
    for _ in range(60):
        at.clock.advance(minutes=10)
        sweep_runs(SweepPorts(at.ports, Landed()), ["sales"])
        start_run(at.ports, at.queue.due())
        for arn in at.executions.open():
            at.executions.end(arn)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.sampled_from([1, 2]))
def test_every_wish_runs_once_and_every_file_is_in_one_run(steps: list[tuple[str, object]], concurrency: int) -> None:
    at = world(when_busy="queue", concurrency=concurrency)
    for step in steps:
        act(at, step)
    at.kill_after = ""
    for name in WISHES:  # the queue delivers at least once
        start_run(at.ports, [manual(name)])
    recover(at)
    runs = at.runs.by_status("SUCCEEDED")
    assert len(runs) == len(at.runs.records), "nothing is left open, nothing skipped"
    assert sorted(run.run_id for run in runs) == sorted(at.executions.starts), "each run is started exactly once"
    assert sorted(run.by for run in runs if run.kind == "manual") == ["ann"] * len(WISHES)
    assert sorted(file.key for run in runs for file in run.files) == FILES
    assert at.executions.most_at_once <= concurrency


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_queue_one_never_has_two_waiting_for_the_same_work(steps: list[tuple[str, object]]) -> None:
    at = world()
    for step in steps:
        act(at, step)
        assert len(at.runs.slots("sales", "daily").waiting) <= 1
    recover(at)
    listed = sorted(file.key for run in at.runs.by_status("SUCCEEDED") for file in run.files)
    assert listed == FILES, "a file whose own run was merged is listed in the run that took it over"
    assert not at.runs.by_status("WAITING", "RUNNING")
    assert at.executions.most_at_once <= 1


@settings(max_examples=40, deadline=None)
@given(st.permutations(["wish", "wish", "wish", "end", "end"]), st.integers(0, 10**6))
def test_ids_do_not_depend_on_when_a_message_is_read(order: list[str], late: int) -> None:
    early, later = world(when_busy="queue"), world(when_busy="queue")
    later.clock.at = NOON + timedelta(seconds=late)
    wishes = [TriggerMessage.read("m", json.dumps(manual(str(n)).again()), NOON) for n in range(order.count("wish"))]
    start_run(early.ports, wishes)
    start_run(later.ports, list(reversed(wishes)))
    assert set(early.runs.records) == set(later.runs.records)
