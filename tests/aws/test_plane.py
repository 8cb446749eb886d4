"""The examples, reconciled with the real kinds and adapters against moto: made, silent, changed, healed, removed, put back."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from meshplane.aws.clients import Clients
from meshplane.errors import Problem
from meshplane.flows.plan_project import plan_project
from meshplane.plan.record import release_json
from meshplane_cli import main
from tests.aws.plane_world import ROOT, World

PROJECTS = ("customers", "sales")


def upload(world: World, project: str) -> None:
    """As `aws s3 sync` of the folder does: files, then the manifest."""
    folder = ROOT / "projects" / project
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != "project.yaml" and "__pycache__" not in file.parts:
            world.put_file(project, file.relative_to(folder).as_posix(), file.read_bytes())
    world.put(project, (folder / "project.yaml").read_text())


@pytest.fixture
def world(clients: Clients) -> World:
    """Both examples, applied."""
    world = World(clients)
    for project in PROJECTS:
        upload(world, project)
        assert world.look(project).result == "applied", world.status_text(project)
        assert world.status(project)["conditions"][0]["status"] == "True", world.status_text(project)
    world.queued()
    return world


def edited(project: str, *edits: tuple[str, str]) -> str:
    text = (ROOT / "projects" / project / "project.yaml").read_text()
    for was, now in edits:
        assert was in text
        text = text.replace(was, now)
    return text


def test_what_a_success_has_to_prove_is_known_by_the_machine_as_compiled(world: World) -> None:
    told = {project: world.run_ports.runs.policies(project) or {} for project in PROJECTS}
    found = {f"{project}.{name}": policy.publishes for project, policies in told.items() for name, policy in policies.items()}
    assert found == {"customers.daily": True, "sales.daily": True}


@pytest.mark.parametrize("project", PROJECTS)
def test_the_second_reconcile_makes_no_mutating_request(world: World, project: str) -> None:
    for _ in range(2):
        assert world.look(project).result == "unchanged"
        assert world.writes() == []
        assert Counter(call for call in world.calls if call.startswith("dynamodb:"))["dynamodb:UpdateItem"] == 2
        assert not [
            call for call in world.calls if call.startswith("dynamodb:") and call.split(":")[1] not in ("UpdateItem", "BatchGetItem")
        ]


def test_a_new_commit_that_changes_nothing_in_the_project_touches_nothing(world: World) -> None:
    world.put("sales", edited("sales") + "\n# a comment\n")
    assert world.look("sales").result == "unchanged"
    assert set(world.writes()) <= {"s3:PutObject"}, "the status names the new version; nothing else is written"


def test_a_column_more_is_one_change_of_one_table(world: World) -> None:
    world.put(
        "sales",
        edited(
            "sales",
            (
                "      status: string\n      ordered_at: timestamptz",
                "      status: string\n      channel: string\n      ordered_at: timestamptz",
            ),
        ),
    )
    assert world.look("sales").result == "applied"
    assert world.status("sales")["counts"]["update"] >= 1
    assert "glue:UpdateTable" in world.writes()
    assert world.look("sales").result == "unchanged"
    assert world.writes() == []


def test_a_state_wipe_costs_one_sweep_and_no_change(world: World) -> None:
    world.wipe_state()
    assert set(world.sweep().queued) == set(PROJECTS)
    for project in PROJECTS:
        world.look(project)
        assert world.writes() == []
        assert world.status(project)["conditions"][0]["status"] == "True"


def test_a_manifest_put_by_hand_after_a_publish_finds_its_files_though_the_state_was_wiped(world: World) -> None:
    """Nothing lies beside it; what was published last is found in the bucket, not remembered."""
    s3, bucket = world.clients("s3"), world.naming.bucket("artifacts")
    release = world.states.peek("sales").release
    for path in world.manifests.beside("sales"):
        s3.delete_object(Bucket=bucket, Key=f"manifests/sales/{path}")
    s3.put_object(Bucket=bucket, Key=world.naming.of("release_key", project="sales", digest="d1"), Body=json.dumps(release_json(release)))
    world.wipe_state()
    world.put("sales", edited("sales", ("timeout: 30m", "timeout: 45m")))
    for project in PROJECTS:
        world.look(project)
        assert world.status(project)["conditions"][0]["reason"] == "Applied", world.status_text(project)


def test_drift_is_healed_and_told(world: World) -> None:
    name = world.naming.job("sales", "load_orders")
    glue = world.clients("glue")
    job = glue.get_job(JobName=name)["Job"]
    keep = {key: job[key] for key in ("Role", "Command", "DefaultArguments", "GlueVersion", "WorkerType", "Connections") if key in job}
    glue.update_job(JobName=name, JobUpdate={**keep, "NumberOfWorkers": 9, "Timeout": 60})
    report = world.look("sales")
    assert report.metrics["Healed"] == 1
    told = world.status("sales")["drift"]
    assert ("glue_job load_orders", "9", True) in [(row["object"], row["is"], row["healed"]) for row in told]
    assert world.look("sales").result == "unchanged"


def test_an_out_of_band_serde_and_partition_change_is_healed(world: World) -> None:
    """Each would be breaking as a change of the manifest; the manifest did not change."""
    glue, database = world.clients("glue"), world.naming.database("raw")
    name = world.naming.table("sales", "orders_raw")
    found = glue.get_table(DatabaseName=database, Name=name)["Table"]
    body = {key: found[key] for key in ("Name", "StorageDescriptor", "PartitionKeys", "TableType", "Parameters") if key in found}
    body["StorageDescriptor"] = {
        **body["StorageDescriptor"],
        "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.orc.OrcSerde"},
    }
    body["PartitionKeys"] = [{"Name": "somewhere_else", "Type": "string"}]
    glue.update_table(DatabaseName=database, TableInput=body)
    assert world.look("sales").result == "applied", world.status_text("sales")
    assert world.status("sales")["conditions"][0]["status"] == "True", world.status_text("sales")
    again = glue.get_table(DatabaseName=database, Name=name)["Table"]
    assert again["StorageDescriptor"]["SerdeInfo"] == found["StorageDescriptor"]["SerdeInfo"]
    assert again["PartitionKeys"] == found["PartitionKeys"]


@pytest.mark.parametrize("resting", [False, True])
def test_a_table_is_not_moved_to_another_layer(world: World, resting: bool) -> None:
    """An empty table in its place would look like lost data: refused, with the holder and the way to copy."""
    table = "  notes: { layer: %s, columns: { id: long, note: string }, key: id }\n"
    world.put("sales", edited("sales", ("tables:\n", "tables:\n" + table % "refined")))
    assert world.look("sales").result == "applied", world.status_text("sales")
    if resting:
        world.put("sales", edited("sales"))
        world.look("sales")
    before = dump(world)
    world.put("sales", edited("sales", ("tables:\n", "tables:\n" + table % "curated")))
    world.look("sales")
    synced = world.status("sales")["conditions"][0]
    assert (synced["status"], synced["reason"]) == ("False", "Blocked")
    assert f"{world.naming.database('refined')}.sales_notes holds this table's data" in synced["message"]
    assert "copy by a job" in synced["message"]
    assert dump(world) == before


NOTES = """\
apiVersion: meshplane/v1
kind: Project
metadata: { name: %s }
tables:
  notes: { layer: refined, columns: { id: long, note: string }, key: id }
  days: { layer: curated, columns: { day: date }, key: day }
