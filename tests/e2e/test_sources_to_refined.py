"""Five sources, from real servers on loopback through raw into refined: real template, policies, machines and Spark; each run twice.

A shop's cursor-paged API (429, 500, a schema that changes half-way), dated exchange rates (holidays, a restated day), a vendor's csv, a
table of PostgreSQL (updates, deletes), and a topic of Kafka (late, twice, poison).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.plane import ROOT, Plane, eventually, plane_in
from tests.jobs.servers import PASSWORD, Broker, Postgres, broker, postgres
from tests.sources.apis import TOKEN, Rates, Shop, as_json, serving

pytestmark = [pytest.mark.local, pytest.mark.spark, pytest.mark.timeout(900)]

MANIFEST = """apiVersion: meshplane/v1
kind: Project
metadata: {{ name: feeds }}
sources:
  orders:
    rest:
      url: {shop}/orders
      records: data.items
      paginate: {{ cursor: next, param: cursor }}
      auth: {{ bearer: token }}
      incremental: {{ column: updated_at, param: since }}
      rate: 100
    secret: shop-api
    into: orders_raw
  rates:
    rest:
      url: "{rates}/v1/{{date}}"
      records: {{ at: rates, key: currency, value: rate }}
      keep: [date]
      fetchedAt: seen
      dates: {{ first: 2030-01-01, lookback: 3d }}
      rate: 100
    into: rates_raw
  prices: {{ files: {{ from: inbox/vendor/, pattern: "*.csv.gz" }}, into: prices_raw }}
  contacts:
    jdbc:
      connection: crm
      table: public.contacts
      incrementalBy: updated_at
      splitBy: id
      parts: 2
      deletes: {{ key: id, mark: gone }}
    secret: crm-reader
    into: contacts_raw
  events: {{ kafka: {{ connection: events, topic: stock, format: json }}, into: events_raw }}
tables:
  orders_raw: {{ layer: raw, format: json, partition: dt, columns: {{ id: string, amount: string, updated_at: string }} }}
  rates_raw: {{ layer: raw, format: json, columns: {{ date: string, currency: string, rate: double, seen: string }} }}
  prices_raw:
    layer: raw
    format: csv
    csv: {{ delimiter: ";", encoding: ISO-8859-1 }}
    columns: {{ nr: string, name: string, price: string }}
  contacts_raw:
    layer: raw
    format: parquet
    partition: dt
    columns: {{ id: string, name: string, updated_at: string, gone: boolean }}
  events_raw:
    layer: raw
    format: iceberg
    columns:
      payload: string
      offset: {{ type: long, required: true }}
      partition_id: {{ type: int, required: true }}
      fault: string
    rules: {{ once: {{ unique: [partition_id, offset] }} }}
  orders:
    layer: refined
    columns: {{ id: long, amount: "decimal(12,2)", updated_at: timestamptz }}
    key: id
    contract: {{ types: quarantine_row }}
    rules: {{ sane: {{ range: amount, min: 0 }} }}
  rates:
    layer: refined
    columns: {{ date: date, currency: string, rate: double, seen: timestamptz }}
    key: [date, currency]
    contract: {{ types: quarantine_row }}
    rules: {{ known: {{ in_set: currency, values: [USD, CHF] }} }}
  prices:
    layer: refined
    columns: {{ nr: long, name: string, price: "decimal(12,2)" }}
    key: nr
    contract: {{ types: quarantine_row }}
    rules: {{ sane: {{ range: price, min: 0 }} }}
  contacts:
    layer: refined
    columns: {{ id: long, name: string, updated_at: timestamptz }}
    key: id
    contract: {{ types: quarantine_row }}
    rules: {{ named: {{ not_null: name }} }}
  stock:
    layer: refined
    columns: {{ id: long, amount: int, at: timestamptz }}
    key: id
    contract: {{ nullability: quarantine_row }}
    rules: {{ sane: {{ range: amount, min: 0 }} }}
jobs:
  outside: {{ script: jobs/outside.py, secrets: {{ crm: crm-reader }} }}
  load_orders: {{ use: merge, reads: orders_raw, writes: orders, with: {{ latestBy: updated_at }} }}
  load_rates: {{ use: merge, reads: rates_raw, writes: rates, with: {{ latestBy: seen }} }}
  load_prices: {{ use: merge, reads: prices_raw, writes: prices, with: {{ map: {{ price: "replace(price, ',', '.')" }} }} }}
  load_contacts:
    use: merge
    reads: contacts_raw
    writes: contacts
    with: {{ latestBy: updated_at, deletes: {{ when: gone, as: hard }} }}
  load_stock:
    use: merge
    reads: events_raw
    writes: stock
    with:
      map:
        id: get_json_object(payload, '$.id')
        amount: get_json_object(payload, '$.amount')
        at: get_json_object(payload, '$.at')
      latestBy: at
pipelines:
  seed: {{ params: {{ said: string }}, steps: [outside] }}
  fetch:
    window: day
    steps:
      - ingest: orders
      - load_orders
      - ingest: rates
      - load_rates
      - ingest: prices
      - load_prices
      - ingest: contacts
      - load_contacts
      - ingest: events
      - load_stock
