"""The runbooks of ingestion, streams and incidents: each fault is brought about for real, only the page's commands mend it (O2).

An API that takes back its token in the middle of its pages, a broken checkpoint on a real broker, a job that a stranger deleted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import recorded
from tests.e2e.examples_here import checkout
from tests.e2e.plane import ROOT, Plane, plane_in
from tests.e2e.runbook_pages import steps
from tests.e2e.test_sources_to_refined import FIRST, OUTSIDE
from tests.jobs.servers import broker
from tests.sources.apis import TOKEN, Answer, Shop, as_json, serving

pytestmark = [pytest.mark.local, pytest.mark.spark, pytest.mark.timeout(900)]
NEW_TOKEN = "an0ther-t0ken"
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
  events: {{ kafka: {{ connection: events, topic: stock, format: json }}, into: events_raw }}
tables:
  orders_raw: {{ layer: raw, format: json, partition: dt, columns: {{ id: string, amount: string, updated_at: string }} }}
  events_raw:
    layer: raw
    format: iceberg
    columns:
      payload: string
      offset: {{ type: long, required: true }}
      partition_id: {{ type: int, required: true }}
      fault: string
  orders: {{ layer: refined, columns: {{ id: long, amount: "decimal(12,2)", updated_at: timestamptz }}, key: id }}
  stock: {{ layer: refined, columns: {{ id: long, amount: int, at: timestamptz }}, key: id }}
jobs:
  outside: {{ script: jobs/outside.py }}
  load_orders: {{ use: merge, reads: orders_raw, writes: orders, with: {{ latestBy: updated_at }} }}
  load_stock: {{ sql: sql/stock.sql, reads: events_raw, writes: {{ table: stock, mode: merge }} }}
pipelines:
  outside: {{ params: {{ said: string }}, steps: [outside] }}
  fetch:
    window: day
    triggers: {{ yearly: {{ schedule: cron(0 4 1 1 ? *), enabled: {enabled} }} }}
    steps: [{{ ingest: orders }}, load_orders]
  stream: {{ steps: [{{ ingest: events }}, load_stock] }}
"""
STOCK = """SELECT id, amount, at FROM (
  SELECT CAST(get_json_object(payload, '$.id') AS bigint) AS id, CAST(get_json_object(payload, '$.amount') AS int) AS amount,
    CAST(get_json_object(payload, '$.at') AS timestamp) AS at,
    row_number() OVER (PARTITION BY get_json_object(payload, '$.id') ORDER BY get_json_object(payload, '$.at') DESC) AS place
  FROM events_raw WHERE fault IS NULL) WHERE place = 1
"""
WINDOW = "2030-01-08"
LATER = '{"id": 7, "amount": 7, "at": "2030-01-02T00:00:00Z"}'
# What happens in the world outside, less the database of the test that this comes from.
PRODUCER = OUTSIDE.partition("known = spark")[0] + OUTSIDE.partition("opened.close()\n")[2]


@dataclass
class Rotating(Shop):
    """Takes back its token when somebody asks for the third page with it."""

    valid: set[str] = field(default_factory=lambda: {TOKEN, NEW_TOKEN})

    def answer(self, path: str, query: dict[str, str], headers: Any) -> Answer:
        if query.get("cursor") == "200" and headers.get("Authorization") == f"Bearer {TOKEN}":
            self.valid = {NEW_TOKEN}
        given = headers.get("Authorization", "").removeprefix("Bearer ")
        return super().answer(path, query, {"Authorization": f"Bearer {TOKEN}"}) if given in self.valid else as_json({"error": "no"}, 401)


