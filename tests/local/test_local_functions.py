"""Lambda on the embedded AWS: processes, queues, retries, time-outs, credentials, logs and metrics."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from meshplane_cli.local.stack import Stack

pytestmark = pytest.mark.local
Seen = Callable[[str], list[dict[str, Any]]]
Invoke = Callable[..., tuple[Any, str]]
Eventually = Callable[..., Any]


def send(stack: Stack, queue: str, bodies: list[str], group: str = "") -> str:
    sqs = stack.client("sqs")
    url: str = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    for body in bodies:
        sqs.send_message(QueueUrl=url, MessageBody=body, **({"MessageGroupId": group} if group else {}))
    return url


def test_a_manifest_put_reaches_the_fifo_queue_and_its_worker(stack: Stack, seen: Seen, eventually: Eventually) -> None:
    bucket = stack.naming.bucket("artifacts")
    key = "manifests/sales/project.yaml"
    stack.client("s3").put_object(Bucket=bucket, Key=key, Body=b"kind: Project")
    row = eventually(lambda: [row for row in seen("f01-work.fifo") if row["group"] == key])[0]
    event = json.loads(row["body"])
    assert (event["detail-type"], event["detail"]["reason"], event["detail"]["object"]["key"]) == ("Object Created", "PutObject", key)
    stack.client("s3").delete_object(Bucket=bucket, Key=key)
    deleted = eventually(lambda: [row for row in seen("f01-work.fifo") if "Object Deleted" in row["body"]])[0]
    assert json.loads(deleted["body"])["detail"]["deletion-type"] == "Delete Marker Created"


def test_fifo_order_partial_failure_and_dead_letter(stack: Stack, seen: Seen, eventually: Eventually) -> None:
    send(stack, "f01-work.fifo", ["one", "two fail", "three"], group="order")

    def rows() -> list[dict[str, Any]]:
        return [row for row in seen("f01-work.fifo") if row["group"] == "order"]

    letters = stack.client("sqs").get_queue_url(QueueName="f01-work-dlq.fifo")["QueueUrl"]
    dead = eventually(lambda: stack.client("sqs").receive_message(QueueUrl=letters, VisibilityTimeout=0).get("Messages"), 20)
    assert [message["Body"] for message in dead] == ["two fail"]
    eventually(lambda: any(row["body"] == "three" for row in rows()))
    assert [row["count"] for row in rows() if row["body"] == "two fail"] == ["1", "2"], "received twice, by its redrive policy"
    assert [row["count"] for row in rows() if row["body"] == "one"] == ["1"], "what succeeded is not delivered again"


def test_a_batching_window_gathers_many_messages_into_one_call(stack: Stack, seen: Seen, eventually: Eventually) -> None:
    send(stack, "f01-bulk", [f"file {number}" for number in range(25)])
    rows = eventually(lambda: found if len(found := seen("f01-bulk")) == 25 else None)
    assert len({row["call"] for row in rows}) <= 2


def test_a_call_runs_as_the_functions_role_in_a_process_that_stays(stack: Stack, invoke: Invoke) -> None:
    first, error = invoke("f01-behave")
    again, _ = invoke("f01-behave")
    assert error == ""
    assert first["caller"] == f"arn:aws:sts::{stack.naming.account_id}:assumed-role/f01-collect/local"
    assert first["arn"].endswith(":function:f01-behave")
    assert 0 < first["left"] <= 5000
    assert (again["pid"], again["calls"]) == (first["pid"], first["calls"] + 1)
    mine = [row for row in stack.requests() if row["caller"].endswith("assumed-role/f01-collect/local")]
    assert {"PutItem", "GetCallerIdentity"} <= {row["operation"] for row in mine}


@pytest.mark.parametrize(("wanted", "kind"), [("raise", "LookupError"), ("sleep", "Sandbox.Timedout"), ("die", "Runtime.ExitError")])
def test_errors_timeouts_and_deaths_are_told_as_lambda_tells_them(invoke: Invoke, wanted: str, kind: str) -> None:
    before, _ = invoke("f01-behave")
    answer, error = invoke("f01-behave", do=wanted)
    assert (error, answer["errorType"]) == ("Unhandled", kind)
    after, error = invoke("f01-behave")
    assert error == ""
    assert (after["pid"] == before["pid"]) is (wanted == "raise"), "a process that overran or died is replaced"


def test_an_asynchronous_call_is_retried_twice_and_then_a_dead_letter(stack: Stack, seen: Seen, eventually: Eventually) -> None:
    stack.client("events").put_events(Entries=[{"Source": "test", "DetailType": "t", "Detail": json.dumps({"do": "raise", "mark": "m1"})}])
    url = stack.client("sqs").get_queue_url(QueueName="f01-letters")["QueueUrl"]
    letter = eventually(lambda: stack.client("sqs").receive_message(QueueUrl=url).get("Messages"), 30)[0]
    assert json.loads(letter["Body"])["detail"]["mark"] == "m1"
    assert sum('"m1"' in row["body"] for row in seen("f01-behave")) == 3


def test_printed_lines_become_log_events_and_metric_lines_metrics(stack: Stack, invoke: Invoke, eventually: Eventually) -> None:
    invoke("f01-behave", do="measure")

    def lines() -> list[str]:
        found = stack.client("logs").filter_log_events(logGroupName="/aws/lambda/f01-behave")["events"]
        return [row["message"] for row in found if "Things" in row["message"]]

    assert eventually(lines)
    (metric,) = stack.client("cloudwatch").list_metrics(Namespace="Test")["Metrics"]
    assert (metric["MetricName"], metric["Dimensions"]) == ("Things", [{"Name": "service", "Value": "test"}])


def test_events_are_duplicated_on_request(stack: Stack, seen: Seen, eventually: Eventually) -> None:
    stack.chaos(duplicate=True)
    try:
        stack.client("events").put_events(Entries=[{"Source": "test", "DetailType": "t", "Detail": json.dumps({"mark": "m2"})}])
        eventually(lambda: sum('"m2"' in row["body"] for row in seen("f01-behave")) == 2)
    finally:
        stack.chaos()
