"""Hands other than the plane's: each kind altered by ordinary calls and found by the hourly look; and a wiped state table.

That every field of every kind is compared is proven at the adapters (tests/aws); here it is the sweep, the queue and the status.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.dump import changes, dump
from tests.e2e.plane import HEAD, Plane, writes

pytestmark = pytest.mark.local

# A table's name is its project's too: else the next project would be taken for the one before, renamed.
TEXT = """tables:
  landed: {{ layer: raw, format: csv, csv: {{ delimiter: ";", header: true }}, partition: dt, columns: {{ id: string }} }}
  {project}_rows: {{ layer: refined, key: [id], columns: {{ id: long, v: string }} }}
jobs:
  load: {{ use: merge, reads: landed, writes: {project}_rows }}
pipelines:
  daily: {{ triggers: {{ landed: {{ files: landed }}, nightly: {{ schedule: cron(0 3 * * ? *) }} }}, steps: [load] }}
policy: {{ drift: {drift} }}
"""
Altered = Callable[[Plane, str], Any]
NAMED = ("Name", "Role", "Command", "DefaultArguments", "GlueVersion", "WorkerType", "NumberOfWorkers", "Timeout", "ExecutionProperty")


def role(plane: Plane, project: str) -> None:
    name = plane.stack.naming.role("job", project)
    [policy] = plane.client("iam").list_role_policies(RoleName=name)["PolicyNames"]
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    plane.client("iam").put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(everything))


def hive_table(plane: Plane, project: str) -> None:
    glue, database = plane.client("glue"), plane.stack.naming.database("raw")
    entry = glue.get_table(DatabaseName=database, Name=f"{project}_landed")["Table"]
    body = {key: entry[key] for key in ("Name", "PartitionKeys", "TableType", "Parameters", "StorageDescriptor")}
    body["StorageDescriptor"]["SerdeInfo"]["Parameters"]["separatorChar"] = "|"
    glue.update_table(DatabaseName=database, TableInput=body)


def iceberg_table(plane: Plane, project: str) -> None:
    table = plane.catalog.load_table((plane.stack.naming.database("refined"), f"{project}_{project}_rows"))
    with table.transaction() as transaction:
        transaction.set_properties({"write.parquet.compression-codec": "gzip"})


def table_optimizer(plane: Plane, project: str) -> None:
    glue, naming = plane.client("glue"), plane.stack.naming
    which = {
        "CatalogId": naming.account_id,
        "DatabaseName": naming.database("refined"),
        "TableName": f"{project}_{project}_rows",
        "Type": "retention",
    }
    configuration = glue.get_table_optimizer(**which)["TableOptimizer"]["configuration"]
    configuration["retentionConfiguration"]["icebergConfiguration"]["numberOfSnapshotsToRetain"] = 77
    glue.update_table_optimizer(**which, TableOptimizerConfiguration=configuration)


def glue_job(plane: Plane, project: str) -> None:
    glue, name = plane.client("glue"), plane.stack.naming.job(project, "load")
    job = glue.get_job(JobName=name)["Job"]
    glue.update_job(JobName=name, JobUpdate={**{key: job[key] for key in NAMED[1:] if key in job}, "NumberOfWorkers": 77})


def log_group(plane: Plane, project: str) -> None:
    name = plane.stack.naming.pipeline_log_group(project, "daily")
    plane.client("logs").put_retention_policy(logGroupName=name, retentionInDays=1)


def state_machine(plane: Plane, project: str) -> None:
    name = plane.stack.naming.state_machine(project, "daily")
    definition = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
    plane.client("stepfunctions").update_state_machine(
        stateMachineArn=plane.stack.naming.arn("states", f"stateMachine:{name}"), definition=json.dumps(definition)
    )


def event_rule(plane: Plane, project: str) -> None:
    plane.client("events").disable_rule(Name=plane.stack.naming.rule(project, "daily", "landed"))


def schedule_group(plane: Plane, project: str) -> None:
    """A group has no field: it is deleted, and its schedules with it."""
    plane.client("scheduler").delete_schedule_group(Name=plane.stack.naming.schedule_group(project))


def schedule(plane: Plane, project: str) -> None:
    scheduler, group = plane.client("scheduler"), plane.stack.naming.schedule_group(project)
    found = scheduler.get_schedule(GroupName=group, Name="daily-nightly")
    kept = {key: found[key] for key in ("GroupName", "Name", "FlexibleTimeWindow", "Target", "ScheduleExpressionTimezone")}
    scheduler.update_schedule(**kept, ScheduleExpression="cron(0 4 * * ? *)")


def alarm(plane: Plane, project: str) -> None:
    plane.client("cloudwatch").disable_alarm_actions(AlarmNames=[plane.stack.naming.alarm(project, "stalled")])


def dashboard(plane: Plane, project: str) -> None:
    """As somebody leaves it who empties it in the console."""
    plane.client("cloudwatch").put_dashboard(DashboardName=plane.stack.naming.dashboard(project), DashboardBody='{"widgets": []}')


# Another hand → the object and field that status names, what it was, what it is.
HANDS: dict[Altered, tuple[str, str, str]] = {
    role: ("role job role policies.meshplane", "cloudwatch:PutMetricData", '"Action":["*"]'),
    hive_table: ("hive_table landed serde_parameters.separatorChar", ";", "|"),
    iceberg_table: ("iceberg_table rows properties.write.parquet.compression-codec", "zstd", "gzip"),
    table_optimizer: ("table_optimizer rows/retention settings.numberOfSnapshotsToRetain", "3", "77"),
    glue_job: ("glue_job load workers", "2", "77"),
    log_group: ("log_group daily retention_days", "90", "1"),
    state_machine: ("state_machine daily definition", "compiled by Meshplane", '"Type":"Succeed"'),
    event_rule: ("event_rule daily.landed enabled", "True", "False"),
    schedule: ("schedule daily.nightly expression", "cron(0 3 * * ? *)", "cron(0 4 * * ? *)"),
    alarm: ("alarm stalled enabled", "True", "False"),
    dashboard: ("dashboard dashboard body", "Made by Meshplane", '{"widgets":[]}'),
}


def told(plane: Plane, project: str) -> dict[str, Any]:
    return {f"{row['object']} {row['field']}": row for row in plane.status(project)["drift"]}


@pytest.mark.parametrize("drift", ["heal", "report"])
def test_every_kind_altered_by_another_hand_is_healed_or_reported(plane: Plane, drift: str) -> None:
    project = f"w{drift}"
    plane.put(project, HEAD.format(name=project) + TEXT.format(drift=drift, project=project))
    assert plane.synced(project) == ("True", "Applied"), plane.text(project)
    before = dump(plane.client)
    for alter in HANDS:
        alter(plane, project)
    altered = dump(plane.client)
    assert len(changes(before, altered)) >= len(HANDS)
    with plane.counted() as requests:
        plane.advance(hours=1, minutes=5)
    found = told(plane, project)
    assert {name.partition(" ")[0] for name in found} == {alter.__name__ for alter in HANDS}
    for name, was, now in HANDS.values():
        row = found[name.replace(" rows", f" {project}_rows")]
        assert row["healed"] is (drift == "heal")
        assert was in row["was"]
        assert now in row["is"]
        assert f"drift: {row['object']} {row['field']}: was {row['was']}, is {row['is']}" in plane.text(project)
    after = dump(plane.client)
    mine = {name: pair for name, pair in changes(altered if drift == "report" else before, after).items() if project in name}
    assert mine == {}
    drifted = next(condition for condition in plane.status(project)["conditions"] if condition["type"] == "Drifted")
    assert drifted["status"] == ("False" if drift == "heal" else "True")
    if drift == "report":
        assert set(writes(requests)) <= {"s3:PutObject"}, "its status, nothing else"
    plane.remove(project)


def test_what_was_deleted_by_another_hand_is_made_again(plane: Plane) -> None:
    plane.put("again", HEAD.format(name="again") + TEXT.format(drift="heal", project="again"))
    before = dump(plane.client)
    naming, project = plane.stack.naming, "again"
    plane.client("glue").delete_job(JobName=naming.job(project, "load"))
    schedule_group(plane, project)
    plane.client("glue").delete_table(DatabaseName=naming.database("refined"), Name="again_again_rows")
    plane.client("logs").delete_log_group(logGroupName=naming.pipeline_log_group(project, "daily"))
    plane.advance(hours=1, minutes=5)
    assert plane.synced(project) == ("True", "Applied"), plane.text(project)
    assert "drift: glue_job load existence: was there, is deleted (healed)" in plane.text(project)
    assert {name: pair for name, pair in changes(before, dump(plane.client)).items() if "again" in name} == {}, "the table with its ids"


def test_a_wiped_state_table_is_rebuilt_without_a_write_to_any_resource(plane: Plane) -> None:
    """With a tombstone and an open run present."""
    assert plane.status("wheal")["phase"] == "removed"
    waits = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}}}
    plane.write("open", HEAD.format(name="open") + "pipelines: { long: { asl: long.asl.json } }\n", {"long.asl.json": json.dumps(waits)})
    plane.sync("open")
    run = plane.meshplane("run", "open.long")
    assert run.returncode == 0, run.stderr
    plane.stack.settle()
    before = dump(plane.client)
    status = {project: plane.status(project) for project in ("again", "open", "wheal", "wreport")}
    dynamodb, table = plane.client("dynamodb"), plane.stack.naming.of("state_table")
    for item in dynamodb.scan(TableName=table)["Items"]:
        dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})
    with plane.counted("reconcile-project", "sweep-projects", "start-run", "record-run") as requests:
        plane.advance(minutes=10)
    assert set(writes(requests)) <= {"s3:PutObject"}, "the copies of status, and of files put by hand"
    assert changes(before, dump(plane.client)) == {}
    for project, was in status.items():
        now = plane.status(project)
        assert now["conditions"] == was["conditions"], project
        assert (now["observedVersion"], now["phase"]) == (was["observedVersion"], was["phase"])
