"""The domain's buckets and that of Terraform's state, as `baseline_tf/buckets.tf` and `state.tf` have them. Called by `seed`."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from meshplane.model.naming import PURPOSES, Naming
from meshplane_cli.local.seed_policies import document

_EVENTS = ("raw", "artifacts")  # the buckets whose changes go to EventBridge
_EXPIRING = {"artifacts": ("glue-temp/", 7), "logs": ("", 365)}  # prefix and days after which current objects go


def buckets(s3: Any, naming: Naming, key: str) -> None:
    """Make all of them; `key` is the domain key's ARN."""
    for purpose in PURPOSES:
        _bucket(s3, naming, purpose, naming.bucket(purpose), "" if purpose == "logs" else key)
    _bucket(s3, naming, "state", naming.of("terraform_state_bucket"), key)
    for purpose in (*(purpose for purpose in PURPOSES if purpose != "logs"), "state"):
        name = naming.of("terraform_state_bucket") if purpose == "state" else naming.bucket(purpose)
        target = {"TargetBucket": naming.bucket("logs"), "TargetPrefix": f"s3/{purpose}/"}
        s3.put_bucket_logging(Bucket=name, BucketLoggingStatus={"LoggingEnabled": target})


def _bucket(s3: Any, naming: Naming, purpose: str, name: str, key: str) -> None:
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):  # from an earlier, interrupted `up`
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": naming.region})
    s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]})
    closed = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=closed)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    by: dict[str, Any] = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key} if key else {"SSEAlgorithm": "AES256"}
    rule = {"ApplyServerSideEncryptionByDefault": by, **({"BucketKeyEnabled": True} if key else {})}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": _rules(purpose)})
    s3.put_bucket_policy(Bucket=name, Policy=document("logs_bucket" if purpose == "logs" else "bucket", naming, bucket=name))
    if purpose in _EVENTS:
        s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}})


def _rules(purpose: str) -> list[dict[str, Any]]:
    old = {"NoncurrentVersionExpiration": {"NoncurrentDays": 90}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}
    rules: list[dict[str, Any]] = [{"ID": "old-versions", "Status": "Enabled", "Filter": {}, **old}]
    if purpose in _EXPIRING:
        prefix, days = _EXPIRING[purpose]
        rules.append({"ID": "expire", "Status": "Enabled", "Filter": {"Prefix": prefix}, "Expiration": {"Days": days}})
    return rules
