"""Everything that stands in an account, by ordinary list and describe calls: two dumps are equal when nothing but history tells them apart.

Left out are times, version ids and ids that AWS draws (a role's RoleId, a state machine's revisionId), and what only grows: metadata
logs, runs, log events. An Iceberg table is its metadata document, not the name of the file in which that happens to stand.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

Clients = Callable[[str], Any]
_HISTORY = {
    *("RoleId", "revisionId", "VersionId", "versionId", "ResponseMetadata", "RoleLastUsed", "lastRun", "creationTime", "storedBytes"),
    *("metadata_location", "previous_metadata_location", "metadata-log", "snapshot-log", "last-updated-ms"),
    *("CodeSha256", "LastModified", "ETag"),
}
_COUNTERS = ("ApproximateNumberOf", "CreatedTimestamp", "LastModifiedTimestamp")


def dump(clients: Clients) -> dict[str, Any]:
    """`service kind name` → its answer, history left out. `clients` gives a boto3 client by service."""
    found: dict[str, Any] = {}
    for part in (_tables, _jobs, _roles, _machines, _rules, _schedules, _log_groups, _monitoring, _objects, _plane):
        for name, answer in part(clients):
            found[name] = stripped(answer)
    return found


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What differs: name → before and after, None where it is not there. Short enough to be read in a failed test."""
    names = sorted({*before, *after})
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def stripped(answer: Any) -> Any:
    """Without history, times and drawn ids."""
    if isinstance(answer, Mapping):
        kept = {key: value for key, value in answer.items() if key not in _HISTORY and not key.startswith(_COUNTERS)}
        return {key: stripped(value) for key, value in kept.items() if not isinstance(value, datetime)}
    if isinstance(answer, (list, tuple)):
        return [stripped(item) for item in answer]
    return answer


