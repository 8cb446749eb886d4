"""What is held, what an approval lets go on, and what no approval helps."""

from __future__ import annotations

from typing import Any

import pytest

from meshplane.plan.guard import guard
from meshplane.plan.planner import Plan, Sight, plan
from tests.unit.plan.toys import KINDS, US, desired, seen, want


def made(wants: list[Any], sees: list[Any]) -> Plan:
    return plan(desired(*wants), Sight(tuple(sees)), owner=US, kinds=KINDS)


BREAKING = made([want("thing:t", type="int")], [seen("thing:t", type="long")])
TWICE = made([want("thing:t", type="int"), want("thing:u", data="x")], [seen("thing:t", type="long"), seen("thing:u", data="y")])
HARMLESS = made([want("thing:t", a="1"), want("tool:n")], [seen("thing:t", a="2")])


def of_jobs(gone: int, kept: int) -> Plan:
    return made(
        [want(f"tool:k{n}") for n in range(kept)], [seen(f"tool:k{n}") for n in range(kept)] + [seen(f"tool:g{n}") for n in range(gone)]
    )


def test_additive_and_safe_changes_need_nobody() -> None:
    assert guard(HARMLESS).held == ()


def test_a_breaking_change_is_held_and_told() -> None:
    verdict = guard(BREAKING)
    assert (verdict.held, verdict.approvable) == (("thing t: type: long → int",), True)


@pytest.mark.parametrize("approve", ["plan-00000000", "", TWICE.digest])
def test_the_approval_of_another_plan_helps_nothing(approve: str) -> None:
    assert guard(BREAKING, approve).held


def test_an_approval_lets_exactly_this_plan_go_on_and_is_remembered_until_it_is_done() -> None:
    verdict = guard(TWICE, TWICE.digest)
    assert (verdict.held, len(verdict.approved)) == ((), 2)
    rest = made([want("thing:t", type="int"), want("thing:u", data="x")], [seen("thing:t", type="int"), seen("thing:u", data="y")])
    assert rest.digest != TWICE.digest
    assert guard(rest, TWICE.digest).held, "without memory half a plan would be held for ever"
    assert guard(rest, TWICE.digest, verdict.approved).held == ()
    assert guard(BREAKING, TWICE.digest, {"something else"}).held


def test_what_cannot_be_is_not_a_matter_of_approval() -> None:
    blocked = made([want("thing:t", refused="decimal(40,2) is not possible")], [])
    verdict = guard(blocked, blocked.digest)
    assert (verdict.held, verdict.approvable) == (("thing t: decimal(40,2) is not possible",), False)


BUDGET = [
    (5, 0, False, "five may always go"),
    (6, 0, True, "six of six is a mass removal"),
    (6, 24, False, "six of thirty is a fifth"),
    (7, 24, True, "seven of thirty-one is more"),
]


@pytest.mark.parametrize(("gone", "kept", "held", "why"), BUDGET, ids=[row[-1] for row in BUDGET])
def test_the_prune_budget(gone: int, kept: int, held: bool, why: str) -> None:
    plan = of_jobs(gone, kept)
    assert bool(guard(plan).held) is held, why
    assert guard(plan, plan.digest).held == ()
    assert guard(plan, removing=True).held == (), "the delete marker is the author's word"


def test_a_tables_optimizers_do_not_count_beside_it() -> None:
    tables = [f"thing:db.t{n}" for n in range(5)]
    optimizers = [f"tool:db.t{n}/{kind}" for n in range(5) for kind in ("compaction", "retention", "orphans")]
    assert guard(made([], [seen(name) for name in (*tables, *optimizers)])).held == ()


def test_what_only_watches_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline that goes takes its alarm along: that is no mass removal."""
    gone = made([], [seen(f"{kind}:x{n}") for kind in ("thing", "tool") for n in range(4)])
    assert guard(gone).held != ()
    monkeypatch.setattr("meshplane.plan.planner.WATCHING", frozenset({"tool"}))
    assert guard(gone).held == ()
