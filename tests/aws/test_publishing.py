"""publish_tables over real Iceberg files: what moves `main`, and every documented cause for which it stays."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from meshplane import wiring
from meshplane.aws.kinds.iceberg_table import IcebergTableAdapter
from meshplane.aws.publisher import PublishRecords
from meshplane.errors import GateFailed, MainMoved, ServiceFault
from meshplane.flows.publish_tables import publish_tables
from meshplane.model.publishing import CAUSES, PROPERTY, Request, announcements
from meshplane.model.resource import Id, Want
from meshplane.model.status import Condition
from meshplane.plan.conditions import judge, past_the_gate, with_commits
from meshplane.plan.guard import Verdict
from meshplane.plan.planner import Action, Plan, Verb
from tests.aws.behaviour import OTHER, OWNER
from tests.aws.publishing_world import ATTEMPT, BRANCH, CONTEXT, ROOT, RULES, RUN, STEP, Estate, estate, gated
from tests.aws.table_estate import NAMING, opening


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[Estate]:
    with estate(monkeypatch) as made:
        yield made


@pytest.mark.parametrize("before", [0, 2])
def test_judged_rows_become_main_with_tag_property_record_and_event(world: Estate, before: int) -> None:
    world.table(rows=before)
    world.state()
    written = world.written()
    world.record(written)
    snapshot = written[0]["snapshot"]
    assert world.publish() == {"published": [{"table": "orders", "snapshot": snapshot}], "nothing": False}
    table = world.load()
    assert table.current_snapshot().snapshot_id == snapshot
    assert table.scan().to_arrow().num_rows == 3 + before
    refs = table.refs()
    assert set(refs) == {"main", f"validated-{snapshot}"}, "the branch is gone, the tag is there"
    tag = refs[f"validated-{snapshot}"]
    assert (tag.snapshot_id, tag.max_ref_age_ms) == (snapshot, None), "the watchdog ends it, which knows what is still needed"
    assert json.loads(table.properties[PROPERTY]) == {"snapshot": snapshot, "run_id": RUN, "digest": "digest of orders"}
    assert (world.note()["state"], [one["snapshot"] for one in world.note()["tables"]]) == ("done", [snapshot])
    (event,) = world.heard()
    assert (event["source"], event["detail-type"]) == ("meshplane", "Table Published")
    assert (event["detail"]["project"], event["detail"]["table"], event["detail"]["snapshot"]) == ("sales", "orders", str(snapshot))


def test_one_table_costs_ten_requests_and_each_further_one_four(world: Estate) -> None:
    for name in ("orders", "items"):
        world.table(name)
    world.state()
    one = world.written("orders")
    world.record(one)
    world.publish()
    assert len(world.calls) <= 10, world.calls
    before = len(world.calls)
    two = [world.written("orders", run_id=RUN), world.written("items")]
    world.record(*two)
    world.publish()
    assert len(world.calls) == before + 4, world.calls


def test_latency_is_from_the_end_of_the_job_to_the_end_of_the_publication_and_told_once(
    world: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.table()
    world.state()
    world.record(world.written())  # the job ended at 03:05:05
    clock = Hands(datetime(2030, 1, 2, 3, 6, 5, tzinfo=UTC))
    publisher = wiring.publisher(CONTEXT)
    real = publisher.move

    def slow(*given: Any) -> None:
        real(*given)
        clock.at += timedelta(seconds=40)

    monkeypatch.setattr(publisher, "move", slow)
    event = {"run": {"schema": 1, "run_id": RUN, "project": "sales", "pipeline": "daily"}, "step": STEP, "attempt": ATTEMPT}
    assert publish_tables(publisher, clock, event).latency == (100,)
    assert publish_tables(publisher, clock, event).latency == (), "what was published before is not told as a fast one"


def test_the_metric_is_sent_where_something_was_published_and_nowhere_else(world: Estate, capsys: pytest.CaptureFixture[str]) -> None:
    world.table()
    world.state()
    world.record(world.written())

    def told() -> list[float]:
        world.publish()
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
        return [value for line in lines for value in line.get("PublishSeconds", [])]

    [seconds] = told()
    assert seconds >= 0
    assert told() == []


@dataclass
class Hands:
    """A clock that stands where it was put."""

    at: datetime

    def now(self) -> datetime:
        return self.at


def test_a_second_call_answers_the_same_and_writes_nothing(world: Estate) -> None:
    world.table()
    world.state()
    world.record(world.written())
    first = world.publish()
    heads, location = world.heads(), world.load().metadata_location
    assert world.publish() == first
    assert (world.heads(), world.load().metadata_location) == (heads, location)
    assert not [call for call in world.calls if call in ("s3:PutObject", "glue:UpdateTable", "events:PutEvents")]


def test_a_step_with_nothing_to_do_publishes_nothing(world: Estate) -> None:
    world.table(rows=1)
    world.state()
    world.record(state="nothing")
    heads = world.heads()
    assert world.publish() == {"published": [], "nothing": True}
    assert world.heads() == heads


class Killed(BaseException):
    """The function is gone."""


@pytest.mark.parametrize("reply", ["before", "after"])
@pytest.mark.parametrize("at", range(1, 7))
def test_killed_at_every_write_a_repeat_ends_the_same(world: Estate, at: int, reply: str) -> None:
    """Two tables: intent, two metadata files and two pointers, the event, the done note. Before the write, or after it."""
    for name in ("orders", "items"):
        world.table(name)
    world.state()
    written = [world.written("orders"), world.written("items")]
    world.record(*written)
    count = 0

    def dies(call: str) -> bool:
        nonlocal count
        count += call in ("s3:PutObject", "glue:UpdateTable", "events:PutEvents")
        if count == at and call in ("s3:PutObject", "glue:UpdateTable", "events:PutEvents"):
            raise Killed
        return False

    def before(model: Any, **_: Any) -> None:
        dies(f"{model.service_model.endpoint_prefix}:{model.name}")

    if reply == "before":
        world.plane.session.events.register("before-call.*.*", before)
    else:
        world.lose = dies
    with pytest.raises(Killed):
        world.publish()
    world.publish()
    assert world.heads() == {f"sales_{out['table']}": out["snapshot"] for out, _ in written}
    assert world.note()["state"] == "done"
    assert {event["detail"]["table"] for event in world.heard()} == {"orders", "items"}
    for name in ("orders", "items"):
        runs = [snapshot.summary["run_id"] for snapshot in world.load(name).snapshots()]
        assert runs == [RUN], "the run is there once"


def test_whoever_hears_of_a_publication_twice_hears_the_same(world: Estate) -> None:
    world.table()
    world.state()
    world.record(world.written())
    window = {"window_start": "2030-01-01T00:00:00Z", "window_end": "2030-01-02T00:00:00Z"}
    run = {"run_id": RUN, "project": "sales", "pipeline": "daily", **window}
    world.lose = lambda call: call == "events:PutEvents"
    with pytest.raises(ServiceFault):
        world.publish(run=run)
    world.lose = lambda call: False
    world.publish(run=run)
    first, *more = [event["detail"] for event in world.heard()]
    assert more
    assert all(other == first for other in more)
    assert first == announcements(world.note())[0]
    assert {key: first[key] for key in window} == window
    assert PublishRecords(world.own, NAMING).of_run("sales", RUN) == [world.note()]
    assert PublishRecords(world.own, NAMING).of_run("sales", "none") == []


def test_a_lost_reply_of_the_catalog_is_no_second_commit(world: Estate) -> None:
    world.table()
    world.state()
    world.record(world.written())
    lost: list[str] = []

    def lose(call: str) -> bool:
        if call == "glue:UpdateTable" and not lost:
            lost.append(call)
            return True
        return False

    world.lose = lose
    answer = world.publish()
    assert lost
    assert world.heads() == {"sales_orders": answer["published"][0]["snapshot"]}
    assert len([entry for entry in world.load().metadata.snapshot_log if entry.snapshot_id == answer["published"][0]["snapshot"]]) == 1


def test_main_moved_by_another_run_is_its_own_error_and_changes_nothing(world: Estate) -> None:
    world.table(rows=1)
    world.state()
    first = world.written(branch=Request("sales", RUN, STEP, "0_0").branch)
    mine = {"run_id": "daily-2"}
    other = world.written(run_id="daily-2", branch=Request("sales", "daily-2", STEP, "0_0").branch)
    world.record(first)
    world.publish()
    world.own("s3").put_object(
        Bucket=_bucket(), Key=f"sales/_runs/daily-2/{STEP}.json", Body=json.dumps(world.record(other, **mine)).encode()
    )
    heads = world.heads()
    with pytest.raises(MainMoved):
        world.publish(run={"run_id": "daily-2", "project": "sales", "pipeline": "daily"})
    assert world.heads() == heads


def test_two_steps_of_a_run_may_write_one_table_at_the_same_time(world: Estate) -> None:
    """Each on a branch of its own: the one that comes second is overtaken, and its next round is published."""
    world.table(rows=2)
    world.state()

    def recorded(step: str, attempt: str) -> None:
        written = world.written(branch=Request("sales", RUN, step, attempt).branch)
        body = json.dumps(world.record(written, job=step, step=step))
        world.own("s3").put_object(Bucket=_bucket(), Key=f"sales/_runs/{RUN}/{step}.json", Body=body.encode())

    recorded("load_more", "0_0")
    recorded(STEP, "0_0")
    world.publish()
    first = world.heads()["sales_orders"]
    with pytest.raises(MainMoved):
        world.publish(step="load_more")
    recorded("load_more", "1_0")
    world.publish(step="load_more", attempt="1_0")
    table = world.load()
    head = table.current_snapshot()
    assert (head.parent_snapshot_id, head.summary["total-records"]) == (first, "8")
    assert set(table.refs()) == {
        "main",
        f"validated-{first}",
        f"validated-{head.snapshot_id}",
        Request("sales", RUN, "load_more", "0_0").branch,
    }


def test_main_moved_between_the_look_and_the_commit(world: Estate) -> None:
    world.table()
    world.state()
    world.record(world.written())
    once: list[int] = []

    def overtake(model: Any, **_: Any) -> None:
        if model.name == "UpdateTable" and not once:
            once.append(1)
            once.append(world.append("orders", 1, "main", "by hand"))

    world.plane.session.events.register("before-call.glue.UpdateTable", overtake)
    with pytest.raises(MainMoved):
        world.publish()
    assert world.heads() == {"sales_orders": once[1]}
    assert world.heard() == []


def _bucket() -> str:
    return NAMING.bucket("refined")


Row = Callable[[Estate], dict[str, Any] | None]


def good(world: Estate) -> tuple[dict[str, Any], dict[str, Any]]:
    """All is well: a published base, the run's branch, its record."""
    world.table()
    world.state()
    first = world.written(run_id=RUN)
    world.record(first)
    world.publish()
    world.heard()
    return world.written(rows=4)


