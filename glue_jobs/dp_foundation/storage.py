"""S3 and the other clients of the driver, made when first used: importing boto3 takes longer than the rest of the library."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

PARALLEL = 16


@cache
def client(service: str) -> Any:
    """A client in the domain's Region, with the SDK's own retries."""
    import boto3
    from botocore.config import Config as ClientConfig

    from dp_foundation.config.settings import get_config

    settings = ClientConfig(retries={"mode": "standard", "max_attempts": 8}, max_pool_connections=PARALLEL)
    make: Any = boto3.client  # the stubs want a literal name
    return make(service, region_name=str(get_config()["aws_region"]), config=settings)


def split(uri: str) -> tuple[str, str]:
    """`s3://bucket/a/b` → (`bucket`, `a/b`)."""
    bucket, _, key = uri.partition("://")[2].partition("/")
    return bucket, key


def read(bucket: str, key: str, first: int = 0) -> bytes:
    """The object's bytes, or only the `first` so many."""
    extra = {"Range": f"bytes=0-{first - 1}"} if first else {}
    return bytes(client("s3").get_object(Bucket=bucket, Key=key, **extra)["Body"].read())


def read_json(bucket: str, key: str) -> dict[str, Any] | None:
    """The parsed object; None when there is none."""
    try:
        return dict(json.loads(read(bucket, key)))
    except client("s3").exceptions.NoSuchKey:
        return None


def read_all_json(bucket: str, keys: list[str]) -> list[dict[str, Any]]:
    """Many small objects at once; those that have gone meanwhile are left out."""
    client("s3")
    with ThreadPoolExecutor(PARALLEL) as pool:
        return [found for found in pool.map(lambda key: read_json(bucket, key), keys) if found is not None]


def write_json(bucket: str, key: str, value: Mapping[str, Any]) -> None:
    """Put one JSON object."""
    body = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
    client("s3").put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")


def keys_under(bucket: str, prefix: str) -> list[str]:
    """Every key under a prefix."""
    pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [item["Key"] for page in pages for item in page.get("Contents", ())]


def versions_under(bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    """The newest version of every object under a prefix, as S3 lists it; deleted ones are left out."""
    for page in client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        yield from (item for item in page.get("Versions", ()) if item["IsLatest"])
