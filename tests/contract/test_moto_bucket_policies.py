"""The repairs of bucket policies' conditions, of access logs and of Hadoop's copies beside moto's own behaviour."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.probes import Answers, answered


@pytest.fixture(scope="module")
def both() -> tuple[Answers, Answers]:
    return answered("bucket_policies_probe.py", "vanilla"), answered("bucket_policies_probe.py", "repaired")


@pytest.mark.parametrize(
    ("policy", "vanilla", "repaired"),
    [
        ("only_through_tls", {"error": "403"}, "written"),
        ("denied_outright", {"error": "403"}, {"error": "403"}),
        ("allowed_for_a_service", "written", "written"),
    ],
)
def test_a_condition_decides_nothing_here(both: tuple[Answers, Answers], policy: str, vanilla: Any, repaired: Any) -> None:
    assert both[0][policy] == vanilla, "moto has changed: see whether the repair can go"
    assert both[1][policy] == repaired


def test_access_logs_are_configured_and_not_delivered(both: tuple[Answers, Answers]) -> None:
    assert both[0]["access_logs"] > 0, "moto has changed: see whether the repair can go"
    assert both[1]["access_logs"] == 0
    assert both[0]["logging_is_shown"] == both[1]["logging_is_shown"] == "s3/"


def test_hadoop_alone_hears_of_no_key(both: tuple[Answers, Answers]) -> None:
    assert [answers["key_told"] for answers in both] == ["key-1", "key-1"]
    assert [answers["key_told_to_hadoop"] for answers in both] == ["key-1", "none"]