"""
OUTSIDE = '''"""What happens in the world outside: statements in the database, records in the topic."""
import json

from dp_foundation.config.arguments import invocation
from dp_foundation.config.secrets import get_secret
from dp_foundation.spark.session import get_spark

spark, said = get_spark("outside"), json.loads(invocation().run.params["said"])
known = spark._jvm.java.util.Properties()
for name, value in json.loads(get_secret("crm")).items():
    known.setProperty("user" if name == "username" else name, value)
opened = spark._jvm.org.postgresql.Driver().connect(said["database"], known)
for text in said["statements"]:
    opened.createStatement().execute(text)
opened.close()
if said["records"]:
    rows = spark.createDataFrame([(text.encode(),) for text in said["records"]], "value binary").coalesce(1)
    rows.write.format("kafka").option("kafka.bootstrap.servers", said["broker"]).option("topic", "stock").save()
'''
MADE = (
    "CREATE TABLE contacts (id bigint PRIMARY KEY, name text, updated_at timestamptz)",
    "INSERT INTO contacts SELECT i, 'n' || i, '2026-01-01'::timestamptz + i * interval '1 minute' FROM generate_series(1, 50) i",
)
CHANGED = (
    "UPDATE contacts SET name = 'new', updated_at = '2026-02-01' WHERE id = 7",
    "DELETE FROM contacts WHERE id = 9",
    "INSERT INTO contacts VALUES (51, 'late', '2026-01-01 00:50:00+00')",
)
FIRST = [
    '{"id": 1, "amount": 5, "at": "2030-01-01T00:02:00Z"}',
    '{"id": 1, "amount": 9, "at": "2030-01-01T00:01:00Z"}',
    *['{"id": 2, "amount": 3, "at": "2030-01-01T00:01:00Z"}'] * 2,
    "poison {",
]


class Outside:
    """The plane, and the servers that its project fetches from."""

    def __init__(self, plane: Plane, database: Postgres, topic: Broker, shop: Shop, rates: Rates) -> None:
        self.plane, self.shop, self.rates = plane, shop, rates
        self.places = {"database": f"jdbc:postgresql://127.0.0.1:{database.port}/postgres", "broker": f"127.0.0.1:{topic.port}"}

    def publish(self) -> None:
        naming = self.plane.stack.naming
        for name, told in {"shop-api": {"token": TOKEN}, "crm-reader": {"username": "shop", "password": PASSWORD}}.items():
            secret = naming.of("secret", project="feeds", name=name)
            self.plane.client("secretsmanager").create_secret(Name=secret, SecretString=json.dumps(told))
        manifest = MANIFEST.format(shop=self.shop.url, rates=self.rates.url)
        self.plane.write("feeds", manifest, {"jobs/outside.py": OUTSIDE})
        self.plane.sync("feeds")
        assert self.plane.synced("feeds") == ("True", "Applied"), self.plane.text("feeds")

    def happens(self, name: str, statements: tuple[str, ...], records: list[str]) -> None:
        said = {**self.places, "statements": statements, "records": records}
        assert self.run("seed", name, params={"said": json.dumps(said)}) == "SUCCEEDED"

    def run(self, pipeline: str, name: str, **more: Any) -> str:
        """How the execution ended, about 8 January 2030."""
        states, naming = self.plane.client("stepfunctions"), self.plane.stack.naming
        given = {"schema": 1, "run_id": name, "project": "feeds", "pipeline": pipeline, "trigger": "manual", "params": {}, **more}
        given |= {"window_start": "2030-01-08T00:00:00Z", "window_end": "2030-01-09T00:00:00Z"}
        machine = naming.arn("states", f"stateMachine:{naming.state_machine('feeds', pipeline)}")
        arn = states.start_execution(stateMachineArn=machine, name=name, input=json.dumps({"run": given}))["executionArn"]

        def ended() -> Any:
            told = states.describe_execution(executionArn=arn)
            return told if told["status"] != "RUNNING" else None

        told = eventually(ended, 400)
        cause = told.get("cause", "")
        why = json.loads(cause).get("ErrorMessage", cause) if cause.startswith("{") else cause
        return f"{told['status']} {told.get('error', '')} {why}".strip()

    def refined(self) -> dict[str, list[tuple[Any, ...]]]:
        made = {}
        for table in ("orders", "rates", "prices", "contacts", "stock"):
            found = self.plane.catalog.load_table(f"{self.plane.stack.naming.database('refined')}.feeds_{table}").scan().to_arrow()
            made[table] = sorted(tuple(row.values()) for row in found.to_pylist())
        return made

    def kept_out(self) -> dict[str, list[tuple[str, str]]]:
        """Table → what broke its contract, as the row and why."""
        made = {}
        for table in ("orders", "rates", "prices", "contacts", "stock"):
            name = f"{self.plane.stack.naming.database('refined')}.feeds_{table}_quarantine"
            rows = self.plane.catalog.load_table(name).scan().to_arrow().to_pylist()
            made[table] = sorted(
                (row["row"], "; ".join(f"{why['entity']} {why['column']}".strip() for why in row["reasons"])) for row in rows
            )
        return made

    def judged(self, run: str) -> dict[str, set[str]]:
        """Table → the rules of its own by which the run's rows were let through."""
        made: dict[str, set[str]] = {}
        for key in self.plane.keys("refined", f"feeds/_runs/{run}/load_"):
            told = json.loads(self.plane.client("s3").get_object(Bucket=self.plane.bucket("refined"), Key=key)["Body"].read())
            for verdict in told["verdicts"]:
                assert verdict["passed"], verdict
                made[verdict["table"]] = {one["rule"] for one in verdict["results"] if not one["rule"].startswith("implied_")}
        return made

    def landed(self) -> list[str]:
        return [key for key in self.plane.keys("raw", "feeds/") if "/_" not in key and "/iceberg/" not in key]

    def vendor(self, name: str, text: str) -> None:
        import gzip

        body = gzip.compress(text.encode("iso-8859-1"))
        self.plane.client("s3").put_object(Bucket=self.plane.bucket("raw"), Key=f"feeds/inbox/vendor/{name}", Body=body)


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    folder = tmp_path_factory.mktemp("sources")
    with postgres() as database, broker() as topic, serving(Shop()) as shop, serving(Rates()) as rates:
        assert isinstance(shop, Shop)
        assert isinstance(rates, Rates)
        root = checkout(folder / "root", database.port, topic.port)
        with plane_in(folder / "person", warm=True, root=root) as plane:
            made = Outside(plane, database, topic, shop, rates)
            made.publish()
            yield made


