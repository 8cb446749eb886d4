"""Which state of a table a person may choose, decided on metadata as plain data; over real files it is tests/aws/test_restoring.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from meshplane.errors import RestoreRefused
from meshplane.model.gating import AppliedGates, GatedTable
from meshplane.model.publishing import PROPERTY
from meshplane.model.restoring import (
    Choice,
    Rebuild,
    RollBack,
    arrived,
    base,
    check_restore,
    choice,
    previous,
    stands,
    tagged,
    undone,
    way_back,
)

GATE = GatedTable("orders", "db", "sales_orders", "today", ())
ASKED = RollBack("sales", "orders", 2, 4, "roll-back-1", "somebody")
REQUEST = {"project": "sales", "table": "orders", "snapshot": "2", "seen": "4", "id": "roll-back-1", "by": "somebody"}


def table(main: int, published: int, *operations: str, **properties: Any) -> dict[str, Any]:
    """Snapshots 1, 2, … one on the other, by runs r1, r2, …; each appended one carries its tag."""
    made = [
        {
            "snapshot-id": number,
            "parent-snapshot-id": number - 1 or None,
            "timestamp-ms": number,
            "summary": {
                "operation": operation,
                "total-records": str(number - operations[:number].count("replace")),  # a compaction holds the rows of its parent
                **({"run_id": f"r{number}"} if operation == "append" else {}),
            },
        }
        for number, operation in enumerate(operations, 1)
    ]
    tags = {f"validated-{n}": {"type": "tag", "snapshot-id": n} for n, operation in enumerate(operations, 1) if operation == "append"}
    told = json.dumps({"snapshot": published, **properties})
    return {"snapshots": made, "refs": {"main": {"type": "branch", "snapshot-id": main}, **tags}, "properties": {PROPERTY: told}}


def notes(number: int, **more: Any) -> list[Mapping[str, Any]]:
    """The publish record of run r<number>."""
    tables = [{"table": "orders", "snapshot": number, "digest": "today"}]
    named = {"run_id": f"r{number}", "step": "load", "pipeline": "daily", "started": "1", "ended": "2"}
    return [{"state": "done", **named, "tables": tables, **more}]


FOUR = ("append", "append", "append", "append")


def known(raw: Mapping[str, Any]) -> Any:
    return lambda number: choice(raw, GATE, number, notes(number))


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (table(4, 4, *FOUR), 3),
        (table(5, 4, *FOUR, "replace"), 3),
        (table(5, 4, *FOUR, "overwrite"), 4),  # a commit past the gate: what was published last
        (table(2, 2, *FOUR, restored="x"), 1),  # rolled back already
        (table(1, 1, *FOUR), None),
    ],
    ids=["published", "compacted", "past the gate", "rolled back", "the first"],
)
def test_previous_is_the_published_state_below_what_readers_see(raw: dict[str, Any], wanted: int | None) -> None:
    found = previous(raw, known(raw))
    assert (found.snapshot if found else None) == wanted


def test_the_way_back_is_found_where_a_snapshot_between_has_expired() -> None:
    raw = table(5, 5, "append", "append", "append", "replace", "append")
    assert way_back(raw) == 3
    assert way_back({**raw, "snapshots": [one for one in raw["snapshots"] if one["snapshot-id"] != 4]}) == 3
    assert way_back(table(2, 2, "append", "append", "append")) == 1, "3 was rolled back"
    assert way_back(table(1, 1, "append")) is None


def test_previous_passes_by_what_no_record_names() -> None:
    raw = table(4, 4, *FOUR)
    found = previous(raw, lambda number: known(raw)(number) if number < 3 else None)
    assert found
    assert found.snapshot == 2


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (notes(2, state="intent"), "it was not finished"),
        (notes(2, tables=[{"table": "items", "snapshot": 2, "digest": "today"}]), "it is of another table"),
        (notes(3), "it is of another snapshot"),
        (notes(2, tables=[{"table": "orders", "snapshot": "2", "digest": "today"}]), "a text is no snapshot"),
        ([], "there is none"),
    ],
)
def test_a_record_that_does_not_name_the_snapshot_makes_no_choice(record: list[Mapping[str, Any]], why: str) -> None:
    raw = table(4, 4, *FOUR)
    assert choice(raw, GATE, 2, record) is None, why
    reasons = check_restore(ASKED, AppliedGates(), raw, record, ())
    assert [reason for reason in reasons if "a tag alone proves nothing" in reason], why


def test_a_choice_tells_its_rules() -> None:
    raw = table(4, 4, *FOUR)
    results = [{"rule": "positive", "outcome": "passed"}, {"rule": "fresh", "outcome": "failed"}]
    record = json.dumps({"verdicts": [{"table": "orders", "snapshot": 2, "results": results}, {"table": "items", "snapshot": 2}]})
    found = choice(raw, GATE, 2, notes(2), record)
    assert found == Choice(2, "2", "r2", "daily", "load", "today", 2, {"positive": "passed", "fresh": "failed"}, True, False)
    unread = choice(raw, GATE, 4, notes(4), "not JSON")
    assert unread
    assert (unread.rules, unread.read) == ({}, True)
    other = choice(raw, GATE, 2, notes(2, tables=[{"table": "orders", "snapshot": 2, "digest": "older"}]))
    assert other
    assert (other.todays, other.to_json()["snapshot"]) == (False, "2")


def test_only_tags_of_ours_on_snapshots_that_are_there_are_looked_at() -> None:
    raw = table(4, 4, *FOUR)
    raw["refs"] |= {
        "validated-1": {"type": "tag", "snapshot-id": 3},
        "validated-2": {"type": "branch", "snapshot-id": 2},
        "validated-9": {"type": "tag", "snapshot-id": 9},
        "release-3": {"type": "tag", "snapshot-id": 3},
    }
    assert tagged(raw) == (4, 3)


def test_every_reason_at_once_and_none_without_one() -> None:
    raw = table(4, 4, *FOUR)
    assert check_restore(ASKED, AppliedGates(), raw, notes(2), ("r9",)) == ()
    raw["refs"] |= {"audit_r9_0_0": {"type": "branch", "snapshot-id": 4}, "main": {"type": "branch", "snapshot-id": 3}}
    del raw["refs"]["validated-2"]
    reasons = check_restore(ASKED, AppliedGates("draining"), raw, notes(2), ("r9", "r8"))
    assert [
        word for word in ("is draining", "has no tag", "main is at 3 now", "r9 is writing") if not any(word in r for r in reasons)
    ] == []
    assert len(reasons) == 4


def test_another_runs_branch_is_not_the_open_runs() -> None:
    raw = table(4, 4, *FOUR)
    raw["refs"]["audit_r99_0_0"] = {"type": "branch", "snapshot-id": 4}
    assert check_restore(ASKED, AppliedGates(), raw, notes(2), ("r9",)) == ()


def test_what_a_request_has_moved_it_knows_again() -> None:
    assert stands(ASKED, table(2, 2, *FOUR, restored="roll-back-1"))
    assert stands(ASKED, {**table(5, 2, *FOUR, restored="roll-back-1"), "snapshots": _compacted()})
    assert not stands(ASKED, table(2, 2, *FOUR, restored="roll-back-2")), "somebody else's"
    assert not stands(ASKED, table(4, 4, *FOUR, restored="roll-back-1")), "a run has published since"
    assert not stands(ASKED, {**table(2, 2, *FOUR), "properties": {PROPERTY: "no JSON"}})


def _compacted() -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = table(4, 4, *FOUR)["snapshots"]
    return [*made, {"snapshot-id": 5, "parent-snapshot-id": 2, "summary": {"operation": "replace", "total-records": "2"}}]


def test_the_runs_that_are_undone_are_those_above_it() -> None:
    raw = table(5, 4, *FOUR, "replace")
    assert undone(raw, 2) == ("r4", "r3")
    assert undone(table(2, 2, *FOUR), 4) == (), "the way forward undoes nothing"
    assert base(raw) == 4


@pytest.mark.parametrize("change", [{"snapshot": ""}, {"snapshot": "-1"}, {"seen": "main"}, {"table": ""}, {"project": "a/b"}, {"id": ""}])
def test_a_request_that_lacks_something_says_what(change: dict[str, str]) -> None:
    assert RollBack.read(REQUEST) == ASKED
    with pytest.raises(RestoreRefused, match=next(iter(change))):
        RollBack.read({**REQUEST, **change})


def test_a_rebuild_tells_all_that_is_wrong() -> None:
    good = {"project": "sales", "table": "orders", "pipeline": "daily", "from": "2026-11-20", "until": "2026-11-21T06:00:00+02:00"}
    made = Rebuild.read({**good, "id": "rebuild-1", "at": "2026-11-22T00:00:00Z"})
    assert json.loads(made.param()) == {"table": "orders", "from": "2026-11-20T00:00:00Z", "until": "2026-11-21T04:00:00Z"}
    with pytest.raises(RestoreRefused) as refused:
        Rebuild.read({**good, "pipeline": "", "until": "2026-11-20"})
    assert len(refused.value.reasons) == 2


@pytest.mark.parametrize(("start", "end"), [("", ""), ("2026-11-20", ""), ("20 November", "2026-11-21"), ("2026-11-21", "2026-11-20")])
def test_what_is_no_window(start: str, end: str) -> None:
    with pytest.raises(ValueError, match=r"allowed are days|before it begins"):
        arrived(start, end)
