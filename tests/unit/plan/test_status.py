"""Three axes, a reason from the closed list, a sentence that does not flap; and what the next reconcile remembers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from meshplane.errors import Conflict, Denied, ManifestInvalid, NotReady, Problem
from meshplane.flows.converge import remember
from meshplane.model.release import Release
from meshplane.model.resource import Provenance
from meshplane.model.status import Condition, timeless
from meshplane.plan.conditions import judge, status, unjudged
from meshplane.plan.guard import Verdict, guard
from meshplane.plan.outcome import Outcome, State
from meshplane.plan.planner import Known, Plan, Sight, plan
from meshplane.plan.record import Record
from meshplane.plan.retry import Failure
from tests.unit.plan.toys import KINDS, US, an_id, desired, seen, want


def made(wants: list[Any], sees: list[Any], **more: Any) -> Plan:
    return plan(desired(*wants), Sight(tuple(sees), more.pop("unread", {})), owner=US, kinds=KINDS, **more)


def judged(plan: Plan, *states: tuple[State, str, str], wrote: bool = False, stalled: bool = False) -> Any:
    outcomes = [Outcome(action, *state) for action, state in zip(plan.actions, states, strict=True)]
    return judge(plan, guard(plan), outcomes, outcomes if wrote else (), frozenset(a.key for a in plan.actions) if stalled else frozenset())


NEW = made([want("thing:t", a="1")], [])
ROWS = [
    ((State.DONE, "", ""), ("True", "Applied"), ("True", "AllStand"), "all is done"),
    ((State.FAILED, "Denied", "glue:CreateTable"), ("False", "Denied"), ("False", "Missing"), "a denial is the operator's"),
    ((State.WAITING, "Waiting", "for a neighbour"), ("False", "Waiting"), ("False", "Missing"), "a wait is no error"),
    ((State.SKIPPED, "InProgress", "time"), ("False", "InProgress"), ("False", "Missing"), "time was up"),
    ((State.AGAIN, "ServiceFault", "?"), ("False", "InProgress"), ("False", "Missing"), "uncertain is not failed"),
    ((State.WITHHELD, "Paused", "policy.manage has no create"), ("False", "Paused"), ("False", "Missing"), "policy says no"),
]


@pytest.mark.parametrize(("state", "synced", "healthy", "why"), ROWS, ids=[row[-1] for row in ROWS])
def test_the_conditions(state: Any, synced: Any, healthy: Any, why: str) -> None:
    found = judged(NEW, state).conditions
    assert [(c.status, c.reason) for c in found] == [synced, healthy, ("False", "NoDrift")], why


def test_a_stalled_action_is_told_before_others() -> None:
    two = made([want("thing:t"), want("tool:u")], [])
    found = judge(two, Verdict(), [Outcome(a, State.FAILED, "Denied", "no") for a in two.actions], (), frozenset({two.actions[1].key}))
    assert (found.conditions[0].reason, found.blocking) == ("Stalled", "tool u")
    assert "manifest" in found.to_do


def test_drift_says_which_field_what_it_was_and_is() -> None:
    inventory = {an_id("thing:t"): replace(Known("", ""), fingerprint=NEW.actions[0].fingerprint)}
    drifted = made([want("thing:t", a="1")], [seen("thing:t", a="2")], inventory=inventory)
    healed = judged(drifted, (State.DONE, "", ""), wrote=True)
    reported = judged(drifted, (State.WITHHELD, "Paused", "policy.drift is report"))
    for found, truth in ((healed, "False"), (reported, "True")):
        assert [(d.object, d.field, d.was, d.is_, d.healed) for d in found.drift] == [("thing t", "a", "1", "2", truth == "False")]
        assert found.conditions[2].status == truth
        assert found.conditions[0].status == "True", "drift is another axis than what the manifest asks for"


def test_what_somebody_added_is_reported() -> None:
    found = judged(made([want("thing:t", a="1")], [seen("thing:t", a="1", extra=("column x",))]), (State.DONE, "", ""))
    assert found.added == ("thing t: column x",)
    assert (found.conditions[2].status, found.conditions[0].status) == ("True", "True")


def test_what_the_data_brought_is_told_and_no_drift() -> None:
    made_of = made([want("thing:t", a="1")], [seen("thing:t", a="1")])
    brought = replace(made_of, actions=(replace(made_of.actions[0], brought=("column channel string",)),))
    found = judged(brought, (State.DONE, "", ""))
    assert (found.added, found.brought) == ((), ("thing t: column channel string",))
    assert (found.conditions[2].status, found.conditions[0].status) == ("False", "True")
    assert "\nbrought by the data: thing t: column channel string\n" in status("sales", "dev", found).text()
    action = brought.actions[0]
    for told, mark in ((action, ""), (replace(action, brought=()), "m1")):  # it is looked at again, so that it is told again
        assert remember({}, [Outcome(told, State.DONE, mark="m1")])[told.id].mark == mark


def test_unread_is_unknown() -> None:
    found = judged(made([want("thing:t")], [], unread={"thing": Denied("no")}), (State.FAILED, "Denied", "no"))
    assert [c.status for c in found.conditions] == ["False", "Unknown", "Unknown"]


def test_a_held_plan_names_its_digest() -> None:
    plan = made([want("thing:t", type="int")], [seen("thing:t", type="long")])
    found = judge(plan, guard(plan), ())
    assert (found.conditions[0].reason, found.plan, found.blocking) == ("Held", plan.digest, "thing t")
    assert plan.digest in found.to_do


ERRORS = [
    (ManifestInvalid([Problem("x", "wrong")]), "False", "ManifestInvalid"),
    (NotReady("no baseline"), "False", "Waiting"),
    (Denied("s3:GetObject"), "Unknown", "Denied"),
    (Conflict("changed"), "Unknown", "Conflict"),
]


@pytest.mark.parametrize(("error", "truth", "reason"), ERRORS, ids=[row[-1] for row in ERRORS])
def test_without_a_plan_the_other_axes_stay_as_last_seen(error: Any, truth: str, reason: str) -> None:
    before = {"Healthy": Condition("Healthy", "True", "AllStand", "all")}
    found = unjudged(error, before).conditions
    assert (found[0].status, found[0].reason) == (truth, reason)
    assert found[1] == before["Healthy"]
    assert found[2].status == "Unknown"


def test_a_reason_outside_the_list_is_refused() -> None:
    with pytest.raises(ValueError, match="Whatever"):
        Condition("Synced", "True", "Whatever", "")


def test_the_text_holds_every_problem_as_validate_prints_it() -> None:
    problem = Problem("type", "no such type", "tables.t", "projects/sales/project.yaml", 3, 5, "decimal(40,2)", "p ≤ 38", "decimal(38,2)")
    document = status("sales", "dev", unjudged(ManifestInvalid([problem])), problems=(problem,))
    assert str(problem) in document.text()
    assert "1 problem. Nothing was changed." in document.text()
    assert document.to_json()["problems"][0]["line"] == 3


def test_times_are_not_what_an_author_reads() -> None:
    found = judged(NEW, (State.DONE, "", ""))
    early, late = (status("sales", "dev", found, last_verified=at, last_attempted=at).to_json() for at in ("1", "2"))
    assert timeless(early) == timeless(late) != early
    assert {"observedVersion", "lastApplied", "lastVerified", "nextRetry", "whatToDo"} <= set(early)


def test_a_record_survives_its_store() -> None:
    record = Record(
        "sales",
        release=Release("d", {"a.py": "1"}, {"lib/": "2"}, {"x==1": ("x.whl",)}, Provenance("abc", "me", "here")),
        loose={"a.py": ("etag", "sha")},
        inventory={an_id("thing:t"): Known("f", "m")},
        failures={"k": Failure("Denied", 2, False, "no", "2030-01-01T00:00:00Z")},
        settling={"base:b": "2030-01-01T00:00:00Z"},
        approved=("k",),
        manage=("observe",),
        while_running="stop",
        files_due="2030-01-02T00:00:00Z",
        published="x",
    )
    assert Record.of("sales", json.loads(json.dumps(record.memory()))) == record
    assert Record.of("sales", {}) == Record("sales")
