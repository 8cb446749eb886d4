"""The embedded AWS as a whole: what it offers and refuses, its baseline, its clock, its template, its memory."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from meshplane.model.baseline import Baseline
from meshplane_cli.local import stack as stacks
from meshplane_cli.local.stack import Stack

pytestmark = pytest.mark.local
Eventually = Callable[..., Any]


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("glue", "get_crawler", {"Name": "x"}),
        ("s3", "get_bucket_analytics_configuration", {"Bucket": "x", "Id": "x"}),
        ("iam", "list_users", {}),
        ("ec2", "describe_instances", {}),
        ("lambda", "list_layers", {}),
        ("cloudwatch", "describe_anomaly_detectors", {}),
        ("stepfunctions", "list_activities", {}),
        ("athena", "list_work_groups", {}),
        ("sts", "get_session_token", {}),
    ],
)
def test_what_is_not_tested_is_refused_at_once(stack: Stack, service: str, operation: str, arguments: dict[str, Any]) -> None:
    client = stack.client(service, retries={"total_max_attempts": 4})
    started = time.monotonic()
    with pytest.raises(ClientError) as caught:
        getattr(client, operation)(**arguments)
    assert caught.value.response["Error"]["Code"] == "NotImplemented"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert time.monotonic() - started < 2, "no SDK tries a 501 again"


def test_it_listens_on_loopback_only(stack: Stack) -> None:
    """127.0.0.2 answers where a server listens on every address of the machine, and nobody where it listens on 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        assert probe.connect_ex(("127.0.0.2", stack.running.port)) != 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", stack.running.port)) == 0


def _head(stack: Stack, length: int, *more: str) -> bytes:
    credential = f"{stack.env()['AWS_ACCESS_KEY_ID']}/20260101/{stack.naming.region}/ec2/aws4_request"
    lines = [
        "POST / HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/x-www-form-urlencoded",
        f"Authorization: AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=, Signature=",
        f"Content-Length: {length}",
        *more,
    ]
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


ASK = b"Action=DescribeSecurityGroups&Version=2016-11-15"


def test_an_answer_arrives_in_one_piece(stack: Stack) -> None:
    """What an SDK for Go reads in two pieces it loses on a busy machine (`embedded_aws.EmbeddedAws._serve`), and then asks again."""
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", stack.running.port), timeout=10) as asked:
            asked.sendall(_head(stack, len(ASK)) + ASK)
            first = asked.recv(1 << 20)
            assert first.startswith(b"HTTP/1.1 200 ")
            assert first.endswith(b"</DescribeSecurityGroupsResponse>"), "the head came alone"


def test_who_waits_with_a_body_is_told_to_go_on(stack: Stack) -> None:
    """SDKs send an object's bytes after a second at the latest: told at once, an upload does not cost that second."""
    with socket.create_connection(("127.0.0.1", stack.running.port), timeout=10) as asked:
        asked.sendall(_head(stack, len(ASK), "Expect: 100-continue"))
        assert asked.recv(1 << 20) == b"HTTP/1.1 100 Continue\r\n\r\n"
        asked.sendall(ASK)
        assert asked.recv(1 << 20).startswith(b"HTTP/1.1 200 ")


def test_the_baseline_is_what_the_functions_read(stack: Stack) -> None:
    naming, parameters = stack.naming, Baseline.parameters(stack.naming)
    found = {row["Name"]: row["Value"] for row in stack.client("ssm").get_parameters(Names=list(parameters.values()))["Parameters"]}
    baseline = Baseline.read({name: found.get(parameter, "") for name, parameter in parameters.items()})
    assert stack.client("kms").describe_key(KeyId=naming.of("kms_alias"))["KeyMetadata"]["Arn"] == baseline.kms_key_arn
    assert len(baseline.connections) == len(baseline.subnet_arns) == 3
    connection = stack.client("glue").get_connection(Name=baseline.connections[0])["Connection"]
    assert connection["ConnectionType"] == "NETWORK"
    assert connection["PhysicalConnectionRequirements"]["SubnetId"] in baseline.subnet_arns[0] + "".join(baseline.subnet_arns)
    s3 = stack.client("s3")
    for purpose, sends in (("raw", True), ("refined", False), ("curated", False), ("artifacts", True), ("logs", False)):
        assert s3.get_bucket_versioning(Bucket=naming.bucket(purpose))["Status"] == "Enabled"
        assert ("EventBridgeConfiguration" in s3.get_bucket_notification_configuration(Bucket=naming.bucket(purpose))) is sends
    names = {row["Name"] for row in stack.client("glue").get_databases()["DatabaseList"]}
    assert {naming.database(layer) for layer in ("raw", "refined", "curated")} <= names
    release = json.loads(stack.client("ssm").get_parameter(Name=naming.of("platform_parameter", name="release"))["Parameter"]["Value"])
    s3.head_object(Bucket=naming.bucket("artifacts"), Key=release["library"])


def test_env_leads_any_client_here(stack: Stack) -> None:
    values = stack.env()
    assert values["AWS_ENDPOINT_URL"] == stack.endpoint
    assert values["MESHPLANE_ARTIFACTS_BUCKET"] == stack.naming.bucket("artifacts")
    assert stack.client("sts").get_caller_identity()["Arn"].endswith(":user/developer")