@dataclass(frozen=True)
class Feeds:
    """The plane with the published project, and the servers that it fetches from."""

    plane: Plane
    shop: Rotating
    broker: str

    def write(self, enabled: bool = True) -> None:
        manifest = MANIFEST.format(shop=self.shop.url, enabled=str(enabled).lower())
        self.plane.write("feeds", manifest, {"jobs/outside.py": PRODUCER, "sql/stock.sql": STOCK})

    def run(self, pipeline: str, succeeds: bool = True, *words: str) -> str:
        """A run of a pipeline to its end; its id."""
        done = self.plane.meshplane("run", f"feeds.{pipeline}", *words, "--wait", "--json")
        assert (done.returncode == 0) == succeeds, done.stdout + done.stderr
        return str(json.loads(done.stdout)["run_id"])

    def sends(self, *records: str) -> None:
        said = json.dumps({"records": records, "broker": self.broker})
        self.run("outside", True, "--param", f"said={said}")

    def rows(self, layer: str, table: str) -> list[tuple[Any, ...]]:
        """As readers see them, by pyiceberg."""
        found = self.plane.catalog.load_table(f"{self.plane.stack.naming.database(layer)}.feeds_{table}").scan().to_arrow()
        return sorted(tuple(row.values()) for row in found.to_pylist())

    def told(self, pipeline: str, source: str = "", run: str = "") -> dict[str, str]:
        """What the pages tell people to export."""
        naming = self.plane.stack.naming
        names = {"PROJECT": "feeds", "PIPELINE": pipeline, "SOURCE": source, "RUN": run, "RAW": self.plane.bucket("raw")}
        return {**names, "DOMAIN": naming.abbr, "ENVIRONMENT": naming.env}

    def well(self) -> bool:
        healthy = next(one for one in self.plane.status("feeds")["conditions"] if one["type"] == "Healthy")
        return self.plane.synced("feeds") == ("True", "Applied") and healthy["status"] == "True"


@pytest.fixture(scope="module")
def feeds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feeds]:
    folder = tmp_path_factory.mktemp("runbooks")
    with broker() as topic, serving(Rotating()) as shop:
        assert isinstance(shop, Rotating)
        place = {"kind": "kafka", "host": "127.0.0.1", "port": topic.port}
        told = json.loads((ROOT / "domain.json").read_text(encoding="utf-8"))
        root = checkout(folder / "root", json.dumps({**told, "reachable": {"events": place}}))
        with plane_in(folder / "person", warm=True, root=root) as plane:
            (plane.folder / "domain.json").unlink()
            (plane.folder / "domain.json").symlink_to(root / "domain.json")
            made = Feeds(plane, shop, f"127.0.0.1:{topic.port}")
            secret = plane.stack.naming.of("secret", project="feeds", name="shop-api")
            plane.client("secretsmanager").create_secret(Name=secret, SecretString=json.dumps({"token": TOKEN}))
            made.write()
            assert plane.meshplane("publish", "feeds").returncode == 0, plane.text("feeds")
            yield made
            recorded.keep(plane.stack)


def test_an_ingestion_that_failed_half_way_is_run_again(feeds: Feeds, tmp_path: Path) -> None:
    page = steps("rerun-a-failed-ingestion")
    assert list(page) == [1, 2, 3, 4, 5]
    failed = feeds.run("fetch", False, "--window", WINDOW)
    landed = [key for key in feeds.plane.keys("raw", "feeds/orders_raw/") if failed in key]
    assert len(landed) == 2, "the fault is there: two pages of three landed"
    credentials = tmp_path / "credentials.json"
    credentials.write_text(json.dumps({"token": NEW_TOKEN}), encoding="utf-8")
    secret = feeds.plane.stack.naming.of("secret", project="feeds", name="shop-api")
    told = {**feeds.told("fetch", "orders", failed), "SECRET": secret, "CREDENTIALS": str(credentials), "WINDOW": WINDOW}
    assert "answered 401" in page[1].run(feeds.plane, **told)
    assert "00002.json" in page[2].run(feeds.plane, **told)
    page[3].run(feeds.plane, **told)
    assert "SUCCEEDED" in page[4].run(feeds.plane, **told)
    assert '"cursor"' in page[5].run(feeds.plane, **told)
    wanted = sorted((int(row["id"]), f"{row['id']}.50") for row in feeds.shop.orders())
    assert [(row[0], str(row[1])) for row in feeds.rows("refined", "orders")] == wanted
    asked = len(feeds.shop.asked)
    feeds.run("fetch", True, "--window", WINDOW)
    assert len(feeds.shop.asked) == asked + 1, "the next run begins where the whole one ended"
    assert [(row[0], str(row[1])) for row in feeds.rows("refined", "orders")] == wanted


