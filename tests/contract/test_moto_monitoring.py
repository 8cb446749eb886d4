"""Repairs of moto's CloudWatch, beside moto's own behaviour: when moto mends one itself, its half here fails."""

from __future__ import annotations

import pytest

from tests.contract.probes import Answers, answered

MENDED = {  # CloudWatch API reference: PutDashboard (Tags), TagResource, PutMetricAlarm, ListTagsForResource
    "dashboard's tags": ({}, {"k": "v"}),
    "tags of a replaced dashboard": ({}, {"k": "v"}),
    "tagging a dashboard": ("ResourceNotFoundException", "tagged"),
    "tags of no dashboard": ({}, "ResourceNotFoundException"),
    "state of an updated alarm": ("OK", "ALARM"),
    "tags of an updated alarm": ({"k": "other"}, {"k": "v"}),
    "tags of no alarm": ({"k": "other"}, "ResourceNotFoundException"),
}


@pytest.fixture(scope="module")
def answers() -> dict[str, Answers]:
    return {mode: answered("monitoring_probe.py", mode) for mode in ("vanilla", "repaired")}


@pytest.mark.parametrize("what", MENDED)
def test_moto_answers_wrong_and_the_repair_right(answers: dict[str, Answers], what: str) -> None:
    assert (answers["vanilla"][what], answers["repaired"][what]) == MENDED[what]
