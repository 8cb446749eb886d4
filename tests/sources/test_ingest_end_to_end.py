"""Three sources on the embedded AWS: real Lambda worker, real state machine, manifests put by a plain client; each run twice."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meshplane_cli.local import stack as stacks
from meshplane_cli.local.stack import Stack
from tests.sources.apis import SCRIPT, TOKEN, Rates, Shop, as_json

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.local, pytest.mark.timeout(300)]

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
      keep: [base, date]
      fetchedAt: seen
      dates: {{ first: 2030-01-01, lookback: 3d }}
      rate: 100
    into: rates_raw
  scripted:
    rest:
      url: {shop}
      script: sources/shop.star
      auth: {{ bearer: token }}
      incremental: {{ column: updated_at }}
      rate: 100
    secret: shop-api
    into: scripted_raw
tables:
  scripted_raw: {{ layer: raw, format: json, partition: dt, columns: {{ id: string, amount: string, updated_at: string }} }}
  orders_raw: {{ layer: raw, format: json, partition: dt, columns: {{ id: string, amount: string, updated_at: string }} }}
  rates_raw: {{ layer: raw, format: json, columns: {{ base: string, date: string, currency: string, rate: double, seen: string }} }}
pipelines:
  fetch:
    window: day
    steps: [{{ parallel: [{{ ingest: orders }}, {{ ingest: rates, retry: 1 }}, {{ ingest: scripted }}] }}]
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Up with this checkout's template and code, without a warm JVM."""
    before = dict(os.environ)
    folder = tmp_path_factory.mktemp("sources") / ".meshplane"
    os.environ.update(MESHPLANE_LOCAL_DIR=str(folder), MESHPLANE_LOCAL_PORT="0", MESHPLANE_LOCAL_WARM="0")
    try:
        yield stacks.up(ROOT)
    finally:
        stacks.down(ROOT)
        os.environ.clear()
        os.environ.update(before)


def run(stack: Stack, number: int) -> str:
    """Start the pipeline about 8 January 2030; how its execution ended."""
    machine = stack.naming.arn("states", f"stateMachine:{stack.naming.state_machine('feeds', 'fetch')}")
    given = {"schema": 1, "run_id": f"manual-{number}", "project": "feeds", "pipeline": "fetch", "trigger": "manual", "params": {}}
    given |= {"window_start": "2030-01-08T00:00:00Z", "window_end": "2030-01-09T00:00:00Z"}
    arn = stack.client("stepfunctions").start_execution(stateMachineArn=machine, name=f"manual-{number}", input=json.dumps({"run": given}))
    until = time.monotonic() + 60
    while time.monotonic() < until:
        told: dict[str, Any] = stack.client("stepfunctions").describe_execution(executionArn=arn["executionArn"])
        if told["status"] != "RUNNING":
            return f"{told['status']} {told.get('error', '')} {told.get('cause', '')}".strip()
        time.sleep(0.1)
    return "RUNNING"


def landed(stack: Stack, table: str) -> dict[str, str]:
    s3, bucket = stack.client("s3"), stack.naming.bucket("raw")
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix=f"feeds/{table}/").get("Contents", ())]
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode() for key in keys}


def test_three_sources_are_fetched_by_a_pipeline_and_a_second_run_changes_nothing(stack: Stack, shop: Shop, rates: Rates) -> None:
    secret = stack.naming.of("secret", project="feeds", name="shop-api")
    stack.client("secretsmanager").create_secret(Name=secret, SecretString=json.dumps({"token": TOKEN}))
    manifest, artifacts = MANIFEST.format(shop=shop.url, rates=rates.url), stack.naming.bucket("artifacts")
    beside = stack.naming.manifest_key("feeds").replace("project.yaml", "sources/shop.star")
    stack.client("s3").put_object(Bucket=artifacts, Key=beside, Body=SCRIPT.encode())
    stack.client("s3").put_object(Bucket=artifacts, Key=stack.naming.manifest_key("feeds"), Body=manifest.encode())
    stack.settle()
    status = json.loads(stack.client("s3").get_object(Bucket=artifacts, Key="status/feeds.json")["Body"].read())
    assert next(one for one in status["conditions"] if one["type"] == "Synced")["status"] == "True", status
    shop.failing = [as_json({}, 429, **{"Retry-After": "1"}), as_json({}, 500)]
    assert run(stack, 1) == "SUCCEEDED"
    orders, days = landed(stack, "orders_raw"), landed(stack, "rates_raw")
    assert sorted(int(json.loads(line)["id"]) for text in orders.values() for line in text.splitlines()) == list(range(250))
    scripted = landed(stack, "scripted_raw")
    assert sorted(scripted.values()) == sorted(orders.values())
    assert {json.loads(line)["date"] for text in days.values() for line in text.splitlines()} == {"2030-01-08"}
    assert run(stack, 2) == "SUCCEEDED"
    assert (landed(stack, "orders_raw"), landed(stack, "rates_raw"), landed(stack, "scripted_raw")) == (orders, days, scripted)
    rates.restated = {"2030-01-08": 1.3}
    assert run(stack, 3) == "SUCCEEDED"
    assert len(landed(stack, "rates_raw")) == len(days) + 1
    shop.failing = [as_json({}, 403)]
    assert run(stack, 4).startswith("FAILED SourceFailed")
    stack.client("s3").put_object(Bucket=artifacts, Key=beside, Body=SCRIPT.replace("return body", "return 7 #").encode())
    stack.client("s3").put_object(Bucket=artifacts, Key=stack.naming.manifest_key("feeds"), Body=f"{manifest}# once more\n".encode())
    stack.settle()
    shop.changed = {17: "2030-01-02T00:00:00Z"}
    assert "`records` answered int; allowed: a list of objects" in run(stack, 5), "the next run has the script as it is now"
    assert landed(stack, "scripted_raw") == scripted
    assert TOKEN not in "".join(path.read_text(errors="replace") for path in stack.place.log.rglob("*.log"))
