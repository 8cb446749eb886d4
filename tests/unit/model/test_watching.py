"""When a published table is judged again, what a verdict leaves, how freshness ages, and which refs are ours and old."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from meshplane.model.gating import GatedRule, GatedTable
from meshplane.model.publishing import PROPERTY
from meshplane.model.runs import Run
from meshplane.model.status import Condition
from meshplane.model.watching import (
    Watch,
    aged,
    branch_is_over,
    check_arguments,
    fresher,
    is_due,
    judged,
    old_refs,
    run_of_branch,
    unhealthy,
)
from meshplane.model.windows import iso
from meshplane.plan.conditions import Judged, with_watches

NOW = datetime(2030, 1, 10, tzinfo=UTC)
RULES = (GatedRule("key", "block"), GatedRule("fresh", "warn", within=3600))
GATE = GatedTable("orders", "db", "sales_orders", "d1", RULES, retention_days=5, writer="f01-sales-load-dev")
DAY = timedelta(days=1)


def raw(head: int | None = 7, age: timedelta = 2 * DAY, published: bool = True) -> dict[str, Any]:
    at = int((NOW - age).timestamp() * 1000)
    snapshots = [{"snapshot-id": head, "timestamp-ms": at, "summary": {}}] if head else []
    refs = {"main": {"snapshot-id": head, "type": "branch"}} if head else {}
    return {"snapshots": snapshots, "refs": refs, "properties": {PROPERTY: f'{{"snapshot": {head}}}'} if published and head else {}}


def at(**ago: float) -> str:
    return iso(NOW - timedelta(**ago))


GOOD = Watch(7, "d1", at(days=3), at(days=3))


@pytest.mark.parametrize(
    ("watch", "metadata", "gate", "due"),
    [
        (Watch(), raw(), GATE, True),
        (Watch(), raw(age=timedelta(hours=23)), GATE, False),  # its gate judged it today
        (Watch(), raw(head=None), GATE, False),
        (Watch(), raw(published=False), GATE, False),
        (Watch(), raw(), replace(GATE, writer=""), False),
        (GOOD, raw(), GATE, False),  # as it was at its last good verdict
        (GOOD, raw(head=8), GATE, True),
        (GOOD, raw(), replace(GATE, digest="d2"), True),
        (replace(GOOD, judged=at(hours=23)), raw(head=8), GATE, False),  # once a day
        (replace(GOOD, judged=at(hours=1), broken="why"), raw(head=8), GATE, True),  # a bad one at once
        (replace(GOOD, judged=at(hours=1), broken="why"), raw(), GATE, False),
        (replace(GOOD, judged=at(days=1), broken="why"), raw(), GATE, True),  # another table may have changed
        (replace(GOOD, judged=at(hours=1), unclear="why"), raw(), replace(GATE, digest="d2"), True),
        (replace(GOOD, asked=at(hours=2)), raw(head=8), GATE, False),  # somebody is at it
        (replace(GOOD, asked=at(hours=3)), raw(head=8), GATE, True),
    ],
)
def test_a_table_is_judged_when_it_changed_and_not_before(watch: Watch, metadata: Any, gate: GatedTable, due: bool) -> None:
    assert is_due(watch, gate, metadata, NOW) is due


def verdict(passed: bool = True, digest: str = "d1", **outcomes: str) -> dict[str, Any]:
    results = [
        {"rule": rule.name, "outcome": outcomes.get(rule.name, "passed"), "violations": 1, "rows": 9, "detail": "why"} for rule in RULES
    ]
    return {"passed": passed, "rules_digest": digest, "snapshot": 7, "results": results}


@pytest.mark.parametrize(
    ("told", "broken", "unclear"),
    [
        (verdict(), "", ""),
        (verdict(False, key="failed"), "key: 1 of 9 rows why", ""),
        (verdict(False, key="error"), "key: 1 of 9 rows why", ""),
        (verdict(True, key="failed"), "key: 1 of 9 rows why", ""),  # whoever wrote `passed` may have been wrong
        (verdict(False), "it holds no row", ""),
        (verdict(fresh="failed"), "", ""),  # a warning; how old it is, the clock tells
        (verdict(digest="d2"), "", "it was judged by other rules than those that are applied"),
        ({**verdict(), "results": verdict()["results"][:1]}, "", "it was judged by other rules than those that are applied"),
        (None, "", "it could not be judged: boom"),
    ],
)
def test_what_a_verdict_leaves(told: Any, broken: str, unclear: str) -> None:
    found = judged(Watch(), GATE, told, "boom", NOW)
    assert (found.broken, found.unclear, found.judged) == (broken, unclear, iso(NOW))
    assert (found.snapshot, found.digest) == ((7, "d1") if not unclear else (0, "")), "what was not judged is still to be judged"


def test_no_verdict_does_not_make_a_bad_one_good() -> None:
    bad = judged(Watch(), GATE, verdict(False, key="failed"), "", NOW)
    assert judged(bad, GATE, None, "boom", NOW).why == "key: 1 of 9 rows why; it could not be judged: boom"
    assert judged(bad, GATE, verdict(), "", NOW).why == ""


def test_freshness_goes_by_the_newest_time_that_a_verdict_saw() -> None:
    seen = fresher(Watch(), GATE, {"results": [{"rule": "fresh", "newest": at(minutes=30)}, {"rule": "key"}]})
    assert seen.newest == {"fresh": at(minutes=30)}
    assert fresher(seen, GATE, {"results": [{"rule": "fresh", "newest": at(hours=9)}]}) == seen, "it never goes back"
    assert aged(seen, GATE, NOW + timedelta(minutes=30)).stale == ""
    old = aged(seen, GATE, NOW + timedelta(minutes=31))
    assert old.stale == f"fresh: the newest row is of {at(minutes=30)}, and older than 1:00:00"
    assert aged(old, GATE, NOW).stale == ""
    observed = replace(GATE, rules=(GatedRule("fresh", "observe", within=3600),))
    assert aged(seen, observed, NOW + DAY).stale == ""


def test_the_check_is_the_writers_own_declaration_that_writes_nothing() -> None:
    description = {"project": "sales", "use": "merge", "with": {"a": 1}, "sql": "s3://x", "writes": [1], "reads": [2]}
    described = {**description, "tables": {"orders": {"gate": {"digest": "d1"}}, "orders_raw": {}}}
    told, why = check_arguments(described, GATE)
    assert (why, told["use"], told["with"], told["sql"], told["writes"]) == ("", "check", {}, "", [])
    assert (told["reads"], told["tables"]) == ([{"table": "orders", "columns": []}], described["tables"])
    assert check_arguments({**description, "tables": {}}, GATE)[1].startswith("the job f01-sales-load-dev carries other rules")
    assert check_arguments(described, replace(GATE, digest="d2"))[1].startswith("the job f01-sales-load-dev carries other rules")


def test_a_branch_is_named_after_one_run() -> None:
    runs = ["daily-20300101T000000-3f9c1b2a77", "daily"]
    assert run_of_branch("audit_daily_20300101T000000_3f9c1b2a77_0_0", runs) == runs[0]
    assert run_of_branch("audit_daily_20300101T000000_3f9c1b2a77_load_orders_2_0_0", runs) == runs[0]
    assert run_of_branch("audit_daily_load_0_1", runs) == "daily"
    assert run_of_branch("audit_daily_0_1", runs) == "daily", "as earlier releases named it"
    for foreign in ("audit_daily_20300101T000000_3f9c1b2a77_0_0_x", "audit_daily_x_0", "audit_weekly_0_0", "audit_daily", "daily_0_0"):
        assert run_of_branch(foreign, runs) == "", foreign


@pytest.mark.parametrize(
    ("run", "left", "over"),
    [
        ({"status": "FAILED", "ended": at(days=7, seconds=1)}, [], True),
        ({"status": "SUCCEEDED", "ended": at(days=7)}, [], False),
        ({"status": "RUNNING", "ended": ""}, [{"outputs": [], "ended": at(days=99)}], False),
        (None, [{"outputs": [], "ended": at(days=14, seconds=1)}], True),
        (None, [{"outputs": [], "ended": "", "started": at(days=14, seconds=1)}], True),
        (None, [{"outputs": [], "ended": at(days=99)}, {"outputs": [], "ended": at(days=1)}], False),
        (None, [{"tables": [], "ended": at(days=99)}], False),
        (None, [], False),
    ],
)
def test_a_branch_is_over_once_nobody_goes_on_with_its_run(run: Any, left: Any, over: bool) -> None:
    record = Run("r", "sales", "daily", trigger="", kind="files", created="", **run) if run else None
    assert branch_is_over(record, left, NOW) is over


def test_only_refs_named_as_ours_and_old_are_looked_at() -> None:
    told = raw(head=9, age=timedelta(hours=1))
    told["snapshots"] += [
        {"snapshot-id": n, "timestamp-ms": int((NOW - days * DAY).timestamp() * 1000)} for n, days in ((1, 9), (2, 6), (3, 4))
    ]
    told["properties"] = {PROPERTY: '{"snapshot": 1}'}
    tags = {f"validated-{n}": {"snapshot-id": n, "type": "tag"} for n in (1, 2, 3, 9)}
    told["refs"] |= tags | {"release": {"snapshot-id": 2, "type": "tag"}, "validated-7": {"snapshot-id": 2, "type": "tag"}}
    told["refs"] |= {name: {"snapshot-id": n, "type": "branch"} for name, n in (("audit_a_0_0", 1), ("audit_b_0_0", 2), ("mine", 1))}
    assert old_refs(told, GATE, NOW) == ("audit_a_0_0", "validated-2"), "not 1: that was published last; not 3: it is kept for five days"


def test_the_status_names_the_first_thing_that_is_wrong() -> None:
    well = Judged(
        (
            Condition("Synced", "True", "Applied", ""),
            Condition("Healthy", "True", "AllStand", ""),
            Condition("Drifted", "False", "NoDrift", ""),
        )
    )
    gates = {name: GATE.to_json() for name in ("orders", "items")}
    for field, reason in (("broken", "RulesBroken"), ("unclear", "NotJudged"), ("stale", "NotFresh")):
        told = with_watches(well, {"orders": Watch.of({field: "why"}).to_json(), "items": Watch().to_json()}, gates)
        healthy = told.conditions[1]
        assert (healthy.status, healthy.reason, healthy.message) == ("False", reason, "orders: why")
        assert healthy.object == "iceberg_table:db.sales_orders"
        assert told.to_do
    assert with_watches(well, {"orders": Watch().to_json()}, gates) == well
    gone = {"orders": Watch(broken="why").to_json()}
    assert with_watches(well, gone, {}) == well, "no longer published"
    assert unhealthy(gone, {"orders"}).keys() == {"orders"}
    missing = replace(well, conditions=(well.conditions[0], Condition("Healthy", "False", "Missing", "x"), well.conditions[2]))
    assert with_watches(missing, gone, gates) == missing, "what is missing is said first"
