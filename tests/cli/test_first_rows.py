"""When the demo's bad batch may arrive, and when its first act is over: by the records of the runs alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from meshplane.model.runs import Run, StepEnd
from meshplane_cli.first_rows import _computes, _done, _fed

FED = Run("c1", "customers", "daily", "SUCCEEDED", "landed", "files", "2026-01-01T00:00:00Z", ended="2026-01-01T00:00:10.500Z")


def sales(status: str, **steps: tuple[str, str, str]) -> Run:
    """A run of sales.daily; each step: its state, the second in which it started, that in which it ended."""
    ends = {
        f"{name}#0": StepEnd(name, "jr", state, started=f"2026-01-01T00:00:{began}Z", ended=f"2026-01-01T00:00:{ended}Z")
        for name, (state, began, ended) in steps.items()
    }
    return Run("s1", "sales", "daily", status, "landed", "files", "2026-01-01T00:00:00Z", steps=ends)  # type: ignore[arg-type]


READ = ("SUCCEEDED", "05", "12")


@pytest.mark.parametrize(
    ("runs", "may"),
    [
        ([FED, sales("RUNNING", load_orders=READ)], True),
        ([sales("RUNNING", load_orders=READ)], False),  # customers.daily has published nothing
        ([replace(FED, status="RUNNING", ended=""), sales("RUNNING", load_orders=READ)], False),
        ([FED, sales("RUNNING")], False),  # it may still list the files
        ([FED, sales("RUNNING", load_orders=("FAILED", "05", "12"))], False),
        ([FED, sales("RUNNING", load_orders=("SUCCEEDED", "05", "10"))], False),  # within the second: before or after?
        ([FED, sales("WAITING", load_orders=READ)], False),
        ([FED, replace(sales("RUNNING", load_orders=READ), project="customers")], False),
    ],
)
def test_the_bad_batch_arrives_once_the_orders_are_read_and_the_contacts_published(runs: list[Run], may: bool) -> None:
    assert _computes(runs) is may


def test_the_first_act_is_over_when_revenue_read_what_was_published() -> None:
    early = sales("SUCCEEDED", load_orders=READ, daily_revenue=("SUCCEEDED", "09", "20"))
    late = sales("SUCCEEDED", load_orders=READ, daily_revenue=("SUCCEEDED", "13", "20"))
    after = replace(late, run_id="s2", trigger="after_customers")
    assert [_fed([FED, run]) for run in (early, late)] == [False, True]
    assert [_done([FED, *runs]) for runs in ([late], [late, replace(after, status="RUNNING")], [late, after])] == [False, False, True]
