"""The repair of security-group rules beside moto's own behaviour."""

from __future__ import annotations

import pytest

from tests.contract.probes import Answers, answered


@pytest.fixture(scope="module")
def both() -> tuple[Answers, Answers]:
    return answered("security_groups_probe.py", "vanilla"), answered("security_groups_probe.py", "repaired")


@pytest.mark.parametrize(
    ("rule", "vanilla", "repaired"),
    [("range", "said", "said"), ("group", None, "said"), ("prefix_list", None, "said"), ("nothing", None, None)],
)
def test_a_rule_keeps_its_description(both: tuple[Answers, Answers], rule: str, vanilla: str | None, repaired: str | None) -> None:
    assert both[0][rule] == vanilla, "moto has changed: see whether the repair can go"
    assert both[1][rule] == repaired
