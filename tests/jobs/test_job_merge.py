"""`use: merge` and `merge_iceberg`, on real Spark and Iceberg."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from dp_foundation.builtin import merge
from dp_foundation.errors import ConfigError, DataError, SchemaMismatchError
from dp_foundation.io.writers import merge_iceberg
from tests.jobs.job_world import World

pytestmark = pytest.mark.spark
JOB = {
    "reads": [{"table": "orders_raw"}],
    "writes": [{"table": "orders", "mode": "merge"}],
    "use": "merge",
    "with": {"map": {"currency": "upper(trim(currency))"}, "latestBy": ["updated_at"]},
}
COLUMNS = "order_id bigint!, amount decimal(12,2), currency string, updated_at timestamp, note string"


def _orders(world: World) -> tuple[str, str]:
    prefix = world.raw("orders_raw", "order_id string, amount string, currency string, updated_at string", partition=["dt"], delimiter=";")
    return prefix, world.iceberg("orders", COLUMNS, key=["order_id"])


def _run(world: World, run_id: str = "r1", attempt: int = 0, **job: Any) -> None:
    world.start({**JOB, **job}, run_id, attempt)
    merge.run()


def _short(world: World, orders: str) -> list[tuple[Any, ...]]:
    return [row[:3] for row in world.rows(orders)]


def test_maps_casts_and_upserts_the_newest_row_of_each_key(world: World, spark: Any) -> None:
    prefix, orders = _orders(world)
    world.put(
        f"{prefix}dt=01/a.csv",
        "amount;order_id;currency;updated_at\n1.50;1; eur;2026-01-01T00:00:00\n2;2;usd;2026-01-02T00:00:00\n;2;x;2026-01-01T00:00:00\n",
    )
    _run(world, "r1")
    assert _short(world, orders) == [(1, Decimal("1.50"), "EUR"), (2, Decimal("2.00"), "USD")]
    # An older row does not beat what stands; a newer one does; a row of the same age that differs does.
    world.put(
        f"{prefix}dt=02/b.csv", "order_id;amount;currency;updated_at\n1;9;chf;2025-01-01T00:00:00\n2;7;usd;2026-01-03T00:00:00\n3;3;eur;\n"
    )
    _run(world, "r2")
    assert _short(world, orders) == [(1, Decimal("1.50"), "EUR"), (2, Decimal("7.00"), "USD"), (3, Decimal("3.00"), "EUR")]
    assert [s["run_id"] for s in world.summaries(orders)] == ["r1", "r2"]
    assert (
        world.summaries(orders)[1]
        | {"meshplane.project": world.project, "meshplane.job": "load", "meshplane.step": "load", "meshplane.attempt": "0"}
        == world.summaries(orders)[1]
    )
    record = world.outbox("r2")
    assert (record["state"], record["inputs"][0]["rows"], record["outputs"][0]["rows_total"]) == ("done", 3, 3)
    assert [o["key"] for o in record["inputs"][0]["objects"]] == [f"{prefix}dt=02/b.csv"]


def test_nothing_new_is_nothing_to_do(world: World, spark: Any) -> None:
    prefix, orders = _orders(world)
    world.put(f"{prefix}dt=01/a.csv", "order_id;amount;currency;updated_at\n1;1;eur;2026-01-01T00:00:00\n")
    _run(world, "r1")
    _run(world, "r2")
    assert world.outbox("r2")["state"] == "nothing"
    assert len(world.summaries(orders)) == 1


def test_values_that_do_not_cast_are_named_with_count_and_sample(world: World, spark: Any) -> None:
    prefix, orders = _orders(world)
    world.put(f"{prefix}dt=01/a.csv", "order_id;amount;currency;updated_at\n1;1,5;eur;\n2;twelve;eur;\n3;1.005;eur;\n4;;eur;not a time\n")
    with pytest.raises(DataError) as caught:
        _run(world)
    text = str(caught.value)
    assert "amount: 3 value(s) that cannot be cast" in text
    assert "'twelve'" in text
    assert "updated_at: 1 value(s) that cannot be cast, such as 'not a time'" in text
    assert world.rows(orders) == []


def test_the_run_that_failed_reads_the_same_files_again(world: World, spark: Any) -> None:
    prefix, orders = _orders(world)
    world.put(f"{prefix}dt=01/a.csv", "order_id;amount;currency;updated_at\n;1;eur;\n")
    with pytest.raises(DataError, match="null in the key"):
        _run(world)
    world.put(f"{prefix}dt=01/a.csv", "order_id;amount;currency;updated_at\n1;1;eur;\n")  # a new version of the same key
    _run(world, "r2")
    assert [row[0] for row in world.rows(orders)] == [1]


def test_map_names_only_columns_of_the_target(world: World, spark: Any) -> None:
    prefix, _ = _orders(world)
    world.put(f"{prefix}a.csv", "order_id;amount;currency;updated_at\n1;1;eur;\n")
    with pytest.raises(ConfigError, match=r"with\.map names colour; the target has order_id, amount"):
        _run(world, "r1", 0, **{"with": {"map": {"colour": "1"}}})


@pytest.fixture
def target(world: World, spark: Any) -> str:
    orders = world.iceberg("orders", "id bigint!, v string, n int, at date, tags map<string,int>", key=["id"])
    world.start({"writes": [{"table": "orders", "mode": "merge"}]}, run_id="")
    return orders


def test_duplicate_keys_are_refused_unless_latest_by_decides(world: World, spark: Any, target: str) -> None:
    frame = spark.sql(
        "select * from values (1L, 'a', 1, date'2026-01-01'), (1L, 'b', 1, date'2026-01-02'), (2L, 'c', 1, null) as t(id, v, n, at)"
    )
    with pytest.raises(DataError, match=r"different rows with the same key \(id\); found: id=1 \(2 rows\)"):
        merge_iceberg(frame, "orders")
    merge_iceberg(frame, "orders", latest_by="at")
    assert [row[:2] for row in world.rows(target)] == [(1, "b"), (2, "c")]


def test_identical_rows_are_one_row_and_ties_that_differ_are_not(world: World, spark: Any, target: str) -> None:
    same = spark.sql("select 1L id, 'a' v, map('x', 1) tags union all select 1L, 'a', map('x', 1)")
    merge_iceberg(same, "orders")
    assert [row[:2] for row in world.rows(target)] == [(1, "a")]
    tie = spark.sql("select 1L id, 'a' v, date'2026-01-01' at union all select 1L, 'b', date'2026-01-01'")
    with pytest.raises(DataError, match="different rows with the same key"):
        merge_iceberg(tie, "orders", latest_by=["at"])


def test_null_keys_are_refused(world: World, spark: Any, target: str) -> None:
    with pytest.raises(DataError, match=r"null in the key \(id\); found: id=None"):
        merge_iceberg(spark.sql("select cast(null as bigint) id, 'a' v union all select 2L, 'b'"), "orders")


def test_what_the_frame_lacks_is_kept_and_nulls_compare(world: World, spark: Any, target: str) -> None:
    merge_iceberg(spark.sql("select 1L id, 'a' v, 5 n, date'2026-01-01' at, map('x', 1) tags"), "orders")
    merge_iceberg(spark.sql("select 1L id, cast(null as string) v"), "orders")
    assert world.rows(target) == [(1, None, 5, _day("2026-01-01"), [("x", 1)])]
    merge_iceberg(spark.sql("select 1 ID, 'z' V"), "orders", keys=["Id"])  # any case, and an int key goes into a bigint
    assert world.rows(target)[0][1] == "z"


def test_keys_and_latest_by_must_be_in_the_frame(world: World, spark: Any, target: str) -> None:
    with pytest.raises(SchemaMismatchError, match="no at in the frame"):
        merge_iceberg(spark.sql("select 1L id"), "orders", latest_by="at")


def test_a_rerun_changes_no_row(world: World, spark: Any, target: str) -> None:
    frame = spark.sql("select 1L id, 'a' v, map('x', 1) tags")
    merge_iceberg(frame, "orders")
    before = world.rows(target)
    merge_iceberg(frame, "orders")
    assert world.rows(target) == before


def _day(text: str) -> Any:
    from datetime import date

    return date.fromisoformat(text)
