"""`aws s3 rm` of a manifest, and the manifest put back: what goes, what stays, and that all is as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.dump import changes, dump
from tests.e2e.plane import HEAD, Plane, eventually

pytestmark = pytest.mark.local

# A run that lasts as long as the test wants: no Spark is needed to see what becomes of it.
WAITS = json.dumps(
    {
        "StartAt": "Ask",
        "States": {
            "Ask": {"Type": "Pass", "Parameters": {"seconds.$": "States.StringToJson($.run.params.seconds)"}, "Next": "Wait"},
            "Wait": {"Type": "Wait", "SecondsPath": "$.seconds", "End": True},
        },
    }
)
LONG = """tables:
  marks: {{ layer: refined, columns: {{ id: long }} }}
pipelines:
  long:
    params: {{ seconds: {{ type: int, default: 0 }} }}
    triggers: {{ nightly: {{ schedule: cron(0 3 * * ? *) }} }}
    asl: {{ file: long.asl.json }}
policy: {{ whileRunning: {fate} }}
"""


@pytest.fixture(scope="module")
def examples(plane: Plane) -> Plane:
    """Both examples, published with nothing but `aws s3 sync`; `sales` with rows on disk."""
    for project in ("customers", "sales"):
        plane.example(project)
        plane.sync(project)
        assert plane.synced(project) == ("True", "Applied"), plane.text(project)
    plane.client("s3").put_object(Bucket=plane.bucket("refined"), Key="sales/iceberg/orders/data/part-0.parquet", Body=b"rows")
    return plane


def test_only_data_resting_tables_status_files_and_other_projects_remain(examples: Plane) -> None:
    before = dump(examples.client)
    examples.remove("sales")
    assert examples.synced("sales") == ("True", "Removed"), examples.text("sales")
    after = dump(examples.client)
    gone = {name for name in before if name not in after}
    naming = examples.stack.naming
    assert {name.rpartition(" ")[0] for name in gone} == {
        *("cloudwatch alarm", "cloudwatch dashboard", "events rule", "glue job", "iam role", "logs group", "s3 object"),
        *("scheduler group", "scheduler schedule", "states machine"),
    }
    assert all("sales" in name for name in gone)
    left = {name: now for name, (_, now) in changes(before, after).items() if now is not None}
    of_tables = ("glue table", "glue optimizer", "iceberg metadata")
    assert {name.rsplit(" ", 2)[0] if "optimizer" in name else name.rpartition(" ")[0] for name in left} == set(of_tables)
    assert [now["configuration"]["enabled"] for name, now in left.items() if "optimizer" in name] == [False] * 9
    resting = [now["Parameters"] for name, now in left.items() if name.startswith("glue table")]
    assert len(resting) == 4
    assert all(parameters["meshplane.tombstone"] == "true" for parameters in resting)
    kept = {name.removeprefix("s3 object ") for name in after if name.startswith("s3 object ") and "sales" in name}
    assert {key.partition("/")[2].partition("/")[0] + "/" + key.partition("/")[2].split("/")[1] for key in kept} == {
        *("sales/files", "status/sales.json", "status/sales.txt", "manifests/sales", "sales/iceberg")
    }
    assert f"{examples.bucket('artifacts')}/{naming.manifest_key('sales')}" not in kept
    examples.sync("sales")
    assert examples.synced("sales") == ("True", "Applied"), examples.text("sales")
    assert changes(before, dump(examples.client)) == {}


def start(plane: Plane, project: str, seconds: int) -> dict[str, Any]:
    """A run by `meshplane run`, once it is under way: its execution."""
    told = plane.meshplane("run", f"{project}.long", "--param", f"seconds={seconds}")
    assert told.returncode == 0, told.stderr
    states = plane.client("stepfunctions")
    machine = plane.stack.naming.arn("states", f"stateMachine:{plane.stack.naming.state_machine(project, 'long')}")

    def running() -> Any:
        return states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]

    return dict(eventually(running)[0])


@pytest.mark.parametrize(("fate", "seconds", "ends"), [("finish", 6, "SUCCEEDED"), ("stop", 600, "ABORTED")])
def test_a_run_under_way_meets_the_fate_that_policy_says(plane: Plane, fate: str, seconds: int, ends: str) -> None:
    project = f"long{fate}"
    plane.write(project, HEAD.format(name=project) + LONG.format(fate=fate), {"long.asl.json": WAITS})
    plane.sync(project)
    assert plane.synced(project) == ("True", "Applied"), plane.text(project)
    before = dump(plane.client)
    execution = start(plane, project, seconds)
    plane.remove(project)
    if fate == "finish":
        assert plane.synced(project) == ("False", "Draining")
        assert execution["name"] in plane.text(project), "the run that is waited for is named"
        groups = [group["Name"] for group in plane.client("scheduler").list_schedule_groups()["ScheduleGroups"]]
        assert plane.stack.naming.schedule_group(project) not in groups, "triggers go first"
        assert f"states machine {plane.stack.naming.state_machine(project, 'long')}" in dump(plane.client), "the run's machine does not"
        states = plane.client("stepfunctions")
        eventually(lambda: states.describe_execution(executionArn=execution["executionArn"])["status"] == ends)
        plane.advance(minutes=10)  # it is due a minute after each look, and the sweep comes every five
    assert plane.synced(project) == ("True", "Removed"), plane.text(project)
    run = plane.meshplane("runs", f"{project}.long", "--json")
    assert [row["status"] for row in json.loads(run.stdout)] == [ends]
    plane.sync(project)
    assert plane.synced(project) == ("True", "Applied"), plane.text(project)
    assert changes(before, dump(plane.client)) == {}
