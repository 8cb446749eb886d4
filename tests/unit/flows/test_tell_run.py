"""What a job run did, told to others: `flows.tell_run` against an in-memory world."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from meshplane.errors import Denied
from meshplane.flows.tell_run import Told, begun, tell_run
from meshplane.model.runs import JobRun
from tests.unit.flows.run_fakes import FakeClock, FakeExecutions

JOB = "f01-sales-load-dev"
EVENT = {"detail": {"jobName": JOB, "jobRunId": "jr_1", "state": "SUCCEEDED"}}
RUN = {"project": "sales", "run_id": "daily-1", "pipeline": "daily"}
ENDED = JobRun(JOB, "jr_1", "FAILED", RUN, "load", 1, "2030-01-01T00:30:00Z", "2030-01-01T01:00:00Z")
START = {"eventType": "START", "eventTime": "2030-01-01T00:31:00Z", "run": {"runId": begun(ENDED)["run"]["runId"]}}
VERDICTS = [
    {"table": "orders", "quarantined": 2, "results": [{"outcome": "passed"}, {"outcome": "failed"}]},
    {"table": "items", "results": [{"outcome": "error"}]},
]
RECORD = {
    "state": "done",
    "job": "load",
    "attempt": 1,
    "inputs": [{"table": "orders_raw", "rows": 5}, {"table": "items", "snapshot": 3}],
    "outputs": [{"table": "orders", "rows_added": 3}, {"table": "items", "rows_added": 4}],
    "verdicts": VERDICTS,
}


@dataclass
class Left:
    text: str | None = json.dumps(RECORD)
    events: Sequence[Mapping[str, Any]] = ()
    sent: list[Mapping[str, Any]] = field(default_factory=list)
    fault: Denied | None = None

    def record(self, project: str, run_id: str, step: str) -> str | None:
        assert (project, run_id, step) == ("sales", "daily-1", "load")
        return self.text

    def lineage(self, project: str, run_id: str, step: str) -> Sequence[Mapping[str, Any]]:
        return self.events

    def send(self, events: Sequence[Mapping[str, Any]]) -> None:
        if self.fault:
            raise self.fault
        self.sent += events


def told(left: Left, state: str = "SUCCEEDED", **more: Any) -> Told:
    executions = FakeExecutions(FakeClock())
    executions.job_runs["jr_1"] = replace(ENDED, state=state, **more)
    return tell_run(executions, left, EVENT)


def test_the_numbers_of_a_job_run_are_metrics_of_its_job() -> None:
    found = told(Left())
    assert found.dimensions == {"project": "sales", "job": "load"}
    assert found.metrics == {"RowsIn": 5, "RowsOut": 7, "RowsQuarantined": 2, "RulesFailed": 2}


def test_its_lineage_is_sent_as_it_stands() -> None:
    left = Left(events=[START, {**START, "eventType": "COMPLETE"}])
    assert told(left).events == 2
    assert [event["eventType"] for event in left.sent] == ["START", "COMPLETE"]


@pytest.mark.parametrize(("state", "kind"), [("TIMEOUT", "FAIL"), ("FAILED", "FAIL"), ("STOPPED", "ABORT")])
def test_a_job_that_was_killed_gets_the_end_that_it_could_not_write(state: str, kind: str) -> None:
    left = Left(json.dumps({**RECORD, "state": "intent"}), [START])
    found = told(left, state)
    assert left.sent == [START, {**START, "eventType": kind, "eventTime": "2030-01-01T01:00:00Z"}]
    assert found.metrics == {}, "nobody knows what it read and wrote"


@pytest.mark.parametrize(("state", "kind"), [("TIMEOUT", "FAIL"), ("FAILED", "FAIL"), ("STOPPED", "ABORT")])
def test_a_job_that_was_killed_before_its_first_commit_has_begun_and_failed(state: str, kind: str) -> None:
    left = Left(None)
    assert told(left, state, error="out of memory").events == 2
    first, last = left.sent
    assert (first["eventType"], first["eventTime"], first["run"]["runId"]) == ("START", "2030-01-01T00:30:00Z", START["run"]["runId"])
    assert (last["eventType"], last["eventTime"], last["run"]["runId"]) == (kind, "2030-01-01T01:00:00Z", START["run"]["runId"])
    assert last["run"]["facets"]["errorMessage"]["message"] == "out of memory"
    assert "errorMessage" not in first["run"]["facets"]


@pytest.mark.parametrize("state", ["SUCCEEDED", "RUNNING"])
def test_a_job_that_did_not_fail_is_told_no_beginning(state: str) -> None:
    assert told(Left(), state).events == 0


@pytest.mark.parametrize("theirs", [["START"], ["START", "FAIL"]])
def test_events_of_another_attempt_are_told_at_that_ones_end(theirs: list[str]) -> None:
    """The first attempt left them; this one was killed before it wrote any of its own in their place."""
    left = Left(events=[{**START, "eventType": kind, "run": {"runId": "of-the-first"}} for kind in theirs])
    told(left, "FAILED")
    assert [(event["eventType"], event["run"]["runId"]) for event in left.sent] == [
        (kind, START["run"]["runId"]) for kind in ("START", "FAIL")
    ]
    left.sent.clear()
    told(left, "SUCCEEDED")
    assert left.sent == []


def test_a_job_run_that_is_not_called_as_ours_are_tells_what_it_left() -> None:
    left = Left(events=[START])
    assert told(left, "FAILED", job="somebody").events == 2
    assert told(Left(), "FAILED", job="somebody").events == 0


@pytest.mark.parametrize("text", [None, "not json", "[]", json.dumps({**RECORD, "attempt": 0})])
def test_no_record_of_this_attempt_is_no_numbers(text: str | None) -> None:
    assert told(Left(text)).metrics == {}


@pytest.mark.parametrize(
    ("wrote", "asked", "known"),
    [
        (0, 0, True),
        (1, 1, True),
        (0, 1, False),  # the second round's job run died before it wrote: the first one's numbers were told at its own end
        (1, 0, False),  # the first one's end comes late: the second one's numbers will be told at that one's end
        (None, 1, True),  # of a library that did not write the round yet
    ],
)
def test_the_numbers_of_a_round_are_told_at_the_end_of_its_own_job_run(wrote: int | None, asked: int, known: bool) -> None:
    """`main` moved: job and gate begin anew, and the retries of the job are counted anew as well."""
    record = {**RECORD, "attempt": 0} if wrote is None else {**RECORD, "attempt": 0, "round": wrote}
    assert bool(told(Left(json.dumps(record)), attempt=0, round=asked).metrics) is known


def test_what_cannot_be_sent_stops_nothing_and_is_named() -> None:
    assert "no bus" in told(Left(events=[START], fault=Denied("no bus"))).fault


def test_what_a_job_left_that_is_not_ours_is_named() -> None:
    assert "cannot be read" in told(Left(json.dumps({**RECORD, "inputs": [{"rows": "many"}]}))).fault


@pytest.mark.parametrize("event", [{}, {"detail": {"executionArn": "arn"}}, {"detail": {"jobName": "x", "jobRunId": "unknown"}}])
def test_other_events_tell_nothing(event: dict[str, Any]) -> None:
    assert tell_run(FakeExecutions(FakeClock()), Left(), event) == Told()


def test_a_job_run_of_nobodys_run_tells_nothing() -> None:
    assert told(Left(), run={}) == Told()
