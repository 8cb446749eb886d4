"""Asks S3 for its versions and DynamoDB for changes, again and again, and counts what moto has kept of it."""

from __future__ import annotations

import gc
import tempfile
import warnings
from typing import Any

from moto.dynamodb.models.dynamo_type import Item
from moto.s3.models import FakeKey

from tests.contract.asking import REGION, answers, client, run

CONTENT = b"x" * 1000
TIMES = 20


def alive(kind: type) -> int:
    gc.collect()
    return sum(type(one) is kind for one in gc.get_objects())


def content_written(work: Any) -> int:
    """How many bytes go into moto's buffers meanwhile."""
    written, write = [0], tempfile.SpooledTemporaryFile.write

    def counted(self: Any, told: bytes) -> int:
        written[0] += len(told)
        return int(write(self, told))

    tempfile.SpooledTemporaryFile.write = counted  # type: ignore[method-assign]
    try:
        work()
    finally:
        tempfile.SpooledTemporaryFile.write = write  # type: ignore[method-assign]
    return written[0]


def listings() -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="things", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="things", VersioningConfiguration={"Status": "Enabled"})
    for key in ("a", "a", "gone", "c"):
        s3.put_object(Bucket="things", Key=key, Body=CONTENT + key.encode())
    s3.delete_object(Bucket="things", Key="gone")
    before = alive(FakeKey)

    def list_them() -> None:
        for _ in range(TIMES):
            answers["listed"] = [
                (one["Key"], one["IsLatest"], one.get("Size"), one.get("ETag"))
                for kind in ("Versions", "DeleteMarkers")
                for one in s3.list_object_versions(Bucket="things")[kind]
            ]

    answers["content_copied"] = content_written(list_them) > 0
    answers["keys_kept"] = alive(FakeKey) > before
    page = s3.list_object_versions(Bucket="things", MaxKeys=2)
    more = s3.list_object_versions(Bucket="things", KeyMarker=page["NextKeyMarker"], VersionIdMarker=page["NextVersionIdMarker"])
    answers["paged"] = [one["Key"] for found in (page, more) for one in found["Versions"]]
    answers["read_after"] = [s3.get_object(Bucket="things", Key=key)["Body"].read().decode()[-1] for key in ("a", "c")]
    s3.put_object(Bucket="things", Key="again", Body=CONTENT)
    s3.copy_object(Bucket="things", Key="copied", CopySource={"Bucket": "things", "Key": "again"})
    s3.delete_object(Bucket="things", Key="again")
    answers["copied"] = s3.get_object(Bucket="things", Key="copied")["ContentLength"]


def changes() -> None:
    dynamodb = client("dynamodb")
    keys: dict[str, Any] = {"KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST"}
    dynamodb.create_table(TableName="t", AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}], **keys)
    for number in range(TIMES):
        changed = {":n": {"N": str(number)}}
        dynamodb.update_item(TableName="t", Key={"k": {"S": "1"}}, UpdateExpression="SET v = :n", ExpressionAttributeValues=changed)
    answers["items_kept"] = alive(Item) > 1


def probe() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        listings()
        changes()
        gc.collect()
    answers["warned"] = any(one.category is ResourceWarning and "disposed" in str(one.message) for one in told)


run(probe)
