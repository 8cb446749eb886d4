"""Asks S3 to write under bucket policies with and without conditions."""

from __future__ import annotations

import json
from typing import Any

from tests.contract.asking import ask, client, run

TLS = {"Bool": {"aws:SecureTransport": "false"}}
POLICIES: dict[str, dict[str, Any]] = {
    "only_through_tls": {"Effect": "Deny", "Condition": TLS},
    "denied_outright": {"Effect": "Deny"},
    "allowed_for_a_service": {"Effect": "Allow", "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}}},
}


def probe() -> None:
    s3 = client("s3")
    for number, (name, statement) in enumerate(POLICIES.items()):
        bucket = f"bucket-{number}"
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")  # moto asks the policy only about keys that it knows
        whole = {"Principal": {"AWS": "*"}, "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*", **statement}
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [whole]}))
        ask(name, lambda bucket=bucket: s3.put_object(Bucket=bucket, Key="k", Body=b"x") and "written")  # type: ignore[misc]


run(probe)
