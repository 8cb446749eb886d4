"""The watchdog through its real handler, over real Iceberg files: which refs go, what is due, what is remembered and told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from meshplane import wiring
from meshplane.aws.iceberg.commit import Commits
from meshplane.aws.runs_store import DynamoRuns
from meshplane.aws.state_store import DynamoStates
from meshplane.errors import Conflict
from meshplane.flows.watch_tables import look
from meshplane.handlers.watch_tables import handler
from meshplane.model.gating import GatedRule
from meshplane.model.runs import Run
from meshplane.model.windows import iso
from tests.aws.behaviour import OTHER
from tests.aws.publishing_world import BRANCH, CONTEXT, RULES, RUN, Estate, estate, gated
from tests.aws.table_estate import NAMING

FRESH = GatedRule("fresh", "warn", within=26 * 3600)
JOB = "f01-sales-load_orders-dev"


@dataclass
class Hands:
    """A clock that stands where it was put."""

    at: datetime

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[Estate]:
    with estate(monkeypatch) as made:
        queue = made.own("sqs").create_queue(QueueName="looks.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        monkeypatch.setenv("MESHPLANE_RECONCILE_QUEUE_URL", queue)
        wiring.settings.cache_clear()
        wiring.releases.cache_clear()
        yield made
        wiring.releases.cache_clear()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Hands:
    """What the handler takes for the present: days count from the real one, by which snapshots are dated."""
    hands = Hands(datetime.now(UTC))
    monkeypatch.setattr(wiring, "SystemClock", lambda: hands)
    return hands


def judged(*more: GatedRule) -> Any:
    return replace(gated("orders"), rules=(*RULES, *more), writer=JOB)


def published(world: Estate, run: str = RUN, **verdict: Any) -> int:
    """One publication of `orders`; its snapshot."""
    output, told = world.written()
    told["results"] += verdict.pop("results", [])
    world.record((output, {**told, **verdict}))
    world.publish()
    return int(output["snapshot"])


def ask(do: str, **more: Any) -> Any:
    return handler({"do": do, **more}, CONTEXT)


def refs(world: Estate) -> set[str]:
    return set(world.load().refs())


def runs(world: Estate) -> DynamoRuns:
    return DynamoRuns(world.own("dynamodb"), NAMING.of("state_table"))


def ended(world: Estate, at: datetime, run: str = RUN, status: str = "FAILED") -> None:
    over = "" if status == "RUNNING" else iso(at)
    runs(world).put(Run(run, "sales", "daily", status, "landed", "files", iso(at), started=iso(at), ended=over))


def looks_asked(world: Estate) -> int:
    """How many reconciles were asked for since the last time."""
    url = wiring.settings().reconcile_queue_url
    found = world.own("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    for message in found:
        world.own("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return len(found)


# --- the reaper ---------------------------------------------------------------------------------------------------------------


def test_a_branch_goes_a_week_after_its_run_has_ended_and_main_stays(world: Estate, clock: Hands) -> None:
    world.table(rows=2)
    world.state()
    world.written()
    world.record(state="failed", error="boom", outputs=[])
    ended(world, clock.at)
    before = world.heads()
    clock.at += timedelta(days=6, hours=23)
    ask("look")
    assert BRANCH in refs(world)
    clock.at += timedelta(hours=2)
    ask("look")
    assert refs(world) == {"main"}
    assert world.heads() == before
    assert world.load().scan().to_arrow().num_rows == 2


@pytest.mark.parametrize("status", ["RUNNING", "WAITING"])
def test_the_branch_of_a_run_that_goes_on_stays_however_old_it_is(world: Estate, clock: Hands, status: str) -> None:
    world.table(rows=2)
    world.state()
    world.written()
    ended(world, clock.at, status="RUNNING")
    clock.at += timedelta(days=60)
    ask("look")
    assert BRANCH in refs(world)


def test_what_the_state_table_forgot_is_proven_by_the_records_of_its_steps(world: Estate, clock: Hands) -> None:
    world.table(rows=2)
    world.state()
    written = world.written()
    world.record(written, ended=iso(clock.at))
    clock.at += timedelta(days=13)
    ask("look")
    assert BRANCH in refs(world)
    clock.at += timedelta(days=2)
    ask("look")
    assert refs(world) == {"main"}


def test_refs_that_somebody_else_made_stay_whatever_they_are_called(world: Estate, clock: Hands) -> None:
    world.table(rows=2)
    world.state()
    snapshot = world.load().current_snapshot().snapshot_id
    foreign = {"audit_mine", "audit_daily_1_0", f"{BRANCH}_more", "nightly"}
    for name in foreign:
        world.load().manage_snapshots().create_branch(snapshot, name).commit()
    tags = {f"validated-{snapshot}", "release-1"}
    for name in tags:
        world.load().manage_snapshots().create_tag(snapshot, name).commit()
    world.append("orders", 1, "main")
    ended(world, clock.at)
    clock.at += timedelta(days=400)
    ask("look")
    assert refs(world) == {"main", *foreign, *tags}


def test_tags_go_when_retention_is_over_but_never_that_of_the_last_publication(world: Estate, clock: Hands) -> None:
    world.table()
    world.state()
    first = published(world)
    ended(world, clock.at, status="SUCCEEDED")
    world.append("orders", 1, "main", "somebody")  # main moved on past the gate: the tag is what leads back
    clock.at += timedelta(days=30)
    ask("look")
    assert f"validated-{first}" in refs(world)


def test_an_older_tag_goes_by_the_publish_record_of_its_run(world: Estate, clock: Hands) -> None:
    world.table()
    world.state()
    first, second, third = (published(world) for _ in range(3))
    assert refs(world) == {"main", f"validated-{first}", f"validated-{second}", f"validated-{third}"}
    clock.at += timedelta(days=4)
    ask("look")
    assert f"validated-{first}" in refs(world), "five days are the retention"
    clock.at += timedelta(days=2)
    note = world.note()
    assert [one["snapshot"] for one in note["tables"]] == [third], "one run, one step: its newest record names the third"
    ask("look")
    assert f"validated-{first}" in refs(world), "what no record names is nobody's to remove"
    world.own("s3").put_object(
        Bucket=NAMING.bucket("refined"),
        Key=f"sales/_runs/{RUN}/publish-again.json",
        Body=json.dumps({**note, "step": "again", "tables": [{"table": "orders", "snapshot": first}]}).encode(),
    )
    ask("look")
    assert refs(world) == {"main", f"validated-{second}", f"validated-{third}"}, "the second is what a rollback would lead to"
    assert world.load().current_snapshot().snapshot_id == third


@pytest.mark.parametrize("dies_at", ["glue:GetTable", "s3:GetObject", "s3:ListObjectsV2", "s3:PutObject", "glue:UpdateTable"])
def test_killed_at_any_request_the_next_pass_finishes(world: Estate, clock: Hands, dies_at: str) -> None:
    class Died(BaseException):
        """The function is gone."""

    world.table(rows=2)
    world.state()
    world.written()
    world.record(state="failed", error="boom", outputs=[], ended=iso(clock.at))
    before = world.heads()
    clock.at += timedelta(days=15)

    def die(name: str) -> bool:
        if name == dies_at:
            raise Died
        return False

    world.lose = die
    with pytest.raises(Died):
        ask("look")
    assert world.heads() == before
    world.lose = lambda _: False
    ask("look")
    assert refs(world) == {"main"}
    assert world.heads() == before


def test_a_commit_of_somebody_else_meanwhile_is_left_to_the_next_pass(world: Estate, clock: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    world.table(rows=2)
    world.state()
    world.written()
    world.record(state="failed", error="boom", outputs=[], ended=iso(clock.at))
    clock.at += timedelta(days=15)
    move = Commits.move

    def overtaken(self: Commits, *given: Any) -> str:
        raise Conflict("somebody was faster")

    monkeypatch.setattr(Commits, "move", overtaken)
    assert look(wiring.watcher(CONTEXT), clock).removed == {}
    assert BRANCH in refs(world)
    monkeypatch.setattr(Commits, "move", move)
    assert look(wiring.watcher(CONTEXT), clock).removed == {"sales.orders": [BRANCH]}


def test_a_table_of_another_project_or_laid_to_rest_is_left_alone(world: Estate, clock: Hands) -> None:
    world.table(rows=2, owner=OTHER)
    world.state()
    world.written()
    world.record(state="failed", error="boom", outputs=[], ended=iso(clock.at))
    clock.at += timedelta(days=15)
    ask("look")
    assert BRANCH in refs(world)


# --- judging ------------------------------------------------------------------------------------------------------------------


def verdict(world: Estate, passed: bool = True, digest: str = "digest of orders", **results: Any) -> dict[str, Any]:
    """The record that the check's job run leaves, on what `main` is at."""
    rows = [{"rule": r.name, "severity": r.severity, "outcome": "passed", "violations": 0, "rows": 3, "detail": ""} for r in RULES]
    for row in rows:
        row.update(results.get(str(row["rule"]), {}))
    head = world.load().current_snapshot().snapshot_id
    told = {"table": "orders", "branch": "main", "snapshot": head, "rules_digest": digest, "rows": 3, "passed": passed, "results": rows}
    return {"step": "check-orders", "state": "done" if passed else "failed", "outputs": [], "verdicts": [told]}


