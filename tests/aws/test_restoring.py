"""restore_table over real Iceberg files, by the real handler: what leads readers back, what is refused, and a crash at every request."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from meshplane import wiring
from meshplane.errors import MainMoved, RestoreRefused
from meshplane.flows.restore_table import choices, known_choice
from meshplane.handlers.restore_table import handler
from meshplane.model.publishing import PROPERTY, Request, unjudged
from meshplane.model.restoring import REBUILD, Choice, RollBack, previous
from meshplane.model.runs import PipelinePolicy, Run
from meshplane.model.slots import Change, Slots
from meshplane.model.watching import old_refs
from tests.aws.behaviour import OTHER
from tests.aws.publishing_world import ATTEMPT, CONTEXT, ROOT, STEP, Estate, estate, gated
from tests.aws.table_estate import NAMING

FIRST, SECOND = "daily-20300101T030405-aaaaaaaaaa", "daily-20300102T030405-bbbbbbbbbb"
ID = "roll-back-20300102T060000-1a2b3c4d"
Row = Callable[[Estate], dict[str, Any] | None]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[Estate]:
    """`orders`, which two runs have published, the second one wrongly."""
    with estate(monkeypatch) as made:
        for name in ("reconcile", "trigger"):
            fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"} if name == "reconcile" else {}
            url = made.own("sqs").create_queue(QueueName=f"{name}{'.fifo' if fifo else ''}", Attributes=fifo)["QueueUrl"]
            monkeypatch.setenv(f"MESHPLANE_{name.upper()}_QUEUE_URL", url)
        wiring.settings.cache_clear()
        made.table()
        made.state()
        publishes(made, FIRST, 3)
        publishes(made, SECOND, 2)
        made.heard()
        yield made


def publishes(world: Estate, run_id: str, rows: int) -> int:
    """A run writes its branch and its record, and is published by the real handler. The snapshot."""
    branch = Request("sales", run_id, STEP, ATTEMPT).branch
    written = world.written("orders", rows, run_id, branch)
    body = world.record(written, run_id=run_id)
    key = f"sales/_runs/{run_id}/{STEP}.json"
    world.own("s3").put_object(Bucket=NAMING.bucket("refined"), Key=key, Body=json.dumps(body).encode())
    world.publish(run={"schema": 1, "run_id": run_id, "project": "sales", "pipeline": "daily"})
    return int(written[0]["snapshot"])


def states(world: Estate) -> tuple[int, int]:
    """The two published snapshots, oldest first."""
    found = [[one.snapshot_id for one in world.load().snapshots() if one.summary["run_id"] == run] for run in (FIRST, SECOND)]
    return found[0][0], found[1][0]


def written(world: Estate) -> dict[str, bytes]:
    """Every record of the project."""
    s3, bucket = world.own("s3"), NAMING.bucket("refined")
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket, Prefix="sales/_runs/").get("Contents", ())]
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def asked(world: Estate, **more: Any) -> dict[str, Any]:
    first, _ = states(world)
    head = world.load().current_snapshot().snapshot_id
    return {"project": "sales", "table": "orders", "snapshot": str(first), "seen": str(head), "by": "somebody", **more}


def rolled_back(world: Estate, **more: Any) -> dict[str, Any]:
    """As the state machine asks."""
    request = asked(world, **more)
    world.calls.clear()
    return handler({"do": "roll_back", "id": ID, "request": request}, CONTEXT)  # type: ignore[arg-type]


def raw(world: Estate) -> dict[str, Any]:
    bucket, _, key = world.load().metadata_location.removeprefix("s3://").partition("/")
    return dict(json.loads(world.own("s3").get_object(Bucket=bucket, Key=key)["Body"].read()))


def messages(world: Estate, queue: str) -> list[dict[str, Any]]:
    sqs = world.own("sqs")
    found = sqs.receive_message(QueueUrl=sqs.get_queue_url(QueueName=queue)["QueueUrl"], MaxNumberOfMessages=10).get("Messages", ())
    return [json.loads(one["Body"]) for one in found]


def told(world: Estate) -> dict[str, Any]:
    return dict(json.loads(written(world)[f"sales/_runs/{ID}/restore-orders.json"]))


def test_readers_see_the_earlier_state_again_and_nothing_is_lost(world: Estate) -> None:
    first, second = states(world)
    refs = set(world.load().refs())
    assert rolled_back(world) == {"table": "orders", "snapshot": str(first), "undone": [SECOND]}
    table = world.load()
    assert table.current_snapshot().snapshot_id == first
    assert table.scan().to_arrow().num_rows == 3
    assert set(table.refs()) == refs >= {f"validated-{first}", f"validated-{second}"}, "the way forward stays open"
    assert json.loads(table.properties[PROPERTY]) == {"snapshot": first, "run_id": FIRST, "digest": "digest of orders", "restored": ID}
    assert (told(world)["state"], told(world)["undone"], told(world)["by"], told(world)["seen"]) == (
        "done",
        [SECOND],
        "somebody",
        str(second),
    )
    assert world.heard() == [], "nothing new was published"
    assert [one["detail"]["object"]["key"] for one in messages(world, "reconcile.fifo")] == ["manifests/sales/project.yaml"]
    assert len(world.calls) <= 16, world.calls


def test_it_counts_as_published_where_a_rollback_by_hand_does_not(world: Estate) -> None:
    first, _ = states(world)
    world.load().manage_snapshots().rollback_to_snapshot(first).commit()
    assert "was published by no gate" in unjudged(raw(world)) or "does not descend" in unjudged(raw(world))
    rolled_back(world)
    assert unjudged(raw(world)) == ""


def test_a_commit_past_the_gate_is_taken_off_again(world: Estate) -> None:
    _, second = states(world)
    world.append("orders", 1, "main")
    assert unjudged(raw(world))
    restorer, gate = wiring.restorer(CONTEXT), gated("orders")
    seen = restorer.look(gate.database, gate.name)
    assert seen
    chosen = previous(seen.metadata, lambda number: known_choice(restorer, gate, "sales", seen, number))
    assert chosen
    assert chosen.snapshot == second, "the last state that was published"
    assert rolled_back(world, snapshot=str(second)) == {"table": "orders", "snapshot": str(second), "undone": []}
    assert unjudged(raw(world)) == ""


def test_it_can_be_undone(world: Estate) -> None:
    _, second = states(world)
    rolled_back(world)
    request = asked(world, snapshot=str(second))
    handler({"do": "roll_back", "id": f"{ID}-2", "request": request}, CONTEXT)  # type: ignore[arg-type]
    assert (world.load().current_snapshot().snapshot_id, unjudged(raw(world))) == (second, "")


def test_a_table_that_is_published_once_a_month_has_its_way_back(world: Estate) -> None:
    first, second = states(world)
    day, now = 86_400_000, int(time.time() * 1000)

    def expired(raw: dict[str, Any]) -> None:
        """As Iceberg's expiry leaves the refs: all but main end with their age, which is that of their snapshot."""
        ages = {first: 40 * day, second: 10 * day}
        for snapshot in raw["snapshots"]:
            snapshot["timestamp-ms"] = now - ages[snapshot["snapshot-id"]]
        kept = {name: ref for name, ref in raw["refs"].items() if ages[ref["snapshot-id"]] <= ref.get("max-ref-age-ms", 2**63)}
        raw["refs"] = {"main": raw["refs"]["main"], **kept}

    world.edit("orders", expired)
    assert old_refs(raw(world), gated("orders"), datetime.now(UTC)) == (), "nor does the watchdog take it"
    assert rolled_back(world) == {"table": "orders", "snapshot": str(first), "undone": [SECOND]}