def changed(**verdict: Any) -> Row:
    """A good run whose verdict says this instead."""

    def row(world: Estate) -> None:
        output, judged = good(world)
        world.record((output, {**judged, **verdict}))

    return row


def result(**fields: Any) -> Row:
    """A good run of which one result says this instead."""

    def row(world: Estate) -> None:
        output, judged = good(world)
        judged = copy.deepcopy(judged)
        judged["results"][1].update(fields)
        world.record((output, judged))

    return row


def told(**fields: Any) -> Row:
    """A good run whose record says this instead."""

    def row(world: Estate) -> None:
        world.record(good(world), **fields)

    return row


def asked(**fields: Any) -> Row:
    """A good run, asked for in another way."""

    def row(world: Estate) -> dict[str, Any]:
        world.record(good(world))
        return fields

    return row


def nan(world: Estate) -> None:
    body = world.record(good(world))
    body["verdicts"][0]["results"][1]["violations"] = float("nan")
    world.put_record(json.dumps(body))


def fewer(world: Estate) -> None:
    output, judged = good(world)
    world.record((output, {**judged, "results": judged["results"][:-1]}))


def twice(world: Estate) -> None:
    output, judged = good(world)
    world.record((output, {**judged, "results": [*judged["results"], judged["results"][0]]}))