def left(world: Estate, run: str, record: dict[str, Any]) -> None:
    key = f"sales/_runs/{run}/check-orders.json"
    world.own("s3").put_object(Bucket=NAMING.bucket("refined"), Key=key, Body=json.dumps(record).encode())


def standing(world: Estate) -> None:
    """`orders`, published, and the Glue job that writes it."""
    world.table()
    world.state([judged()])
    published(world)
    described = {"schema": 1, "project": "sales", "job": "load_orders", "use": "merge", "with": {"latestBy": ["amount"]}, "sql": ""}
    tables = {"orders": {"name": "sales_orders", "gate": {"digest": "digest of orders"}}}
    arguments = {"--meshplane-job": json.dumps({**described, "reads": [], "writes": [{"table": "orders"}], "tables": tables})}
    command = {"Name": "glueetl", "ScriptLocation": "s3://b/merge.py"}
    world.own("glue").create_job(Name=JOB, Role="r", Command=command, DefaultArguments=arguments)
    names = (NAMING.of("platform_parameter", name="release"), json.dumps({"library": "l", "jobs": {"check": "platform/check.py"}}))
    world.own("ssm").put_parameter(Name=names[0], Value=names[1], Type="String")


def pass_over(world: Estate, at: datetime, record: dict[str, Any] | None, failure: str = "") -> Any:
    """The state machine's way with one table."""
    assert ask("look") == {"tables": [{"project": "sales", "table": "orders"}]}
    asked = ask("prepare", project="sales", table="orders", id="watch-1", at=iso(at))
    if record is not None:
        left(world, asked["run_id"], record)
    told = {key: asked[key] for key in ("project", "table", "run_id", "step")}
    return ask("take", **told, failure={"Error": failure, "Cause": ""})


