"""Job and gate count alike: what a job lets pass at a rule's threshold is published, and one row more is not."""

from __future__ import annotations

from typing import Any

import pytest

from dp_foundation.quality.rules import Rule, counted
from meshplane.errors import GateFailed
from meshplane.model.gating import GatedRule, GatedTable
from meshplane.model.publishing import Request, candidates

REQUEST = Request("sales", "r-1", "load_orders", "0_0")


def published(rule: GatedRule, result: dict[str, Any], rows: int) -> bool:
    """Whether the gate takes a verdict that says yes, with this result."""
    there = {"table": "orders", "branch": REQUEST.branch, "snapshot": 2, "parent": 1}
    verdict = {**there, "schema_id": 0, "rules_digest": "d", "rows": rows, "passed": True, "results": [result]}
    named = {"run_id": REQUEST.run_id, "step": REQUEST.step, "project": REQUEST.project, "state": "done"}
    gate = GatedTable("orders", "db", "sales_orders", "d", (rule,))
    try:
        return bool(candidates(REQUEST, {**named, "outputs": [there], "verdicts": [verdict]}, {"orders": gate}))
    except GateFailed as failed:
        if failed.cause != "verdict-tampered":
            raise
        return False


@pytest.mark.parametrize("rows", [1_000, 10_000, 100_000])
def test_the_gate_takes_what_the_job_let_pass_and_no_row_more(rows: int) -> None:
    wrong = []
    for hundredths in range(1, 1_000):
        share = f"{hundredths // 100}.{hundredths % 100:02}"
        judging, gated = Rule("known", "in_set", threshold_percent=share), GatedRule("known", "block", 0, share)
        most = hundredths * rows // 10_000
        for violations, passes in ((most, True), (most + 1, False)):
            told = counted(judging, violations, rows)
            assert (told.outcome == "passed") is passes, (share, violations)
            if published(gated, {**told.as_json(), "outcome": "passed"}, rows) is not passes:
                wrong.append((share, violations))
    assert wrong == []
