"""The repairs of SQS, Lambda, Scheduler, IAM, STS, the locks and the speed beside moto's own behaviour."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.probes import Answers, answered


@pytest.fixture(scope="module")
def both() -> tuple[Answers, Answers]:
    return answered("queues_probe.py", "vanilla"), answered("queues_probe.py", "repaired")


@pytest.mark.parametrize(
    ("question", "vanilla", "repaired"),
    [
        ("after_timeout", ["2", "3"], ["1", "2"]),
        ("sequence_numbers", 0, 2),
        ("duplicate_after_delete", ["1"], []),
        ("letters_kept", False, True),
        ("message_left_for_pollers", "2", "1"),
        ("schedule_banana", "taken", {"error": "ValidationException"}),
        ("schedule_dated_by_clock", False, True),
        ("group_dated_by_clock", False, True),
        ("change_dated_by_clock", False, True),
        ("policy_without_version", {"error": "MalformedPolicyDocument"}, "taken"),
        ("role_is_caller", False, True),
        ("methods_listed_once", False, True),
        ("modules_listed_once", False, True),
    ],
)
def test_repair(both: tuple[Answers, Answers], question: str, vanilla: Any, repaired: Any) -> None:
    assert both[0][question] == vanilla, "moto has changed: see whether the repair can go"
    assert both[1][question] == repaired


def test_functions_are_really_called(both: tuple[Answers, Answers]) -> None:
    assert both[0]["invoke"] != {"ok": True}
    assert both[1]["invoke"] == {"ok": True}
    assert both[1]["invoke_event"] == 202
    assert both[1]["calls"] == ['{"n": 1}', '{"n": 2}']


def test_what_must_hold_after_the_repair(both: tuple[Answers, Answers]) -> None:
    repaired = both[1]
    assert (repaired["first_batch"], repaired["while_in_flight"]) == (["1", "2"], [])
    assert repaired["received_by_eight"] == [200, 200], "each message to one receiver"
    assert repaired["added_by_eight"] == 480, "no ADD is lost"
    assert repaired["schedule_cron"] == "taken"
    assert repaired["policy_malformed"] == {"error": "MalformedPolicyDocument"}
