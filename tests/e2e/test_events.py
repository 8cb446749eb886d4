"""Every file in `events/` is one that the embedded AWS really delivers, and `meshplane invoke` runs each function with it.

Files are compared by shape: the same fields, of the same kinds, at the same places; texts that hold JSON are looked into.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.plane import HEAD, ROOT, Plane, eventually

pytestmark = pytest.mark.local
FILES = sorted((ROOT / "events").glob("*.json"))
FUNCTIONS = (
    *("ingest_api", "plan_project", "publish_tables", "reconcile_project", "record_run", "restore_table"),
    *("start_run", "sweep_projects", "watch_tables"),
)
MANIFEST = f"""{HEAD.format(name="sales")}
tables:
  orders_raw: {{ layer: raw, format: csv, partition: dt, columns: {{ id: string }} }}
  shop_raw: {{ layer: raw, format: json, columns: {{ id: string }} }}
  orders: {{ layer: refined, columns: {{ id: long }}, key: [id] }}
sources:
  shop_orders: {{ rest: {{ url: "http://127.0.0.1:9/orders", records: items }}, into: shop_raw }}
jobs:
  load_orders: {{ use: merge, reads: orders_raw, writes: orders }}
pipelines:
  daily: {{ triggers: {{ landed: {{ files: orders_raw }} }}, steps: [load_orders] }}
  fetch: {{ steps: [{{ ingest: shop_orders }}] }}
"""
NAMED: dict[str, Callable[[Any], bool]] = {  # which event of a function a file is, where a function gets several kinds
    "reconcile_project": lambda event: json.loads(event["Records"][0]["body"])["detail-type"] == "Object Created",
    "reconcile_project_deleted": lambda event: json.loads(event["Records"][0]["body"])["detail-type"] == "Object Deleted",
    "record_run": lambda event: event["source"] == "aws.states" and event["detail"]["status"] == "SUCCEEDED",
    "record_run_job": lambda event: event["source"] == "aws.glue",
    "restore_table": lambda event: event["do"] == "roll_back",
    "start_run": lambda event: json.loads(event["Records"][0]["body"])["kind"] == "files",
    "watch_tables": lambda event: event["do"] == "look",
    "start_run_manual": lambda event: json.loads(event["Records"][0]["body"])["kind"] == "manual",
}
# By when they are invoked their project is removed: what needs it says so, by an error of its own.
REFUSED = {
    "ingest_api": ("SourceFailed", "pipeline fetch has no applied source shop_orders"),
    "publish_tables": ("GateFailed", "project-removed: project sales was removed"),
    "restore_table": ("RestoreRefused", "orders was taken out of the manifest"),
}


def function_of(path: Path) -> str:
    """`start_run_manual` is an event of start_run."""
    return next(name for name in FUNCTIONS if path.stem == name or path.stem.startswith(f"{name}_"))


def shape(value: Any) -> Any:
    """Fields and kinds; of a list the shapes of its items; JSON inside a text is part of it; what a map of free names holds is not."""
    if isinstance(value, dict):
        return {name: "free" if name in ("params", "files", "messageAttributes") else shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value[:1]]
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return shape(json.loads(value))
        except ValueError:
            return "str"
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def of_file(events: dict[str, list[Any]], path: Path) -> list[Any]:
    """The delivered events that a file may be."""
    found = events.get(f"f01-meshplane-{function_of(path).replace('_', '-')}-dev", [])
    return [event for event in found if NAMED.get(path.stem, lambda _: True)(event)]


@pytest.fixture(scope="module")
def delivered(plane: Plane) -> dict[str, list[Any]]:
    """What came to each function while a project was put, planned, fed, run by hand, swept and removed. With MESHPLANE_RECORD_EVENTS
    the files are written anew from it."""
    plane.write("sales", MANIFEST)
    assert plane.put("sales", MANIFEST)["conditions"]
    assert plane.meshplane("plan", "sales", GITHUB_ACTOR="ci", GITHUB_SHA="0" * 40, GITHUB_REPOSITORY="team/data").returncode in (0, 1, 4)
    plane.client("s3").put_object(Bucket=plane.bucket("raw"), Key="sales/orders_raw/dt=2026-01-01/a.csv", Body=b"id\n1\n")
    eventually(lambda: of_file(plane.stack.ask("events"), Path("start_run")), 60, 0.5)  # or both come in one batch
    plane.meshplane("run", "sales.fetch")
    asked = {"project": "sales", "table": "orders", "snapshot": "1", "seen": "0", "by": "ci"}  # which is refused: there is no such one
    machine = plane.stack.naming.arn("states", "stateMachine:f01-meshplane-roll-back-dev")
    plane.client("stepfunctions").start_execution(stateMachineArn=machine, name="roll-back-1", input=json.dumps(asked))
    watchdog = plane.stack.naming.arn("states", "stateMachine:f01-meshplane-watchdog-dev")
    plane.client("stepfunctions").start_execution(stateMachineArn=watchdog, input="{}")
    wanted = {
        "publish_tables",
        "restore_table",
        "watch_tables",
        "ingest_api",
        "record_run",
        "record_run_job",
        "start_run",
        "start_run_manual",
    }
    eventually(lambda: all(of_file(plane.stack.ask("events"), Path(name)) for name in wanted), 240, 0.5)
    plane.advance(minutes=6)
    plane.remove("sales")
    events = dict(plane.stack.ask("events"))
    if os.environ.get("MESHPLANE_RECORD_EVENTS"):
        for path in FILES:
            path.write_text(json.dumps(of_file(events, path)[0], indent=2) + "\n", encoding="utf-8")
    return events


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_embedded_aws_delivers_it(delivered: dict[str, list[Any]], path: Path) -> None:
    found = [shape(event) for event in of_file(delivered, path)]
    assert shape(json.loads(path.read_text(encoding="utf-8"))) in found


@pytest.mark.usefixtures("delivered")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_invoke_runs_the_built_function_with_it(plane: Plane, path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("functions", "glue_jobs", "cli"))}
    command = [sys.executable, "-m", "meshplane_cli", "invoke", function_of(path), "--event", str(path)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.stdout.strip(), done.stderr
    answer = json.loads(done.stdout)
    refusal = REFUSED.get(path.stem)
    assert done.returncode == (1 if refusal else 0), answer
    if refusal:
        assert (answer["errorType"], answer["errorMessage"]) == refusal
