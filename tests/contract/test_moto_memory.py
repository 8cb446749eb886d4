"""What moto keeps of each listing and each change, beside what the embedded AWS keeps: nothing."""

from __future__ import annotations

import pytest

from tests.contract.probes import Answers, answered

KEPT = ("content_copied", "keys_kept", "items_kept")


@pytest.fixture(scope="module")
def both() -> tuple[Answers, Answers]:
    return answered("memory_probe.py", "vanilla"), answered("memory_probe.py", "repaired")


@pytest.mark.parametrize("what", KEPT)
def test_nothing_is_kept(both: tuple[Answers, Answers], what: str) -> None:
    assert both[0][what] is True, "moto has changed: see whether the repair can go"
    assert both[1][what] is False


def test_answers_are_the_same(both: tuple[Answers, Answers]) -> None:
    vanilla, repaired = both
    assert {**repaired, **dict.fromkeys(KEPT)} == {**vanilla, **dict.fromkeys(KEPT)}
    assert [row[:2] for row in repaired["listed"]] == [["a", True], ["a", False], ["c", True], ["gone", False], ["gone", True]]
    assert repaired["paged"] == ["a", "a", "c", "gone"]
    assert repaired["read_after"] == ["a", "c"]
    assert (repaired["copied"], repaired["warned"]) == (1000, False)