def checkout(root: Path, database: int, topic: int) -> Path:
    """This checkout with a domain that declares the two servers; the functions read the copy beside their code."""
    root.mkdir()
    for entry in ROOT.iterdir():
        if entry.name not in ("domain.json", "functions", ".meshplane"):
            (root / entry.name).symlink_to(entry)
    shutil.copytree(ROOT / "functions", root / "functions", ignore=shutil.ignore_patterns("__pycache__"))
    places = {
        "crm": {"kind": "postgresql", "host": "127.0.0.1", "port": database, "database": "postgres"},
        "events": {"kind": "kafka", "host": "127.0.0.1", "port": topic},
    }
    told = json.loads((ROOT / "domain.json").read_text(encoding="utf-8"))
    for place in (root / "domain.json", root / "functions" / "meshplane" / "domain.json"):
        place.write_text(json.dumps({**told, "reachable": places}), encoding="utf-8")
    return root


def test_five_sources_reach_refined_and_a_second_run_changes_nothing(outside: Outside) -> None:
    outside.happens("seed-1", MADE, FIRST)
    outside.vendor("a.csv.gz", "nr;name;price\n1;Größe;0,10\n2;Müller;5,00\n3;kaputt\n")
    outside.shop.failing = [as_json({}, 429, **{"Retry-After": "1"}), as_json({}, 500)]
    assert outside.run("fetch", "fetch-1") == "SUCCEEDED"
    first, landed = outside.refined(), outside.landed()
    assert {name: len(rows) for name, rows in first.items()} == {"orders": 250, "rates": 2, "prices": 2, "contacts": 50, "stock": 2}
    assert [(row[1], str(row[2])) for row in first["prices"]] == [("Größe", "0.10"), ("Müller", "5.00")]
    assert [row[:2] for row in first["stock"]] == [(1, 5), (2, 3)]
    kept = outside.kept_out()
    assert {table: why for table, rows in kept.items() for _, why in rows} == {"prices": "line", "stock": "nullability id"}
    assert ["3;kaputt" in kept["prices"][0][0], "poison {" in kept["stock"][0][0]] == [True, True]
    own = {"orders": {"sane"}, "rates": {"known"}, "prices": {"sane"}, "contacts": {"named"}, "stock": {"sane"}}
    assert {table: rules for table, rules in outside.judged("fetch-1").items() if rules} == {**own, "events_raw": {"once"}}
    assert outside.run("fetch", "fetch-2") == "SUCCEEDED"
    assert (outside.refined(), outside.landed(), outside.kept_out()) == (first, landed, kept)
    outside.happens("seed-2", CHANGED, ['{"id": 2, "amount": 1, "at": "2030-01-01T00:05:00Z"}'])
    outside.rates.restated = {"2030-01-08": 1.3}
    outside.vendor("a.csv.gz", "nr;name;price\n1;Größe;0,20\n")
    assert outside.run("fetch", "fetch-3") == "SUCCEEDED"
    after = outside.refined()
    names = {row[0]: row[1] for row in after["contacts"]}
    assert (len(names), names[7], names[51], 9 in names) == (50, "new", "late", False)
    assert [row[:2] for row in after["stock"]] == [(1, 5), (2, 1)]
    assert {row[1]: row[2] for row in after["rates"]} == {"USD": 1.3, "CHF": 0.95}
    assert [str(row[2]) for row in after["prices"]] == ["0.20", "5.00"]
    assert after["orders"] == first["orders"]
    logs = "".join(path.read_text(errors="replace") for path in outside.plane.stack.place.log.rglob("*.log"))
    assert [word for word in (TOKEN, PASSWORD) if word in logs] == []
