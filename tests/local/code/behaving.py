"""The tests' function that does what the event's detail asks: answer, raise, sleep, die, say who it is, print a metric."""

import json
import os
import time
from typing import Any

import boto3

calls = 0


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    global calls
    calls += 1
    asked = event.get("detail", event)
    wanted = asked.get("do", "answer")
    table = os.environ["SEEN_TABLE"]
    item = {"pk": {"S": context.function_name}, "sk": {"S": f"{time.time_ns():020d}"}, "body": {"S": json.dumps(event)}}
    boto3.client("dynamodb").put_item(TableName=table, Item=item)
    if wanted == "raise":
        raise LookupError("as asked")
    if wanted == "sleep":
        time.sleep(60)
    if wanted == "die":
        os._exit(7)
    if wanted == "measure":
        metric = {"Namespace": "Test", "Dimensions": [["service"]], "Metrics": [{"Name": "Things", "Unit": "Count"}]}
        print(json.dumps({"_aws": {"Timestamp": 0, "CloudWatchMetrics": [metric]}, "service": "test", "Things": 3}))
    caller = boto3.client("sts").get_caller_identity()["Arn"]
    return {
        "pid": os.getpid(),
        "calls": calls,
        "caller": caller,
        "left": context.get_remaining_time_in_millis(),
        "arn": context.invoked_function_arn,
    }
