"""Asks DynamoDB to rewrite a large attribute, to hold more than an item may, and for a value of every type, nested."""

from __future__ import annotations

from typing import Any

from moto.core.serialize import ResponseSerializer
from moto.dynamodb.models.dynamo_type import DynamoType

from tests.contract.asking import answers, ask, client, run


def probe() -> None:
    dynamodb = client("dynamodb")
    keys: dict[str, Any] = {"KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST"}
    dynamodb.create_table(TableName="t", AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}], **keys)

    def write(name: str, size: int) -> str:
        key, value = {"k": {"S": "1"}}, {":v": {"S": "x" * size}}
        dynamodb.update_item(
            TableName="t", Key=key, UpdateExpression="SET #n = :v", ExpressionAttributeNames={"#n": name}, ExpressionAttributeValues=value
        )
        return "written"

    ask("first", lambda: write("a", 300_000))
    ask("rewritten", lambda: write("a", 300_001))
    ask("beside", lambda: write("b", 100_000))
    ask("too_much", lambda: write("c", 10_000))
    ask("put", lambda: dynamodb.put_item(TableName="t", Item={"k": {"S": "2"}, "a": {"S": "x" * 410_000}}) and "written")
    nested(dynamodb)


EVERY: dict[str, Any] = {
    "s": {"S": "x"},
    "empty": {"S": ""},
    "n": {"N": "1.50"},
    "b": {"B": b"\x00\xff"},
    "sets": {"L": [{"SS": ["a", "b"]}, {"NS": ["1", "2"]}, {"BS": [b"\x01"]}]},
    "none": {"L": [{"NULL": True}, {"BOOL": False}, {"L": []}, {"M": {}}]},
    "m": {"M": {"S": {"M": {"deep": {"L": [{"M": {"b": {"B": b"\x02"}, "n": {"N": "7"}}}]}}}}},
}


def nested(dynamodb: Any) -> None:
    """What comes back of it, and how often moto looks for a member of an answer, and copies a value."""
    looks, copies = [0], [0]
    look, duplicate = ResponseSerializer.get_value, DynamoType.__deepcopy__

    def looked(self: Any, value: Any, key: str, shape: Any) -> Any:
        looks[0] += 1
        return look(self, value, key, shape)

    def copied(self: Any, memo: Any) -> Any:
        copies[0] += 1
        return duplicate(self, memo)

    dynamodb.put_item(TableName="t", Item={"k": {"S": "3"}, "v": {"M": EVERY}})
    ResponseSerializer.get_value, DynamoType.__deepcopy__ = looked, copied
    got = [
        dynamodb.get_item(TableName="t", Key={"k": {"S": "3"}})["Item"]["v"]["M"],
        dynamodb.query(TableName="t", KeyConditionExpression="k = :k", ExpressionAttributeValues={":k": {"S": "3"}})["Items"][0]["v"]["M"],
        dynamodb.update_item(
            TableName="t",
            Key={"k": {"S": "3"}},
            UpdateExpression="SET w = :o",
            ExpressionAttributeValues={":o": {"S": "y"}},
            ReturnValues="ALL_NEW",
        )["Attributes"]["v"]["M"],
    ]
    answers["as_put"] = [one == EVERY for one in got]
    answers["few_looks"], answers["few_copies"] = looks[0] < 300, copies[0] < 90


run(probe)
