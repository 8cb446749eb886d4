"""Runs in the way of a removal: what counts as open, and how each kind of it ends."""

from __future__ import annotations

from dataclasses import replace

from meshplane.flows.open_runs import ProjectRuns
from meshplane.flows.run_slots import start_open
from meshplane.flows.start_run import start_run
from tests.unit.flows.run_fakes import MACHINE, World, manual, world


def busy() -> World:
    """One run that runs, one that waits; then the project is paused, as its removal begins."""
    made = world(concurrency=1)
    start_run(made.ports, [manual("first"), manual("second", params={})])
    policy = made.runs.known["sales"]["daily"]
    made.runs.known["sales"]["daily"] = replace(policy, paused="the project is being removed")
    return made


def statuses(made: World) -> list[str]:
    return sorted(run.status for run in ProjectRuns(made.ports).open("sales"))


def test_what_runs_and_what_waits_is_open() -> None:
    assert statuses(busy()) == ["RUNNING", "WAITING"]
    assert ProjectRuns(busy().ports).open("customers") == []


def test_stopping_ends_both_and_starts_nothing() -> None:
    made = busy()
    runs = ProjectRuns(made.ports)
    for run in sorted(runs.open("sales"), key=lambda run: run.status):
        runs.stop(run, "removed")
    assert statuses(made) == []
    assert len(made.executions.starts) == 1
    assert [run.status for run in made.runs.records.values()] == ["ABORTED", "ABORTED"]


def test_an_end_that_nobody_told_us_of_is_found() -> None:
    made = busy()
    made.executions.end(made.executions.running()[0])
    assert statuses(made) == ["WAITING"]
    assert [run.status for run in made.runs.by_status("SUCCEEDED")] == ["SUCCEEDED"]


def test_an_execution_that_is_gone_frees_its_place() -> None:
    made = busy()
    made.executions.executions.clear()
    assert statuses(made) == ["WAITING"]
    assert len(made.runs.by_status("ABORTED")) == 1


def test_a_run_started_by_a_process_that_died_is_running() -> None:
    made = busy()
    key, run = next((key, run) for key, run in made.runs.records.items() if run.status == "RUNNING")
    made.runs.records[key] = replace(run, status="WAITING", execution="", started="")
    assert statuses(made) == ["RUNNING", "WAITING"]
    found = next(run for run in ProjectRuns(made.ports).open("sales") if run.status == "RUNNING")
    assert found.execution == made.executions.arn(MACHINE, found.run_id)
    ProjectRuns(made.ports).stop(found, "removed")
    assert made.executions.running() == []


def test_a_place_held_by_a_run_that_was_never_started_starts_nothing_any_more() -> None:
    """A process died between the store and StartExecution; then the manifest was deleted."""
    made = busy()
    key, run = next((key, run) for key, run in made.runs.records.items() if run.status == "RUNNING")
    made.runs.records[key] = replace(run, status="WAITING", execution="", started="")
    made.executions.executions.clear()
    begun = len(made.executions.starts)
    start_open(made.ports, "sales", "daily", made.runs.known["sales"]["daily"])
    assert len(made.executions.starts) == begun
    for waiting in ProjectRuns(made.ports).open("sales"):
        ProjectRuns(made.ports).stop(waiting, "removed")
    assert len(made.executions.starts) == begun
    assert statuses(made) == []