def test_advance_fires_schedules_in_order_and_on_time(stack: Stack) -> None:
    sqs, scheduler = stack.client("sqs"), stack.client("scheduler")
    url = sqs.create_queue(QueueName="ticks")["QueueUrl"]
    arn = stack.naming.arn("sqs", "ticks")
    role = f"arn:aws:iam::{stack.naming.account_id}:role/f01-collect"
    for name, expression in (("hourly", "rate(1 hour)"), ("nightly", "cron(30 2 * * ? *)")):
        target = {"Arn": arn, "RoleArn": role, "Input": json.dumps({"name": name, "at": "<aws.scheduler.scheduled-time>"})}
        scheduler.create_schedule(Name=name, ScheduleExpression=expression, FlexibleTimeWindow={"Mode": "OFF"}, Target=target)
    before = datetime.fromisoformat(stack.ask("health")["now"])
    answer = stack.advance(timedelta(hours=24))
    assert timedelta(hours=24) <= datetime.fromisoformat(answer["now"]) - before < timedelta(hours=24, minutes=5)
    got: list[dict[str, str]] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        got += [json.loads(message["Body"]) for message in messages]
    assert sum(row["name"] == "hourly" for row in got) == 25, "a rate starts with its schedule, then every hour"
    assert [row["at"][11:] for row in got if row["name"] == "nightly"] == ["02:30:00Z"]
    assert [row["at"] for row in got] == sorted(row["at"] for row in got)
    with pytest.raises(ClientError, match="banana"):
        scheduler.create_schedule(Name="x", ScheduleExpression="banana", FlexibleTimeWindow={"Mode": "OFF"}, Target=target)


def test_an_alarm_goes_off_on_the_clock_and_tells_its_topic(stack: Stack, eventually: Eventually) -> None:
    sqs, cloudwatch = stack.client("sqs"), stack.client("cloudwatch")
    stack.advance(timedelta(minutes=2))
    letters = sqs.get_queue_url(QueueName="f01-work-dlq.fifo")["QueueUrl"]
    sqs.send_message(QueueUrl=letters, MessageBody="dead", MessageGroupId="g", MessageDeduplicationId="d")
    stack.advance(timedelta(minutes=1))
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=["f01-dead-letters"])["MetricAlarms"]
    assert alarm["StateValue"] == "ALARM"
    url = sqs.get_queue_url(QueueName="f01-alerts")["QueueUrl"]
    notice = eventually(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))[0]
    assert json.loads(json.loads(notice["Body"])["Message"])["NewStateValue"] == "ALARM"
    sqs.purge_queue(QueueUrl=letters)
    stack.advance(timedelta(minutes=2))
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=["f01-dead-letters"])["MetricAlarms"]
    assert alarm["StateValue"] == "OK"


def test_a_second_up_changes_nothing_and_a_changed_template_only_what_changed(stack: Stack, checkout: Path) -> None:
    said: list[str] = []
    stacks.up(checkout, said.append)
    assert any(" 0 resources made or changed" in line for line in said)
    template = checkout / "template.yaml"
    text = template.read_text(encoding="utf-8")
    template.write_text(
        text.replace("VisibilityTimeout: 2\n      RedrivePolicy", "VisibilityTimeout: 3\n      RedrivePolicy"), encoding="utf-8"
    )
    said.clear()
    stacks.up(checkout, said.append)
    assert any(" 1 resources made or changed" in line for line in said)
    url = stack.client("sqs").get_queue_url(QueueName="f01-work.fifo")["QueueUrl"]
    assert (
        stack.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]["VisibilityTimeout"]
        == "3"
    )
    template.write_text(text.replace("AWS::SNS::Subscription", "AWS::Athena::WorkGroup"), encoding="utf-8")
    with pytest.raises(ValueError, match="does not deploy AWS::Athena::WorkGroup"):
        stacks.up(checkout)
    template.write_text(text, encoding="utf-8")
    stacks.up(checkout)


def test_state_survives_down_and_up_and_reset_forgets_it(stack: Stack, checkout: Path) -> None:
    bucket, s3 = stack.naming.bucket("raw"), stack.client("s3")
    for body in (b"first", b"second"):
        s3.put_object(Bucket=bucket, Key="kept", Body=body)
    versions = [row["VersionId"] for row in s3.list_object_versions(Bucket=bucket, Prefix="kept")["Versions"]]
    clock = datetime.fromisoformat(stack.ask("health")["now"])
    key = stack.client("kms").describe_key(KeyId=stack.naming.of("kms_alias"))["KeyMetadata"]["Arn"]
    assert stacks.down(checkout)
    assert stacks.find(checkout) is None
    said: list[str] = []
    again = stacks.up(checkout, said.append)
    assert any(" 0 resources made or changed" in line for line in said)
    listed = again.client("s3").list_object_versions(Bucket=bucket, Prefix="kept")["Versions"]
    assert [row["VersionId"] for row in listed] == versions
    assert again.client("kms").describe_key(KeyId=again.naming.of("kms_alias"))["KeyMetadata"]["Arn"] == key
    assert datetime.fromisoformat(again.ask("health")["now"]) >= clock, "the advanced clock is kept too"
    answer = again.client("lambda").invoke(FunctionName="f01-behave", Payload=b"{}")
    assert "FunctionError" not in answer, answer["Payload"].read()  # functions and their workers are back
    assert "not kept" not in (checkout / ".meshplane/log/server.log").read_text(encoding="utf-8")
    stacks.reset(checkout)
    shutil.rmtree(checkout / ".meshplane")
    empty = stacks.up(checkout, deploy=False)
    assert empty.client("s3").list_buckets()["Buckets"] == []
