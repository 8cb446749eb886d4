"""A step that is run again after it was published, on real Spark and Iceberg: nothing goes to `main` that no gate has seen."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import pytest

from dp_foundation.errors import TableRefusedError
from dp_foundation.io.readers import read_table
from dp_foundation.io.writers import write_iceberg
from dp_foundation.run.current import begin
from meshplane.model.rules import Gate, Rule, implied
from tests.jobs.job_world import World

pytestmark = pytest.mark.spark
BOTH = {"writes": [{"table": "out", "mode": "append"}, {"table": "other", "mode": "append"}]}


def table(world: World, name: str = "out") -> str:
    made = world.iceberg(name, "id bigint!", key=["id"])
    world.tables[name]["gate"] = Gate(name, implied(["id"], ["id"])).to_json()
    return made


def start(world: World, attempt: str, job: Mapping[str, Any] = BOTH, run_id: str = "r-1") -> None:
    """A job run as a pipeline starts it."""
    world.start(job, run_id)
    world.patch.setattr(sys, "argv", [*sys.argv[:-1], attempt, "--meshplane-gate", "audit"])


def ends(world: World, run_id: str = "r-1") -> dict[str, Any]:
    begin().finish()  # type: ignore[union-attr]
    return world.outbox(run_id)


def publish(world: World, identifier: str, output: Mapping[str, Any]) -> None:
    with world.catalog.load_table(identifier.removeprefix("glue_catalog.")).manage_snapshots() as change:
        change.set_current_snapshot(output["snapshot"])


def write(spark: Any, *ids: int, to: str = "out", mode: str = "append") -> None:
    for number in ids:
        write_iceberg(df=spark.sql(f"select {number}L id"), table=to, mode=mode)


def test_a_write_that_was_not_published_with_its_step_is_refused(world: World, spark: Any) -> None:
    out, other = table(world), table(world, "other")
    start(world, "0_0")
    write(spark, 1)
    write(spark, 1, to="other")
    publish(world, out, ends(world)["outputs"][0])  # `other` had moved: the step begins anew
    start(world, "1_0")
    write(spark, 1)
    write(spark, 1, to="other")
    message = r"_out: step load of run r-1 was published before, and write 2 is none of what it wrote then; .*; mend: start a new run"
    with pytest.raises(TableRefusedError, match=message):
        write(spark, 2)
    record = ends(world)
    assert (world.rows(out), world.rows(other)) == ([(1,)], [])
    assert (record["state"], "TableRefusedError: " in record["error"]) == ("failed", True), "nothing of it is published"


@pytest.mark.parametrize("mode", ["append", "merge", "overwrite", "overwrite_window"])
def test_what_was_published_with_its_step_is_found_again_however_often_it_was_written(world: World, spark: Any, mode: str) -> None:
    out, other = table(world), table(world, "other")
    for attempt in ("0_0", "1_0", "1_1"):
        start(world, attempt)
        write(spark, 1, 2, mode=mode)
        write(spark, 3, to="other")
        record = ends(world)
        assert record["state"] == "done"
        if attempt == "0_0":
            publish(world, out, record["outputs"][0])
            published = {**record["outputs"][0], "branch": "main"}
    assert [one["branch"] for one in record["outputs"]] == ["main", "audit_r_1_load_1_1"], "what is published, and once"
    told = ("table", "snapshot", "branch", "rows_added", "rows_total")
    assert {name: record["outputs"][0][name] for name in told} == {name: published[name] for name in told}
    assert len(world.summaries(out)) == 3, "the branch's beginning, and each write once"
    assert world.rows(other) == []
    start(world, "0_0", run_id="r-2")
    write(spark, 4)
    assert ends(world, "r-2")["outputs"][0]["branch"] == "audit_r_2_load_0_0", "another run is as free as before"


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_what_another_process_left_under_the_attempts_name_is_judged_as_nobodys(world: World, spark: Any, mode: str) -> None:
    out = world.iceberg("out", "id bigint!, v string", key=["id"])
    rules = (*implied(["id", "v"], ["id"]), Rule("known", "in_set", ("v",), {"values": ["a"]}))
    world.tables["out"]["gate"] = Gate("out", rules).to_json()
    write_out = {"writes": [{"table": "out", "mode": mode}]}
    for read, rows in (("select 1L id, 'x' v", 1), ("select 2L id, 'a' v union all select 3L, 'a'", 2)):
        # Killed behind its first commit, and redriven: retries are counted from 0 again, and what is read has been put right meanwhile.
        start(world, "0_0", write_out)
        write_iceberg(df=spark.sql(read), table="out", mode=mode)
        assert read_table(spark, "out").count() == rows
    [output], [verdict] = (record := ends(world))["outputs"], record["verdicts"]
    held = world.catalog.load_table(out.removeprefix("glue_catalog.")).scan(snapshot_id=output["snapshot"]).to_arrow().to_pylist()
    assert sorted(held, key=repr) == [{"id": 2, "v": "a"}, {"id": 3, "v": "a"}], "the rows that were judged"
    assert (verdict["snapshot"], verdict["passed"], verdict["rows"]) == (output["snapshot"], True, 2)
    assert (output["branch"], output["parent"]) == ("audit_r_1_load_0_0", None)
    publish(world, out, output)
    assert world.rows(out) == [(2, "a"), (3, "a")]
