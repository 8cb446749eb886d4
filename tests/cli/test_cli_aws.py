"""The verbs that talk to AWS, against moto: what they send, what they show, how they end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from syrupy.assertion import SnapshotAssertion

from meshplane.model.project import Param
from meshplane.model.runs import Arrival, PipelinePolicy, Run, StepEnd, TriggerMessage, run_id
from meshplane.model.windows import moment
from meshplane.plan.record import release_of
from tests.cli.conftest import Cli

Put = Callable[[str, str, object], None]
AT = "2030-05-01T12:00:00Z"


def condition(axis: str, status: str, reason: str, message: str = "") -> dict[str, str]:
    return {"type": axis, "status": status, "reason": reason, "message": message, "object": ""}


def document(version: str, synced: tuple[str, str] = ("True", "Applied"), message: str = "as declared") -> dict[str, Any]:
    others = [condition("Healthy", "True", "AllStand"), condition("Drifted", "False", "NoDrift")]
    return {"observedVersion": version, "conditions": [condition("Synced", *synced, message), *others], "whatToDo": ""}


def newest_manifest(aws: Cli, project: str) -> dict[str, Any]:
    assert aws.clients
    found: dict[str, Any] = aws.clients("s3").get_object(Bucket=aws.naming.bucket("artifacts"), Key=f"manifests/{project}/project.yaml")
    return found


def policies(aws: Cli, **params: Param) -> None:
    stored = {"daily": PipelinePolicy("arn:aws:states:eu-central-1:1:stateMachine:m", window="day", params=params).to_json()}
    item = {"pk": {"S": "project#sales"}, "sk": {"S": "state"}, "pipelines": TypeSerializer().serialize(stored)}
    assert aws.clients
    aws.clients("dynamodb").put_item(TableName=aws.naming.of("state_table"), Item=item)


def test_publish_uploads_files_then_index_then_the_unchanged_manifest(aws: Cli) -> None:
    told = aws("publish", "sales", "--no-wait")
    assert told.exit_code == 0, told.stderr
    manifest = newest_manifest(aws, "sales")
    assert manifest["Body"].read() == (aws.root / "projects/sales/project.yaml").read_bytes()
    digest = manifest["Metadata"]["release"]
    assert aws.clients
    s3, bucket = aws.clients("s3"), aws.naming.bucket("artifacts")
    index = s3.get_object(Bucket=bucket, Key=f"releases/sales/{digest}.json")
    release = release_of(json.loads(index["Body"].read()))
    key = release.file_key(aws.naming, "sales", "jobs/daily_revenue.py")
    script = s3.get_object(Bucket=bucket, Key=key)
    assert script["Body"].read() == (aws.root / "projects/sales/jobs/daily_revenue.py").read_bytes()
    assert script["LastModified"] <= index["LastModified"] <= manifest["LastModified"]


def test_the_same_files_are_the_same_release_and_are_sent_once(aws: Cli) -> None:
    lib = aws.root / "projects/sales/lib"
    (lib / "__pycache__").mkdir(parents=True)
    (lib / "parse.py").write_text("A = 1\n", encoding="utf-8")
    manifest = aws.root / "projects/sales/project.yaml"
    manifest.write_text(
        manifest.read_text(encoding="utf-8").replace("    timeout: 30m\n", "    timeout: 30m\n    modules: [lib/]\n"), encoding="utf-8"
    )
    digests, versions = set(), {}
    for count in (1, 2):
        assert aws("publish", "sales", "--no-wait").exit_code == 0
        (lib / "__pycache__" / "parse.pyc").write_bytes(bytes(count))
        digests.add(newest_manifest(aws, "sales")["Metadata"]["release"])
        assert aws.clients
        found = aws.clients("s3").list_object_versions(Bucket=aws.naming.bucket("artifacts"), Prefix="sales/files/")["Versions"]
        versions[count] = sorted(one["Key"] for one in found)
    assert len(digests) == 1
    assert versions[1] == versions[2], "nothing that is there is uploaded again"
    assert [key for key in versions[1] if key.endswith("/lib.zip")]


@pytest.mark.parametrize("link", ["jobs/daily_revenue.py", "jobs"])
def test_a_link_that_leads_out_of_the_folder_is_refused(aws: Cli, tmp_path_factory: pytest.TempPathFactory, link: str) -> None:
    """What is published is what was reviewed: a link could name any file of the machine that publishes."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    inside = aws.root / "projects" / "sales" / link
    moved = elsewhere / inside.name
    inside.rename(moved)
    inside.symlink_to(moved)
    told = aws("publish", "sales", "--no-wait")
    assert told.exit_code == 1
    assert "is a link that leads out of the project's folder" in told.stderr
    assert "Contents" not in aws.clients("s3").list_objects_v2(Bucket=aws.naming.bucket("artifacts"))


