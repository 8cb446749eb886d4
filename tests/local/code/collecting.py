"""The tests' queue consumer: notes each record in the table; a body that says `fail` is reported as failed."""

import itertools
import json
import os
import time
from typing import Any

import boto3

calls = itertools.count(1)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    table = boto3.client("dynamodb")
    call, failed = next(calls), []
    for record in event["Records"]:
        attributes = record["attributes"]
        item = {
            "pk": {"S": record["eventSourceARN"].rsplit(":", 1)[1]},
            "sk": {"S": f"{time.time_ns():020d}"},
            "body": {"S": record["body"]},
            "group": {"S": attributes.get("MessageGroupId", "")},
            "count": {"N": attributes["ApproximateReceiveCount"]},
            "call": {"N": str(call)},
        }
        table.put_item(TableName=os.environ["SEEN_TABLE"], Item=item)
        if "fail" in record["body"]:
            failed.append({"itemIdentifier": record["messageId"]})
    print(json.dumps({"level": "INFO", "records": len(event["Records"])}))
    return {"batchItemFailures": failed}
