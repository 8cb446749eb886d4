"""Ends of executions and job runs: `flows.record_run` against an in-memory world."""

from __future__ import annotations

from dataclasses import replace

import pytest

from meshplane.flows.record_run import readable, record_run
from meshplane.flows.start_run import start_run
from meshplane.model.runs import JobRun, Run
from tests.unit.flows.run_fakes import Asked, World, manual, world


def running(at: World) -> tuple[Run, str]:
    start_run(at.ports, [manual("1")])
    [run] = at.runs.by_status("RUNNING")
    return run, at.executions.open()[0]


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"])
def test_an_end_closes_the_record_and_frees_the_place(status: str) -> None:
    at = world()
    run, arn = running(at)
    at.clock.advance(minutes=5)
    assert (
        record_run(at.ports, at.reconciles, at.executions.end(arn, status, "States.TaskFailed", '{"ErrorMessage": "division by zero"}'))
        == run.run_id
    )
    ended = at.runs.run("sales", run.run_id)
    assert ended is not None
    assert (ended.status, ended.ended, ended.cause) == (status, "2030-05-01T12:05:00Z", "division by zero")
    assert at.runs.slots("sales", "daily").open == ()
    assert [end.status for end in at.runs.slots("sales", "daily").ended] == [status]


def test_a_duplicate_end_changes_nothing() -> None:
    at = world()
    _, arn = running(at)
    event = at.executions.end(arn)
    record_run(at.ports, at.reconciles, event)
    before = (dict(at.runs.records), dict(at.runs.held))
    assert record_run(at.ports, at.reconciles, event) == ""
    assert (at.runs.records, at.runs.held) == before


def test_an_event_that_overtook_another_is_judged_by_what_is_so_now() -> None:
    at = world()
    _, arn = running(at)
    assert record_run(at.ports, at.reconciles, {"detail": {"executionArn": arn, "status": "FAILED"}}) == "", "it still runs"
    assert at.runs.by_status("RUNNING")


def test_an_end_that_comes_before_the_start_was_noted() -> None:
    at = world()
    run, arn = running(at)
    at.runs.records["sales", run.run_id] = replace(run, status="WAITING", execution="", started="")
    record_run(at.ports, at.reconciles, at.executions.end(arn))
    assert at.runs.by_status("SUCCEEDED")[0].started, "the execution knows when it began"
    assert not at.runs.started("sales", run.run_id, arn, "now"), "the late note finds it ended"


@pytest.mark.parametrize("input_", [{}, {"run": "x"}, {"run": {"project": "sales", "run_id": "other"}}])
def test_an_execution_of_somebody_elses_is_left_alone(input_: dict[str, object]) -> None:
    at = world()
    _, arn = running(at)
    at.executions.end(arn)
    at.executions.executions[arn] = replace(at.executions.executions[arn], input=input_)
    assert record_run(at.ports, at.reconciles, {"detail": {"executionArn": arn}}) == ""
    assert at.runs.by_status("RUNNING")


def test_an_execution_that_borrowed_a_runs_input_does_not_end_that_run() -> None:
    at = world()
    _, arn = running(at)
    at.executions.executions[arn + "2"] = replace(at.executions.executions[arn], arn=arn + "2", status="FAILED")
    assert record_run(at.ports, at.reconciles, {"detail": {"executionArn": arn + "2"}}) == ""


def test_a_job_runs_end_is_noted_at_its_step() -> None:
    at = world()
    run, _ = running(at)
    job_run = JobRun("f01-sales-load-dev", "jr_1", "FAILED", run.input()["run"], "load", 1, "s", "e", "boom")
    at.executions.job_runs["jr_1"] = job_run
    event = {"detail": {"jobName": "f01-sales-load-dev", "jobRunId": "jr_1", "state": "FAILED"}}
    for _ in range(2):
        assert record_run(at.ports, at.reconciles, event) == run.run_id
    noted = at.runs.records["sales", run.run_id].steps
    assert {key: (step.state, step.error) for key, step in noted.items()} == {"load#1": ("FAILED", "boom")}


def test_the_run_of_a_single_job_gets_its_record_when_it_ends() -> None:
    at = world()
    told = {"run_id": "load-1", "project": "sales", "pipeline": "", "params": {"a": 1}, "by": "ann"}
    at.executions.job_runs["jr_1"] = JobRun(
        "f01-sales-load-dev", "jr_1", "TIMEOUT", told, "load", 0, "s", "2030-05-01T12:00:00Z", "too long"
    )
    event = {"detail": {"jobName": "f01-sales-load-dev", "jobRunId": "jr_1"}}
    assert record_run(at.ports, at.reconciles, event) == "load-1"
    assert record_run(at.ports, at.reconciles, event) == ""
    [run] = at.runs.by_status("TIMED_OUT")
    assert (run.job, run.cause, run.by, run.params) == ("load", "too long", "ann", {"a": "1"})


@pytest.mark.parametrize("detail", [{}, {"executionArn": "arn:gone"}, {"jobRunId": "jr_gone", "jobName": "x"}])
def test_what_is_not_there_is_no_run(detail: dict[str, str]) -> None:
    assert record_run(world().ports, Asked(), {"detail": detail}) == ""


def test_a_job_run_without_our_arguments_is_no_run() -> None:
    at = world()
    at.executions.job_runs["jr_1"] = JobRun("some-job", "jr_1", "FAILED")
    assert record_run(at.ports, at.reconciles, {"detail": {"jobRunId": "jr_1", "jobName": "some-job"}}) == ""


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        ('{"ErrorMessage": "boom"}', "boom"),
        ("plain", "plain"),
        ('{"other": 1}', '{"other": 1}'),
        ("[1]", "[1]"),
        ('{"errorMessage": "rule-failed"}', "rule-failed"),
    ],
)
def test_a_cause_reads_as_its_message(cause: str, expected: str) -> None:
    assert readable(cause) == expected


class TestAReconcileThatWaitsForRuns:
    """It is asked to look again at the end of a run, and only then."""

    def test_a_normal_end_asks_for_no_reconcile(self) -> None:
        at = world()
        _, arn = running(at)
        record_run(at.ports, at.reconciles, at.executions.end(arn))
        assert at.reconciles.projects == []

    def test_an_end_that_is_waited_for_asks_for_one(self) -> None:
        at = world()
        _, arn = running(at)
        at.runs.awaiting.add("sales")
        record_run(at.ports, at.reconciles, {"detail": {"executionArn": arn}})
        assert at.reconciles.projects == [], "it still runs"
        record_run(at.ports, at.reconciles, at.executions.end(arn))
        assert at.reconciles.projects == ["sales"]

    def test_the_wish_of_a_process_that_died_after_closing_the_run_is_made_up_for(self) -> None:
        at = world()
        _, arn = running(at)
        event = at.executions.end(arn)
        record_run(at.ports, at.reconciles, event)
        at.runs.awaiting.add("sales")
        assert record_run(at.ports, at.reconciles, event) == "", "closed before"
        assert at.reconciles.projects == ["sales"]
