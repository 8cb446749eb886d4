"""Asks SQS, Lambda, Scheduler, IAM, STS and DynamoDB."""

from __future__ import annotations

import io
import json
import time
import zipfile
from datetime import timedelta
from typing import Any

from tests.contract.asking import ACCOUNT, REGION, REPAIRED, answers, ask, client, run, side_by_side

SECOND = timedelta(seconds=1)  # what a date may lose by rounding


def fifo() -> None:
    sqs = client("sqs")
    url = sqs.create_queue(
        QueueName="a.fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true", "VisibilityTimeout": "1"}
    )["QueueUrl"]

    def take(count: int) -> list[Any]:
        found: list[Any] = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=count, AttributeNames=["All"]).get("Messages", [])
        return found

    for body in "123":
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g")
    answers["first_batch"] = [message["Body"] for message in take(2)]
    answers["while_in_flight"] = [message["Body"] for message in take(10)]
    time.sleep(1.1)
    again = take(2)
    answers["after_timeout"] = [message["Body"] for message in again]
    answers["sequence_numbers"] = sum("SequenceNumber" in message["Attributes"] for message in again)
    for message in again:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    time.sleep(1.1)
    for message in take(10):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    sqs.send_message(QueueUrl=url, MessageBody="1", MessageGroupId="g")
    answers["duplicate_after_delete"] = [message["Body"] for message in take(10)]


def receivers() -> None:
    sqs = client("sqs")
    url = sqs.create_queue(QueueName="many")["QueueUrl"]
    for number in range(0, 200, 10):
        sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(index), "MessageBody": str(number + index)} for index in range(10)])
    got: list[str] = []

    def receiver(_: int) -> None:
        mine = client("sqs")
        while messages := mine.receive_message(QueueUrl=url, MaxNumberOfMessages=1).get("Messages"):
            got.append(messages[0]["Body"])

    side_by_side(receiver, range(8))
    answers["received_by_eight"] = [len(got), len(set(got))]


def functions() -> None:
    client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as package:
        package.writestr("x.py", "")
    shape = {"Runtime": "python3.13", "Role": f"arn:aws:iam::{ACCOUNT}:role/r", "Handler": "x.y", "Code": {"ZipFile": packed.getvalue()}}
    letters = f"arn:aws:sqs:{REGION}:{ACCOUNT}:letters"
    made = client("lambda").create_function(FunctionName="f", DeadLetterConfig={"TargetArn": letters}, **shape)
    answers["letters_kept"] = made.get("DeadLetterConfig", {}).get("TargetArn") == letters
    sqs = client("sqs")
    url = sqs.create_queue(QueueName="in")["QueueUrl"]
    client("lambda").create_event_source_mapping(FunctionName="f", EventSourceArn=f"arn:aws:sqs:{REGION}:{ACCOUNT}:in", BatchSize=1)
    calls: list[str] = []
    if REPAIRED:
        from meshplane_cli.local.lambdas import Outcome
        from meshplane_cli.local.repairs import functions as repair

        repair.apply(
            lambda account, region, name, payload: calls.append(payload) or Outcome('{"ok": true}'),
            lambda arn, payload: calls.append(payload),
        )
        ask("invoke", lambda: json.loads(client("lambda").invoke(FunctionName="f", Payload=b'{"n": 1}')["Payload"].read()))
        ask("invoke_event", lambda: client("lambda").invoke(FunctionName="f", Payload=b'{"n": 2}', InvocationType="Event")["StatusCode"])
        answers["calls"] = calls
    else:
        ask("invoke", lambda: client("lambda").invoke(FunctionName="f", Payload=b'{"n": 1}').get("FunctionError", ""))
    sqs.send_message(QueueUrl=url, MessageBody="m")
    ask(
        "message_left_for_pollers",
        lambda: sqs.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"][0]["Attributes"]["ApproximateReceiveCount"],
    )


def others() -> None:
    target = {"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:in", "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/r"}

    def schedule(expression: str) -> str:
        client("scheduler").create_schedule(
            Name=expression[:4], ScheduleExpression=expression, FlexibleTimeWindow={"Mode": "OFF"}, Target=target
        )
        return "taken"

    ask("schedule_banana", lambda: schedule("banana"))
    ask("schedule_cron", lambda: schedule("cron(0 6 ? * MON-FRI *)"))
    document = json.dumps({"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]})
    ask("policy_without_version", lambda: client("iam").put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=document) and "taken")
    ask("policy_malformed", lambda: client("iam").put_role_policy(RoleName="r", PolicyName="p", PolicyDocument="{") and "taken")


def identity() -> None:
    import boto3

    from meshplane_cli.local.callers import of_role

    key = of_role(f"arn:aws:iam::{ACCOUNT}:role/r")
    sts = boto3.client("sts", region_name=REGION, aws_access_key_id=key["AWS_ACCESS_KEY_ID"], aws_secret_access_key="x")
    answers["role_is_caller"] = sts.get_caller_identity()["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/r/local"


def counter() -> None:
    dynamodb = client("dynamodb")
    dynamodb.create_table(
        TableName="t",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )

    def adder(_: int) -> None:
        mine = client("dynamodb")
        for _ in range(60):
            mine.update_item(
                TableName="t", Key={"k": {"S": "n"}}, UpdateExpression="ADD n :one", ExpressionAttributeValues={":one": {"N": "1"}}
            )

    side_by_side(adder, range(8))
    answers["added_by_eight"] = int(dynamodb.get_item(TableName="t", Key={"k": {"S": "n"}})["Item"]["n"]["N"])


def speed() -> None:
    import moto.backends as backends
    import moto.core.responses as responses

    answers["methods_listed_once"] = hasattr(responses.method_names_from_class, "cache_info")
    answers["modules_listed_once"] = backends.list_of_moto_modules() is backends.list_of_moto_modules()


def later() -> None:
    """The last part: the embedded AWS's clock does not go back."""
    from meshplane_cli.local.clock import CLOCK

    scheduler, moment = client("scheduler"), CLOCK.now() + timedelta(days=10)
    CLOCK.move_to(moment)
    target = {"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:in", "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/r"}
    shape = {"Name": "late", "ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": target}
    scheduler.create_schedule(**shape)
    scheduler.create_schedule_group(Name="late")
    ask("schedule_dated_by_clock", lambda: scheduler.get_schedule(Name="late")["CreationDate"] >= moment - SECOND)
    ask("group_dated_by_clock", lambda: scheduler.get_schedule_group(Name="late")["CreationDate"] >= moment - SECOND)
    CLOCK.move_to(moment + timedelta(days=10))
    scheduler.update_schedule(**shape)
    ask("change_dated_by_clock", lambda: scheduler.get_schedule(Name="late")["LastModificationDate"] > moment + timedelta(days=9))


def probe() -> None:
    for part in (fifo, receivers, functions, others, identity, counter, speed, later):
        part()


run(probe)
