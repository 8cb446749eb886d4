"""What a project's tables and optimizers should be, and how they differ from what is seen: no network, no mocks."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from meshplane.kinds import hive_table, iceberg_table, table_optimizer
from meshplane.kinds.iceberg_table import IcebergTableSpec, Term
from meshplane.model.baseline import Baseline
from meshplane.model.context import Context, PlaneNames
from meshplane.model.domain import Domain
from meshplane.model.project import (
    Compaction,
    CsvFormat,
    Optimizers,
    Orphans,
    PartitionField,
    Project,
    Projection,
    Retention,
    SortField,
    Table,
)
from meshplane.model.release import PlatformRelease
from meshplane.model.resource import Effect, Id, Seen
from meshplane.model.types import Decimal, Field, Primitive

DOMAIN = Domain(domain_name="retail", domain_abbr="f01", aws_region="eu-central-1", country_code="de", accounts={"dev": "390403879405"})
CONTEXT = Context(DOMAIN, DOMAIN.naming("dev"), Baseline("arn:key", (), (), ()), PlatformRelease("lib.zip"), PlaneNames("", "", ""))
LONG, STRING = Primitive("long"), Primitive("string")
ORDERS = Table(
    "orders",
    "refined",
    "iceberg",
    (Field("order_id", LONG, required=True), Field("amount", Decimal(12, 2)), Field("ordered_at", Primitive("timestamptz"))),
    description="One row per order",
    partition=(PartitionField("day", "ordered_at"), PartitionField("bucket", "order_id", 16), PartitionField("identity", "amount")),
    sort=(SortField("order_id"), SortField("ordered_at", descending=True)),
)
RAW = Table("orders_raw", "raw", "csv", (Field("order_id", STRING, doc="number"), Field("amount", Decimal(12, 2))), hive_partition=("dt",))


def project(*tables: Table) -> Project:
    return Project("sales", tables={table.name: table for table in tables})


def wanted(kind: Any, *tables: Table) -> list[Any]:
    return list(kind.KIND.desired(project(*tables), CONTEXT))


def test_an_iceberg_table_as_the_manifest_says_it() -> None:
    (want,) = wanted(iceberg_table, ORDERS, RAW)
    assert (want.id.kind, want.id.name, want.id.label) == ("iceberg_table", "f01_de_refined.sales_orders", "orders")
    assert want.spec.location == "s3://f01-refined-390403879405-de-dev/sales/iceberg/orders"
    assert want.spec.partition == (Term("ordered_at", "day"), Term("order_id", "bucket[16]"), Term("amount"))
    assert [str(term) for term in want.spec.sort] == ["order_id asc nulls-first", "ordered_at desc nulls-last"]
    assert want.spec.properties["comment"] == "One row per order"
    assert want.refused == ""


def test_the_manifests_properties_win_over_the_write_defaults() -> None:
    (want,) = wanted(iceberg_table, replace(ORDERS, properties={"write.format.default": "orc"}))
    assert want.spec.properties["write.format.default"] == "orc"
    assert want.spec.properties["meshplane.declared-properties"] == "write.format.default"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format_version": 3}, "version 3 cannot be written"),
        ({"columns": (Field("a", LONG), Field("A", LONG))}, "stands there twice"),
        ({"dropped": ("amount",)}, "both declared and listed"),
    ],
)
def test_what_can_never_be_is_refused_at_once(change: dict[str, Any], says: str) -> None:
    (want,) = wanted(iceberg_table, replace(ORDERS, **change))
    assert says in want.refused


def seen_of(spec: IcebergTableSpec, **change: Any) -> IcebergTableSpec:
    columns = tuple(replace(column, id=number) for number, column in enumerate(spec.columns, 1))
    kept = {key: value for key, value in spec.properties.items() if value}
    return replace(spec, columns=columns, properties=kept, **change)


def test_a_table_as_wanted_differs_in_nothing() -> None:
    (want,) = wanted(iceberg_table, ORDERS)
    assert iceberg_table.KIND.compare(want.spec, seen_of(want.spec)) == ()


def test_a_renamed_source_is_no_change_of_the_layout() -> None:
    (want,) = wanted(iceberg_table, ORDERS)
    renamed = tuple(replace(c, name="at", renamed_from="ordered_at") if c.name == "ordered_at" else c for c in ORDERS.columns)
    parts = tuple(replace(p, column="at") if p.column == "ordered_at" else p for p in ORDERS.partition)
    sorts = tuple(replace(s, column="at") if s.column == "ordered_at" else s for s in ORDERS.sort)
    (to,) = wanted(iceberg_table, replace(ORDERS, columns=renamed, partition=parts, sort=sorts))
    (only,) = iceberg_table.KIND.compare(to.spec, seen_of(want.spec))
    assert (only.was, only.wanted, only.effect) == ("ordered_at", "at", Effect.SAFE)
    assert "field 3 keeps its id" in only.note


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"location": "s3://elsewhere/orders"}, "never moved"),
        ({"format_version": 3}, "cannot be taken back"),
        ({"table_format": "csv"}, "another name"),
    ],
)
def test_what_cannot_be_done_in_place_is_refused(change: dict[str, Any], says: str) -> None:
    (want,) = wanted(iceberg_table, ORDERS)
    (only,) = iceberg_table.KIND.compare(want.spec, seen_of(want.spec, **change))
    assert says in only.refused


def test_an_undeclared_table_rests_and_a_resting_one_needs_nothing() -> None:
    (want,) = wanted(iceberg_table, ORDERS)
    this = Seen(want.id, seen_of(want.spec))
    rest = iceberg_table.KIND.resting(this)
    assert [d.field for d in iceberg_table.KIND.compare(rest, seen_of(want.spec))] == ["tombstone"]
    assert iceberg_table.KIND.compare(rest, seen_of(want.spec, tombstone=True)) == ()
    assert iceberg_table.KIND.resting(Seen(want.id, None)).tombstone
    assert [d.field for d in iceberg_table.KIND.compare(want.spec, seen_of(want.spec, tombstone=True))] == ["tombstone"]


def test_three_optimizers_without_asking() -> None:
    wants = wanted(table_optimizer, ORDERS, RAW)
    assert [want.id.name for want in wants] == [
        "f01_de_refined.sales_orders/compaction",
        "f01_de_refined.sales_orders/retention",
        "f01_de_refined.sales_orders/orphan_file_deletion",
    ]
    needs = frozenset({Id("iceberg_table", "f01_de_refined.sales_orders"), Id("role", "f01-optimizer-sales-dev")})
    assert {want.needs for want in wants} == {needs}
    assert {want.spec.role_arn for want in wants} == {"arn:aws:iam::390403879405:role/meshplane/projects/f01-optimizer-sales-dev"}
    assert wants[1].spec.settings == {
        "snapshotRetentionPeriodInDays": 7,
        "numberOfSnapshotsToRetain": 3,
        "cleanExpiredFiles": True,
        "runRateInHours": 24,
    }
    assert wants[2].spec.settings == {"orphanFileRetentionPeriodInDays": 3, "runRateInHours": 168}


def test_optimizers_follow_the_manifest() -> None:
    of = Optimizers(Compaction(enabled=False, strategy="z-order"), Retention(days=30, keep=10), Orphans(every_hours=24))
    compaction, retention, orphans = wanted(table_optimizer, replace(ORDERS, optimizers=of))
    assert (compaction.spec.enabled, compaction.spec.settings["strategy"]) == (False, "z-order")
    assert retention.spec.settings["snapshotRetentionPeriodInDays"] == 30
    assert orphans.spec.settings["runRateInHours"] == 24
    refused, *_ = wanted(table_optimizer, replace(ORDERS, optimizers=of, sort=()))
    assert "no `sort`" in refused.refused


def test_each_setting_of_an_optimizer_is_compared() -> None:
    for want in wanted(table_optimizer, ORDERS):
        assert table_optimizer.KIND.compare(want.spec, want.spec) == ()
        for key in want.spec.settings:
            other = replace(want.spec, settings={**want.spec.settings, key: "x"})
            assert [d.field for d in table_optimizer.KIND.compare(want.spec, other)] == [f"settings.{key}"]
        assert [d.field for d in table_optimizer.KIND.compare(want.spec, replace(want.spec, enabled=False))] == ["enabled"]
        assert not table_optimizer.KIND.resting(Seen(want.id, want.spec)).enabled


def test_a_raw_csv_table() -> None:
    csv = CsvFormat(delimiter=";", null_text="-", encoding="latin1")
    (want,) = wanted(hive_table, ORDERS, replace(RAW, csv=csv))
    spec = want.spec
    assert want.id.name == "f01_de_raw.sales_orders_raw"
    assert spec.location == "s3://f01-raw-390403879405-de-dev/sales/orders_raw/"
    assert spec.serde.endswith("OpenCSVSerde")
    assert spec.serde_parameters == {"separatorChar": ";", "quoteChar": '"', "escapeChar": "\\", "serialization.format": "1"}
    assert [(c.name, c.type, c.comment) for c in spec.columns] == [("order_id", "string", "number"), ("amount", "string", "")]
    assert [c.name for c in spec.partition] == ["dt"]
    assert (spec.parameters["skip.header.line.count"], spec.parameters["serialization.encoding"]) == ("1", "latin1")


def test_a_csv_without_quotes_keeps_its_types() -> None:
    (want,) = wanted(hive_table, replace(RAW, csv=CsvFormat(quote="", escape="", header=False)))
    assert want.spec.serde.endswith("LazySimpleSerDe")
    assert want.spec.columns[1].type == "decimal(12,2)"
    assert want.spec.parameters["skip.header.line.count"] == ""


@pytest.mark.parametrize(("of", "serde"), [("json", "JsonSerDe"), ("parquet", "ParquetHiveSerDe")])
def test_other_formats(of: Any, serde: str) -> None:
    (want,) = wanted(hive_table, replace(RAW, format=of))
    assert want.spec.serde.endswith(serde)
    assert want.spec.parameters["classification"] == of
    assert want.spec.columns[1].type == "decimal(12,2)"


def test_partition_projection() -> None:
    days = Projection("date", ("2024-01-01", "NOW"), format="yyyy-MM-dd", unit="days")
    (want,) = wanted(hive_table, replace(RAW, projection={"dt": days}))
    assert {key: value for key, value in want.spec.parameters.items() if "projection" in key or "template" in key} == {
        "projection.enabled": "true",
        "projection.dt.type": "date",
        "projection.dt.range": "2024-01-01,NOW",
        "projection.dt.format": "yyyy-MM-dd",
        "projection.dt.interval": "1",
        "projection.dt.interval.unit": "DAYS",
        "storage.location.template": "s3://f01-raw-390403879405-de-dev/sales/orders_raw/dt=${dt}/",
    }
    (plain,) = wanted(hive_table, RAW)
    gone = {d.field: d.wanted for d in hive_table.KIND.compare(plain.spec, want.spec)}
    assert gone["parameters.projection.enabled"] == ""


def test_changes_of_raw_columns_are_told_apart() -> None:
    (want,) = wanted(hive_table, RAW)
    columns = (Field("amount", STRING), Field("order_id", LONG, doc="number"), Field("more", STRING))
    (to,) = wanted(hive_table, replace(RAW, columns=columns))
    assert [(d.field, d.effect) for d in hive_table.KIND.compare(to.spec, want.spec)] == [
        ("columns.order_id", Effect.SAFE),
        ("columns.more", Effect.ADDITIVE),
        ("columns.order", Effect.SAFE),
    ]


def test_importing_the_adapters_loads_no_pyiceberg() -> None:
    code = (
        "import sys; import meshplane.aws.kinds.iceberg_table, meshplane.aws.kinds.hive_table, meshplane.aws.kinds.table_optimizer;"
        "import meshplane.aws.iceberg.commit; print([m for m in sys.modules if m.startswith(('pyiceberg', 'pyarrow'))])"
    )
    out = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": "functions"}, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