def test_runs_go_on_from_the_restored_state(world: Estate) -> None:
    rolled_back(world)
    third = publishes(world, "daily-20300103T030405-cccccccccc", 4)
    table = world.load()
    assert (table.current_snapshot().snapshot_id, table.scan().to_arrow().num_rows) == (third, 7)
    assert unjudged(raw(world)) == ""


def test_a_run_that_began_before_is_repeated_on_the_restored_state(world: Estate) -> None:
    run_id = "daily-20300103T030405-cccccccccc"
    branch = Request("sales", run_id, STEP, ATTEMPT).branch
    body = world.record(world.written("orders", 1, run_id, branch), run_id=run_id)
    world.own("s3").put_object(Bucket=NAMING.bucket("refined"), Key=f"sales/_runs/{run_id}/{STEP}.json", Body=json.dumps(body).encode())
    first, _ = states(world)
    rolled_back(world)  # no slot holds the run: it is a single job's, say
    with pytest.raises(MainMoved):
        world.publish(run={"schema": 1, "run_id": run_id, "project": "sales", "pipeline": "daily"})
    assert world.load().current_snapshot().snapshot_id == first


def test_a_second_call_answers_the_same_and_moves_nothing(world: Estate) -> None:
    request = asked(world)
    answers, locations = [], []
    for _ in range(2):
        answers.append(handler({"do": "roll_back", "id": ID, "request": request}, CONTEXT))  # type: ignore[arg-type]
        locations.append(world.load().metadata_location)
    assert answers[0] == answers[1]
    assert locations[0] == locations[1]