def test_all_publishes_every_project_and_then_only_what_changed(aws: Cli) -> None:
    """The template beside the projects is none of them; what lies there already, text and files, is not written again."""
    assert aws.clients
    s3, bucket = aws.clients("s3"), aws.naming.bucket("artifacts")

    def published() -> dict[str, int]:
        """Key → how many versions of it there are."""
        return dict(Counter(row["Key"] for row in s3.list_object_versions(Bucket=bucket)["Versions"]))

    first = aws("publish", "--all", "--no-wait", "--json")
    assert first.exit_code == 0, first.stderr
    assert set(json.loads(first.stdout)) == {"customers", "sales"}
    once = published()
    assert {key for key in once if key.startswith("manifests/")} == {f"manifests/{name}/project.yaml" for name in ("customers", "sales")}
    assert set(once.values()) == {1}
    again = aws("publish", "--all", "--no-wait", "--json")
    assert json.loads(again.stdout) == json.loads(first.stdout), "the same versions"
    assert again.stderr.count("published already") == 2
    assert published() == once
    script = aws.root / "projects/sales/jobs/daily_revenue.py"
    script.write_text(script.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    third = aws("publish", "--all", "--no-wait")
    assert third.exit_code == 0, third.stderr
    assert "customers: published already" in third.stderr
    changed = {key for key, count in published().items() if count != once.get(key)}
    assert {key.partition("/")[0] for key in changed} == {"manifests", "releases", "sales"}, "its script, its index, its manifest"
    assert "manifests/sales/project.yaml" in changed
    assert not [key for key in changed if "customers" in key]


def test_nothing_is_uploaded_while_one_of_them_is_broken(aws: Cli) -> None:
    manifest = aws.root / "projects/sales/project.yaml"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("layer: refined", "layer: polished"), encoding="utf-8")
    told = aws("publish", "--all")
    assert told.exit_code == 1
    assert "polished" in told.stderr
    assert aws.clients
    assert "Contents" not in aws.clients("s3").list_objects_v2(Bucket=aws.naming.bucket("artifacts"))


@pytest.mark.parametrize(
    ("synced", "code"), [(("True", "Applied"), 0), (("False", "ManifestInvalid"), 1), (("False", "Held"), 4), (("False", "Waiting"), 4)]
)
def test_publish_follows_the_status_of_that_version(
    aws: Cli, put: Put, monkeypatch: pytest.MonkeyPatch, synced: tuple[str, str], code: int
) -> None:
    """The plane is played by the pause between two looks: it takes the manifest in then."""

    def plane(_: float) -> None:
        put("artifacts", "status/sales.json", document(newest_manifest(aws, "sales")["VersionId"], synced, "told"))
        put("artifacts", "status/sales.txt", "the text beside the manifest\n")

    put("artifacts", "status/sales.json", document("an older version"))
    put("artifacts", "status/sales.txt", "old\n")
    monkeypatch.setattr("meshplane_cli.commands.publish.time.sleep", plane)
    told = aws("publish", "sales", "--timeout", "3")
    assert told.exit_code == code
    assert "sales: waits for the plane" in told.stderr
    assert f"sales: {synced[1]} told" in told.stderr
    assert ("the text beside the manifest" in told.stdout) is (code != 0)