def test_a_checkpoint_that_cannot_be_read_is_put_aside(feeds: Feeds) -> None:
    page = steps("clear-a-stuck-streaming-checkpoint")
    assert list(page) == [1, 2, 3, 4, 5, 6]
    feeds.sends(*FIRST)
    feeds.run("stream")
    before = feeds.rows("raw", "events_raw")
    assert len(before) == len(FIRST)
    s3, raw, prefix = feeds.plane.client("s3"), feeds.plane.bucket("raw"), "feeds/_checkpoints/events/"
    newest = max(key for key in feeds.plane.keys("raw", f"{prefix}offsets/") if not key.endswith((".crc", "/")))
    s3.put_object(Bucket=raw, Key=newest, Body=b"v1\n{ half a li")
    feeds.sends(LATER)
    failed = feeds.run("stream", False)
    assert feeds.rows("raw", "events_raw") == before, "the fault is there: the record that came is not"
    told = {**feeds.told("stream", "events", failed), "TABLE": "feeds.events_raw"}
    assert newest in page[1].run(feeds.plane, **told)
    counted = page[2].run(feeds.plane, **told).split()
    for number in (3, 4):
        page[number].run(feeds.plane, **told)
    assert feeds.plane.keys("raw", prefix) == []
    assert feeds.plane.keys("raw", f"feeds/_aside/events/{failed}/") != [], "put aside, not deleted"
    assert "SUCCEEDED" in page[5].run(feeds.plane, **told)
    recounted = page[6].run(feeds.plane, **told).split()
    assert (counted[3:5], recounted[3:5]) == (["5", "5"], ["6", "6"])
    after = feeds.rows("raw", "events_raw")
    assert [row for row in after if row[0] != LATER] == before
    assert [row[:2] for row in feeds.rows("refined", "stock")] == [(1, 5), (2, 3), (7, 7)]
    feeds.run("stream")
    assert feeds.rows("raw", "events_raw") == after


def test_what_a_stranger_deleted_is_put_back(feeds: Feeds) -> None:
    page = steps("incident-response")
    assert list(page) == [1, 2, 3, 4, 5, 6]
    glue, name = feeds.plane.client("glue"), feeds.plane.stack.naming.job("feeds", "load_orders")
    published = feeds.rows("refined", "orders")
    glue.delete_job(JobName=name)
    feeds.run("fetch", False, "--window", WINDOW)
    told = feeds.told("fetch")
    assert "FAILED" in page[1].run(feeds.plane, **told)
    assert {"status.json", "runs.json"} <= {path.name for path in (feeds.plane.folder / "incident").iterdir()}
    assert f"Job {name} not found" in page[2].run(feeds.plane, **told)
    feeds.write(enabled=False)
    page[3].run(feeds.plane, **told)
    if name in glue.list_jobs()["JobNames"]:
        glue.delete_job(JobName=name)  # the plane has put it back in step 3 already: once more, with no upload after it
    page[4].run(feeds.plane, **told)
    assert name in glue.list_jobs()["JobNames"]
    feeds.write()
    # The pipeline has windows, and takes a run by hand without one.
    assert "SUCCEEDED" in page[5].run(feeds.plane, **told)
    assert "SUCCEEDED" in page[6].run(feeds.plane, **told)
    assert feeds.well()
    assert feeds.rows("refined", "orders") == published
