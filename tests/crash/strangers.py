"""What is not the examples' own and must stand byte for byte: another project's twin of every kind, and things made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.crash.platform import Platform

TWIN = "sales2"  # its names begin like those of `sales`
BY_HAND = "by-hand"


def move_in(platform: Platform) -> None:
    """Reconciled once; then the plane forgets it, so that nothing but its resources is left."""
    world = platform.world
    platform.upload("customers", _twin, TWIN)
    platform.settle()
    s3, bucket = world.clients("s3"), world.naming.bucket("artifacts")
    for version in s3.list_object_versions(Bucket=bucket, Prefix=f"manifests/{TWIN}/")["Versions"]:
        s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
    world.wipe_state()
    _by_hand(platform)
    platform.tap.forget()


def of(found: Mapping[str, Any]) -> dict[str, Any]:
    """Their part of a dump."""
    return {name: value for name, value in found.items() if TWIN in name or BY_HAND in name.replace("_", "-")}


def _twin(manifest: Any) -> None:
    manifest["metadata"]["name"] = TWIN
    manifest["pipelines"]["daily"]["triggers"]["nightly"] = {"schedule": "cron(0 4 * * ? *)"}


def _by_hand(platform: Platform) -> None:
    """Within the names that `sales` lists by, and nobody's."""
    clients, naming = platform.world.clients, platform.world.naming
    role = naming.arn("iam", "role/by-hand")
    clients("glue").create_job(Name=naming.job("sales", BY_HAND), Role=role, Command={"Name": "glueetl", "ScriptLocation": "s3://x/y.py"})
    table = {"Name": naming.table("sales", "by_hand"), "StorageDescriptor": {"Columns": [{"Name": "a", "Type": "string"}]}}
    clients("glue").create_table(DatabaseName=naming.database("raw"), TableInput=table)
    clients("events").put_rule(Name=naming.rule("sales", "daily", BY_HAND), EventPattern='{"source":["x"]}')
    clients("logs").create_log_group(logGroupName=naming.pipeline_log_group("sales", BY_HAND))
    put = {"Namespace": "x", "MetricName": "x", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1.0}
    alarm = naming.alarm("sales", BY_HAND)
    clients("cloudwatch").put_metric_alarm(AlarmName=alarm, ComparisonOperator="GreaterThanThreshold", **put)
    trust = '{"Version":"2012-10-17","Statement":[]}'
    clients("iam").create_role(RoleName=naming.role("job", f"sales-{BY_HAND}"), Path=naming.of("role_path"), AssumeRolePolicyDocument=trust)
