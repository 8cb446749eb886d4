"""`meshplane query` against a server on loopback: real Iceberg tables written by pyiceberg, raw files of each format."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.request import Request, urlopen

import boto3
import pyarrow as pa
import pytest
from moto.server import ThreadedMotoServer
from pyarrow import parquet
from pyiceberg.catalog.glue import GlueCatalog

from meshplane.aws.clients import Clients
from tests.cli.conftest import Cli


@pytest.fixture
def lake(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", cli.naming.account_id)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    urlopen(Request(f"http://{host}:{port}/moto-api/reset", method="POST")).close()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    found = Cli(cli.root, cli.naming, Clients(boto3.Session(region_name=cli.naming.region)))
    try:
        _fill(found)
        yield found
    finally:
        server.stop()


def _fill(lake: Cli) -> None:
    assert lake.clients
    naming, glue, s3 = lake.naming, lake.clients("glue"), lake.clients("s3")
    for layer in ("raw", "refined", "curated"):
        glue.create_database(DatabaseInput={"Name": naming.database(layer)})
        s3.create_bucket(Bucket=naming.bucket(layer), CreateBucketConfiguration={"LocationConstraint": naming.region})
    catalog = GlueCatalog(
        "test", client=glue, **{"s3.endpoint": s3.meta.endpoint_url, "s3.access-key-id": "test", "s3.secret-access-key": "test"}
    )
    orders = pa.table(
        {
            "order_id": pa.array([1, 2, 3], pa.int64()),
            "amount": pa.array([Decimal("1.50"), Decimal("2.00"), None], pa.decimal128(12, 2)),
            "day": pa.array([date(2030, 5, 1)] * 3),
            "ordered_at": pa.array([datetime(2030, 5, 1, 12, tzinfo=UTC)] * 3, pa.timestamp("us", "UTC")),
        }
    )
    name = f"{naming.database('refined')}.sales_orders"
    table = catalog.create_table(name, orders.schema, location=naming.table_location("sales", "orders", "refined", True))
    table.append(orders)
    _raw(lake, "orders_raw", "org.apache.hadoop.hive.serde2.OpenCSVSerde", {"separatorChar": ";"}, {"skip.header.line.count": "1"})
    s3.put_object(Bucket=naming.bucket("raw"), Key="sales/orders_raw/dt=2030-05-01/a.csv", Body=b'id;name\n1;"a;b"\n2;c\n')
    s3.put_object(Bucket=naming.bucket("raw"), Key="sales/orders_raw/dt=2030-05-01/_SUCCESS", Body=b"")
    _raw(lake, "events_raw", "org.openx.data.jsonserde.JsonSerDe", {}, {})
    s3.put_object(Bucket=naming.bucket("raw"), Key="sales/events_raw/a.json", Body=b'{"id": "7", "name": "x"}\n')
    _raw(lake, "dump_raw", "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe", {}, {})
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table({"id": ["9"], "name": ["p"]}), sink)
    s3.put_object(Bucket=naming.bucket("raw"), Key="sales/dump_raw/a.parquet", Body=sink.getvalue().to_pybytes())
    _raw(lake, "empty_raw", "org.openx.data.jsonserde.JsonSerDe", {}, {})


def _raw(lake: Cli, table: str, library: str, serde: dict[str, str], parameters: dict[str, str]) -> None:
    assert lake.clients
    storage = {
        "Columns": [{"Name": "id", "Type": "string"}, {"Name": "name", "Type": "string"}],
        "Location": lake.naming.table_location("sales", table, "raw", False),
        "SerdeInfo": {"SerializationLibrary": library, "Parameters": serde},
    }
    keys = [{"Name": "dt", "Type": "string"}] if table == "orders_raw" else []
    given = {"Name": f"sales_{table}", "StorageDescriptor": storage, "PartitionKeys": keys, "Parameters": parameters}
    lake.clients("glue").create_table(DatabaseName=lake.naming.database("raw"), TableInput=given)


def test_rows_by_every_name_a_table_has(lake: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for spark in ("pyspark", "py4j"):
        monkeypatch.setitem(sys.modules, spark, None)  # an import of it fails
    for name in ("sales.orders", "refined.sales_orders", "f01_de_refined.sales_orders"):
        told = lake("query", f"select order_id, amount, day, ordered_at from {name} order by order_id", "--json")
        assert told.exit_code == 0, told.stderr
        assert json.loads(told.stdout)[0] == {
            "order_id": 1,
            "amount": "1.50",
            "day": "2030-05-01",
            "ordered_at": "2030-05-01 12:00:00",
        }, name


def test_joins_expressions_and_what_people_see(lake: Cli) -> None:
    big = "with big as (select * from sales.orders where amount > 1 and cast(ordered_at as date) = day)"
    told = lake("query", f"{big} select count(*) n, sum(b.amount) s from big b join sales.orders o using (order_id)")
    assert told.exit_code == 0, told.stderr
    assert [line.split() for line in told.stdout.splitlines()] == [["n", "s"], ["2", "3.50"]]


def test_raw_files_of_every_format(lake: Cli) -> None:
    def rows(table: str) -> object:
        told = lake("query", f"select * from sales.{table} order by id", "--json")
        assert told.exit_code == 0, told.stderr
        return json.loads(told.stdout)

    csv = [{"id": "1", "name": "a;b", "dt": "2030-05-01"}, {"id": "2", "name": "c", "dt": "2030-05-01"}]
    assert rows("orders_raw") == csv
    assert rows("events_raw") == [{"id": "7", "name": "x"}]
    assert rows("dump_raw") == [{"id": "9", "name": "p"}]
    assert rows("empty_raw") == []


def test_more_rows_than_shown(lake: Cli) -> None:
    told = lake("query", "select order_id from sales.orders order by 1", "--limit", "2")
    assert told.stdout.splitlines()[-1] == "… more rows than 2: --limit shows more"


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("select * from sales.nothing", "allowed  sales.dump_raw, sales.empty_raw, sales.events_raw, sales.orders, sales.orders_raw"),
        ("select * from refined.nothing", "allowed  refined.sales_orders"),
        ("select * from orders", "which orders?"),
        ("drop table sales.orders", "only one select can be asked"),
        ("selec", "only one select can be asked"),
        ("select missing from sales.orders", "the query cannot be answered"),
        ("select * from read_csv('/etc/passwd')", "the query cannot be answered"),
    ],
)
def test_what_cannot_be_asked(lake: Cli, sql: str, text: str) -> None:
    told = lake("query", sql)
    assert told.exit_code == 2
    assert text in told.stderr
