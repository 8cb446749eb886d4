"""Run records, slots and executions against moto: what the in-memory world of the flows' tests promises, the real adapters keep."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from meshplane.aws.clients import Clients
from meshplane.aws.executions import AwsExecutions, RawLandings, SqsTriggers
from meshplane.aws.runs_store import DynamoRuns
from meshplane.errors import AlreadyExists, Stale
from meshplane.model.naming import Naming
from meshplane.model.project import Param
from meshplane.model.runs import Arrival, PipelinePolicy, Run, StepEnd, TriggerPolicy
from meshplane.model.slots import Change, Ended, Merge, Pending, Slots, Waiting

AT = "2030-05-01T12:00:00Z"
RUN = Run(
    "daily-1", "sales", "daily", "WAITING", "landed", "files", AT, files=(Arrival("a", "v1", 3, AT),), files_total=1, params={"x": "1"}
)


@pytest.fixture
def store(clients: Clients) -> Iterator[DynamoRuns]:
    keys = [{"AttributeName": name, "KeyType": kind} for name, kind in (("pk", "HASH"), ("sk", "RANGE"))]
    attributes = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
    dynamodb = clients("dynamodb")
    dynamodb.create_table(TableName="state", KeySchema=keys, AttributeDefinitions=attributes, BillingMode="PAY_PER_REQUEST")
    return DynamoRuns(dynamodb, "state")


def filled(version: int = 0) -> Slots:
    pending = {"landed": Pending((Arrival("b", "v1", 1, AT),), AT)}
    return Slots(("daily-1",), (Waiting("daily-2", "w", 5),), pending, (Ended("daily-0", "FAILED", AT),), AT, version)


def test_slots_and_records_come_back_as_they_were(store: DynamoRuns) -> None:
    store.commit("sales", "daily", Change(filled(), put=(RUN,)))
    assert store.slots("sales", "daily") == filled(1)
    assert store.all_slots("sales") == {"daily": filled(1)}
    assert store.run("sales", "daily-1") == RUN
    assert list(store.history("sales")) == [RUN]
    assert store.slots("sales", "other") == Slots()
    assert store.run("sales", "other") is None


@pytest.mark.parametrize("version", [0, 7])
def test_slots_that_moved_on_refuse_everything(store: DynamoRuns, version: int) -> None:
    store.commit("sales", "daily", Change(filled()))
    with pytest.raises(Stale):
        store.commit("sales", "daily", Change(filled(version), put=(RUN,)))
    assert store.run("sales", "daily-1") is None, "nothing of a refused change is written"


def test_a_recorded_run_refuses_its_duplicate(store: DynamoRuns) -> None:
    store.commit("sales", "daily", Change(Slots(), put=(RUN,)))
    with pytest.raises(AlreadyExists):
        store.commit("sales", "daily", Change(filled(1), put=(RUN,)))
    assert store.slots("sales", "daily") == Slots(version=1)
    assert not store.put(RUN)


def test_a_run_ends_once(store: DynamoRuns) -> None:
    store.commit("sales", "daily", Change(filled(), put=(RUN,)))
    ended = replace(RUN, status="FAILED", ended=AT, cause="boom")
    store.commit("sales", "daily", Change(Slots(version=1), closed=ended))
    assert store.run("sales", "daily-1") == ended
    with pytest.raises(Stale):
        store.commit("sales", "daily", Change(Slots(version=2), closed=replace(ended, status="SUCCEEDED")))
    assert not store.started("sales", "daily-1", "arn", AT)


def test_starting_is_noted_once_and_clears_the_reason(store: DynamoRuns) -> None:
    store.put(RUN)
    assert store.noted("sales", "daily-1", "the role has not settled")
    assert store.started("sales", "daily-1", "arn", AT)
    found = store.run("sales", "daily-1")
    assert found is not None
    assert (found.status, found.execution, found.started, found.reason) == ("RUNNING", "arn", AT, "")
    assert not store.noted("sales", "daily-1", "late")
    assert not store.started("sales", "gone", "arn", AT)


def test_a_waiting_run_takes_files_over(store: DynamoRuns) -> None:
    store.put(RUN)
    store.commit("sales", "daily", Change(Slots(), merge=Merge("daily-1", (Arrival("c", "v1"),), 2)))
    found = store.run("sales", "daily-1")
    assert found is not None
    assert ([file.key for file in found.files], found.files_total) == (["a", "c"], 3)


def test_steps_are_noted_where_there_is_a_record(store: DynamoRuns) -> None:
    step = StepEnd("f01-sales-load-dev", "jr_1", "FAILED", 1, AT, AT, "boom")
    assert not store.step_ended("sales", "daily-1", "load#1", step)
    store.put(RUN)
    assert store.step_ended("sales", "daily-1", "load#1", step)
    found = store.run("sales", "daily-1")
    assert found is not None
    assert found.steps == {"load#1": step}


def test_files_are_remembered_by_trigger(store: DynamoRuns) -> None:
    files = [Arrival(f"sales/orders_raw/{n}.csv", "v1", 1, AT) for n in range(230)]
    store.mark_seen("sales", "daily", "landed", files)
    store.mark_seen("sales", "daily", "landed", files[:3])
    newer = replace(files[0], version="v2")
    assert store.seen("sales", "daily", "landed", [*files, newer]) == {file.identity for file in files}
    assert store.seen("sales", "daily", "other", files) == frozenset()


def test_policies_are_what_the_reconcile_left(store: DynamoRuns, clients: Clients) -> None:
    assert store.policies("sales") is None
    policy = PipelinePolicy(
        "arn", 2, "skip", "day", {"c": Param("string", "DE")}, {"landed": TriggerPolicy("files", 10, table="t", since=AT)}
    )
    from boto3.dynamodb.types import TypeSerializer

    serialized = TypeSerializer().serialize({"daily": policy.to_json()})
    clients("dynamodb").put_item(TableName="state", Item={"pk": {"S": "project#sales"}, "sk": {"S": "state"}, "pipelines": serialized})
    assert store.policies("sales") == {"daily": policy}


@pytest.mark.parametrize(
    ("item", "awaited"),
    [({}, False), ({"phase": {"S": "active"}}, False), ({"phase": {"S": "draining"}}, True), ({"awaits_runs": {"BOOL": True}}, True)],
)
def test_a_project_waits_for_its_runs_while_it_drains_or_has_said_so(
    store: DynamoRuns, clients: Clients, item: dict[str, object], awaited: bool
) -> None:
    assert not store.awaited("sales")
    clients("dynamodb").put_item(TableName="state", Item={"pk": {"S": "project#sales"}, "sk": {"S": "state"}, **item})
    assert store.awaited("sales") == awaited


def test_the_queue_takes_more_than_ten_and_cuts_the_delay(clients: Clients) -> None:
    url = clients("sqs").create_queue(QueueName="triggers")["QueueUrl"]
    SqsTriggers(clients, url).send([{"n": n} for n in range(23)])
    got: list[int] = []
    while messages := clients("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        got += [json.loads(message["Body"])["n"] for message in messages]
    assert sorted(got) == list(range(23))
    SqsTriggers(clients, url).send([{"n": 0}], timedelta(hours=2))
    assert "Messages" not in clients("sqs").receive_message(QueueUrl=url)


def test_the_newest_versions_that_landed_in_time(clients: Clients) -> None:
    naming = Naming("f01", "de", "390403879405", "eu-central-1", "dev")
    s3, bucket = clients("s3"), naming.bucket("raw")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in ("sales/orders_raw/a.csv", "sales/orders_raw/a.csv", "sales/orders_raw/b.csv", "sales/orders_raw2/c.csv"):
        newest = s3.put_object(Bucket=bucket, Key=key, Body=b"x")["VersionId"]
    s3.delete_object(Bucket=bucket, Key="sales/orders_raw/b.csv")
    now = datetime.now(UTC)
    landed = RawLandings(clients, naming).arrived("sales", "orders_raw", now - timedelta(hours=1), now + timedelta(hours=1))
    assert [file.key for file in landed] == ["sales/orders_raw/a.csv"]
    assert landed[0].version
    assert landed[0].version != newest
    assert not RawLandings(clients, naming).arrived("sales", "orders_raw", now - timedelta(hours=2), now - timedelta(hours=1))


def test_open_runs_of_a_job_are_found_and_stopped(clients: Clients) -> None:
    glue, executions = clients("glue"), AwsExecutions(clients)
    glue.create_job(Name="load", Role="arn:aws:iam::390403879405:role/job", Command={"Name": "glueetl", "ScriptLocation": "s3://b/k.py"})
    told = json.dumps({"run_id": "load-1", "project": "sales", "pipeline": ""})
    started = glue.start_job_run(JobName="load", Arguments={"--meshplane-run": told})["JobRunId"]
    (found,) = executions.open_job_runs(["load", "gone"])
    assert (found.job, found.job_run_id, found.run["run_id"]) == ("load", started, "load-1")
    executions.stop_job_run("load", started)
    executions.stop_job_run("load", started)
    assert glue.get_job_run(JobName="load", RunId=started)["JobRun"]["JobRunState"] in ("STOPPING", "STOPPED")
