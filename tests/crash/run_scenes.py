"""Scenes with runs: files arrive, pipelines start each other, ends are recorded; and a removal that meets a run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.crash import executions
from tests.crash.platform import Platform
from tests.crash.scenarios import SCENES, create
from tests.crash.triggers import Triggers

__all__ = ["SCENES"]

LATER = timedelta(hours=2)  # ends are dated so late that no disturbance reaches there: a run's name holds its event's time


def _landed(platform: Platform) -> Triggers:
    """What had arrived before the scene: its versions' ids are drawn once."""
    triggers = Triggers(platform)
    for project, table, name in (
        ("customers", "contacts_raw", "a.csv"),
        ("customers", "contacts_raw", "b.csv"),
        ("sales", "orders_raw", "c.csv"),
    ):
        triggers.land(project, table, name)
    return triggers


_prepared: dict[int, Triggers] = {}


def files_have_landed(platform: Platform) -> None:
    """The world before the scene. The example takes each file at once; here two are to be one run, however late the second is told of."""
    platform.sweeps_runs = True
    platform.upload("customers", lambda manifest: manifest["pipelines"]["daily"]["triggers"]["landed"].update({"settle": "2s"}))
    platform.settle()
    _prepared[id(platform)] = _landed(platform)


def runs(platform: Platform) -> None:
    """Two files are one run of customers, whose success starts sales; a file and a person's wish wait meanwhile. Events come twice."""
    triggers, world = _prepared[id(platform)], platform.world
    began = world.clock.now()
    first, second, third = triggers.landed
    for event in (first, second, first):
        triggers.tell("customers", "landed", "files", event)
    triggers.deliver()
    success = triggers.ended(_only(executions.running(world, "customers")), began + LATER)
    for _ in range(2):
        triggers.tell("sales", "after_customers", "pipeline", success)
    triggers.deliver()
    triggers.tell("sales", "landed", "files", third)
    triggers.deliver()  # the first of two that will do the same work takes the other in
    triggers.tell("sales", "", "manual", {"id": "a wish", "by": "somebody", "time": began.isoformat()})
    triggers.deliver()
    ends = 0
    while open_ones := executions.running(world, "sales"):
        ends += 1
        triggers.ended(_only(open_ones), began + LATER * (1 + ends))
    platform.settle()
    triggers.deliver()


def a_run_is_open(policy: str) -> Any:
    """Sales runs, with this `whileRunning`."""

    def prepare(platform: Platform) -> None:
        platform.sweeps_runs = True
        platform.upload("sales", lambda manifest: manifest.update({"policy": {"whileRunning": policy}}))
        platform.settle()
        triggers = _prepared[id(platform)] = Triggers(platform)
        triggers.tell("sales", "", "manual", {"id": "the run", "by": "somebody"})
        triggers.deliver()
        _only(executions.running(platform.world, "sales"))

    return prepare


def removed_beside_a_run(platform: Platform) -> None:
    """The manifest is deleted while it runs; the run ends by itself two hours later, if it was let."""
    world = platform.world
    began = world.clock.now()
    platform.drop("sales")
    platform.deliver()
    platform.sweep()
    for arn in executions.running(world, "sales"):
        _prepared[id(platform)].ended(arn, began + LATER)
    platform.settle()


def _only(found: list[str]) -> str:
    (arn,) = found
    return arn


SCENES |= {
    "runs": ((create, files_have_landed), runs),
    "remove, run finishes": ((create, a_run_is_open("finish")), removed_beside_a_run),
    "remove, run is stopped": ((create, a_run_is_open("stop")), removed_beside_a_run),
}
