"""The repairs of DynamoDB's item size, and of what its answers cost, beside moto's own behaviour."""

from __future__ import annotations

import pytest

from tests.contract.probes import Answers, answered

REFUSED = {"error": "ValidationException"}


@pytest.fixture(scope="module")
def both() -> tuple[Answers, Answers]:
    return answered("dynamodb_probe.py", "vanilla"), answered("dynamodb_probe.py", "repaired")


def test_an_attribute_is_replaced_not_added(both: tuple[Answers, Answers]) -> None:
    vanilla, repaired = both
    assert (vanilla["first"], repaired["first"]) == ("written", "written")
    assert vanilla["rewritten"] == REFUSED, "moto has changed: see whether the repair can go"
    assert repaired["rewritten"] == "written"


def test_the_limit_stays_where_it_is(both: tuple[Answers, Answers]) -> None:
    assert both[1]["beside"] == "written"
    assert (both[1]["too_much"], both[1]["put"]) == (REFUSED, REFUSED)


def test_an_answer_is_made_of_what_is_there(both: tuple[Answers, Answers]) -> None:
    vanilla, repaired = both
    assert vanilla["as_put"] == repaired["as_put"] == [True, True, True]
    assert (vanilla["few_looks"], vanilla["few_copies"]) == (False, False), "moto has changed: see whether the repair can go"
    assert (repaired["few_looks"], repaired["few_copies"]) == (True, True)