def _pages(client: Any, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page.get(key, ())


def _tables(clients: Clients) -> Iterator[tuple[str, Any]]:
    glue, s3 = clients("glue"), clients("s3")
    for database in _pages(glue, "get_databases", "DatabaseList"):
        yield f"glue database {database['Name']}", database
        for table in _pages(glue, "get_tables", "TableList", DatabaseName=database["Name"]):
            name = f"{database['Name']}.{table['Name']}"
            location = table.get("Parameters", {}).get("metadata_location", "")
            if location:
                bucket, _, key = location.removeprefix("s3://").partition("/")
                yield f"iceberg metadata {name}", json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            yield f"glue table {name}", table
            for partition in _pages(glue, "get_partitions", "Partitions", DatabaseName=database["Name"], TableName=table["Name"]):
                yield f"glue partition {name} {partition['Values']}", partition
            for kind in ("compaction", "retention", "orphan_file_deletion") if location else ():
                try:
                    answer = glue.get_table_optimizer(
                        CatalogId=table["CatalogId"], DatabaseName=database["Name"], TableName=table["Name"], Type=kind
                    )
                except glue.exceptions.EntityNotFoundException:
                    continue
                yield f"glue optimizer {name} {kind}", answer["TableOptimizer"]


def _jobs(clients: Clients) -> Iterator[tuple[str, Any]]:
    glue, sts = clients("glue"), clients("sts")
    account, region = sts.get_caller_identity()["Account"], glue.meta.region_name
    for job in _pages(glue, "get_jobs", "Jobs"):
        tags = glue.get_tags(ResourceArn=f"arn:aws:glue:{region}:{account}:job/{job['Name']}")["Tags"]
        yield f"glue job {job['Name']}", {**job, "Tags": tags}
    for connection in _pages(glue, "get_connections", "ConnectionList"):
        yield f"glue connection {connection['Name']}", connection


def _roles(clients: Clients) -> Iterator[tuple[str, Any]]:
    iam = clients("iam")
    for role in _pages(iam, "get_account_authorization_details", "RoleDetailList", Filter=["Role"]):
        yield f"iam role {role['RoleName']}", {**role, "RolePolicyList": sorted(role["RolePolicyList"], key=lambda p: p["PolicyName"])}


def _machines(clients: Clients) -> Iterator[tuple[str, Any]]:
    states = clients("stepfunctions")
    for machine in _pages(states, "list_state_machines", "stateMachines"):
        arn = machine["stateMachineArn"]
        yield (
            f"states machine {machine['name']}",
            {**states.describe_state_machine(stateMachineArn=arn), "tags": states.list_tags_for_resource(resourceArn=arn)["tags"]},
        )


def _rules(clients: Clients) -> Iterator[tuple[str, Any]]:
    events = clients("events")
    for rule in _pages(events, "list_rules", "Rules"):
        targets = list(_pages(events, "list_targets_by_rule", "Targets", Rule=rule["Name"]))
        tags = events.list_tags_for_resource(ResourceARN=rule["Arn"])["Tags"]
        yield f"events rule {rule['Name']}", {**rule, "Targets": targets, "Tags": tags}


def _schedules(clients: Clients) -> Iterator[tuple[str, Any]]:
    scheduler = clients("scheduler")
    for group in _pages(scheduler, "list_schedule_groups", "ScheduleGroups"):
        tags = scheduler.list_tags_for_resource(ResourceArn=group["Arn"])["Tags"]
        yield f"scheduler group {group['Name']}", {**group, "Tags": tags}
    for schedule in _pages(scheduler, "list_schedules", "Schedules"):
        answer = scheduler.get_schedule(GroupName=schedule["GroupName"], Name=schedule["Name"])
        yield f"scheduler schedule {schedule['GroupName']}/{schedule['Name']}", answer


def _log_groups(clients: Clients) -> Iterator[tuple[str, Any]]:
    logs = clients("logs")
    for group in _pages(logs, "describe_log_groups", "logGroups"):
        tags = logs.list_tags_for_resource(resourceArn=group["arn"].removesuffix(":*"))["tags"]
        yield f"logs group {group['logGroupName']}", {**group, "tags": tags}


def _monitoring(clients: Clients) -> Iterator[tuple[str, Any]]:
    """Alarms without the state that they are in, which is history."""
    cloudwatch = clients("cloudwatch")
    for alarm in _pages(cloudwatch, "describe_alarms", "MetricAlarms"):
        tags = cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
        yield (
            f"cloudwatch alarm {alarm['AlarmName']}",
            {**{key: of for key, of in alarm.items() if not key.startswith("State")}, "Tags": tags},
        )
    for entry in _pages(cloudwatch, "list_dashboards", "DashboardEntries"):
        tags = cloudwatch.list_tags_for_resource(ResourceARN=entry["DashboardArn"])["Tags"]
        body = cloudwatch.get_dashboard(DashboardName=entry["DashboardName"])["DashboardBody"]
        yield f"cloudwatch dashboard {entry['DashboardName']}", {"body": json.loads(body), "Tags": tags}


def _objects(clients: Clients) -> Iterator[tuple[str, Any]]:
    """Keys. Metadata files of Iceberg are history; what is said in status and in runs is not what stands."""
    s3 = clients("s3")
    for bucket in s3.list_buckets()["Buckets"]:
        name = bucket["Name"]
        yield f"s3 bucket {name}", {"versioning": s3.get_bucket_versioning(Bucket=name).get("Status", "")}
        for item in _pages(s3, "list_objects_v2", "Contents", Bucket=name):
            if "/metadata/" not in item["Key"]:
                yield f"s3 object {name}/{item['Key']}", True


def _plane(clients: Clients) -> Iterator[tuple[str, Any]]:
    """The control plane itself and the baseline: nothing that a project does may change them."""
    for function in _pages(clients("lambda"), "list_functions", "Functions"):
        yield f"lambda function {function['FunctionName']}", function
    for mapping in _pages(clients("lambda"), "list_event_source_mappings", "EventSourceMappings"):
        yield f"lambda mapping {mapping['FunctionArn']}", mapping
    sqs = clients("sqs")
    for url in _pages(sqs, "list_queues", "QueueUrls"):
        yield f"sqs queue {url}", sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    for topic in _pages(clients("sns"), "list_topics", "Topics"):
        yield f"sns topic {topic['TopicArn']}", clients("sns").get_topic_attributes(TopicArn=topic["TopicArn"])["Attributes"]
    for parameter in _pages(clients("ssm"), "describe_parameters", "Parameters"):
        yield f"ssm parameter {parameter['Name']}", clients("ssm").get_parameter(Name=parameter["Name"])["Parameter"]
    for table in _pages(clients("dynamodb"), "list_tables", "TableNames"):
        answer = clients("dynamodb").describe_table(TableName=table)["Table"]
        yield f"dynamodb table {table}", {key: value for key, value in answer.items() if key not in ("ItemCount", "TableSizeBytes")}