def no_state(world: Estate) -> None:
    world.record(good(world))
    world.own("dynamodb").delete_item(TableName="f01-meshplane-state-dev", Key={"pk": {"S": "project#sales"}, "sk": {"S": "state"}})


def removed(world: Estate) -> None:
    world.record(good(world))
    world.state(phase="removed")


def other_gate(world: Estate) -> None:
    world.record(good(world))
    world.state([replace(gated("orders"), digest="the rules of tomorrow")])


def ungated(world: Estate) -> None:
    world.record(good(world))
    world.state([gated("items")])


def no_record(world: Estate) -> None:
    good(world)
    world.own("s3").delete_object(Bucket=_bucket(), Key=f"sales/_runs/{RUN}/{STEP}.json")


def two_verdicts(world: Estate) -> None:
    output, judged = good(world)
    world.record((output, judged), verdicts=[judged, judged])


def stray(world: Estate) -> None:
    output, judged = good(world)
    world.record((output, judged), verdicts=[judged, {**judged, "table": "items"}])


def old_output(world: Estate) -> None:
    output, judged = good(world)
    world.record(({**output, "branch": BRANCH.replace("_0_0", "_0_1")}, judged))


def more_on_the_branch(world: Estate) -> None:
    world.record(good(world))
    world.append("orders", 1, BRANCH, RUN)


