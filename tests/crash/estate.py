"""What stands in AWS: every list and describe answer of all services, without times, versions and ids that AWS draws."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from typing import Any

from tests.aws.plane_world import World

LAYERS = ("raw", "refined", "curated")
_DRAWN = {"RoleId", "revisionId", "VersionId", "ResponseMetadata", "storedBytes", "counts"}  # counts: of the last plan only
_TIMES = {"CreateDate", "CreateTime", "UpdateTime", "CreatedOn", "LastModifiedOn", "creationDate", "creationTime", "CreationDate"}
_TIMES |= {"LastModificationDate", "startDate", "stopDate", "last-updated-ms", "timestamp-ms", "expires"}
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)?")


def dump(world: World, known: Collection[str] = ()) -> dict[str, Any]:
    """By name. `known` are ids that were drawn before: they stay, so that what must keep its id is seen to keep it."""
    found = {**_roles(world), **_tables(world), **_jobs(world), **_machines(world), **_rules(world), **_schedules(world)}
    found |= {**_monitoring(world), **_objects(world), **_state(world)}
    return {name: _plain(value, frozenset(known)) for name, value in sorted(found.items())}


def ids(found: Mapping[str, Any]) -> frozenset[str]:
    """All drawn ids that stand in a dump."""
    return frozenset(_ID.findall(json.dumps(found, default=str)))


def differences(want: Mapping[str, Any], seen: Mapping[str, Any]) -> list[str]:
    """What is not the same, by name and path."""
    return [line for name in sorted({*want, *seen}) for line in _differ(name, want.get(name, "absent"), seen.get(name, "absent"))]


def _differ(path: str, want: Any, seen: Any) -> list[str]:
    if isinstance(want, dict) and isinstance(seen, dict):
        keys = sorted({*want, *seen})
        return [line for key in keys for line in _differ(f"{path} · {key}", want.get(key, "absent"), seen.get(key, "absent"))]
    if isinstance(want, list) and isinstance(seen, list) and len(want) == len(seen):
        return [line for at, pair in enumerate(zip(want, seen, strict=True)) for line in _differ(f"{path}[{at}]", *pair)]
    return [] if want == seen else [f"{path}: {str(want)[:300]} → {str(seen)[:300]}"]


def _plain(value: Any, known: frozenset[str]) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner, known) for key, inner in value.items() if key not in _DRAWN | _TIMES}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [_plain(inner, known) for inner in value]
        tags = items and all(isinstance(one, dict) and {"Key", "key"} & one.keys() for one in items)
        return sorted(items, key=json.dumps) if tags or isinstance(value, (set, frozenset)) else items
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    return _TIME.sub("<time>", _ID.sub(lambda one: one[0] if one[0] in known else "<id>", str(value)))


def _pages(world: World, service: str, operation: str, key: str, **asked: Any) -> list[Any]:
    return [item for page in world.clients(service).get_paginator(operation).paginate(**asked) for item in page.get(key, ())]


def _roles(world: World) -> dict[str, Any]:
    roles = _pages(world, "iam", "get_account_authorization_details", "RoleDetailList", Filter=["Role"])
    return {f"role {role['RoleName']}": role for role in roles}


def _tables(world: World) -> dict[str, Any]:
    found: dict[str, Any] = {}
    glue, s3 = world.clients("glue"), world.clients("s3")
    for layer in LAYERS:
        for table in _pages(world, "glue", "get_tables", "TableList", DatabaseName=world.naming.database(layer)):
            parameters = {**table.get("Parameters", {})}
            parameters.pop("previous_metadata_location", "")
            place = parameters.get("metadata_location", "")
            metadata = {}
            if place:
                bucket, _, key = place.removeprefix("s3://").partition("/")
                metadata = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            found[f"table {layer}.{table['Name']}"] = {**table, "Parameters": parameters, "metadata": metadata}
    asked = [
        {"catalogId": world.naming.account_id, "databaseName": one["DatabaseName"], "tableName": one["Name"], "type": kind}
        for one in found.values()
        for kind in ("compaction", "retention", "orphan_file_deletion")
    ]
    optimizers = glue.batch_get_table_optimizer(Entries=asked).get("TableOptimizers", ()) if asked else ()
    rows = {f"optimizer {one['databaseName']}.{one['tableName']}/{one['tableOptimizer']['type']}": one for one in optimizers}
    return {**found, **rows}


def _jobs(world: World) -> dict[str, Any]:
    glue = world.clients("glue")
    jobs = _pages(world, "glue", "get_jobs", "Jobs")
    arn = world.naming.arn("glue", "job/")
    return {f"job {job['Name']}": {**job, "tags": glue.get_tags(ResourceArn=arn + job["Name"])["Tags"]} for job in jobs}


def _machines(world: World) -> dict[str, Any]:
    states, logs = world.clients("stepfunctions"), world.clients("logs")
    found: dict[str, Any] = {}
    for row in _pages(world, "stepfunctions", "list_state_machines", "stateMachines"):
        arn = row["stateMachineArn"]
        executions = _pages(world, "stepfunctions", "list_executions", "executions", stateMachineArn=arn)
        tags = states.list_tags_for_resource(resourceArn=arn)["tags"]
        found[f"machine {row['name']}"] = {**states.describe_state_machine(stateMachineArn=arn), "tags": tags, "runs": executions}
    for group in _pages(world, "logs", "describe_log_groups", "logGroups"):
        tags = logs.list_tags_for_resource(resourceArn=group["arn"].removesuffix(":*"))["tags"]
        found[f"log group {group['logGroupName']}"] = {**group, "tags": tags}
    return found


def _rules(world: World) -> dict[str, Any]:
    events = world.clients("events")
    return {
        f"rule {rule['Name']}": {
            **rule,
            "targets": _pages(world, "events", "list_targets_by_rule", "Targets", Rule=rule["Name"]),
            "tags": events.list_tags_for_resource(ResourceARN=rule["Arn"])["Tags"],
        }
        for rule in _pages(world, "events", "list_rules", "Rules")
    }


def _schedules(world: World) -> dict[str, Any]:
    scheduler = world.clients("scheduler")
    found: dict[str, Any] = {}
    for group in _pages(world, "scheduler", "list_schedule_groups", "ScheduleGroups"):
        tags = scheduler.list_tags_for_resource(ResourceArn=group["Arn"])["Tags"]
        found[f"schedule group {group['Name']}"] = {**group, "tags": tags}
    for row in _pages(world, "scheduler", "list_schedules", "Schedules"):
        found[f"schedule {row['GroupName']}/{row['Name']}"] = scheduler.get_schedule(GroupName=row["GroupName"], Name=row["Name"])
    return found


def _monitoring(world: World) -> dict[str, Any]:
    cloudwatch = world.clients("cloudwatch")
    found: dict[str, Any] = {}
    for alarm in _pages(world, "cloudwatch", "describe_alarms", "MetricAlarms"):
        tags = cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
        found[f"alarm {alarm['AlarmName']}"] = {**{key: of for key, of in alarm.items() if not key.endswith("Timestamp")}, "tags": tags}
    for entry in _pages(world, "cloudwatch", "list_dashboards", "DashboardEntries"):
        tags = cloudwatch.list_tags_for_resource(ResourceARN=entry["DashboardArn"])["Tags"]
        body = cloudwatch.get_dashboard(DashboardName=entry["DashboardName"])["DashboardBody"]
        found[f"dashboard {entry['DashboardName']}"] = {"body": json.loads(body), "tags": tags}
    return found


def _objects(world: World) -> dict[str, Any]:
    """Metadata files that nothing names are left out: a commit that was overtaken or died leaves one, and Iceberg takes it away."""
    found: dict[str, Any] = {}
    for purpose in ("raw", "refined", "curated", "artifacts"):
        for item in _pages(world, "s3", "list_objects_v2", "Contents", Bucket=world.naming.bucket(purpose)):
            key = item["Key"]
            if key.startswith("status/"):
                body = world.clients("s3").get_object(Bucket=world.naming.bucket(purpose), Key=key)["Body"].read().decode()
                found[f"object {key}"] = json.loads(body) if key.endswith(".json") else body
            elif not key.endswith(".metadata.json"):
                found[f"object {purpose} {key}"] = item["ETag"]
    return found


def _state(world: World) -> dict[str, Any]:
    """Every project's record, and the records of runs. History, fences and leases are one reconcile's own."""
    found: dict[str, Any] = {}
    for item in _pages(world, "dynamodb", "scan", "Items", TableName=world.naming.of("state_table")):
        pk, sk = item["pk"]["S"], item["sk"]["S"]
        if sk == "state":
            project = pk.partition("#")[2]
            seen = world.states.peek(project)
            known = {str(key): [known.fingerprint, known.mark] for key, known in seen.inventory.items()}
            record = replace(seen, published="", inventory={})
            held = {key: item[key] for key in ("lease_until", "dirty", "approved") if key in item and item[key] != {"BOOL": False}}
            found[f"state {project}"] = {**asdict(record), "known": known, "held": held}
        elif not sk.startswith(("history#", "memory#")):
            found[f"state {pk} {sk}"] = {key: value for key, value in item.items() if key not in ("version", "looked")}
    return found
