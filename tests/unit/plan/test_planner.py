"""The planner's ladders as a table: what is wanted, what is seen, what is to be done, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from meshplane.errors import Denied
from meshplane.model.project import Policy
from meshplane.model.resource import Effect
from meshplane.plan.digest import digest
from meshplane.plan.planner import AT_REST, Action, Known, Plan, Sight, Verb, known_marks, plan, removed_roots
from tests.unit.plan.toys import KINDS, THEM, US, an_id, desired, seen, want


def made(wants: list[Any], sees: list[Any], **more: Any) -> Plan:
    unread = more.pop("unread", {})
    return plan(desired(*wants), Sight(tuple(sees), unread), owner=US, kinds=KINDS, **more)


def only(wants: list[Any], sees: list[Any], **more: Any) -> Action:
    actions = made(wants, sees, **more).actions
    assert len(actions) == 1
    return actions[0]


SAME = Known(digest(want("thing:t", a="1").spec), "m1")

LADDER = [
    ([want("thing:t", a="1")], [], {}, Verb.CREATE, "what is not there is made"),
    ([want("thing:t", a="1")], [seen("thing:t", a="1")], {}, Verb.NONE, "equal is left alone"),
    ([want("thing:t", a="1")], [seen("thing:t", a="2")], {}, Verb.UPDATE, "different is changed in place"),
    ([want("thing:t", a="1")], [seen("thing:t", unread=True)], {}, Verb.NONE, "an unread body with a known mark is unchanged"),
    ([want("thing:t", a="1")], [seen("thing:t", owner=THEM, a="1")], {}, Verb.CONFLICT, "what is not ours is never touched, even if equal"),
    ([want("thing:t", a="1")], [seen("thing:t", owner=None, a="1")], {}, Verb.CONFLICT, "nor is what belongs to nobody"),
    (
        [want("thing:t", a="1")],
        [seen("thing:t", owner=None, a="1")],
        {"policy": Policy(adopt="named")},
        Verb.CLAIM,
        "unless policy adopts it",
    ),
    ([want("thing:t", a="1")], [seen("thing:t", busy="DELETING")], {}, Verb.WAIT, "what is busy is waited for"),
    ([want("thing:t", refused="no such type")], [], {}, Verb.BLOCKED, "what cannot be is refused before a look"),
    ([want("thing:t", waits="finance.x is not published")], [], {}, Verb.WAIT, "a stated wait is one"),
    ([want("thing:t", a="narrow")], [seen("thing:t", a="wide")], {}, Verb.BLOCKED, "what cannot be done to what stands there is refused"),
    ([want("thing:t", a="1")], [seen("thing:t", resting=True, a="1")], {}, Verb.UPDATE, "what rests is taken up again"),
    ([], [seen("thing:t", a="1")], {}, Verb.REST, "an undeclared table rests"),
    ([], [seen("thing:t", resting=True, a="1")], {}, Verb.NONE, "one that rests stays so"),
    ([], [seen("tool:t", a="1")], {}, Verb.DELETE, "an undeclared job goes"),
    ([], [seen("tool:t", busy="DELETING")], {}, Verb.WAIT, "a job on its way out is waited for"),
    (
        [],
        [seen("thing:t", unread=True)],
        {"inventory": {an_id("thing:t"): Known(AT_REST, "m1")}},
        Verb.NONE,
        "an unread body that was at rest still is",
    ),
]


@pytest.mark.parametrize(("wants", "sees", "more", "verb", "why"), LADDER, ids=[row[-1] for row in LADDER])
def test_the_ladder(wants: list[Any], sees: list[Any], more: dict[str, Any], verb: Verb, why: str) -> None:
    assert only(wants, sees, **more).verb is verb, why


def test_undeclared_things_of_others_are_not_even_listed() -> None:
    assert made([], [seen("tool:t", owner=THEM), seen("tool:u", owner=None)]).actions == ()


def test_a_conflict_names_the_holder() -> None:
    assert "finance" in only([want("thing:t")], [seen("thing:t", owner=THEM)]).reason


def test_the_effect_is_the_worst_of_the_differences() -> None:
    action = only([want("thing:t", a="1", type="int", data="x")], [seen("thing:t", a="0", type="long", data="x")])
    assert action.effect is Effect.BREAKING
    assert [d.field for d in action.differences] == ["a", "type"]


DRIFT = [
    ([seen("thing:t", a="2")], {an_id("thing:t"): SAME}, True, "the manifest is as it was applied, so the world changed"),
    ([], {an_id("thing:t"): SAME}, True, "it was applied and is gone"),
    ([seen("thing:t", a="2")], {an_id("thing:t"): Known("other")}, False, "the manifest changed"),
    ([seen("thing:t", a="2")], {}, False, "after a state wipe nothing is known"),
]


@pytest.mark.parametrize(("sees", "inventory", "drift", "why"), DRIFT, ids=[row[-1] for row in DRIFT])
def test_drift_is_a_difference_without_a_change_of_ours(sees: list[Any], inventory: Any, drift: bool, why: str) -> None:
    assert only([want("thing:t", a="1")], sees, inventory=inventory).drift is drift, why


WITHHELD = [
    (Policy(drift="report"), "policy.drift is report"),
    (Policy(manage=("observe",)), "policy.manage has no update"),
    (Policy(manage=("observe", "create", "delete")), "policy.manage has no update"),
    (Policy(), ""),
]


@pytest.mark.parametrize(("policy", "said"), WITHHELD)
def test_policy_withholds(policy: Policy, said: str) -> None:
    action = only([want("thing:t", a="1")], [seen("thing:t", a="2")], inventory={an_id("thing:t"): SAME}, policy=policy)
    assert (action.verb, action.withheld, action.writes) == (Verb.UPDATE, said, not said)


@pytest.mark.parametrize("of", ["tool:t", "thing:t"])
def test_no_delete_keeps_jobs_and_tables_as_they_are(of: str) -> None:
    policy = Policy(manage=("observe", "create", "update"))
    assert only([], [seen(of)], policy=policy).withheld == "policy.manage has no delete"


def test_removals_come_last_and_from_the_highest_kind_down() -> None:
    sees = [seen("base:b"), seen("tool:t"), seen("trigger:x"), seen("thing:y")]
    actions = made([want("trigger:new")], sees).actions
    assert [str(action.id) for action in actions] == ["trigger new", "trigger x", "tool t", "thing y", "base b"]


def test_a_kind_that_cannot_be_listed_is_unknown_never_empty() -> None:
    denied = Denied("glue:GetTables: no")
    wanted = only([want("thing:t")], [], unread={"thing": denied})
    assert (wanted.verb, wanted.error) == (Verb.WAIT, "Denied")
    unwanted = only([], [], unread={"thing": denied})
    assert (unwanted.verb, unwanted.id.name) == (Verb.WAIT, "*"), "something undeclared may stand there: a removal must not end"


def test_the_digest_names_the_decisions() -> None:
    wants, sees = [want("thing:t", a="1", type="int")], [seen("thing:t", a="0", type="long")]
    first = made(wants, sees)
    assert first.digest.startswith("plan-")
    assert len(first.digest) == len("plan-3f9c1b2a")
    assert made(wants, sees).digest == first.digest, "the same decisions have the same name"
    assert made([*wants, want("tool:w", waits="a neighbour")], sees).digest == first.digest, "a wait decides nothing"
    assert made([*wants, want("base:n")], [*sees, seen("base:n")]).digest == first.digest, "nor does what stays the same"
    assert made(wants, [seen("thing:t", a="9", type="long")]).digest != first.digest, "the world moved"


def test_marks_are_passed_on_only_while_the_want_is_as_it_was() -> None:
    inventory = {
        an_id("thing:same"): Known(digest(want("thing:same", a="1").spec), "m1"),
        an_id("thing:changed"): Known("other", "m2"),
        an_id("thing:unmarked"): Known(digest(want("thing:unmarked").spec), ""),
        an_id("thing:resting"): Known(AT_REST, "m3"),
        an_id("thing:back"): Known(AT_REST, "m4"),
        an_id("tool:gone"): Known("applied", "m5"),
    }
    wants = desired(want("thing:same", a="1"), want("thing:changed", a="2"), want("thing:unmarked"), want("thing:back"))
    assert known_marks(wants, inventory) == {an_id("thing:same"): "m1", an_id("thing:resting"): "m3"}


def test_an_action_is_json() -> None:
    action = only([want("thing:t", ["base:b"], a="1"), want("base:b")][:1], [seen("thing:t", a="2", extra=("column x",))])
    told = action.to_json()
    assert told["differences"] == [{"field": "a", "was": "2", "wanted": "1", "effect": "safe", "note": ""}]
    assert (told["verb"], told["needs"], told["extra"]) == ("update", ["base:b"], ["column x"])


def test_what_lies_beneath_a_removal_counts_with_it() -> None:
    names = ["thing:db.t", "tool:db.t/compaction", "tool:db.t/retention", "tool:lonely"]
    assert removed_roots([Action(Verb.REST, an_id(name)) for name in names]) == 2


def test_a_retry_key_begins_anew_when_want_or_world_changes() -> None:
    one = only([want("thing:t", a="1")], [seen("thing:t", a="2")])
    assert one.key == only([want("thing:t", a="1")], [seen("thing:t", a="2", mark="m9")]).key
    assert one.key != only([want("thing:t", a="1")], [seen("thing:t", a="3")]).key
    assert one.key != only([want("thing:t", a="4")], [seen("thing:t", a="2")]).key
    assert replace(one, reason="x").key == one.key


class TestAProjectThatWasRenamed:
    """As far as can be seen: none of its tables stands, and all of them rest with one removed project."""

    @staticmethod
    def verbs(monkeypatch: pytest.MonkeyPatch, sees: list[Any], *names: str) -> list[tuple[Verb, Effect | None]]:
        monkeypatch.setattr(type(KINDS[0]), "holds_data", True, raising=False)
        wants = [want(f"thing:db.{US.project}_{name}", a="1") for name in names]
        return [(action.verb, action.effect) for action in made(wants, sees).actions]

    def test_it_is_a_decision(self, monkeypatch: pytest.MonkeyPatch) -> None:
        left = [seen(f"thing:db.{THEM.project}_{name}", owner=THEM, resting=True, unread=True) for name in ("a", "b", "c")]
        assert self.verbs(monkeypatch, left, "a", "b") == [(Verb.CREATE, Effect.BREAKING)] * 2

    def test_one_table_of_its_own_makes_it_a_project_of_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        left = [seen(f"thing:db.{THEM.project}_a", owner=THEM, resting=True, unread=True)]
        assert self.verbs(monkeypatch, left, "a", "own") == [(Verb.CREATE, Effect.ADDITIVE)] * 2

    def test_tables_that_are_in_use_are_another_projects(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.verbs(monkeypatch, [seen(f"thing:db.{THEM.project}_a", owner=THEM, a="1")], "a") == [(Verb.CREATE, Effect.ADDITIVE)]

    def test_once_a_table_stands_nothing_is_asked_any_more(self, monkeypatch: pytest.MonkeyPatch) -> None:
        left = [seen(f"thing:db.{THEM.project}_{name}", owner=THEM, resting=True, unread=True) for name in ("a", "b")]
        own = seen(f"thing:db.{US.project}_a", a="1")
        assert self.verbs(monkeypatch, [*left, own], "a", "b") == [(Verb.NONE, None), (Verb.CREATE, Effect.ADDITIVE)]
