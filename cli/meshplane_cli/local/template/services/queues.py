"""AWS::SQS::Queue and its policy."""

from __future__ import annotations

import json
from typing import Any

from meshplane_cli.local.template.handlers import Handler, Made, Properties, Target, nothing, tags


def _attribute(value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _queue(target: Target, logical: str, properties: Properties, earlier: str) -> Made:
    sqs = target.client("sqs")
    fifo = ".fifo" if properties.get("FifoQueue") else ""
    name = properties.get("QueueName") or target.name(logical, 75) + fifo
    attributes = {key: _attribute(value) for key, value in properties.items() if key not in ("QueueName", "Tags")}
    if earlier.endswith(f"/{name}"):
        url = earlier
        fixed = ("FifoQueue",)  # SetQueueAttributes refuses it
        sqs.set_queue_attributes(QueueUrl=url, Attributes={key: value for key, value in attributes.items() if key not in fixed})
    else:
        url = sqs.create_queue(QueueName=name, Attributes=attributes, tags=tags(properties))["QueueUrl"]
    return Made(url, {"Arn": target.arn("sqs", name), "QueueName": name, "QueueUrl": url})


def _remove_queue(target: Target, ref: str) -> None:
    target.client("sqs").delete_queue(QueueUrl=ref)


def _policy(target: Target, logical: str, properties: Properties, earlier: str) -> Made:
    for url in properties["Queues"]:
        target.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(properties["PolicyDocument"])})
    return Made(target.name(logical))


HANDLERS = {"AWS::SQS::Queue": Handler(_queue, _remove_queue), "AWS::SQS::QueuePolicy": Handler(_policy, nothing)}
