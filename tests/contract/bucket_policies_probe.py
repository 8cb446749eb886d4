"""Asks S3 to write under bucket policies with and without conditions, whether access logs are written at once, and who hears of keys."""

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
    logs = {"Principal": {"Service": "logging.s3.amazonaws.com"}, "Effect": "Allow", "Action": "s3:PutObject"}
    statement = {**logs, "Resource": "arn:aws:s3:::bucket-logs/*"}
    for bucket in ("bucket-logs", "bucket-data"):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_bucket_policy(Bucket="bucket-logs", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    target = {"TargetBucket": "bucket-logs", "TargetPrefix": "s3/"}
    s3.put_bucket_logging(Bucket="bucket-data", BucketLoggingStatus={"LoggingEnabled": target})
    s3.put_object(Bucket="bucket-data", Key="k", Body=b"x")
    ask("access_logs", lambda: s3.list_objects_v2(Bucket="bucket-logs")["KeyCount"])
    ask("logging_is_shown", lambda: s3.get_bucket_logging(Bucket="bucket-data")["LoggingEnabled"]["TargetPrefix"])
    s3.put_object(Bucket="bucket-data", Key="sealed", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId="key-1")
    for name, agent in (("key_told", "aws-sdk"), ("key_told_to_hadoop", "Hadoop 3.3.4, aws-sdk-java/1.12.262")):
        s3.meta.events.register("before-send.s3.HeadObject", lambda request, agent=agent, **_: _as(request, agent), unique_id="agent")
        ask(name, lambda: s3.head_object(Bucket="bucket-data", Key="sealed").get("SSEKMSKeyId", "none"))
        s3.meta.events.unregister("before-send.s3.HeadObject", unique_id="agent")


def _as(request: Any, agent: str) -> None:
    request.headers["User-Agent"] = agent


run(probe)
