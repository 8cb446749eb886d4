"""The state item: leases, fences, chunks, neighbours, the index. Against moto's DynamoDB with the template's own table."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from meshplane.aws import state_store
from meshplane.aws.clients import Clients
from meshplane.aws.runs_store import DynamoRuns
from meshplane.errors import Stale
from meshplane.model.project import Pipeline
from meshplane.model.resource import Id
from meshplane.model.runs import PipelinePolicy
from meshplane.model.windows import iso
from meshplane.plan.planner import Known
from meshplane.plan.record import Record
from meshplane.ports import Begun
from tests.aws.plane_world import World

LEASE = timedelta(seconds=210)


@pytest.fixture
def world(clients: Clients) -> World:
    return World(clients)


def begin(world: World, holder: str = "a", after: int = 1) -> Begun | None:
    world.clock(timedelta(seconds=after))
    return world.states.begin("sales", holder, world.clock.now(), LEASE)


def begun(world: World, holder: str = "a", after: int = 1) -> Begun:
    found = begin(world, holder, after)
    assert found
    return found


def test_one_call_begins_and_one_ends(world: World) -> None:
    world.calls.clear()
    first = begun(world)
    assert world.states.finish(first, replace(first.record, observed="v1", due_at="2030-01-01T00:00:00Z")) is False
    assert world.calls == ["dynamodb:UpdateItem", "dynamodb:UpdateItem"]
    assert begun(world).record.observed == "v1"


def test_what_stands_past_a_gate_is_there_for_start_run_until_it_is_gone(world: World) -> None:
    runs = DynamoRuns(world.clients("dynamodb"), world.naming.of("state_table"))
    assert runs.unjudged("sales") == ""
    first = begun(world)
    world.states.finish(first, replace(first.record, unjudged={"db.b": "snapshot 2", "db.a": "snapshot 1"}))
    assert runs.unjudged("sales") == "db.a: snapshot 1, and 1 more"
    second = begun(world)
    assert second.record.unjudged == {"db.b": "snapshot 2", "db.a": "snapshot 1"}
    world.states.finish(second, replace(second.record, unjudged={"db.a": "snapshot 1"}))
    assert runs.unjudged("sales") == "db.a: snapshot 1"
    third = begun(world)
    world.states.finish(third, replace(third.record, unjudged={}))
    assert runs.unjudged("sales") == ""


def test_the_loser_leaves_word_and_the_holder_hears_it(world: World) -> None:
    first = begun(world)
    assert begin(world, "b") is None
    assert world.states.finish(first, first.record) is True
    assert world.states.finish(begun(world, "b"), first.record) is False, "a begin is the look that was asked for"


def test_a_lease_ends_by_itself_and_the_old_holder_writes_nothing_more(world: World) -> None:
    old = begun(world)
    new = begun(world, "b", after=211)
    assert new.fence > old.fence
    for write in (
        lambda: world.states.confirm(old, ()),
        lambda: world.states.draining(old, "v2", {}),
        lambda: world.states.finish(old, replace(old.record, observed="old")),
    ):
        with pytest.raises(Stale):
            write()
    world.states.finish(new, replace(new.record, observed="new"))
    assert world.states.peek("sales").observed == "new"


def test_the_same_holder_enters_again(world: World) -> None:
    first = begun(world, "message-1")
    assert begin(world, "message-2") is None
    assert begun(world, "message-1").fence > first.fence


def test_a_fence_grows_even_when_the_clock_goes_back(world: World) -> None:
    first = begun(world)
    world.states.finish(first, first.record)
    again = begun(world, after=-3600)
    assert again.fence == first.fence + 1


def test_after_the_lease_was_given_back_nothing_is_confirmed(world: World) -> None:
    first = begun(world)
    world.states.finish(first, first.record)
    with pytest.raises(Stale):
        world.states.confirm(first, ())


def test_an_approval_outlives_the_holder_who_noted_it(world: World) -> None:
    world.states.confirm(begun(world), {"k1", "k2"})
    after = begun(world, "b", after=300)
    assert after.record.approved == ("k1", "k2")
    world.states.finish(after, replace(after.record, approved=()))
    assert begun(world).record.approved == ()


def full(project: str = "sales", tables: int = 3) -> Record:
    inventory = {Id("iceberg_table", f"db.t{n}", f"t{n}"): Known("f" * 12, f"s3://b/{n:032x}.metadata.json") for n in range(tables)}
    policy = PipelinePolicy.of(Pipeline("daily", concurrency=2), "arn:machine")
    return Record(
        project,
        phase="active",
        observed="v1",
        applied="v1",
        inventory=inventory,
        refers=("customers",),
        shares={"tables": {}, "pipelines": ["daily"]},
        pipelines={"daily": policy.to_json()},
        status={"conditions": [{"type": "Synced", "status": "True", "reason": "Applied", "message": "m", "object": ""}]},
        due_at="2030-01-01T00:00:00Z",
        beside="e1",
    )


def test_everything_comes_back(world: World) -> None:
    first = begun(world)
    world.states.finish(first, full())
    assert begun(world).record == full()
    assert world.states.peek("sales") == full()
    assert world.states.peek("nobody") == Record("nobody")


def test_start_run_reads_the_pipelines(world: World) -> None:
    runs = DynamoRuns(world.clients("dynamodb"), world.naming.of("state_table"))
    assert runs.policies("sales") is None
    first = begun(world)
    world.states.finish(first, full())
    assert (runs.policies("sales") or {})["daily"].concurrency == 2
    again = begun(world)
    paused = {"daily": {**full().pipelines["daily"], "paused": "going"}}
    world.states.draining(again, "v2", paused)
    assert (runs.policies("sales") or {})["daily"].paused == "going"
    assert world.states.due()[0].phase == "draining"


def test_a_large_memory_is_kept_in_chunks_and_old_ones_go(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_store, "CHUNK", 2000)
    first = begun(world)
    world.states.finish(first, full(tables=600))
    second = begun(world)
    assert len(second.record.inventory) == 600
    assert len(second.kept) > 1
    world.states.finish(second, full(tables=601))
    items = world.clients("dynamodb").scan(TableName=world.naming.of("state_table"))["Items"]
    chunks = [item["sk"]["S"] for item in items if item["sk"]["S"].startswith("memory#")]
    assert all(f"{second.fence:020d}" in chunk for chunk in chunks)
    assert len(world.states.peek("sales").inventory) == 601


def test_a_memory_with_a_part_missing_is_forgotten_whole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_store, "CHUNK", 2000)
    first = begun(world)
    world.states.finish(first, full(tables=600))
    key = {"pk": {"S": "project#sales"}, "sk": {"S": f"memory#{first.fence:020d}#0001"}}
    world.clients("dynamodb").delete_item(TableName=world.naming.of("state_table"), Key=key)
    found = world.states.peek("sales")
    assert (found.inventory, found.observed) == ({}, "v1")


def test_two_thousand_tables_fit_with_what_neighbours_may_know_of_them(world: World) -> None:
    """400 KB is the item's limit; moto adds up an attribute's old and new value when it is replaced."""
    place = {"database": "f01_de_refined", "layer": "refined", "format": "iceberg", "readers": [], "columns": [], "key": []}
    tables = {f"t{n}": {**place, "name": f"sales_t{n}", "location": f"s3://f01-refined/sales/iceberg/t{n}"} for n in range(2000)}
    record = replace(full(tables=2000), shares={"tables": tables, "pipelines": [], "reads": []})
    for _ in range(2):
        world.states.finish(begun(world), record)
    found = begun(world).record
    assert (len(found.inventory), found.shares) == (2000, record.shares)
    assert len(world.states.neighbours(["sales"])["sales"].tables) == 2000


def test_neighbours_come_in_one_call(world: World) -> None:
    first = begun(world)
    shared: Any = {
        "tables": {
            "contacts": {
                "database": "db",
                "name": "customers_contacts",
                "location": "s3://x",
                "layer": "refined",
                "format": "iceberg",
                "readers": ["finance"],
                "columns": [["id", "long", True], ["items", "list<struct<sku: string>>", False]],
                "key": ["id"],
            }
        },
        "pipelines": ["daily"],
    }
    world.states.finish(first, replace(full(), shares=shared))
    world.calls.clear()
    found = world.states.neighbours({"sales", "nobody"})
    assert world.calls == ["dynamodb:BatchGetItem"]
    assert (found["sales"].published, found["nobody"].published) == (True, False)
    table = found["sales"].tables["contacts"]
    assert (table.readers, table.key, [f.name for f in table.columns]) == (("finance",), ("id",), ["id", "items"])


def test_the_index_tells_the_sweep(world: World) -> None:
    first = begun(world)
    world.states.finish(first, full())
    begun(world, "b")
    begin(world, "c")
    (due,) = world.states.due()
    assert (due.project, due.observed, due.loose, due.dirty, due.refers) == ("sales", "v1", "e1", True, ("customers",))
    assert due.lease_until == iso(world.clock.now() + LEASE - timedelta(seconds=1))


def test_history_expires(world: World) -> None:
    first = begun(world)
    world.states.note(first, {"plan": "plan-1", "actions": ["create x"]}, world.clock.now() + timedelta(days=400))
    items = world.clients("dynamodb").scan(TableName=world.naming.of("state_table"))["Items"]
    (note,) = [item for item in items if item["sk"]["S"].startswith("history#")]
    assert int(note["expires"]["N"]) > world.clock.now().timestamp()
