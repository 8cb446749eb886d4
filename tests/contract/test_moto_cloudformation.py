"""The repair of moto's CloudFormation beside moto's own behaviour."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.probes import Answers, answered


@pytest.fixture(scope="module")
def both() -> tuple[Answers, Answers]:
    return answered("cloudformation_probe.py", "vanilla"), answered("cloudformation_probe.py", "repaired")


@pytest.mark.parametrize(
    ("question", "vanilla", "repaired"),
    [
        ("without_auto_expand", "made", {"error": "InsufficientCapabilitiesException"}),
        ("same_change_set", "made", {"error": "AlreadyExistsException"}),
        ("create_again", "made", {"error": "ValidationError"}),
        ("nothing_executed", "UPDATE_COMPLETE", {"error": "ValidationError"}),
        ("resources", ["", "Other"], ["Group", "Other"]),
        ("wrong_template", {"raised": "JSONDecodeError"}, ["FAILED", "UNAVAILABLE"]),
        ("rolled_back", "CREATE_COMPLETE", "ROLLBACK_COMPLETE"),
        ("left_behind", True, False),
        ("deleted", ["g"], []),
    ],
)
def test_stack_repair(both: tuple[Answers, Answers], question: str, vanilla: Any, repaired: Any) -> None:
    assert both[0][question] == vanilla, "moto has changed: see whether the repair can go"
    assert both[1][question] == repaired


def test_what_the_repair_must_leave_as_it_is(both: tuple[Answers, Answers]) -> None:
    for answers in both:
        assert answers["update_of_nothing"] == {"error": "ValidationError"}
        assert answers["first_changes"] == ["CREATE_COMPLETE", "AVAILABLE", [["Add", "Group"]]]
        assert answers["created"] == "CREATE_COMPLETE"
        assert answers["change_set_of_nothing"] == ["FAILED", "UNAVAILABLE", []]
        assert answers["second_changes"] == ["CREATE_COMPLETE", "AVAILABLE", [["Add", "Other"], ["Modify", "Group"]]]
        assert answers["updated"] == "UPDATE_COMPLETE"
        assert answers["groups_updated"] == ["g", "other"]