def counted(world: Estate) -> None:
    output, judged = good(world)
    world.record(({**output, "rows_total": 99}, judged))


def missing_table(world: Estate) -> None:
    world.record(good(world))
    world.own("glue").delete_table(DatabaseName=gated("orders").database, Name="sales_orders")


def properties(**values: str) -> Row:
    def row(world: Estate) -> None:
        world.record(good(world))
        world.load().transaction().set_properties({key.replace("_", "."): value for key, value in values.items()}).commit_transaction()

    return row


def gone_branch(world: Estate) -> None:
    world.record(good(world))
    world.load().manage_snapshots().remove_branch(BRANCH).commit()


def diverged(world: Estate) -> None:
    """The branch begins at nothing, and says that it began at main."""
    output, judged = good(world)
    world.record((output, judged))
    world.edit("orders", lambda raw: _cut(raw, output["snapshot"]))


def _cut(raw: dict[str, Any], snapshot: int) -> None:
    next(one for one in raw["snapshots"] if one["snapshot-id"] == snapshot).pop("parent-snapshot-id")


def foreign_commit(world: Estate) -> None:
    good(world)
    world.append("orders", 1, BRANCH, "another-run")
    head = world.append("orders", 1, BRANCH, RUN)
    output, judged = _as_read(world, head)
    world.record((output, judged))


def _as_read(world: Estate, head: int) -> tuple[dict[str, Any], dict[str, Any]]:
    total = int(world.load().snapshot_by_id(head).summary["total-records"])
    parent = world.load().current_snapshot().snapshot_id
    output = {"table": "orders", "snapshot": head, "parent": parent, "branch": BRANCH, "rows_added": 1, "rows_total": total}
    results = [{"rule": r.name, "severity": r.severity, "outcome": "passed", "violations": 0, "rows": 1} for r in RULES]
    judged = {"schema_id": 0, "rules_digest": gated("orders").digest, "rows": 1, "passed": True, "results": results}
    return output, {"table": "orders", "branch": BRANCH, "snapshot": head, "parent": parent, **judged}


def straight_to_main(world: Estate) -> None:
    """Somebody's INSERT after the branch began."""
    world.record(good(world))
    world.append("orders", 1, "main")


def under_the_branch(world: Estate) -> None:
    """Somebody's INSERT before the branch began: the gate would make it visible for good."""
    world.table()
    world.state()
    world.record(world.written())
    world.publish()
    world.heard()
    world.append("orders", 1, "main")
    world.record(world.written())


def property_taken_away(world: Estate) -> None:
    """Rows went to main past the gate, and with the property went the word of what was published last."""
    good(world)
    world.append("orders", 7, "main")
    with world.load().transaction() as change:
        change.remove_properties(PROPERTY)
    world.edit("orders", lambda raw: raw["refs"].pop(BRANCH))
    world.record(world.written(rows=5))


def emptied(world: Estate) -> None:
    """What a REPLACE TABLE leaves: properties and tags, and no main."""
    good(world)
    world.edit("orders", lambda raw: (raw["refs"].pop("main"), raw["refs"].pop(BRANCH), raw.update({"current-snapshot-id": -1})))
    world.record(world.written(rows=5))


