"""Rules of raw tables on what files really bring: columns that some file lacks, times that are text."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from dp_foundation.errors import DataError
from dp_foundation.io import raw
from dp_foundation.io.readers import read_table
from dp_foundation.run.current import begin
from meshplane.model.rules import Rule
from tests.jobs.job_world import World, bucket
from tests.jobs.test_gate_runs import _gate, _outcomes

pytestmark = pytest.mark.spark
READS = {"reads": [{"table": "raw"}]}


def _there(*columns: str, **more: Any) -> Rule:
    return Rule("there", "columns", columns, **more)


def _judged(world: World, spark: Any) -> dict[str, Any]:
    """The verdict on the batch that a job is about to read."""
    world.start(READS)
    with suppress(DataError):  # the verdict says why
        read_table(spark, "raw")
    current = begin()
    assert current is not None
    [verdict] = current.batches.values()
    return verdict


def _detail(verdict: dict[str, Any]) -> str:
    assert verdict["passed"] is (not verdict["results"][-1]["detail"])
    return str(verdict["results"][-1]["detail"])


def test_a_csv_without_a_column_breaks_the_rule_that_names_it(world: World, spark: Any) -> None:
    prefix = world.raw("raw", "id bigint, v string, at string", partition=["dt"])
    world.put(f"{prefix}dt=1/a.csv", "AT,v,id\n2026-01-01,x,1\n")
    _gate(world, "raw", _there("id", "v", "at", "dt"))
    assert _detail(_judged(world, spark)) == ""
    world.put(f"{prefix}dt=1/b.csv", "id,v\n2,y\n")
    world.put(f"{prefix}c.csv", "at,id\n2026-01-01,3\n")
    world.put(f"{prefix}dt=1/none.csv", "")
    found = _detail(_judged(world, spark))
    assert found == (
        f"v is missing in 1 of 3 file(s), {prefix}c.csv; at is missing in 1 of 3 file(s), {prefix}dt=1/b.csv; "
        f"dt is missing in 1 of 3 file(s), {prefix}c.csv"
    )
    _gate(world, "raw")
    told = _judged(world, spark)
    assert (told["passed"], _outcomes(told)) == (True, {"implied_columns": "passed"}), "what a table declares may be null"


def test_a_csv_without_a_header_has_the_columns_that_the_manifest_says(world: World, spark: Any) -> None:
    prefix = world.raw("raw", "id bigint, v string", header=False)
    world.put(f"{prefix}a.csv", "1,x\n")
    _gate(world, "raw", _there("id", "v"))
    assert _detail(_judged(world, spark)) == ""


def test_each_parquet_file_has_a_schema_of_its_own(world: World, spark: Any) -> None:
    prefix = world.raw("raw", "id bigint, v string, at string", form="parquet", partition=["dt"])
    place = f"s3://{bucket('raw')}/{prefix}"
    spark.sql("select 1L ID, cast(null as string) v, 'x' at").write.parquet(f"{place}dt=1/a")
    _gate(world, "raw", _there("id", "v", "at", "dt"))
    assert _detail(_judged(world, spark)) == ""
    spark.sql("select 1L id, 'x' at").coalesce(1).write.parquet(f"{place}dt=1/b")
    found = _detail(_judged(world, spark))
    assert found.startswith(f"v is missing in 1 of 2 file(s), {prefix}dt=1/b/part-"), found


def test_a_json_record_need_not_have_every_key_and_one_of_them_has_to(world: World, spark: Any) -> None:
    prefix = world.raw("raw", "id bigint, v string, at string", form="json", partition=["dt"])
    world.put(f"{prefix}dt=1/a.json", '{"id": 1}\n{"id": 2, "v": null}\n')
    world.put(f"{prefix}b.json", '{"id": 3, "At": "x"}\n')
    _gate(world, "raw", _there("id", "v"))
    assert _detail(_judged(world, spark)) == ""
    _gate(world, "raw", _there("id", "v", "at"))
    assert _detail(_judged(world, spark)).startswith("at is missing in 2 of 2 file(s)"), "Spark reads a key as it is spelled"


def test_a_warning_warns_also_where_nothing_is_counted(world: World, spark: Any) -> None:
    prefix = world.raw("raw", "id bigint, v string")
    world.put(f"{prefix}a.csv", "id\n1\n")
    _gate(world, "raw", _there("v", severity="warn"))
    told = _judged(world, spark)
    assert (told["passed"], _outcomes(told), told["rows"]) == (True, {"implied_columns": "passed", "there": "failed"}, 0)
    _gate(world, "raw", _there("v", severity="warn"), Rule("some", "row_count", (), {"min": 1}))
    told = _judged(world, spark)
    assert (told["passed"], told["rows"]) == (True, 1)


def test_files_are_asked_only_where_a_rule_of_ones_own_asks(world: World, spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = world.raw("raw", "id bigint, v string", form="json")
    world.put(f"{prefix}a.json", '{"id": 1}\n')
    monkeypatch.setattr(raw, "_brought", lambda *given: pytest.fail("nobody asked"))
    _gate(world, "raw", Rule("some", "row_count", (), {"min": 1}))
    assert _judged(world, spark)["passed"]


@pytest.mark.parametrize(
    ("times", "passes"),
    [
        (["2026-01-02T23:00:00Z", "x"], True),
        (["2026-01-03 00:59:59.5+02:00"], False),
        (["2026-01-03 01:00:00+02:00"], True),
        (["2026-01-02 23:00"], True),
        (["2026-01-02", ""], False),
        (["2026-01-03"], True),
        (["02.01.2026", "23:59:59", ""], False),
    ],
)
def test_a_raw_time_is_text_and_is_fresh_by_what_it_says(world: World, spark: Any, times: list[str], passes: bool) -> None:
    prefix = world.raw("raw", "id bigint, at string")
    world.put(f"{prefix}a.csv", "id,at\n" + "".join(f"{at},{time}\n" for at, time in enumerate(times)))
    _gate(world, "raw", Rule("fresh", "freshness", ("at",), {"within": 3600}))
    world.start(READS, window_start="2026-01-02T00:00:00Z", window_end="2026-01-03T00:00:00Z")
    if passes:
        read_table(spark, "raw")
    else:
        with pytest.raises(DataError, match=r"fresh failed \(1 of"):
            read_table(spark, "raw")