"""


def test_a_project_is_not_renamed(world: World) -> None:
    """Its tables would stand empty under the new name, which looks like lost data: held, with the holder and the way to copy."""
    world.put("diary", NOTES % "diary")
    world.look("diary")
    world.put("memo", NOTES.replace("notes:", "memos:") % "memo")
    assert world.look("memo").result == "applied", "another project with tables of its own"
    world.drop("diary")
    assert world.look("diary").result == "removed"
    before = dump(world)
    world.put("journal", NOTES % "journal")
    world.look("journal")
    synced = world.status("journal")["conditions"][0]
    assert (synced["status"], synced["reason"]) == ("False", "Held")
    assert "the project diary, which was removed, holds a table of this name with its data" in synced["message"]
    assert "reads diary.notes and writes notes" in synced["message"]
    assert dump(world) == before, "nothing was applied"
    text = (NOTES % "journal").replace("  notes: {", "  other: {")
    world.put("journal", text)
    assert world.look("journal").result == "applied", "not all of its tables are the removed one's: a project of its own"
    world.drop("journal")
    world.look("journal")
    approved = (NOTES % "ledger") + f"policy: {{ approve: {_digest(world)} }}\n"
    world.put("ledger", approved)
    assert world.look("ledger").result == "applied", world.status_text("ledger")
    world.put("diary", NOTES % "diary")
    assert world.look("diary").result == "applied", "put back, it finds its own"
    assert world.look("ledger").result == "unchanged"


def _digest(world: World) -> str:
    world.put("ledger", NOTES % "ledger")
    world.look("ledger")
    return str(world.status("ledger")["plan"])


def test_removed_and_put_back(world: World) -> None:
    before = dump(world)
    world.drop("sales")
    assert world.look("sales").result == "removed", world.status_text("sales")
    assert not [call for call in world.writes() if "DeleteTable" in call]
    left = dump(world)
    assert not [name for name in left["jobs"] if "-sales-" in name]
    assert not [name for name in left["machines"] if "-sales-" in name]
    assert not [name for name in left["roles"] if "-sales-" in name]
    assert left["tables"].keys() == before["tables"].keys(), "tables rest with their data"
    assert [name for name in left["jobs"] if "-customers-" in name], "other projects remain"
    assert world.look("sales").result == "removed"
    assert world.writes() == []
    upload(world, "sales")
    assert world.look("sales").result == "applied", world.status_text("sales")
    after = dump(world)
    assert after["tables"] == before["tables"]
    assert {key: sorted(after[key]) for key in after} == {key: sorted(before[key]) for key in before}


def test_a_state_machine_put_by_hand_beside_its_manifest_is_read_from_there(world: World) -> None:
    world.put_file("own", "own.asl.json", b'{"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}')
    head = "apiVersion: meshplane/v1\nkind: Project\nmetadata: { name: own }\n"
    world.put("own", head + "pipelines: { daily: { asl: own.asl.json } }\n")
    assert world.look("own").result == "applied", world.status_text("own")
    assert world.look("own").result == "unchanged"


def test_its_files_leave_a_day_later(world: World) -> None:
    world.drop("sales")
    world.look("sales")
    world.clock(timedelta(hours=23))
    world.look("sales")
    assert files(world, "sales")
    world.clock(timedelta(hours=2))
    assert world.look("sales").result == "forgotten"
    assert not files(world, "sales")
    assert world.manifests.beside("sales"), "what somebody put beside the manifest is theirs"
    assert world.look("sales").result == "removed"
    assert world.writes() == []


TEN_FAULTS = """\
apiVersion: meshplane/v1
kind: Project
metadata: { name: sales }
tables:
  orders: { layer: golden, columns: { id: long } }
  items: { layer: refined, columns: { id: uuid }, key: id }
  notes: { layer: refined, columns: { id: long }, key: nope }
  files: { layer: raw, format: csv, columns: { id: string } }
  spare_quarantine: { layer: refined, columns: { id: long } }
