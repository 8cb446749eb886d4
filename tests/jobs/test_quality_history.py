"""`change` against what was really published: through branches, several commits of a run, compaction, and columns that came later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dp_foundation.builtin import check
from dp_foundation.io.writers import write_iceberg
from meshplane.model.rules import Gate, Rule
from tests.jobs.job_world import World
from tests.jobs.plane import adding, evolve
from tests.jobs.test_gate_runs import OUT, _end, _gate, _outcomes, _publish, _start, _table

pytestmark = pytest.mark.spark
RULES = (
    Rule("steady", "change", (), {"measure": "count(*)", "max_percent": "50", "against": 7}),
    Rule("steady_sum", "change", ("n",), {"measure": "sum(n)", "max_percent": "50", "against": 7}),
    Rule("steady_few", "change", (), {"measure": "count(*)", "max_percent": "50", "against": 7}, filter="n > 1"),
)
FIRST = "nothing was published before that it could be compared with"


@pytest.fixture
def run(world: World, spark: Any) -> Callable[..., dict[str, str]]:
    """A run that appends so many rows a commit, and is published: what its rules said."""

    def ran(run_id: str, *rows: int, n: int = 1, passes: bool = True) -> dict[str, str]:
        _start(world, OUT, run_id)
        for count in rows:
            write_iceberg(df=spark.sql(f"select id, {n} n from range({count})"), table="out")
        record = _end(world, run_id)
        [output], [verdict] = record["outputs"], record["verdicts"]
        assert verdict["passed"] is passes, verdict
        if passes:
            _publish(world, f"f01_de_refined.{world.project}_out", output["snapshot"])
        return {result["rule"]: result["detail"] for result in verdict["results"]}

    return ran


def _compact(world: World, spark: Any, out: str) -> None:
    spark.catalog.refreshTable(out)
    spark.sql(f"CALL glue_catalog.system.rewrite_data_files(table => '{out}', options => map('rewrite-all', 'true'))")
    assert _table(world, out).current_snapshot().summary.operation.value == "replace"


def test_a_new_table_can_be_published_and_its_past_is_what_was_published(world: World, spark: Any, run: Callable[..., Any]) -> None:
    out = world.iceberg("out", "id bigint, n bigint")
    _gate(world, "out", *RULES)
    told = run("r1", 60, 40, n=2)
    assert [told[rule.name] for rule in RULES] == [f"100 now; {FIRST}", f"200 now; {FIRST}", f"100 now; {FIRST}"]
    beginning = _table(world, out).metadata.snapshots[0]
    assert (beginning.parent_snapshot_id, beginning.summary["total-records"]) == (None, "0"), "the branch of an empty table began with it"
    _compact(world, spark, out)
    told = run("r2", 20, 20)
    assert [told[rule.name] for rule in RULES] == ["140 now, 100 before", "240 now, 200 before", "100 now, 100 before"]
    assert run("r3", 60, 1, passes=False)["steady"] == "201 now, 120 before"
    assert run("r4", 40)["steady"] == "180 now, 120 before", "what was refused is no history"


def test_a_standing_table_is_compared_with_the_run_before_its_last_one(world: World, spark: Any, run: Callable[..., Any]) -> None:
    out = world.iceberg("out", "id bigint, n bigint")
    _gate(world, "out", RULES[0])
    run("r1", 90, 10)
    run("r2", 10, 10)
    _compact(world, spark, out)
    world.start({"reads": [{"table": "out"}], "use": "check"}, "r3")
    check.run()
    [verdict] = world.outbox("r3")["verdicts"]
    assert verdict["results"][-1]["detail"] == "120 now, 100 before"


def test_what_came_empty_or_without_the_column_is_nothing_to_compare_with(world: World, spark: Any, run: Callable[..., Any]) -> None:
    out = world.iceberg("out", "id bigint")
    _gate(world, "out", RULES[0], allow_empty=True)
    _start(world, OUT, "r0")
    write_iceberg(df=spark.sql("select 1L id where false"), table="out")
    record = _end(world, "r0")
    _publish(world, out, record["outputs"][0]["snapshot"])
    evolve(out, adding("n", "long"))
    world.tables["out"]["columns"].append({"name": "n", "type": "bigint", "required": False})
    spark.catalog.refreshTable(out)
    spark.sql(f"insert into {out} values (1, 5), (2, 6)")
    assert run("r1", 1)["steady"] == "3 now, 2 before"
    evolve(out, adding("m", "long"))
    world.tables["out"]["columns"].append({"name": "m", "type": "bigint", "required": False})
    later = Rule("later", "change", ("m",), {"measure": "sum(m)", "max_percent": "1"})
    gone = Rule("gone", "change", ("z",), {"measure": "sum(z)", "max_percent": "1"})
    world.tables["out"]["gate"] = Gate("out", (later, gone)).to_json()
    _start(world, OUT, "r2")
    write_iceberg(df=spark.sql("select 1L id, 1L n, 7L m"), table="out")
    [verdict] = _end(world, "r2")["verdicts"]
    assert _outcomes(verdict) == {"later": "passed", "gone": "error"}
    assert verdict["results"][0]["detail"] == f"7 now; {FIRST}"
