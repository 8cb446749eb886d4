"""Counting failures: what is forgotten, what is given up, when to look again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from meshplane.plan.retry import HOURLY, STALLED_AFTER, Failure, advance, delay, given_up, next_try

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def at(minutes: int) -> str:
    return (NOON + timedelta(minutes=minutes)).isoformat()


def failed(reason: str, minutes: int, retryable: bool = False) -> Failure:
    return Failure(reason, 1, retryable, "no", at(minutes))


def test_the_same_failure_counts_up_and_stalls() -> None:
    counts: dict[str, Failure] = {}
    for turn in range(STALLED_AFTER):
        assert not any(f.stalled for f in counts.values())
        counts = advance(counts, {"k": failed("Denied", turn)})
    assert counts["k"].count == STALLED_AFTER
    assert counts["k"].stalled


def test_another_way_of_failing_begins_anew() -> None:
    counts = advance({"k": Failure("Denied", 4, at=at(0))}, {"k": failed("Rejected", 1)})
    assert counts["k"].count == 1


def test_what_did_not_fail_again_is_forgotten() -> None:
    assert advance({"k": Failure("Denied", 4, at=at(0))}, {}) == {}


def test_what_was_not_tried_keeps_its_count() -> None:
    stalled = Failure("Denied", STALLED_AFTER, at=at(0))
    assert advance({"k": stalled}, {"k": Failure("Denied", 1, at=at(0))}) == {"k": stalled}


def test_aws_being_slow_never_stalls() -> None:
    assert not Failure("Throttled", 99, retryable=True).stalled


@pytest.mark.parametrize(("minutes", "kept"), [(59, True), (60, False)])
def test_a_stalled_action_is_tried_hourly(minutes: int, kept: bool) -> None:
    stalled = {"k": Failure("Denied", STALLED_AFTER, at=at(0)), "young": Failure("Denied", 1, at=at(0))}
    assert given_up(stalled, NOON + timedelta(minutes=minutes)) == ({"k": stalled["k"]} if kept else {})


def test_delays_grow_to_an_hour() -> None:
    delays = [delay(count) for count in range(1, 12)]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (timedelta(seconds=30), HOURLY)


def test_the_next_try_is_the_soonest() -> None:
    assert next_try({}) is None
    assert next_try({"a": Failure("Denied", STALLED_AFTER), "b": Failure("Throttled", 2)}) == timedelta(minutes=1)
    assert next_try({"a": Failure("Denied", STALLED_AFTER)}) == HOURLY
