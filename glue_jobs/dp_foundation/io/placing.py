"""Files that come to rest under a raw table: copied there once, their partitions told to the catalog. For the built-ins that land files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dp_foundation import storage
from dp_foundation.config.arguments import Table
from dp_foundation.errors import ConfigError


def copy_once(source: str, key: str, bucket: str, to: str, version: str = "") -> bool:
    """Whether it had to be copied: one that is there already is not written again, or its readers would take it for new."""
    client = storage.client("s3")
    if any(item["Key"] == to for item in client.list_objects_v2(Bucket=bucket, Prefix=to, MaxKeys=1).get("Contents", ())):
        return False
    told = {"VersionId": version} if version else {}
    client.copy({"Bucket": source, "Key": key, **told}, bucket, to)
    return True


def register(target: Table, paths: Sequence[str]) -> None:
    """Tell the catalog of new partitions (`dt=2026-11-20/`), unless it computes them (projection)."""
    if not paths:
        return
    glue = storage.client("glue")
    table = glue.get_table(DatabaseName=target.database, Name=target.name)["Table"]
    if table.get("Parameters", {}).get("projection.enabled") == "true":
        return
    inputs: list[dict[str, Any]] = [
        {
            "Values": [part.split("=", 1)[1] for part in path.strip("/").split("/")],
            "StorageDescriptor": {**table["StorageDescriptor"], "Location": f"{target.location}{path}"},
        }
        for path in paths
    ]
    for at in range(0, len(inputs), 100):  # BatchCreatePartition takes 100
        answer = glue.batch_create_partition(DatabaseName=target.database, TableName=target.name, PartitionInputList=inputs[at : at + 100])
        failed = [e for e in answer.get("Errors", ()) if e["ErrorDetail"]["ErrorCode"] != "AlreadyExistsException"]
        if failed:
            raise ConfigError(f"{target.logical}: partition {failed[0]['PartitionValues']} was refused: {failed[0]['ErrorDetail']}")
