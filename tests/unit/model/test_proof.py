"""What proves that a run which succeeded published what it wrote."""

from __future__ import annotations

from typing import Any

import pytest

from meshplane.model.proof import unproven

GATED = {"orders", "items"}


def record(step: str, state: str = "done", **written: int) -> dict[str, Any]:
    outputs = [{"table": table, "snapshot": snapshot, "branch": "audit_x"} for table, snapshot in written.items()]
    return {"step": step, "state": state, "outputs": outputs, "verdicts": []}


def note(step: str, state: str = "done", **published: int) -> dict[str, Any]:
    return {"step": step, "state": state, "tables": [{"table": table, "snapshot": snapshot} for table, snapshot in published.items()]}


@pytest.mark.parametrize(
    "left",
    [
        [record("load", orders=7), note("load", orders=7)],
        [record("load", orders=7, items=8), note("load", orders=7, items=8), record("other", "nothing")],
        [record("load", "nothing")],
        [record("load", orders=7), note("load", orders=7), record("fetch", orders_raw=3)],
        [record("load", orders=7), note("load", orders=7), record("extra", "failed", items=9)],
    ],
)
def test_published_snapshots_and_steps_with_nothing_to_do_prove_a_run(left: list[dict[str, Any]]) -> None:
    assert unproven(left, GATED) == ""


@pytest.mark.parametrize(
    ("left", "why"),
    [
        ([], "no step left a record"),
        ([note("load", orders=7)], "no step left a record"),
        ([record("load", orders=7)], "step load wrote orders (snapshot 7), which no gate published"),
        ([record("load", orders=7), note("load", "intent", orders=7)], "step load wrote orders (snapshot 7), which no gate published"),
        ([record("load", orders=7), note("load", orders=6)], "step load wrote orders (snapshot 7), which no gate published"),
        ([record("load", orders=7, items=8), note("load", orders=7)], "step load wrote items (snapshot 8), which no gate published"),
        ([record("load", "nothing"), record("more", items=8)], "step more wrote items (snapshot 8), which no gate published"),
        ([record("fetch", orders_raw=3)], "no gate of it published anything"),
        ([record("load", "intent", orders=7)], "no gate of it published anything"),
        ([record("load", "failed", orders=7)], "no gate of it published anything"),
    ],
)
def test_everything_else_proves_nothing(left: list[dict[str, Any]], why: str) -> None:
    assert unproven(left, GATED) == why
