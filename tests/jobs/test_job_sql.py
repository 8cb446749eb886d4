"""Jobs with `sql:`: names, variables, and a whole run."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from dp_foundation.builtin import sql
from dp_foundation.builtin.sql import variables, with_views
from dp_foundation.config.arguments import Run
from dp_foundation.errors import ConfigError
from meshplane_cli.sql_lineage import columns_of
from tests.jobs.job_world import World, bucket
from tests.standards.openlineage_spec import faults


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select * from customers.contacts;\n", "select * from customers_contacts"),
        ("select Customers . Contacts.id from customers.contacts", "select Customers_Contacts.id from customers_contacts"),
        (
            "select 'customers.contacts' -- customers.contacts\nfrom a.customers.contacts",
            "select 'customers.contacts' -- customers.contacts\nfrom a.customers.contacts",
        ),
        (
            "select /* customers.contacts */ x from customers.contacts_old, orders",
            "select /* customers.contacts */ x from customers.contacts_old, orders",
        ),
        ("select 'it\\'s customers.contacts' from customers.contacts", "select 'it\\'s customers.contacts' from customers_contacts"),
    ],
)
def test_another_projects_table_by_its_dotted_name(text: str, expected: str) -> None:
    assert with_views(text, ["orders", "customers.contacts"]) == expected


@pytest.mark.parametrize("text", ["", " ;\n", "-- nothing\n"])
def test_an_empty_file_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="allowed: one SELECT"):
        with_views(text, [])


def test_variables() -> None:
    run = Run("r1", "sales", window_start="2026-01-01T00:00:00Z", params={"country": "DE"})
    assert variables(run) == {"country": "DE", "window_start": datetime(2026, 1, 1, tzinfo=UTC), "window_end": None, "run_id": "r1"}


@pytest.mark.spark
def test_rows_of_a_select_are_written_as_declared(world: World, spark: Any) -> None:
    orders = world.iceberg("orders", "customer bigint, at timestamp, amount decimal(12,2)")
    contacts = world.iceberg("contacts", "customer bigint, country string")
    out = world.iceberg("daily", "country string!, revenue decimal(18,2), note string", key=["country"], layer="curated")
    spark.sql(f"insert into {orders} values (1, timestamp'2026-01-01', 2.5), (1, timestamp'2026-01-02', 3), (2, timestamp'2026-01-01', 1)")
    spark.sql(f"insert into {contacts} values (1, 'DE'), (2, 'FR')")
    world.tables["customers.contacts"] = {**world.tables.pop("contacts"), "project": "customers"}
    text = """
      select c.country, sum(o.amount) as revenue, :hint as note
      from orders o join customers.contacts c on o.customer = c.customer
      where o.at >= :window_start and o.at < :window_end group by c.country;
    """
    world.s3.put_object(Bucket=bucket("raw"), Key=f"{world.project}/daily.sql", Body=text.encode())
    job = {"reads": [{"table": "orders"}, {"table": "customers.contacts"}], "writes": [{"table": "daily", "mode": "merge"}], "use": "sql"}
    window: dict[str, Any] = {"window_start": "2026-01-01T00:00:00Z", "window_end": "2026-01-02T00:00:00Z", "params": {"hint": "x"}}
    made = columns_of(text, {name: {each["name"]: each["type"] for each in world.tables[name]["columns"]} for name in world.tables})
    world.s3.put_object(Bucket=bucket("raw"), Key=f"{world.project}/daily.json", Body=json.dumps(made).encode())
    places = {key: f"s3://{bucket('raw')}/{world.project}/daily.{end}" for key, end in (("sql", "sql"), ("columns", "json"))}
    for run_id in ("r1", "r2"):
        world.start({**job, **places}, run_id, **window)
        sql.run()
    assert [(row[0], str(row[1]), row[2]) for row in world.rows(out)] == [("DE", "2.50", "x"), ("FR", "1.00", "x")]
    record = world.outbox("r2")
    assert [i["table"] for i in record["inputs"]] == ["orders", "customers.contacts"]
    assert record["inputs"][0]["snapshot"] == world.catalog.load_table(orders.removeprefix("glue_catalog.")).metadata.current_snapshot_id
    body = world.s3.get_object(Bucket=bucket("refined"), Key=f"{world.project}/_runs/_lineage/r1/load.json")["Body"].read()
    _, done = json.loads(body)["events"]
    assert faults(done) == []
    told = done["outputs"][0]["facets"]["columnLineage"]["fields"]
    assert {column: parts["inputFields"][0]["field"] for column, parts in told.items()} == {"country": "country", "revenue": "amount"}


@pytest.mark.spark
def test_raw_reads_without_new_files_are_nothing_to_do(world: World, spark: Any) -> None:
    world.raw("raw", "id bigint")
    out = world.iceberg("out", "id bigint")
    world.start({"reads": [{"table": "raw"}], "writes": [{"table": "out", "mode": "append"}], "use": "sql", "sql": "s3://none/x.sql"})
    sql.run()
    assert (world.outbox()["state"], world.summaries(out)) == ("nothing", [])
