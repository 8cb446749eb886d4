"""The graph: every need before what needs it, and our own faults are loud."""

from __future__ import annotations

from typing import Any

import pytest

from meshplane.plan.compile import GraphError
from meshplane.plan.compile import compile as compile_project
from tests.unit.plan.toys import KINDS, an_id, want


def _compiled(*wants: Any) -> Any:
    class Sales:
        name = "sales"

    context: Any = wants
    project: Any = Sales()
    return compile_project(project, context, KINDS)


def test_needs_come_first_whatever_the_order_of_kinds() -> None:
    made = _compiled(want("base:a", ["tool:c"]), want("tool:c"), want("thing:b", ["base:a"]))
    assert [w.id.name for w in made.wants] == ["c", "a", "b"]
    assert made.by_id[an_id("thing:b")].needs == {an_id("base:a")}


@pytest.mark.parametrize(
    ("wants", "said"),
    [
        pytest.param([want("base:a"), want("base:a")], "wanted twice: base a", id="two wants for one name would fight for ever"),
        pytest.param([want("tool:a", ["base:x"])], "tool a needs base x", id="a need that nobody wants would wait for ever"),
        pytest.param([want("tool:a", ["tool:b"]), want("tool:b", ["tool:a"])], "circle", id="a circle has no beginning"),
    ],
)
def test_a_broken_graph_is_our_fault(wants: list[Any], said: str) -> None:
    with pytest.raises(GraphError, match=said):
        _compiled(*wants)
