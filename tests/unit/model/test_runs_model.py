"""Run ids, policies, messages and the bounds of what one item lists."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from meshplane.errors import Rejected
from meshplane.model.project import FilesTrigger, Param, Pipeline, PipelineTrigger, ScheduleTrigger, TableTrigger
from meshplane.model.runs import Arrival, PipelinePolicy, Run, TriggerMessage, TriggerPolicy, files_run_id, run_id, settle_params
from meshplane.model.slots import MAX_BYTES, Pending, Slots, Waiting, admit, take

AT = datetime(2030, 5, 1, 12, tzinfo=UTC)
PIPELINE = Pipeline(
    "daily",
    triggers=(
        FilesTrigger("landed", "orders_raw", timedelta(seconds=10)),
        ScheduleTrigger("nightly", "cron(0 6 * * ? *)", "Europe/Berlin", enabled=False),
        PipelineTrigger("after", "customers", "daily"),
        TableTrigger("contacts_published", "customers", "contacts"),
    ),
    window="day",
    params={"country": Param("string", "DE")},
    concurrency=2,
    when_busy="queue",
)


def message(kind: str, event: dict[str, object]) -> TriggerMessage:
    return TriggerMessage.read("m", json.dumps({"project": "sales", "pipeline": "daily", "trigger": "t", "kind": kind, "event": event}), AT)


def test_a_policy_says_all_of_its_pipeline_and_survives_the_store() -> None:
    policy = PipelinePolicy.of(PIPELINE, "arn:machine", paused="why")
    assert (policy.concurrency, policy.when_busy, policy.window, policy.paused) == (2, "queue", "day", "why")
    assert (policy.triggers["landed"].settle_seconds, policy.triggers["landed"].table) == (10, "orders_raw")
    assert (policy.triggers["nightly"].timezone, policy.triggers["nightly"].enabled) == ("Europe/Berlin", False)
    assert policy.triggers["after"].upstream == "customers.daily"
    assert (policy.triggers["contacts_published"].upstream, policy.triggers["contacts_published"].table) == ("customers", "contacts")
    stored = json.loads(json.dumps(policy.to_json()), parse_int=Decimal)
    assert PipelinePolicy.from_json(stored) == policy


def test_a_run_id_is_a_name_that_step_functions_takes() -> None:
    found = run_id("sales", "p" * 70, "trigger", "any identity: ü/…", AT)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,80}", found)
    assert found == run_id("sales", "p" * 70, "trigger", "any identity: ü/…", AT)
    assert (
        len({run_id(*parts, AT) for parts in [("a", "b", "c", "d"), ("a", "b", "c", "e"), ("a", "b", "x", "d"), ("x", "b", "c", "d")]}) == 4
    )


def test_the_id_of_a_set_of_files_does_not_depend_on_their_order() -> None:
    one, two = Arrival("a", "v1"), Arrival("b", "v1")
    assert files_run_id("s", "p", "t", (one, two), AT) == files_run_id("s", "p", "t", (two, one), AT)
    assert files_run_id("s", "p", "t", (one,), AT) != files_run_id("s", "p", "t", (one, two), AT)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"detail": {"input": '{"run": {"window_start": "x"}}'}}, {"window_start": "x"}),
        ({"detail": {"input": "not json"}}, {}),
        ({"detail": {"input": "[1]"}}, {}),
        ({"detail": {"input": '{"run": 1}'}}, {}),
        ({"detail": 5}, {}),
        ({}, {}),
    ],
)
def test_the_upstream_run_of_any_event(event: dict[str, object], expected: dict[str, str]) -> None:
    assert message("pipeline", event).upstream == expected


def test_every_copy_of_an_event_has_its_identity() -> None:
    assert message("schedule", {"id": "one", "time": "t"}).identity == message("schedule", {"id": "two", "time": "t"}).identity
    assert message("pipeline", {"id": "one", "detail": {"executionArn": "a"}}).identity == "a"
    assert message("manual", {"id": "one"}).identity == "one"
    assert message("manual", {"id": "one"}).time == AT


def test_an_s3_event_names_an_object_version() -> None:
    told = {"time": "2030-05-01T12:00:00Z", "detail": {"object": {"key": "a", "version-id": "v", "size": 3}}}
    assert message("files", told).arrival() == Arrival("a", "v", 3, "2030-05-01T12:00:00Z")
    assert message("files", {"detail": {"object": {"key": "a", "etag": "e"}}}).arrival().version == "e"
    for broken in ({}, {"detail": {}}, {"detail": {"object": {"size": 1}}}):
        with pytest.raises(Rejected, match="names no object"):
            message("files", broken).arrival()


@pytest.mark.parametrize(
    ("kind", "value", "fits"),
    [
        ("int", "-3", True),
        ("int", "3.5", False),
        ("boolean", "true", True),
        ("boolean", "yes", False),
        ("date", "2030-05-01", True),
        ("date", "2030-05-01T00:00", False),
        ("date", "01/05/2030", False),
        ("date", "2030-13-01", False),
        ("string", "anything", True),
    ],
)
def test_parameters_by_their_type(kind: str, value: str, fits: bool) -> None:
    declared = {"p": Param(kind)}  # type: ignore[arg-type]  # as the table spells it
    if fits:
        assert settle_params(declared, {"p": value}) == {"p": value}
    else:
        with pytest.raises(Rejected, match=f"parameter p is '{value}'"):
            settle_params(declared, {"p": value})


def test_what_one_item_lists_is_bounded_by_bytes_too() -> None:
    long = tuple(Arrival(f"{n:04}" + "k" * 1000, "v" * 32) for n in range(300))
    pending = Pending(long, "2030-05-01T12:00:00Z")
    assert pending.full
    assert 100 < pending.fit < 150_000 / 1000
    left, files = take(Slots(pending={"t": pending}), "t")
    assert files + left.pending["t"].files == long
    assert Pending((Arrival("k" * (MAX_BYTES + 1), "v"), Arrival("b", "v")), "").fit == 1, "one file always fits"


def test_a_waiting_runs_list_stops_growing_but_its_count_does_not() -> None:
    policy = PipelinePolicy("arn")
    files = tuple(Arrival(f"{n:03}" + "k" * 1000, "v") for n in range(100))
    run = Run("new", "s", "p", "WAITING", "t", "files", "2030-05-01T12:00:00Z", files=files, files_total=100)
    slots = Slots(("busy",), (Waiting("old", run.work, 2 * MAX_BYTES),))
    merge = admit(slots, policy, run).merge
    assert merge
    assert (merge.run_id, merge.files, merge.count) == ("old", (), 100)


def test_a_since_is_kept_while_the_trigger_is_as_it_was() -> None:
    old = PipelinePolicy("arn", triggers={"a": TriggerPolicy("files", 10, since="then"), "b": TriggerPolicy("files", 10, since="then")})
    new = PipelinePolicy("arn", triggers={"a": TriggerPolicy("files", 10), "b": TriggerPolicy("files", 20), "c": TriggerPolicy("schedule")})
    assert {name: trigger.since for name, trigger in new.carry_since(old, "now").triggers.items()} == {"a": "then", "b": "now", "c": "now"}
    assert new.carry_since(None, "now").triggers["a"].since == "now"