@pytest.mark.parametrize("operation", ["glue:UpdateTable", "s3:PutObject"])
def test_a_lost_reply_is_found_out(world: Estate, operation: str) -> None:
    first, _ = states(world)
    left = [1]

    def once(name: str) -> bool:
        return name == operation and bool(left) and bool(left.pop() or True)

    world.lose = once
    request = asked(world)
    for _ in range(2):
        try:
            handler({"do": "roll_back", "id": ID, "request": request}, CONTEXT)  # type: ignore[arg-type]
        except Exception:  # noqa: BLE001  a step function would try again
            continue
        break
    assert (world.load().current_snapshot().snapshot_id, told(world)["state"]) == (first, "done")
    assert not left


class Killed(BaseException):
    """The process is gone: no handler of ours may catch it."""


def test_killed_at_every_request_the_next_call_ends_it(world: Estate) -> None:
    first, second = states(world)
    request = asked(world)
    left = [0]

    def dying(**_: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    world.plane = type(world.plane)(type(world.plane.session)("test", "test", region_name=NAMING.region))
    world.plane.session.events.register("before-call.*.*", dying)
    died = 0
    for at in range(1, 40):
        left[0] = at
        try:
            handler({"do": "roll_back", "id": f"{ID}-{at}", "request": request}, CONTEXT)  # type: ignore[arg-type]
        except Killed:
            died += 1
        left[0] = -1
        assert world.load().current_snapshot().snapshot_id in (first, second)
        assert unjudged(raw(world)) == "", "at every moment readers see what was published"
        handler({"do": "roll_back", "id": f"{ID}-{at}", "request": request}, CONTEXT)  # type: ignore[arg-type]
        assert world.load().current_snapshot().snapshot_id == first
        assert json.loads(written(world)[f"sales/_runs/{ID}-{at}/restore-orders.json"])["state"] == "done"
        if died < at:
            break
        back = {**request, "snapshot": str(second), "seen": str(first)}
        handler({"do": "roll_back", "id": f"back-{at}", "request": back}, CONTEXT)  # type: ignore[arg-type]
    assert died >= 10


# ---- what is refused ---------------------------------------------------------------------------------------------------------------
def forged_tag(world: Estate) -> dict[str, Any]:
    """Somebody wrote rows past the gate, and set a tag like ours on them."""
    mine = world.append("orders", 1, "mine", FIRST)
    world.load().manage_snapshots().create_tag(mine, f"validated-{mine}").commit()
    return {"snapshot": str(mine)}


def without_record(world: Estate) -> dict[str, Any]:
    first, _ = states(world)
    world.own("s3").delete_object(Bucket=NAMING.bucket("refined"), Key=f"sales/_runs/{FIRST}/publish-{STEP}.json")
    return {"snapshot": str(first)}


def intent_only(world: Estate) -> dict[str, Any]:
    first, _ = states(world)
    key = f"sales/_runs/{FIRST}/publish-{STEP}.json"
    note = {**json.loads(written(world)[key]), "state": "intent"}
    world.own("s3").put_object(Bucket=NAMING.bucket("refined"), Key=key, Body=json.dumps(note).encode())
    return {"snapshot": str(first)}


def without_tag(world: Estate) -> dict[str, Any]:
    first, _ = states(world)
    world.load().manage_snapshots().remove_tag(f"validated-{first}").commit()
    return {"snapshot": str(first)}


def moved(world: Estate) -> dict[str, Any]:
    request = {"seen": str(states(world)[1])}
    publishes(world, "daily-20300103T030405-cccccccccc", 1)
    return request


def writing(world: Estate) -> None:
    run = "daily-20300103T030405-cccccccccc"
    world.append("orders", 1, Request("sales", run, STEP, ATTEMPT).branch, run)
    wiring.restorer(CONTEXT)._runs.commit("sales", "daily", Change(Slots(open=(run,))))


def project(phase: str) -> Row:
    return lambda world: world.state(phase=phase)


def stranger(world: Estate) -> None:
    world.own("glue").delete_table(DatabaseName=gated("orders").database, Name="sales_orders")
    world.table(owner=OTHER)


def gone(world: Estate) -> None:
    world.own("glue").delete_table(DatabaseName=gated("orders").database, Name="sales_orders")


def tombstone(world: Estate) -> None:
    world.load().transaction().set_properties({"meshplane.tombstone": "2030-01-02T00:00:00Z"}).commit_transaction()


REFUSED: list[tuple[str, Row]] = [
    ("a tag alone proves nothing", forged_tag),
    ("a tag alone proves nothing", without_record),
    ("a tag alone proves nothing", intent_only),
    ("has no tag validated-", without_tag),
    ("is not in the table any more", lambda _: {"snapshot": "1"}),
    ("look again, then decide", moved),
    ("is writing the table", writing),
    ("project sales is draining", project("draining")),
    ("project sales is removed", project("removed")),
    ("publishes no table invoices; allowed: items, orders", lambda _: {"table": "invoices"}),
    ("is not published", lambda _: {"project": "nobody"}),
    ("the request lacks snapshot", lambda _: {"snapshot": "latest"}),
    ("the request lacks project", lambda _: {"project": "../customers"}),
]
OF_OTHERS: list[tuple[str, Row]] = [
    ("is of project", stranger),
    ("is not in the catalog", gone),
    ("was taken out of the manifest", tombstone),
]


@pytest.mark.parametrize(("why", "row"), REFUSED, ids=[f"{row.__name__}: {why}" for why, row in REFUSED])
def test_it_is_refused_and_nothing_is_changed(world: Estate, why: str, row: Row) -> None:
    more = row(world) or {}
    request, before, records = asked(world, **more), raw(world), set(written(world))
    world.calls.clear()
    with pytest.raises(RestoreRefused, match=why):
        handler({"do": "roll_back", "id": ID, "request": request}, CONTEXT)  # type: ignore[arg-type]
    assert (raw(world), set(written(world))) == (before, records)
    assert not {"glue:UpdateTable", "s3:PutObject", "sqs:SendMessage"} & set(world.calls)


@pytest.mark.parametrize(("why", "row"), OF_OTHERS, ids=[why for why, _ in OF_OTHERS])
def test_a_table_that_is_not_to_be_restored_is_not_touched(world: Estate, why: str, row: Row) -> None:
    request = asked(world)
    row(world)
    world.calls.clear()
    with pytest.raises(RestoreRefused, match=why):
        handler({"do": "roll_back", "id": ID, "request": request}, CONTEXT)  # type: ignore[arg-type]
    assert not {"glue:UpdateTable", "s3:PutObject"} & set(world.calls)


def test_every_reason_is_told_at_once(world: Estate) -> None:
    without_tag(world)
    writing(world)
    world.state(phase="draining")
    with pytest.raises(RestoreRefused) as refused:
        rolled_back(world, seen="7")
    assert len(refused.value.reasons) == 4, refused.value.reasons


# ---- what may be chosen ------------------------------------------------------------------------------------------------------------
def listed(world: Estate, limit: int = 20) -> tuple[Choice, ...]:
    restorer, gate = wiring.restorer(CONTEXT), gated("orders")
    seen = restorer.look(gate.database, gate.name)
    assert seen
    return choices(restorer, gate, "sales", seen, limit)


def test_the_choices_say_when_by_which_run_by_which_rules_and_what_readers_see(world: Estate) -> None:
    first, second = states(world)
    forged_tag(world)
    newest, oldest = listed(world)
    assert (newest.snapshot, oldest.snapshot) == (second, first), "what no record of ours names is no choice"
    assert (newest.read, oldest.read, newest.todays, newest.rows, oldest.rows) == (True, False, True, 5, 3)
    assert (oldest.run_id, oldest.pipeline, oldest.step) == (FIRST, "daily", STEP)
    assert oldest.rules == {"implied_columns": "passed", "implied_key_unique": "passed", "cheap": "passed"}
    assert oldest.published.startswith("20")
    rolled_back(world)
    assert [one.read for one in listed(world)] == [False, True]
    assert len(listed(world, 1)) == 1


# ---- rebuild -----------------------------------------------------------------------------------------------------------------------
WINDOW = {"project": "sales", "table": "orders", "pipeline": "daily", "from": "2030-01-01", "until": "2030-01-03", "by": "somebody"}


def rebuilt(world: Estate, monkeypatch: pytest.MonkeyPatch, policies: dict[str, PipelinePolicy] | None, **more: Any) -> dict[str, Any]:
    monkeypatch.setattr("meshplane.aws.runs_store.DynamoRuns.policies", lambda self, project: policies)
    event = {"do": "rebuild", "id": "rebuild-1", "at": "2030-01-03T00:00:00.123Z", "request": {**WINDOW, **more}}
    return handler(event, CONTEXT)  # type: ignore[arg-type]


def test_a_rebuild_asks_for_one_run_with_the_window(world: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    policies = {"daily": PipelinePolicy("machine")}
    run_id = rebuilt(world, monkeypatch, policies)["run_id"]
    assert rebuilt(world, monkeypatch, policies) == {"run_id": run_id}, "asked twice, it is the same run"
    sent = messages(world, "trigger")
    assert sent[0] == sent[1]
    params = json.loads(sent[0]["event"]["params"][REBUILD])
    assert params == {"table": "orders", "from": "2030-01-01T00:00:00Z", "until": "2030-01-03T00:00:00Z"}
    assert (sent[0]["kind"], sent[0]["pipeline"], sent[0]["event"]["by"]) == ("manual", "daily", "somebody")


@pytest.mark.parametrize(
    ("policies", "more", "why"),
    [
        ({}, {}, "pipeline sales.daily is not there"),
        (None, {}, "pipeline sales.daily is not there"),
        ({"daily": PipelinePolicy("machine", paused="it is being removed")}, {}, "may not start: it is being removed"),
        ({"daily": PipelinePolicy("machine")}, {"until": "2029-12-31"}, "before it begins"),
        ({"daily": PipelinePolicy("machine")}, {"from": "monday"}, "allowed are days and moments"),
        ({"daily": PipelinePolicy("machine")}, {"table": "invoices"}, "publishes no table invoices"),
        ({"daily": PipelinePolicy("machine")}, {"pipeline": ""}, "lacks pipeline"),
    ],
)
def test_a_rebuild_is_refused(world: Estate, monkeypatch: pytest.MonkeyPatch, policies: Any, more: dict[str, Any], why: str) -> None:
    with pytest.raises(RestoreRefused, match=why):
        rebuilt(world, monkeypatch, policies, **more)
    assert messages(world, "trigger") == []


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (None, ("WAITING", False, "", "")),
        ("RUNNING", ("RUNNING", False, "", "")),
        ("SUCCEEDED", ("SUCCEEDED", True, "", "published")),
        ("FAILED", ("FAILED", True, "rule-failed", "published")),
        ("SKIPPED", ("SKIPPED", True, "no parameter", "published")),
    ],
)
def test_how_far_the_run_is(world: Estate, status: Any, answer: tuple[str, bool, str, str]) -> None:
    why = {"FAILED": {"cause": "rule-failed"}, "SKIPPED": {"reason": "no parameter"}}.get(status, {})
    if status:
        wiring.restorer(CONTEXT)._runs.put(Run(FIRST, "sales", "daily", status, "", "manual", "2030-01-01T00:00:00Z", **why))
    found = handler({"do": "look", "run_id": FIRST, "request": WINDOW}, CONTEXT)  # type: ignore[arg-type]
    published = str(states(world)[0]) if answer[3] else ""
    assert (found["status"], found["ended"], found["cause"], found["published"]) == (*answer[:3], published)


def test_nothing_else_can_be_asked(world: Estate) -> None:
    with pytest.raises(RestoreRefused, match="allowed: roll_back, rebuild, look"):
        handler({"do": "drop", "request": {}}, CONTEXT)  # type: ignore[arg-type]


def test_the_event_of_the_repository_is_a_request() -> None:
    event = json.loads((Path(ROOT) / "events/restore_table.json").read_text())
    request = RollBack.read({**event["request"], "id": event["id"]})
    assert (request.project, request.table, event["do"]) == ("sales", "orders", "roll_back")
    assert RollBack.read(request.to_json()) == request
