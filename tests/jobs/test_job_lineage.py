"""The lineage of a job that ran, on real Spark and Iceberg: what stands beside its record."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dp_foundation.builtin import merge
from dp_foundation.lineage import records
from tests.jobs.job_world import World, bucket
from tests.standards.openlineage_spec import faults

pytestmark = pytest.mark.spark
JOB = {
    "reads": [{"table": "orders_raw"}],
    "writes": [{"table": "orders", "mode": "merge"}],
    "use": "merge",
    "with": {"map": {"currency": "upper(trim(ccy))"}},
}


def _ran(world: World) -> dict[str, Any]:
    prefix = world.raw("orders_raw", "order_id string, ccy string")
    world.iceberg("orders", "order_id bigint!, currency string", key=["order_id"])
    world.put(f"{prefix}a.csv", "order_id,ccy\n1,eur\n2,usd\n")
    world.start(JOB)
    merge.run()
    return world.outbox()


def test_a_run_leaves_its_lineage_beside_its_record(world: World, spark: Any) -> None:
    record = _ran(world)
    body = world.s3.get_object(Bucket=bucket("refined"), Key=f"{world.project}/_runs/_lineage/r1/load.json")["Body"].read()
    begun, done = json.loads(body)["events"]
    assert [*faults(begun), *faults(done)] == []
    assert (begun["eventType"], done["eventType"], done["eventTime"]) == ("START", "COMPLETE", record["ended"])
    [target] = done["outputs"]
    assert target["facets"]["version"]["datasetVersion"] == str(record["outputs"][0]["snapshot"])
    added = [summary["added-records"] for summary in world.summaries(f"glue_catalog.f01_de_refined.{world.project}_orders")]
    assert added == [str(target["outputFacets"]["outputStatistics"]["rowCount"])] == ["2"]
    made = {column: told["inputFields"][0]["field"] for column, told in target["facets"]["columnLineage"]["fields"].items()}
    assert made == {"order_id": "order_id", "currency": "ccy"}


def test_lineage_that_breaks_fails_no_job(world: World, spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> list[dict[str, Any]]:
        raise RuntimeError("no lineage today")

    monkeypatch.setattr(records, "events", broken)
    assert _ran(world)["state"] == "done"