def test_main_is_judged_by_its_own_job_that_then_writes_nothing(world: Estate, clock: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    standing(world)
    monkeypatch.setattr("meshplane.aws.releases.Baseline.read", lambda found: None)
    clock.at += timedelta(days=2)
    asked = ask("prepare", project="sales", table="orders", id="watch-1", at=iso(clock.at))
    told, run = json.loads(asked["arguments"]["--meshplane-job"]), json.loads(asked["arguments"]["--meshplane-run"])
    assert (asked["job"], asked["arguments"]["--scriptLocation"]) == (JOB, f"s3://{NAMING.bucket('artifacts')}/platform/check.py")
    assert (told["use"], told["with"], told["writes"], told["reads"]) == ("check", {}, [], [{"table": "orders", "columns": []}])
    assert (run["run_id"], run["pipeline"], "--meshplane-gate" in asked["arguments"]) == (asked["run_id"], "", False)
    assert ask("look") == {"tables": []}, "it was asked for a moment ago"
    clock.at += timedelta(hours=4)
    assert ask("look") == {"tables": [{"project": "sales", "table": "orders"}]}, "and never came"


def test_a_bad_verdict_is_told_until_a_good_one_and_main_stays(
    world: Estate, clock: Hands, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    standing(world)
    monkeypatch.setattr("meshplane.aws.releases.Baseline.read", lambda found: None)
    before = world.heads()
    assert ask("look") == {"tables": []}, "its gate judged it today"
    clock.at += timedelta(days=2)
    bad = verdict(world, False, implied_key_unique={"outcome": "failed", "violations": 2})
    why = "implied_key_unique: 2 of 3 rows"
    assert pass_over(world, clock.at, bad, "States.TaskFailed") == {"project": "sales", "table": "orders", "why": why}
    assert looks_asked(world) == 1
    assert unhealthy_now(capsys) == 1
    assert ask("look") == {"tables": []}, "nothing has changed since"
    world.append("orders", 1, BRANCH, RUN)
    published(world)
    clock.at += timedelta(hours=1)
    assert pass_over(world, clock.at, verdict(world))["why"] == ""
    assert unhealthy_now(capsys) == 0
    clock.at += timedelta(days=30)
    assert ask("look") == {"tables": []}, "as it was at its last good verdict"
    assert before != world.heads(), "only the publication moved it"


def unhealthy_now(capsys: pytest.CaptureFixture[str]) -> int:
    """As the alarm's metric says."""
    capsys.readouterr()
    ask("count")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    [told] = [line["TablesUnhealthy"] for line in lines if "TablesUnhealthy" in line]
    return int(told[0])


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (lambda world: None, "it could not be judged: Glue.Fault"),
        (lambda world: verdict(world, digest="another"), "it was judged by other rules than those that are applied"),
        (lambda world: {**verdict(world), "verdicts": []}, "it could not be judged: Glue.Fault"),
    ],
)
def test_no_verdict_is_no_good_one(world: Estate, clock: Hands, monkeypatch: pytest.MonkeyPatch, record: Any, why: str) -> None:
    standing(world)
    monkeypatch.setattr("meshplane.aws.releases.Baseline.read", lambda found: None)
    clock.at += timedelta(days=2)
    assert pass_over(world, clock.at, record(world), "Glue.Fault")["why"] == why
    assert runs(world).watched("sales")["orders"]["unclear"] == why