jobs:
  load: { use: magic, reads: files, writes: notes }
  report: { script: /x.py, reads: notes, writes: nowhere }
pipelines:
  daily: { steps: [load, missing], window: fortnight }
colour: red
"""


def test_ten_faults_uploaded_bare_read_as_validate_says_them(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same text: on the laptop before the upload, and in status/<project>.txt after a plain upload."""
    world.put("sales", TEN_FAULTS)
    assert world.look("sales").result == "manifestinvalid"
    (tmp_path / "domain.json").write_text((ROOT / "domain.json").read_text())
    folder = tmp_path / "projects" / "sales"
    folder.mkdir(parents=True)
    (folder / "project.yaml").write_text(TEN_FAULTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit):
        main.run(["validate", "sales"])
    problems = world.status("sales")["problems"]
    assert len(problems) == 10, [problem["path"] for problem in problems]
    assert len({(problem["line"], problem["column"], problem["path"]) for problem in problems}) == 10
    told = "\n".join(str(Problem(**problem)) for problem in problems)
    assert told in out.getvalue() + err.getvalue()
    assert told in world.status_text("sales")


def test_the_plan_says_what_the_reconcile_does(world: World) -> None:
    text = edited("sales", ("timeout: 30m", "timeout: 45m"))
    world.calls.clear()
    answer = plan_project(world.plan_ports, {"project": "sales", "manifest": text})
    assert [call for call in world.calls if not call.split(":")[1].startswith(("Get", "List", "Describe", "BatchGet", "Query"))] == []
    assert [row["label"] for row in answer["actions"] if row["verb"] == "update"] == ["daily_revenue"]
    assert "  ~ job     daily_revenue" in answer["text"]


def dump(world: World) -> dict[str, dict[str, Any]]:
    """What stands, by name; tables by their ids and columns."""
    glue, states = world.clients("glue"), world.clients("stepfunctions")
    tables = {}
    for layer in ("raw", "refined", "curated"):
        for table in glue.get_tables(DatabaseName=world.naming.database(layer))["TableList"]:
            tables[f"{layer}.{table['Name']}"] = [(c["Name"], c["Type"]) for c in table["StorageDescriptor"]["Columns"]]
    jobs = {job["Name"]: job for page in glue.get_paginator("get_jobs").paginate() for job in page["Jobs"]}
    machines = {machine["name"]: machine for machine in states.list_state_machines()["stateMachines"]}
    roles = {role["RoleName"]: role for role in world.clients("iam").list_roles()["Roles"]}
    rules = {rule["Name"]: rule for rule in world.clients("events").list_rules()["Rules"]}
    return {"tables": tables, "jobs": jobs, "machines": machines, "roles": roles, "rules": rules}


def files(world: World, project: str) -> list[str]:
    found = world.clients("s3").list_objects_v2(Bucket=world.naming.bucket("artifacts"), Prefix=f"{project}/files/")
    return [item["Key"] for item in found.get("Contents", [])]