def test_status_of_all_and_of_one(aws: Cli, put: Put, snapshot: SnapshotAssertion) -> None:
    put("artifacts", "status/sales.json", document("v1", ("False", "Denied"), "glue:CreateJob"))
    put("artifacts", "status/sales.txt", "sales in dev: Synced False (Denied)\nglue:CreateJob\n")
    put("artifacts", "status/customers.json", document("v1"))
    put("artifacts", "status/customers.txt", "customers in dev: Synced True\n")
    every, one = aws("status"), aws("status", "sales")
    assert (every.exit_code, one.exit_code, aws("status", "customers").exit_code) == (1, 1, 0)
    assert every.stdout == snapshot
    assert one.stdout == "sales in dev: Synced False (Denied)\nglue:CreateJob\n"
    assert [each["conditions"][0]["reason"] for each in json.loads(aws("status", "--json").stdout)] == ["Applied", "Denied"]


def test_status_of_what_was_never_published(aws: Cli) -> None:
    told = aws("status", "sales")
    assert told.exit_code == 4
    assert "meshplane publish sales" in told.stdout


def test_run_sends_the_message_that_start_run_reads(aws: Cli) -> None:
    policies(aws, country=Param("string", "DE"))
    told = aws("run", "sales.daily", "--param", "country=FR", "--window", "2030-05-01", "--json")
    assert told.exit_code == 0, told.stderr
    assert aws.clients
    sqs = aws.clients("sqs")
    url = sqs.get_queue_url(QueueName="f01-meshplane-trigger-dev")["QueueUrl"]
    [sent] = sqs.receive_message(QueueUrl=url)["Messages"]
    message = TriggerMessage.read("m", sent["Body"], moment(AT))
    assert (message.kind, message.event["params"], message.event["window_start"]) == ("manual", {"country": "FR"}, "2030-05-01T00:00:00Z")
    expected = run_id("sales", "daily", "", message.identity, message.time)
    assert json.loads(told.stdout)["run_id"] == expected, "the id that is told is the id that start_run gives"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--param", "nation=DE"], "no parameter nation; allowed: country (string)"),
        (["--param", "nation"], "'nation' is not name=value"),
        (["--window", "tomorrow"], "--window: 'tomorrow' is no moment"),
    ],
)
def test_a_wrong_wish_is_refused_before_it_is_sent(aws: Cli, words: list[str], text: str) -> None:
    policies(aws, country=Param("string", "DE"))
    told = aws("run", "sales.daily", *words)
    assert told.exit_code == 2
    assert text in told.stderr


def test_run_of_what_is_not_there(aws: Cli) -> None:
    assert "is not published" in aws("run", "sales.daily").stderr
    policies(aws)
    told = aws("run", "sales.nothing")
    assert told.exit_code == 2
    assert "neither a pipeline nor a job 'nothing'" in told.stderr


def recorded(aws: Cli, put: Put) -> Run:
    files = tuple(Arrival(f"sales/orders_raw/{name}.csv", "v1", 3, AT) for name in "ab")
    ended = {"started": AT, "ended": "2030-05-01T12:02:00Z"}
    step = StepEnd("f01-sales-load_orders-dev", "jr_1", "FAILED", 0, AT, "2030-05-01T12:02:00Z", "boom")
    run = Run(
        "daily-1",
        "sales",
        "daily",
        "FAILED",
        "landed",
        "files",
        AT,
        files=files,
        files_total=2,
        cause="boom",
        steps={"load#0": step},
        **ended,
    )
    aws.runs.put(run)
    aws.runs.put(Run("daily-2", "sales", "daily", "SKIPPED", "", "manual", "2030-05-01T13:00:00Z", reason="merged into daily-1"))
    outputs = [{"table": "orders", "rows_added": 1000}, {"table": "orders", "rows_added": 5}]
    put("refined", "sales/_runs/daily-1/load.json", {"state": "done", "outputs": outputs})
    put("refined", "sales/_runs/daily-1/later.json", {"state": "intent", "outputs": outputs})
    put("artifacts", "status/sales.json", document("v1"))
    put("artifacts", "status/sales.txt", "")
    return run


def test_runs_newest_first_with_their_rows(aws: Cli, put: Put, snapshot: SnapshotAssertion) -> None:
    recorded(aws, put)
    assert aws("runs", "sales").stdout == snapshot
    told = json.loads(aws("runs", "sales.daily", "--json").stdout)
    assert [(run["run_id"], run["rows"]) for run in told] == [("daily-2", {}), ("daily-1", {"orders": 1005})]
    assert aws("runs", "customers").stdout == "no run of customers is on record in dev\n"