def wrote_main(world: Estate) -> None:
    """The job itself wrote main."""
    world.table()
    world.state()
    output, _ = world.written(branch="main")
    world.record((output, {}), verdicts=[])


ROWS: list[tuple[str, str, Row]] = [
    ("bad-request", "no step", asked(step="")),
    ("bad-request", "an attempt of the old form", asked(attempt="0")),
    ("bad-request", "a path in the step", asked(step="../other/step")),
    ("script-overridden", "another script", asked(arguments={"--meshplane-attempt": ATTEMPT, "--scriptLocation": "s3://mine/load.py"})),
    ("record-missing", "another project's run", asked(run={"run_id": "no-such-run", "project": "sales"})),
    ("project-unknown", "another project in the run", asked(run={"run_id": RUN, "project": "customers"})),
    ("project-unknown", "state wiped", no_state),
    ("project-removed", "project removed", removed),
    ("record-missing", "the job left nothing", no_record),
    ("record-unreadable", "NaN as a count", nan),
    ("record-unreadable", "half a record", lambda world: (good(world), world.put_record('{"schema": 1, "st'))[1]),
    ("record-unreadable", "outputs no list", told(outputs="orders")),
    ("record-foreign", "a record of another project", told(project="customers")),
    ("record-foreign", "a record of another run", told(run_id="daily-2")),
    ("record-foreign", "a record of another step", told(step="daily_revenue")),
    ("record-intent", "killed while it wrote", told(state="intent")),
    ("record-failed", "the job failed", told(state="failed", error="ValueError: no rows")),
    ("record-empty", "done, and nothing said", told(outputs=[], verdicts=[])),
    ("stale-attempt", "an attempt that was given up", asked(attempt="0_1")),
    ("stale-attempt", "the output of another attempt", old_output),
    ("stale-attempt", "the verdict of another attempt", changed(branch=BRANCH.replace("_0_0", "_1_0"))),
    ("verdict-missing", "no verdict", told(verdicts=[])),
    ("verdict-missing", "two verdicts", two_verdicts),
    ("verdict-without-output", "a verdict on what was not written", stray),
    ("verdict-snapshot", "another snapshot was judged", changed(snapshot=1)),
    ("verdict-snapshot", "the branch went on after the verdict", more_on_the_branch),
    ("verdict-schema", "another schema was judged", changed(schema_id=7)),
    ("verdict-rules", "an older set of rules", changed(rules_digest="the rules of yesterday")),
    ("verdict-rules", "the gate was changed meanwhile", other_gate),
    ("rules-missing", "fewer rules ran than apply", fewer),
    ("rules-missing", "a rule ran twice", twice),
    ("rule-error", "an exception in a rule", result(outcome="error", detail="ArithmeticException")),
    ("rule-failed", "a blocking rule failed", lambda world: _failed(world)),
    ("verdict-tampered", "a failed rule in a verdict that says yes", result(outcome="failed", violations=3)),
    ("verdict-tampered", "violations in a rule that passed", result(violations=3)),
    ("verdict-tampered", "a rule made weaker", result(severity="observe")),
    ("verdict-tampered", "negative counts", result(violations=-1)),
    ("verdict-tampered", "an outcome of no known word", result(outcome="fine")),
    ("verdict-tampered", "counts that are not the snapshot's", counted),
    ("verdict-failed", "no, without a reason", changed(passed=False)),
    ("verdict-failed", "yes as a text", changed(passed="true")),
    ("empty-batch", "no row", changed(rows=0)),
    ("empty-batch", "no row, said by the job", changed(rows=0, passed=False)),
    ("table-ungated", "a table that is not gated", ungated),
    ("table-missing", "dropped meanwhile", missing_table),
    ("table-foreign", "claimed by another project", properties(meshplane_project=OTHER.project)),
    ("table-tombstoned", "taken out of the manifest", properties(meshplane_tombstone="true")),
    ("branch-missing", "the branch was removed", gone_branch),
    ("branch-diverged", "the branch does not descend from main", diverged),
    ("branch-foreign", "another run's commit on the branch", foreign_commit),
    ("main-unjudged", "an INSERT to main meanwhile", straight_to_main),
    ("main-unjudged", "an INSERT to main before", under_the_branch),
    ("main-unjudged", "the job wrote main", wrote_main),
    ("main-unjudged", "an INSERT to main, and the property of publications taken away", property_taken_away),
    ("main-unjudged", "main emptied after a publication", emptied),
]


