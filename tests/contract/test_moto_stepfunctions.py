"""Each repair of moto's Step Functions beside moto's own behaviour: when moto mends one itself, its `vanilla` line here fails."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meshplane_cli.local import role_credentials
from tests.contract.probes import Answers, answered

MILLIS = 1_000_000_000_000


@pytest.fixture(scope="module")
def vanilla() -> Answers:
    return answered("stepfunctions_probe.py", "vanilla")


@pytest.fixture(scope="module")
def repaired() -> Answers:
    return answered("stepfunctions_probe.py", "repaired")


def test_sync_waits_for_the_job_run_and_gives_it_as_output(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["sync"]["status"] == "FAILED"
    assert "interrupt_all" in vanilla["sync"]["cause"]
    assert repaired["sync"]["status"] == "SUCCEEDED"
    run = json.loads(repaired["sync"]["output"])
    assert (run["JobName"], run["JobRunState"]) == ("ok", "SUCCEEDED")
    assert run["StartedOn"] > MILLIS, "times are epoch milliseconds"


def test_retry_after_sync_makes_a_second_run(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["retry"]["status"] == "FAILED"
    assert repaired["retry"]["status"] == "SUCCEEDED"


def test_failed_run_is_task_failed_with_the_run_as_cause(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["fails"]["error"] == "States.Runtime"
    assert repaired["fails"]["error"] == "States.TaskFailed"
    assert json.loads(repaired["fails"]["cause"])["ErrorMessage"] == "ValueError: no rows"


def test_fail_state_passes_an_error_on_by_path(vanilla: Answers, repaired: Answers) -> None:
    assert "MUST NOT begin" in vanilla["error_path"]["cause"]
    assert repaired["error_path"]["error"] == "States.TaskFailed"
    assert json.loads(repaired["error_path"]["cause"])["JobRunState"] == "FAILED"


def test_stop_cancels_the_run_and_keeps_error_and_cause(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["stop"]["run"] == "SUCCEEDED"
    assert repaired["stop"] == {"status": "ABORTED", "error": "Enough", "cause": "asked to", "output": None, "run": "STOPPED"}


def test_a_long_run_is_looked_at_when_it_ends_and_not_ten_times_a_second(repaired: Answers) -> None:
    assert 1 < repaired["looks"]["looks"] < 5, "at first, at its end, and where another run ended meanwhile"
    assert repaired["looks"]["seconds"] < 1


def test_a_run_that_somebody_stopped_fails_its_step(vanilla: Answers, repaired: Answers) -> None:
    assert "status" not in vanilla["run_stopped"], "it cannot stop a run"
    assert (repaired["run_stopped"]["status"], repaired["run_stopped"]["error"]) == ("FAILED", "States.TaskFailed")
    assert json.loads(repaired["run_stopped"]["cause"])["JobRunState"] == "STOPPED"


def test_stop_between_two_attempts_takes_effect_at_once(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["stop_between_attempts"]["status"] != "ABORTED"
    assert repaired["stop_between_attempts"]["status"] == "ABORTED"
    assert (repaired["stop_between_attempts"]["error"], repaired["stop_between_attempts"]["runs"]) == ("Enough", 1)


def test_an_execution_is_logged_to_its_machines_group(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["logged"]["lines"] == []
    lines = repaired["logged"]["lines"]
    assert [line["type"] for line in lines] == [
        "ExecutionStarted",
        "PassStateEntered",
        "PassStateExited",
        "FailStateEntered",
        "ExecutionFailed",
    ]
    assert {line["execution_arn"] for line in lines} == {repaired["logged"]["arn"]}
    assert json.loads(lines[0]["details"]["input"]) == {"a": 1}
    assert (lines[-1]["details"]["error"], lines[-1]["details"]["cause"]) == ("Enough", "no rows")
    assert int(lines[0]["event_timestamp"]) > MILLIS


def test_level_and_data_are_what_the_machine_says(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["logged_errors"]["lines"] == []
    lines = repaired["logged_errors"]["lines"]
    assert [line["type"] for line in lines] == ["FailStateEntered", "ExecutionFailed"]
    assert "input" not in lines[0]["details"]


def test_a_group_that_is_gone_fails_no_execution(vanilla: Answers, repaired: Answers) -> None:
    """Delivery is the repair; what it must leave as moto has it is how the execution ends."""
    assert repaired["logged_nowhere"] == vanilla["logged_nowhere"] == "FAILED", "as its definition says"


def test_task_timeout_cancels_the_run(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["task_timeout"]["error"] == "States.Runtime"
    assert (repaired["task_timeout"]["error"], repaired["task_timeout"]["run"]) == ("States.Timeout", "STOPPED")


def test_timed_out_machine_has_a_stop_date(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["machine_timeout"] is False
    assert repaired["machine_timeout"] is True


def test_error_names_are_those_of_aws(vanilla: Answers, repaired: Answers) -> None:
    assert repaired["concurrent_runs"] == "Glue.ConcurrentRunsExceededException"
    assert vanilla["sdk_error"] == "glue.EntityNotFoundException"
    assert repaired["sdk_error"] == "Glue.EntityNotFoundException"


@pytest.mark.parametrize(("name", "accepted"), [("no_start", {"error": ""}), ("no_next", "accepted"), ("no_target", "ok")])
def test_bad_definition_is_refused_at_creation(name: str, accepted: Any, vanilla: Answers, repaired: Answers) -> None:
    assert vanilla[name] == accepted
    assert repaired[name] == {"error": "InvalidDefinition"}


def test_same_name_with_another_definition_is_refused(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["create_other"] == "accepted"
    assert repaired["create_other"] == {"error": "StateMachineAlreadyExists"}
    assert repaired["create_again"] is True


def test_unnamed_execution_gets_a_name_of_its_own(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["unnamed"] == "None"
    assert len(repaired["unnamed"]) == 36


def test_outputs_are_json(vanilla: Answers, repaired: Answers) -> None:
    assert (vanilla["text_output"], repaired["text_output"]) == ("hello", '"hello"')
    assert "broken" in vanilla["date_output"]
    assert repaired["date_output"] == "Z"


def test_jsonata_is_evaluated(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["jsonata"] is None
    assert repaired["jsonata"] == '{"n":2}'


def test_topic_is_published_to(vanilla: Answers, repaired: Answers) -> None:
    """moto's own does; the repairs of tasks must leave it so."""
    assert repaired["sns"] == vanilla["sns"] == "SUCCEEDED"


