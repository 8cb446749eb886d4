"""Runs in the way of a removal: what counts as open, and how each kind of it ends."""

from __future__ import annotations

from dataclasses import replace

from meshplane.flows.open_runs import ProjectRuns
from meshplane.flows.record_run import record_run
from meshplane.flows.run_slots import start_open
from meshplane.flows.start_run import start_run
from meshplane.model.runs import JobRun, Run
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


def test_a_job_that_somebody_runs_without_a_pipeline_is_open_too() -> None:
    made = world()
    by_hand = JobRun("f01-sales-load-dev", "jr_hand", "RUNNING", {}, started="2030-05-01T12:00:00Z")
    asked = JobRun("f01-sales-load-dev", "jr_asked", "RUNNING", {"run_id": "load-1", "project": "sales", "pipeline": ""})
    of_pipeline = JobRun("f01-sales-load-dev", "jr_daily", "RUNNING", {"run_id": "daily-1", "project": "sales", "pipeline": "daily"})
    ended = JobRun("f01-sales-load-dev", "jr_ended", "SUCCEEDED", {})
    made.executions.job_runs.update({one.job_run_id: one for one in (by_hand, asked, of_pipeline, ended)})
    runs = ProjectRuns(made.ports)
    assert runs.open("sales") == [], "a look that names no job asks Glue nothing"
    assert [run.run_id for run in runs.open("sales", ["f01-sales-load-dev"])] == ["jr_hand", "load-1"]
    for run in runs.open("sales", ["f01-sales-load-dev"]):
        runs.stop(run, "removed")
    assert runs.open("sales", ["f01-sales-load-dev"]) == []
    assert made.executions.job_runs["jr_daily"].state == "RUNNING", "its execution is what ends it"


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
    made.executions.end(made.executions.open()[0])
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
    assert made.executions.open() == []


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


class TestStateThatWasWiped:
    """Step Functions still knows which runs are open."""

    PATTERN = "f01-sales-pipeline-*-dev"

    def wiped(self) -> World:
        made = world(concurrency=1)
        start_run(made.ports, [manual("first", params={})])
        made.runs.records.clear()
        made.runs.held.clear()
        return made

    def test_an_open_execution_holds_its_place_again(self) -> None:
        made = self.wiped()
        runs = ProjectRuns(made.ports)
        for _ in range(2):
            runs.restore("sales", self.PATTERN)
        [run] = runs.open("sales")
        assert (run.status, run.trigger, run.execution) == ("RUNNING", "", made.executions.open()[0])
        assert run.started
        start_run(made.ports, [manual("second")])
        assert len(made.executions.starts) == 1, "the second waits"
        record_run(made.ports, made.reconciles, made.executions.end(run.execution))
        assert len(made.executions.starts) == 2
        assert [ended.run_id for ended in made.runs.by_status("SUCCEEDED")] == [run.run_id]

    def test_more_than_the_concurrency_allows_is_what_it_is(self) -> None:
        made = world(concurrency=2)
        start_run(made.ports, [manual("first"), manual("second")])
        made.runs.records.clear()
        made.runs.held.clear()
        made.runs.known["sales"]["daily"] = replace(made.runs.known["sales"]["daily"], concurrency=1)
        ProjectRuns(made.ports).restore("sales", self.PATTERN)
        assert len(made.runs.slots("sales", "daily").open) == 2

    def test_an_execution_that_is_no_run_of_the_project_is_left_alone(self) -> None:
        made = self.wiped()
        [(arn, execution)] = made.executions.executions.items()
        foreign = {
            arn + "x": replace(execution, arn=arn + "x"),  # somebody's, by hand, with a run's input
            f"{arn}1": replace(
                execution, arn=f"{arn}1", input={"run": {"project": "sales2", "run_id": arn.split(":")[-1] + "1", "pipeline": "p"}}
            ),
            f"{arn}2": replace(execution, arn=f"{arn}2", input={}),
            arn.replace("-sales-", "-sales2-"): replace(execution, arn=arn.replace("-sales-", "-sales2-")),
        }
        made.executions.executions = foreign
        ProjectRuns(made.ports).restore("sales", self.PATTERN)
        assert made.runs.records == {}
        assert made.runs.held == {}

    def test_a_record_that_was_not_lost_is_kept(self) -> None:
        made = self.wiped()
        [arn] = made.executions.open()
        known = replace(Run(arn.split(":")[-1], "sales", "daily", "RUNNING", "landed", "files", ""), files_total=7, execution=arn)
        made.runs.put(known)
        ProjectRuns(made.ports).restore("sales", self.PATTERN)
        assert ProjectRuns(made.ports).open("sales") == [known]
