"""What starts, what waits, what is skipped: `flows.start_run` against an in-memory world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from meshplane.errors import Denied, Throttled
from meshplane.flows.record_run import record_run
from meshplane.flows.start_run import PATIENCE, read_and_start, start_run
from meshplane.model.project import Param
from meshplane.model.runs import Arrival, Run, TriggerMessage, TriggerPolicy
from meshplane.model.windows import iso
from tests.unit.flows.run_fakes import MACHINE, NOON, SETTLE, World, arrived, manual, message, tick, world


def settle(at: World) -> None:
    at.clock.advance(seconds=SETTLE)
    start_run(at.ports, at.queue.due())


def only(at: World, *status: str) -> Run:
    [run] = at.runs.by_status(*status)
    return run


def test_many_files_are_one_run_that_lists_them() -> None:
    at = world()
    keys = [f"sales/orders_raw/dt=1/{n}.csv" for n in range(500)]
    start_run(at.ports, [arrived(key) for key in keys])
    assert not at.executions.starts, "nothing starts before the files have settled"
    settle(at)
    run = only(at, "RUNNING")
    assert sorted(file.key for file in run.files) == sorted(keys)
    assert run.files_total == 500
    assert at.executions.starts == [run.run_id]


def test_a_newer_arrival_puts_the_run_off() -> None:
    at = world()
    start_run(at.ports, [arrived("a")])
    at.clock.advance(seconds=SETTLE - 1)
    start_run(at.ports, [arrived("b")])
    at.clock.advance(seconds=1)
    start_run(at.ports, at.queue.due())
    assert not at.executions.starts
    settle(at)
    assert [file.key for file in only(at, "RUNNING").files] == ["a", "b"]


def test_files_that_spark_does_not_read_start_nothing() -> None:
    at = world()
    start_run(at.ports, [arrived("sales/orders_raw/_SUCCESS"), arrived("sales/orders_raw/.part.crc"), arrived("sales/orders_raw/dt=1/")])
    settle(at)
    assert not at.runs.records


def test_a_late_duplicate_of_an_arrival_starts_nothing_and_a_new_version_does() -> None:
    at = world()
    start_run(at.ports, [arrived("a"), arrived("a")])
    settle(at)
    record_run(at.ports, at.reconciles, at.executions.end(at.executions.open()[0]))
    start_run(at.ports, [arrived("a")])
    settle(at)
    assert len(at.executions.starts) == 1
    start_run(at.ports, [arrived("a", "v2")])
    settle(at)
    assert len(at.executions.starts) == 2


def test_a_burst_too_large_for_one_record_starts_before_it_settles() -> None:
    at = world(concurrency=9)
    start_run(at.ports, [arrived(f"{n:05}") for n in range(1500)])
    assert only(at, "RUNNING").files_total == 1000
    settle(at)
    assert sorted(run.files_total for run in at.runs.by_status("RUNNING")) == [500, 1000]


def test_one_event_is_one_run_however_often_it_comes() -> None:
    at = world(when_busy="queue")
    for _ in range(3):
        start_run(at.ports, [manual("1"), manual("1")])
    assert len(at.runs.records) == 1
    record_run(at.ports, at.reconciles, at.executions.end(at.executions.open()[0]))
    start_run(at.ports, [manual("1")])
    assert len(at.executions.starts) == 1


@pytest.mark.parametrize(
    ("when_busy", "expected"),
    [
        ("queue", ["RUNNING", "WAITING", "WAITING"]),
        ("queueOne", ["RUNNING", "WAITING", "SKIPPED"]),
        ("skip", ["RUNNING", "SKIPPED", "SKIPPED"]),
    ],
)
def test_when_busy(when_busy: str, expected: list[str]) -> None:
    at = world(when_busy=when_busy)
    start_run(at.ports, [manual("1"), manual("2"), manual("3")])
    assert [run.status for run in at.runs.records.values()] == expected
    assert all(run.reason for run in at.runs.by_status("SKIPPED"))


def test_waiting_runs_start_in_the_order_in_which_they_came() -> None:
    at = world(when_busy="queue", concurrency=2)
    start_run(at.ports, [manual(str(n)) for n in range(6)])
    while at.executions.open():
        record_run(at.ports, at.reconciles, at.executions.end(at.executions.open()[0]))
    assert at.executions.starts == [run_id for _, run_id in at.runs.records]
    assert at.executions.most_at_once == 2


def test_files_that_arrive_while_one_waits_are_listed_in_that_one() -> None:
    at = world()
    for key in "abc":
        start_run(at.ports, [arrived(key)])
        settle(at)
    assert [file.key for file in only(at, "RUNNING").files] == ["a"]
    assert [file.key for file in only(at, "WAITING").files] == ["b", "c"]
    assert only(at, "WAITING").run_id in only(at, "SKIPPED").reason


def test_one_waiting_run_for_each_window_so_that_none_is_lost() -> None:
    at = world(window="day")
    days = [datetime(2030, 5, day, 4, tzinfo=UTC) for day in (1, 2, 3)]
    start_run(at.ports, [tick(day) for day in days])
    assert sorted((run.status, run.window_start) for run in at.runs.records.values()) == [
        ("RUNNING", "2030-04-29T22:00:00Z"),
        ("WAITING", "2030-04-30T22:00:00Z"),
        ("WAITING", "2030-05-01T22:00:00Z"),
    ]


def test_a_run_takes_over_the_window_of_the_run_that_started_it() -> None:
    at = world(window="day")
    window = '{"run": {"window_start": "2030-01-01T00:00:00Z", "window_end": "2030-01-02T00:00:00Z"}}'
    start_run(at.ports, [message("pipeline", "after", {"detail": {"executionArn": "arn:x", "stopDate": 1893456000000, "input": window}})])
    run = only(at, "RUNNING")
    assert (run.window_start, run.window_end) == ("2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z")


def test_a_publication_starts_one_run_however_often_it_is_told_and_the_next_snapshot_another() -> None:
    at = world(window="day", when_busy="queue")

    def told(snapshot: str, at_time: datetime) -> TriggerMessage:
        window = {"window_start": "2030-01-01T00:00:00Z", "window_end": "2030-01-02T00:00:00Z"}
        detail = {"project": "customers", "table": "contacts", "snapshot": snapshot, "published": iso(NOON), **window}
        return message("table", "contacts_published", {"id": iso(at_time), "time": iso(at_time), "detail": detail})

    start_run(at.ports, [told("7", NOON), told("7", NOON + timedelta(seconds=9)), told("8", NOON + timedelta(seconds=10))])
    first, second = at.runs.records.values()
    assert (first.kind, first.trigger, first.status, second.status) == ("table", "contacts_published", "RUNNING", "WAITING")
    assert (first.window_start, first.window_end) == ("2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z"), (
        "the window of the run that published"
    )


def test_triggers_of_a_project_with_an_unjudged_commit_rest_and_nothing_else_does() -> None:
    at = world(when_busy="queue")
    at.runs.past_the_gate["customers"] = "c.contacts: snapshot 7 on main was published by no gate"
    told = message("pipeline", "after", {"detail": {"executionArn": "arn:x", "stopDate": 1893456000000}})
    start_run(at.ports, [told, told])
    held = only(at, "SKIPPED")
    assert not at.executions.starts
    assert held.reason == (
        "held: UnjudgedCommit in customers: c.contacts: snapshot 7 on main was published by no gate; "
        "the run starts when main is back at a published snapshot"
    )
    start_run(at.ports, [manual("1"), tick(NOON), arrived("a.csv")])
    at.clock.advance(seconds=SETTLE)
    start_run(at.ports, at.queue.due())
    assert {run.kind for run in at.runs.by_status("RUNNING", "WAITING")} == {"manual", "schedule", "files"}
    at.runs.past_the_gate.clear()
    start_run(at.ports, [told])
    [run] = [run for run in at.runs.by_status("WAITING") if run.kind == "pipeline"]
    assert run.run_id != held.run_id
    at.runs.past_the_gate["customers"] = "again"
    start_run(at.ports, [told])
    assert only(at, "SKIPPED") == held, "a run that was recorded before is not held by what came later"


def test_own_pipelines_behind_an_unjudged_commit_rest_too() -> None:
    at = world()
    policy = at.runs.known["sales"]["daily"]
    own = TriggerPolicy("pipeline", upstream="sales.load", since=iso(NOON))
    at.runs.known["sales"]["daily"] = replace(policy, triggers={"after": own})
    at.runs.past_the_gate["sales"] = "s.orders: why"
    start_run(at.ports, [message("pipeline", "after", {"detail": {"executionArn": "arn:x", "stopDate": 1893456000000}})])
    assert only(at, "SKIPPED").reason.startswith("held: UnjudgedCommit in sales: s.orders: why")
    assert not at.executions.starts


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"params": {"nation": "DE"}}, "no parameter nation; allowed: country (string), depth (int)"),
        ({}, "parameter depth must be given; allowed: country (string), depth (int)"),
        ({"params": {"depth": "deep"}}, "parameter depth is 'deep', not a int"),
        ({"params": {"depth": "1"}, "window_start": "2030-05-01T00:00:00Z"}, "daily declares no window, so none can be given"),
    ],
)
def test_a_wrong_wish_is_recorded_with_its_reason(event: dict[str, object], reason: str) -> None:
    at = world(params={"country": Param("string", "DE"), "depth": Param("int")})
    assert not start_run(at.ports, [manual("1", **event)])
    assert only(at, "SKIPPED").reason == reason


def test_parameters_reach_the_execution_with_their_defaults() -> None:
    at = world(params={"country": Param("string", "DE"), "depth": Param("int")})
    start_run(at.ports, [manual("1", params={"depth": 3})])
    [execution] = at.executions.executions.values()
    assert execution.input["run"]["params"] == {"country": "DE", "depth": "3"}
    assert execution.arn == at.executions.arn(MACHINE, execution.input["run"]["run_id"])


def test_a_paused_pipeline_skips_and_what_waits_stays() -> None:
    at = world(paused="sales is paused")
    start_run(at.ports, [manual("1")])
    assert only(at, "SKIPPED").reason == "sales is paused"


def test_a_message_waits_for_the_reconcile_and_runs_once_it_is_there() -> None:
    at = world()
    policies = at.runs.known.pop("sales")
    assert not start_run(at.ports, [manual("1")])
    assert not at.runs.records
    at.runs.known["sales"] = policies
    at.clock.advance(minutes=1)
    start_run(at.ports, at.queue.due())
    assert only(at, "RUNNING").by == "ann"


def test_a_message_for_a_pipeline_that_is_gone_is_recorded_in_the_end() -> None:
    at = world()
    at.runs.known["sales"] = {}
    start_run(at.ports, [manual("1")])
    while at.queue.sent:
        at.clock.at = at.queue.sent[0][0]
        start_run(at.ports, at.queue.due())
    assert only(at, "SKIPPED").reason == "sales no longer declares the pipeline daily"
    assert at.clock.now() - NOON < PATIENCE + timedelta(minutes=1)


def test_a_run_that_cannot_be_started_yet_keeps_its_place_and_is_tried_again() -> None:
    at = world()
    at.executions.fault = Denied("the role has not settled")
    assert not start_run(at.ports, [manual("1")])
    assert "has not settled" in only(at, "WAITING").reason
    at.executions.fault = None
    at.clock.advance(seconds=30)
    start_run(at.ports, at.queue.due())
    assert only(at, "RUNNING").reason == ""


def test_a_run_without_a_state_machine_fails_and_frees_its_place() -> None:
    at = world(when_busy="queue")
    at.executions.machines.clear()
    start_run(at.ports, [manual("1"), manual("2")])
    assert [run.error for run in at.runs.by_status("FAILED")] == ["NotFound", "NotFound"]
    assert not at.runs.slots("sales", "daily").open


def test_a_lost_race_is_run_again() -> None:
    at = world()
    at.runs.overtake = 3
    start_run(at.ports, [manual("1")])
    assert only(at, "RUNNING")


def test_an_unreadable_message_is_refused_and_holds_up_no_other() -> None:
    at = world()
    bodies = [
        "not json",
        "[]",
        '{"project": "sales"}',
        '{"project":"sales","pipeline":"daily","trigger":"","kind":"manual","event":{"id":"1"}}',
    ]
    refused = read_and_start(at.ports, [(str(n), body, NOON) for n, body in enumerate(bodies)])
    assert [refusal.id for refusal in refused] == ["0", "1", "2"]
    assert only(at, "RUNNING")


def test_a_manual_run_is_about_the_window_that_was_asked_for() -> None:
    at = world(window="day", when_busy="queue")
    start_run(at.ports, [manual("1", window_start="2030-01-01T00:00:00Z")])
    assert (only(at, "RUNNING").window_start, only(at, "RUNNING").window_end) == ("2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z")
    start_run(at.ports, [manual("2", window_start="2030-01-01T00:00:00Z", window_end="2030-01-05T00:00:00Z")])
    assert only(at, "SKIPPED").reason.startswith("2030-01-01T00:00:00Z to 2030-01-05T00:00:00Z is not one day")


def test_files_that_made_a_run_long_ago_are_no_news() -> None:
    at = world()
    start_run(at.ports, [arrived("a")])
    settle(at)
    at.runs.marks.clear()  # forgotten, as after a month
    start_run(at.ports, [arrived("a")])
    settle(at)
    assert len(at.runs.records) == 1
    assert not at.runs.slots("sales", "daily").pending


def test_a_trigger_without_settle_starts_at_once() -> None:
    at = world()
    daily = at.runs.known["sales"]["daily"]
    at.runs.known["sales"]["daily"] = replace(daily, triggers={"landed": replace(daily.triggers["landed"], settle_seconds=0)})
    start_run(at.ports, [arrived("a"), arrived("b")])
    assert only(at, "RUNNING").files_total == 2
    assert not at.queue.sent


def test_a_state_table_that_cannot_be_read_refuses_only_its_projects_messages() -> None:
    at = world()
    policies = at.runs.policies

    def throttled(project: str) -> object:
        if project == "broken":
            raise Throttled("slow down")
        return policies(project)

    at.runs.policies = throttled  # type: ignore[method-assign,assignment]
    [refusal] = start_run(at.ports, [message("manual", "", {"id": "1"}, project="broken"), manual("1")])
    assert refusal.fields() == {"message_id": "m", "reason": "Throttled", "error": "slow down"}
    assert only(at, "RUNNING").project == "sales"


def test_slots_that_never_hold_still_send_the_message_back() -> None:
    at = world()
    at.runs.overtake = 1000
    [refusal] = start_run(at.ports, [manual("1")])
    assert refusal.error.reason == "NotReady"


def test_a_look_for_a_pipeline_that_is_gone_leaves_no_record() -> None:
    at = world()
    at.runs.known["sales"] = {}
    start_run(at.ports, [message("settle", "landed", {"id": "x"}, sent=NOON - timedelta(days=1))])
    assert not at.runs.records


def test_an_arrival_for_a_project_that_never_was_is_recorded() -> None:
    at = world()
    late = replace(arrived("a"), project="nobody", sent=NOON - timedelta(days=1))
    start_run(at.ports, [late])
    assert (only(at, "SKIPPED").reason, only(at, "SKIPPED").files_total) == ("no project nobody is published", 1)


def test_an_old_run_that_cannot_be_started_is_left_to_the_sweep() -> None:
    at = world()
    at.executions.fault = Denied("no")
    start_run(at.ports, [manual("1")])
    at.queue.sent.clear()
    at.clock.advance(hours=1)
    start_run(at.ports, [message("ended", "", {})])
    assert not at.queue.sent
    assert only(at, "WAITING")


def test_a_file_that_comes_while_the_others_settle_puts_the_run_off() -> None:
    at = world()
    start_run(at.ports, [arrived("a")])
    mark = at.runs.mark_seen

    def slow(project: str, pipeline: str, trigger: str, files: Sequence[Arrival]) -> None:
        at.runs.mark_seen = mark  # type: ignore[method-assign]
        start_run(at.ports, [arrived("b")])
        mark(project, pipeline, trigger, files)

    at.runs.mark_seen = slow  # type: ignore[method-assign]
    settle(at)
    assert not at.runs.records
    settle(at)
    assert [file.key for file in only(at, "RUNNING").files] == ["a", "b"]