def test_freshness_ages_by_the_clock_where_nothing_runs_and_recovers_by_a_publication(world: Estate, clock: Hands) -> None:
    world.table()
    world.state([judged(FRESH)])
    at = clock.at

    def seen(newest: datetime) -> dict[str, Any]:
        row = {"rule": "fresh", "severity": "warn", "outcome": "passed", "violations": 0, "rows": 3, "detail": "", "newest": iso(newest)}
        return {"results": [row]}

    published(world, **seen(at))
    clock.at = at + timedelta(hours=25)
    ask("look")
    assert runs(world).watched("sales")["orders"]["stale"] == ""
    clock.at = at + timedelta(hours=27)
    ask("look")
    why = f"fresh: the newest row is of {iso(at)}, and older than 1 day, 2:00:00"
    assert runs(world).watched("sales")["orders"]["stale"] == why
    assert ask("count") == {"unhealthy": {"sales": ["orders"]}}
    assert looks_asked(world) == 1
    published(world, **seen(clock.at))
    ask("look")
    assert ask("count") == {"unhealthy": {}}
    assert looks_asked(world) == 1


def test_what_the_watchdog_remembers_outlives_reconciles_and_not_a_wiped_state(world: Estate, clock: Hands) -> None:
    world.state([judged()])
    assert runs(world).watch("sales", "orders", {"broken": "why"})
    world.state([judged()])
    assert runs(world).watched("sales") == {"orders": {"broken": "why"}}
    states = DynamoStates(world.own("dynamodb"), NAMING.of("state_table"))
    assert states.peek("sales").watched == {"orders": {"broken": "why"}}
    assert not runs(world).watch("gone", "orders", {"broken": "why"})
    assert runs(world).watched("gone") == {}