def test_logs_of_a_run_whose_lines_are_gone(aws: Cli, put: Put, snapshot: SnapshotAssertion) -> None:
    recorded(aws, put)
    told = aws("logs", "daily-1")
    assert told.exit_code == 1
    assert told.stdout == snapshot
    assert aws("logs", "sales.daily").stdout.startswith("daily-2: SKIPPED"), "a pipeline's name means its newest run"
    assert "no run 'daily-9' is on record" in aws("logs", "daily-9").stderr


def test_files_and_their_reset(aws: Cli, put: Put, snapshot: SnapshotAssertion) -> None:
    def entry(run: str, key: str, recorded: str) -> None:
        objects = {"orders_raw": [{"key": key, "version": "v1", "size": 3}]}
        told = {"schema": 1, "state": "done", "run_id": run, "step": "load_orders", "recorded": recorded, "objects": objects}
        put("refined", f"sales/_runs/_ledger/load_orders/{run}.json", told)

    entry("daily-1", "sales/orders_raw/a.csv", "2020-05-01T12:00:00.000Z")
    entry("daily-2", "sales/orders_raw/b.csv", "2020-05-01T13:00:00.000Z")
    assert aws("files", "sales.load_orders").stdout == snapshot
    unknown = aws("files", "sales.load_orders", "--reset", "--run", "daily-3")
    assert (unknown.exit_code, "daily-1, daily-2" in unknown.stderr) == (2, True), "nothing would be forgotten"
    aws("files", "sales.load_orders", "--reset", "--run", "daily-1")
    assert [file["key"] for file in json.loads(aws("files", "sales.load_orders", "--json").stdout)] == ["sales/orders_raw/b.csv"]
    assert "sales.load_orders has consumed no file" in aws("files", "sales.load_orders", "--reset").stdout
    assert aws.clients
    assert aws("files", "sales.other").exit_code == 2, "a job that is nowhere"
    assert aws("files", "sales.other", "--reset").exit_code == 2
    aws.clients("glue").create_job(Name="f01-sales-other-dev", Role="arn:aws:iam::390403879405:role/any", Command={"Name": "glueetl"})
    assert aws("files", "sales.other").stdout == "sales.other has consumed no file\n"
    assert aws("files", "sales.other", "--run", "daily-1").exit_code == 2, "--run without --reset would be passed over"


def test_a_run_that_is_not_taken_in_in_time_is_no_success(aws: Cli) -> None:
    policies(aws)
    told = aws("run", "sales.daily", "--wait", "--timeout", "0")
    assert told.exit_code == 4
    assert "meshplane logs daily-" in told.stdout


def test_what_was_published_is_not_called_late(aws: Cli, put: Put) -> None:
    assert aws("publish", "sales", "--no-wait").exit_code == 0
    put("artifacts", "status/sales.json", document(newest_manifest(aws, "sales")["VersionId"]))
    put("artifacts", "status/sales.txt", "sales in dev: Synced True\n")
    told = aws("publish", "sales", "--timeout", "0")
    assert (told.exit_code, told.stdout) == (0, "")


@pytest.mark.parametrize(
    "words", [["runs", "--limit", "-1"], ["query", "select 1", "--limit", "0"], ["run", "sales.daily", "--timeout", "-1"]]
)
def test_counts_that_cannot_be_are_refused(aws: Cli, words: list[str]) -> None:
    told = aws(*words)
    assert (told.exit_code, told.stderr.startswith("error: ")) == (2, True)


def test_plan_without_a_plane(aws: Cli) -> None:
    told = aws("plan", "sales")
    assert told.exit_code == 3
    assert "there is no control plane in dev" in told.stderr


def test_no_command_leaves_a_file_in_the_checkout(aws: Cli) -> None:
    before = sorted(Path(aws.root).rglob("*"))
    aws("publish", "customers", "--no-wait")
    aws("status")
    assert sorted(Path(aws.root).rglob("*")) == before
