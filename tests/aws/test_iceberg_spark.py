"""A table that the plane makes and evolves, written and read by real Spark with Iceberg's GlueCatalog, as in Glue."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from meshplane.aws.clients import Clients
from meshplane.aws.kinds.iceberg_table import IcebergTableAdapter
from meshplane.kinds.iceberg_table import KIND, IcebergTableSpec, Term
from meshplane.model.resource import Id, Want
from meshplane.model.types import Decimal, Field, ListType, Primitive, StructType
from tests.aws.behaviour import OWNER
from tests.aws.table_estate import NAMING, empty_estate, endpoint, loaded, opening

pytestmark = pytest.mark.spark

DATABASE = NAMING.database("refined")
TABLE = f"glue_catalog.{DATABASE}.sales_orders"
LONG, INT, STRING, TZ, FLOAT = (Primitive(name) for name in ("long", "int", "string", "timestamptz", "float"))
SPEC = IcebergTableSpec(
    NAMING.table_location("sales", "orders", "refined", iceberg=True),
    (
        Field("order_id", LONG, required=True, doc="Shop's order number"),
        Field("customer_id", INT),
        Field("amount", Decimal(10, 2)),
        Field("ccy", STRING),
        Field("score", FLOAT),
        Field("items", ListType(StructType((Field("sku", STRING), Field("quantity", INT))))),
        Field("legacy", STRING),
        Field("ordered_at", TZ),
    ),
    (Term("ordered_at", "day"), Term("customer_id", "bucket[4]")),
    (Term("customer_id", order="asc nulls-first"),),
    {"comment": "One row per order", "meshplane.table": "orders"},
)
EVOLVED = replace(
    SPEC,
    columns=(
        Field("customer_id", LONG),
        Field("order_id", LONG),
        Field("channel", STRING),
        Field("total", Decimal(14, 2), renamed_from="amount"),
        Field("currency", STRING, renamed_from="ccy"),
        Field("score", Primitive("double")),
        Field("items", ListType(StructType((Field("quantity", LONG), Field("article", STRING, renamed_from="sku"))))),
        Field("ordered_at", TZ),
    ),
    partition=(Term("ordered_at", "month"),),
    sort=(Term("currency", order="asc nulls-first"), Term("ordered_at", order="desc nulls-last")),
    dropped=("legacy",),
)


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    from pyspark.sql import SparkSession

    folder = Path(os.environ.get("MESHPLANE_JARS") or ".meshplane/jars")
    jars = sorted(str(jar) for jar in folder.glob("*.jar"))
    assert jars, f"no jars in {folder}: ./dev resolves them, or set MESHPLANE_JARS"
    settings = {
        "spark.jars": ",".join(jars),
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.session.timeZone": "UTC",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.catalog.glue_catalog": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.glue_catalog.type": "glue",
        "spark.sql.catalog.glue_catalog.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        "spark.sql.catalog.glue_catalog.warehouse": f"s3://{NAMING.bucket('refined')}/sales/iceberg/",
        "spark.sql.catalog.glue_catalog.glue.endpoint": endpoint(),
        "spark.sql.catalog.glue_catalog.s3.endpoint": endpoint(),
        "spark.sql.catalog.glue_catalog.s3.path-style-access": "true",
        "spark.sql.catalog.glue_catalog.client.region": "eu-central-1",
        "spark.sql.catalog.glue_catalog.cache-enabled": "false",
    }
    builder = SparkSession.builder.master("local[1]").appName("tables")
    for key, value in settings.items():
        builder = builder.config(key, value)
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "test")
        environment.setenv("AWS_REGION", "eu-central-1")
        session = builder.getOrCreate()
        yield session
        session.stop()


@pytest.fixture
def estate() -> Iterator[Clients]:
    with empty_estate() as clients:
        yield clients


def bring(clients: Clients, to: IcebergTableSpec) -> None:
    adapter = IcebergTableAdapter(opening(clients))
    this = Id("iceberg_table", f"{DATABASE}.sales_orders", "orders")
    seen = adapter.observe([this], OWNER, {})
    if not seen:
        adapter.create(Want(this, to), OWNER)
        return
    assert seen[0].spec is not None
    differences = KIND.compare(to, seen[0].spec)
    assert not [one.refused for one in differences if one.refused]
    adapter.update(seen[0], to, differences, OWNER)


def rows(spark: Any, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in spark.sql(query).collect()]


def test_spark_reads_under_new_names_what_it_wrote_before_and_writes_on(spark: Any, estate: Clients) -> None:
    bring(estate, SPEC)
    spark.sql(
        f"""INSERT INTO {TABLE} VALUES
        (1, 7, 1.50, 'EUR', CAST(0.5 AS FLOAT), array(named_struct('sku', 'a', 'quantity', 2)), 'x', TIMESTAMP '2020-01-01 12:00:00Z'),
        (2, NULL, NULL, NULL, NULL, NULL, NULL, TIMESTAMP '2020-02-01 12:00:00Z')"""
    )
    bring(estate, EVOLVED)
    assert spark.table(TABLE).columns == [column.name for column in EVOLVED.columns]
    select = (
        f"SELECT order_id, customer_id, CAST(total AS STRING), currency, score, items[0].article, items[0].quantity, channel FROM {TABLE}"
    )
    assert rows(spark, f"{select} ORDER BY order_id") == [
        (1, 7, "1.50", "EUR", 0.5, "a", 2, None),
        (2, None, None, None, None, None, None, None),
    ]
    spark.sql(
        f"""MERGE INTO {TABLE} t USING (SELECT 2L AS order_id, {2**40}L AS customer_id, 'CHF' AS currency) s ON t.order_id = s.order_id
        WHEN MATCHED THEN UPDATE SET t.customer_id = s.customer_id, t.currency = s.currency"""
    )
    spark.sql(
        f"""INSERT INTO {TABLE} SELECT CAST(NULL AS BIGINT), 3L, 'web', CAST(NULL AS DECIMAL(14,2)), 'USD', CAST(NULL AS DOUBLE),
        CAST(NULL AS ARRAY<STRUCT<quantity: BIGINT, article: STRING>>), TIMESTAMP '2020-03-01 00:00:00Z'"""
    )
    assert rows(spark, f"SELECT order_id, customer_id, currency, channel FROM {TABLE} ORDER BY order_id") == [
        (1, 7, "EUR", None),
        (2, 2**40, "CHF", None),
        (3, None, "USD", "web"),
    ]
    arrow = loaded(estate, DATABASE, "sales_orders").scan(selected_fields=("order_id", "currency")).to_arrow()
    assert sorted(zip(*arrow.to_pydict().values(), strict=True)) == [(1, "EUR"), (2, "CHF"), (3, "USD")], "pyiceberg reads the same"
    adapter = IcebergTableAdapter(opening(estate))
    (seen,) = adapter.observe([], OWNER, {})
    assert seen.spec is not None
    assert KIND.compare(EVOLVED, seen.spec) == (), "Spark's commits are no drift"
    assert KIND.extra(EVOLVED, seen.spec) == ()


def test_a_table_made_by_spark_is_read_as_it_is(spark: Any, estate: Clients) -> None:
    spark.sql(
        f"""CREATE TABLE {TABLE} (id BIGINT NOT NULL COMMENT 'number', at TIMESTAMP, name STRING, part MAP<STRING, DECIMAL(4, 1)>)
        USING iceberg PARTITIONED BY (truncate(3, name), hours(at)) TBLPROPERTIES ('meshplane.domain'='retail', 'meshplane.env'='dev',
        'meshplane.project'='sales')"""
    )
    spark.sql(f"ALTER TABLE {TABLE} WRITE ORDERED BY at DESC, id")
    (seen,) = IcebergTableAdapter(opening(estate)).observe([], OWNER, {})
    assert seen.spec is not None
    assert [(c.name, c.required, c.doc) for c in seen.spec.columns] == [
        ("id", True, "number"), ("at", False, ""), ("name", False, ""), ("part", False, "")
    ]  # fmt: skip
    assert seen.spec.partition == (Term("name", "truncate[3]"), Term("at", "hour"))
    assert seen.spec.sort == (Term("at", order="desc nulls-last"), Term("id", order="asc nulls-first"))
