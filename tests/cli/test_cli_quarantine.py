"""Which pipeline `meshplane quarantine replay` runs, and what it says where none can; the rest is tests/e2e/test_quarantine.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from meshplane.model.project import Job, JobStep, OwnAsl, Pipeline, Project, Table, Write
from meshplane.model.types import Field, Primitive
from meshplane_cli.commands.quarantine import claim_state, pipeline_for
from meshplane_cli.output import CliError

ORDERS = Table("orders", "refined", "iceberg", (Field("id", Primitive("long")),), has_contract=True)
LOAD = Job("load", use="merge", writes=(Write("orders", "merge"),))
DAILY = Pipeline("daily", (JobStep("load"),))
SHOP = Project("shop", tables={"orders": ORDERS}, jobs={"load": LOAD}, pipelines={"daily": DAILY})
TWO = {"daily": DAILY, "hourly": replace(DAILY, name="hourly"), "own": Pipeline("own", asl=OwnAsl("pipelines/own.asl.json"))}


@pytest.mark.parametrize(
    ("changed", "named", "chosen"), [({}, "", "daily"), ({"pipelines": TWO}, "hourly", "hourly"), ({"pipelines": TWO}, "own", "own")]
)
def test_the_pipeline_that_fills_the_table_is_run(changed: dict[str, Any], named: str, chosen: str) -> None:
    assert pipeline_for(replace(SHOP, **changed), "orders", named) == chosen


@pytest.mark.parametrize(
    ("changed", "table", "named", "told"),
    [
        ({}, "order", "", "shop.order has no quarantine"),
        ({"tables": {"orders": replace(ORDERS, has_contract=False)}}, "orders", "", "shop.orders has no quarantine"),
        ({"jobs": {"load": replace(LOAD, use="", script="jobs/a.py")}}, "orders", "", "no job by merge or files writes orders"),
        ({"pipelines": {}}, "orders", "", "no one pipeline of shop to fill orders"),
        ({"pipelines": TWO}, "orders", "", "no one pipeline of shop to fill orders"),
        ({"pipelines": TWO}, "orders", "nightly", "no one pipeline of shop to fill orders"),
    ],
)
def test_what_cannot_be_replayed_is_said(changed: dict[str, Any], table: str, named: str, told: str) -> None:
    with pytest.raises(CliError, match=told):
        pipeline_for(replace(SHOP, **changed), table, named)


def _record(step: str, state: str = "done", branch: str = "audit", read: str = "orders_quarantine") -> dict[str, Any]:
    return {"step": step, "state": state, "inputs": [{"table": read}], "outputs": [{"table": "orders", "branch": branch}]}


@pytest.mark.parametrize(
    ("records", "published", "state"),
    [
        ([], ["shop"], "claimed"),
        ([_record("shop")], [], "claimed"),
        ([_record("shop")], ["shop"], "replayed"),
        ([_record("shop", branch="main")], [], "replayed"),
        ([_record("shop", "nothing")], [], "replayed"),
        ([_record("shop", "failed", "main")], [], "claimed"),
        ([_record("shop"), _record("web")], ["shop"], "claimed"),
        ([_record("shop"), _record("web")], ["shop", "web"], "replayed"),
        ([_record("shop"), _record("web", "failed", read="web_raw")], ["shop"], "replayed"),
    ],
)
def test_rows_are_replayed_once_each_step_that_took_them_is_published(
    records: list[dict[str, Any]], published: list[str], state: str
) -> None:
    assert claim_state("orders", records, [{"step": step, "state": "done"} for step in published]) == state


@pytest.mark.parametrize(("step", "state"), [("shop", "replayed"), ("shop-2", "claimed"), ("web", "claimed"), ("", "claimed")])
def test_a_claim_that_names_its_step_is_judged_by_that_one(step: str, state: str) -> None:
    records = [_record("shop"), _record("shop-2")]
    assert claim_state("orders", records, [{"step": "shop", "state": "done"}], step) == state