def _failed(world: Estate) -> None:
    output, judged = good(world)
    judged = copy.deepcopy(judged)
    judged["results"][1].update(outcome="failed", violations=3)
    world.record((output, {**judged, "passed": False}))


@pytest.mark.parametrize(("cause", "what", "row"), ROWS, ids=[f"{cause}: {what}" for cause, what, _ in ROWS])
def test_it_fails_closed(world: Estate, cause: str, what: str, row: Row) -> None:
    request = row(world) or {}
    before = world.heads()
    with pytest.raises(GateFailed) as raised:
        world.publish(**request)
    assert raised.value.cause == cause, f"{what}: {raised.value}"
    assert world.heads() == before, "readers see what they saw"
    assert world.heard() == [], "nobody is told"
    assert not [call for call in world.calls if call in ("s3:PutObject", "glue:UpdateTable", "events:PutEvents")]


def looked_at(world: Estate) -> Condition:
    """The Healthy condition after a look at the one table, as the reconcile makes it."""
    this = Id("iceberg_table", f"{gated('orders').database}.sales_orders", "orders")
    (seen,) = IcebergTableAdapter(opening(world.own)).observe([this], OWNER, {})
    plan = Plan("sales", (Action(Verb.NONE, this, want=Want(this, seen.spec), seen=seen),))
    past = past_the_gate(plan, {this.name}, {})
    unread = Plan("sales", (Action(Verb.NONE, this, want=Want(this, seen.spec), seen=replace(seen, spec=None)),))
    assert past_the_gate(unread, {this.name}, past) == past, "metadata that was not read anew says what it said"
    assert past_the_gate(plan, frozenset(), past) == {}, "a table without a gate has none to go past"
    return with_commits(judge(plan, Verdict(), ()), past).conditions[1]


def test_an_insert_past_the_gate_makes_the_project_unhealthy_until_main_is_back(world: Estate) -> None:
    world.table()
    world.state()
    assert looked_at(world).reason == "AllStand", "an empty table is judged"
    written = world.written()
    world.record(written)
    world.publish()
    assert looked_at(world).reason == "AllStand"
    inserted = world.append("orders", 1, "main")
    condition = looked_at(world)
    assert (condition.status, condition.reason) == ("False", "UnjudgedCommit")
    assert f"snapshot {inserted} on main was published by no gate" in condition.message
    world.load().manage_snapshots().rollback_to_snapshot(written[0]["snapshot"]).commit()
    assert looked_at(world).reason == "AllStand"


@pytest.mark.parametrize(("rows", "reason"), [(0, "AllStand"), (1, "UnjudgedCommit")], ids=["the same rows", "other rows"])
def test_what_compaction_rewrote_is_still_judged(world: Estate, rows: int, reason: str) -> None:
    world.table()
    world.state()
    world.record(world.written())
    world.publish()
    head = world.append("orders", rows, "main")

    def compacted(raw: dict[str, Any]) -> None:
        next(one for one in raw["snapshots"] if one["snapshot-id"] == head)["summary"]["operation"] = "replace"

    world.edit("orders", compacted)
    assert looked_at(world).reason == reason


def test_every_cause_is_documented_and_tried() -> None:
    page = (ROOT / "docs/publishing.md").read_text()
    documented = dict(re.findall(r"^\| `([a-z-]+)` \| (.+?) \|$", page, re.MULTILINE))
    assert documented == dict(CAUSES)
    assert {cause for cause, _, _ in ROWS} == set(CAUSES)
    assert len(CAUSES) >= 20


def test_the_event_of_the_repository_is_a_request() -> None:
    request = Request.read(json.loads((Path(ROOT) / "events/publish_tables.json").read_text()))
    assert (request.step, request.attempt) == (STEP, ATTEMPT)
    assert request.branch == f"audit_{request.run_id.replace('-', '_')}_{request.step.replace('-', '_')}_0_0", "of whichever the file names"
    assert BRANCH == "audit_daily_20300102T030405_3f9c1b2a77_load_orders_0_0"