def test_tags_go_with_their_machine(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["tags_after_deletion"] == [{"key": "a", "value": "b"}]
    assert repaired["tags_after_deletion"] == []


def test_machine_is_deleting_until_its_executions_end(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["deleting"] == {"error": "StateMachineDoesNotExist"}
    assert repaired["deleting"] == ["DELETING", "RUNNING", False]


def test_history_is_paged_in_either_order(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["history"] == [14, "ExecutionStarted", False]
    assert repaired["history"] == [3, "ExecutionSucceeded", True]


def test_status_changes_are_events_in_the_shape_of_aws(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["events"] == []
    begun, ended = repaired["events"]
    assert begun["detail-type"] == ended["detail-type"] == "Step Functions Execution Status Change"
    assert (begun["detail"]["status"], ended["detail"]["status"]) == ("RUNNING", "SUCCEEDED")
    assert begun["detail"]["stopDate"] is None
    assert begun["detail"]["output"] is None
    assert ended["detail"]["stopDate"] >= ended["detail"]["startDate"] > MILLIS
    assert json.loads(ended["detail"]["output"])["JobName"] == "ok"
    assert ended["detail"]["input"] == "{}"
    assert ended["resources"] == [ended["detail"]["executionArn"]]


def test_task_calls_as_its_machines_role(vanilla: Answers, repaired: Answers) -> None:
    assert vanilla["callers"] == ["ak"]
    assert [role_credentials.role_of(key) for key in repaired["callers"]] == [("123456789012", "pipeline")]
