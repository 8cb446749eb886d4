"""The repair of moto's Glue job runs beside moto's own behaviour: when moto mends one itself, its `vanilla` line here fails."""

from __future__ import annotations

import pytest

from tests.contract.probes import Answers, answered


@pytest.fixture(scope="module")
def vanilla() -> Answers:
    return answered("glue_job_runs_probe.py", "vanilla")


@pytest.fixture(scope="module")
def repaired() -> Answers:
    return answered("glue_job_runs_probe.py", "repaired")


def test_run_is_open_until_somebody_ran_it(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["first_look"]["JobRunState"] == "SUCCEEDED"
    assert vanilla["first_look"]["ExecutionTime"] == 123
    assert vanilla["first_look"]["GlueVersion"] == "0.9"
    assert vanilla["open_run_has_no_end"] is False
    merged = {"--a": "job", "--b": "run", "--c": "run"}
    shown = {"JobRunState": "STARTING", "GlueVersion": "5.1", "ExecutionTime": 0, "Timeout": 7, "Arguments": merged}
    assert repaired["first_look"] == shown
    assert repaired["open_run_has_no_end"] is True


def test_concurrency_bites(vanilla: Answers, repaired: Answers) -> None:
    assert str(vanilla["second_run"]).startswith("jr_")
    assert repaired["second_run"] == {"error": "ConcurrentRunsExceededException"}


def test_queued_run_waits_and_starts_when_there_is_room(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["queued"] == "SUCCEEDED"
    assert repaired["queued"] == "WAITING"
    assert repaired["after_the_first"] == ["STARTING", "FAILED"]


def test_failure_has_its_message(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["failed"] == {"JobRunState": "SUCCEEDED", "ErrorMessage": None}
    assert repaired["failed"] == {"JobRunState": "FAILED", "ErrorMessage": "AnalysisException: no such table"}


def test_runs_are_listed_newest_first(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["newest_first"] is False
    assert repaired["newest_first"] is True


def test_stop(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["stop_open"] == {"missing": True}
    assert repaired["stop_open"] == "STOPPED"
    assert repaired["stop_absent"] == "EntityNotFoundException"
    assert repaired["stop_ended"] == "InvalidInputException"


def test_ended_runs_are_events(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["events"] == []
    failed, stopped = repaired["events"]
    assert failed["detail-type"] == "Glue Job State Change"
    assert (failed["detail"]["state"], failed["detail"]["severity"]) == ("FAILED", "ERROR")
    assert failed["detail"]["message"] == "AnalysisException: no such table"
    assert (stopped["detail"]["state"], stopped["detail"]["severity"], stopped["detail"]["message"]) == (
        "STOPPED",
        "INFO",
        "Job run stopped",
    )


def test_lines_of_an_advanced_clock_are_kept(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["log_on_an_advanced_clock"] is False
    assert repaired["log_on_an_advanced_clock"] is True
