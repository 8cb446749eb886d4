"""Asks DynamoDB to rewrite a large attribute, and to hold more than an item may."""

from __future__ import annotations

from typing import Any

from tests.contract.asking import ask, client, run


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


run(probe)
