"""`wiring.Threads`: how a reconcile does what is independent at the same time."""

from __future__ import annotations

from threading import Barrier

import pytest

from meshplane.wiring import Threads


def test_calls_are_under_way_together_and_results_are_in_order() -> None:
    meeting = Barrier(2, timeout=5)

    def call(item: int) -> int:
        meeting.wait()  # BrokenBarrierError where one ends before the other begins
        return item * 10

    assert Threads().each(call, [1, 2]) == [10, 20]


def test_the_first_exception_is_raised_after_all_have_ended() -> None:
    ended: list[int] = []

    def call(item: int) -> int:
        if item < 2:
            raise ValueError(item)
        ended.append(item)
        return item

    with pytest.raises(ValueError, match="0"):
        Threads().each(call, range(5))
    assert sorted(ended) == [2, 3, 4]
