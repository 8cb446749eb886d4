"""EventBridge, Scheduler, SQS, SNS, logs and metrics: what each operation asks of its caller (Service Authorization Reference)."""

from __future__ import annotations

from collections.abc import Iterable

from meshplane_cli.local.access.operations.call import Call, Need, Table, on, on_all


# ---- EventBridge and Scheduler -------------------------------------------------------------------------------------------------------
def _rule(call: Call) -> str:
    bus = str(call["EventBusName"] or "default").rpartition("/")[2]
    return call.world.arn("events", f"rule/{'' if bus == 'default' else bus + '/'}{call['Name'] or call['Rule']}")


def _put_rule(call: Call) -> Iterable[Need]:
    yield Need("events:PutRule", _rule(call))
    yield from call.passing(str(call["RoleArn"]), "events")
    yield from call.tagged("events:TagResource", _rule(call))


def _put_targets(call: Call) -> Iterable[Need]:
    yield Need("events:PutTargets", _rule(call))
    for target in call["Targets"]:
        yield from call.passing(target.get("RoleArn", ""), "events")


def _put_events(call: Call) -> Iterable[Need]:
    buses = {str(entry.get("EventBusName") or "default").rpartition("/")[2] for entry in call["Entries"]}
    return [Need("events:PutEvents", call.world.arn("events", f"event-bus/{bus}")) for bus in sorted(buses)]


EVENTS: Table = {
    **on("events", _rule, "DeleteRule", "DescribeRule", "DisableRule", "EnableRule", "ListTargetsByRule", "RemoveTargets"),
    **on("events", lambda call: str(call["ResourceARN"]), "ListTagsForResource", "TagResource", "UntagResource"),
    **on("events", lambda call: call.world.arn("events", f"event-bus/{call['Name'] or 'default'}"), "DescribeEventBus"),
    **on_all("events", "ListEventBuses", "ListRuleNamesByTarget", "ListRules", "TestEventPattern"),
    "PutRule": _put_rule,
    "PutTargets": _put_targets,
    "PutEvents": _put_events,
}


def _schedule(call: Call) -> str:
    group = call["GroupName"] or call["groupName"] or "default"
    return call.world.arn("scheduler", f"schedule/{group}/{call['Name']}")


def _put_schedule(call: Call) -> Iterable[Need]:
    return [Need(f"scheduler:{call.operation}", _schedule(call)), *call.passing((call["Target"] or {}).get("RoleArn", ""), "scheduler")]


def _group(call: Call) -> str:
    return call.world.arn("scheduler", f"schedule-group/{call['Name']}")


def _create_group(call: Call) -> Iterable[Need]:
    return [Need("scheduler:CreateScheduleGroup", _group(call)), *call.tagged("scheduler:TagResource", _group(call))]


SCHEDULER: Table = {
    **on("scheduler", _schedule, "DeleteSchedule", "GetSchedule"),
    **on("scheduler", _group, "DeleteScheduleGroup", "GetScheduleGroup"),
    **on("scheduler", lambda call: str(call["ResourceArn"]), "ListTagsForResource", "TagResource", "UntagResource"),
    **on_all("scheduler", "ListScheduleGroups", "ListSchedules"),
    "CreateSchedule": _put_schedule,
    "UpdateSchedule": _put_schedule,
    "CreateScheduleGroup": _create_group,
}


# ---- SQS, SNS ------------------------------------------------------------------------------------------------------------------------
def _queue(call: Call) -> str:
    return call.world.arn("sqs", str(call["QueueUrl"] or call["QueueName"]).rpartition("/")[2])


_QUEUE = (
    "ChangeMessageVisibility CreateQueue DeleteMessage DeleteQueue GetQueueAttributes GetQueueUrl ListDeadLetterSourceQueues ListQueueTags"
    " PurgeQueue ReceiveMessage SendMessage SetQueueAttributes TagQueue UntagQueue"
)
SQS: Table = {
    **on("sqs", _queue, *_QUEUE.split()),
    **on_all("sqs", "ListQueues"),
    **{  # a batch asks for what each entry asks for
        f"{name}Batch": lambda call, name=name: [Need(f"sqs:{name}", _queue(call))]  # type: ignore[misc]
        for name in ("ChangeMessageVisibility", "DeleteMessage", "SendMessage")
    },
}


def _topic(call: Call) -> str:
    return str(call["TopicArn"] or call["TargetArn"] or call["ResourceArn"]) or call.world.arn("sns", str(call["Name"]))


def _publish(call: Call) -> Iterable[Need]:
    """To a topic under a key: that key, through SNS ("Managing Amazon SNS encryption keys", publishers)."""
    yield Need("sns:Publish", _topic(call))
    key, via = call.world.topic_key(_topic(call)), {"kms:viaservice": (f"sns.{call.world.region}.amazonaws.com",)}
    if key:
        yield from (Need(action, key, via) for action in ("kms:GenerateDataKey", "kms:Decrypt"))


_TOPIC = (
    "CreateTopic DeleteTopic GetTopicAttributes ListSubscriptionsByTopic ListTagsForResource SetTopicAttributes Subscribe TagResource"
    " UntagResource"
)
SNS: Table = {
    **on("sns", _topic, *_TOPIC.split()),
    **on("sns", lambda call: str(call["SubscriptionArn"]).rpartition(":")[0], "Unsubscribe"),
    **on_all("sns", "ListSubscriptions", "ListTopics"),
    "Publish": _publish,
}


# ---- logs and metrics ----------------------------------------------------------------------------------------------------------------
def _log_group(call: Call) -> str:
    named = str(call["logGroupIdentifier"]).rpartition("log-group:")[2].removesuffix(":*") or call["logGroupName"]
    return call.world.arn("logs", f"log-group:{named}:log-stream:{call['logStreamName']}")


def _create_group_of_logs(call: Call) -> Iterable[Need]:
    arn = call.world.arn("logs", f"log-group:{call['logGroupName']}")
    yield Need("logs:CreateLogGroup", _log_group(call))
    yield from call.tagged("logs:TagResource", arn, "tags")
    yield from call.tagged("logs:AssociateKmsKey", _log_group(call), "kmsKeyId")


_GROUP = (
    "AssociateKmsKey CreateLogStream DeleteLogGroup DeleteLogStream DeleteRetentionPolicy DescribeLogStreams DisassociateKmsKey"
    " FilterLogEvents GetLogEvents ListTagsLogGroup PutLogEvents PutRetentionPolicy"
)
LOGS: Table = {
    **on("logs", _log_group, *_GROUP.split()),
    **on("logs", lambda call: str(call["resourceArn"]), "ListTagsForResource", "TagResource", "UntagResource"),
    **on_all("logs", "DescribeLogGroups", "DescribeResourcePolicies", "PutResourcePolicy"),
    "CreateLogGroup": _create_group_of_logs,
}


def _alarm(call: Call) -> str:
    return call.world.arn("cloudwatch", f"alarm:{call['AlarmName']}")


def _dashboard(call: Call, name: str = "") -> str:
    """Dashboards are the account's, not a region's: the ARN has none."""
    return f"arn:aws:cloudwatch::{call.world.account}:dashboard/{name or call['DashboardName']}"


def _put_alarm(call: Call) -> Iterable[Need]:
    return [Need("cloudwatch:PutMetricAlarm", _alarm(call)), *call.tagged("cloudwatch:TagResource", _alarm(call))]


def _put_dashboard(call: Call) -> Iterable[Need]:
    return [Need("cloudwatch:PutDashboard", _dashboard(call)), *call.tagged("cloudwatch:TagResource", _dashboard(call))]


def _put_metrics(call: Call) -> Iterable[Need]:
    return [Need("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": (str(call["Namespace"]),)})]


METRICS: Table = {
    **on("cloudwatch", _alarm, "SetAlarmState"),
    "PutMetricAlarm": _put_alarm,
    **on("cloudwatch", lambda call: call.world.arn("cloudwatch", "alarm:*"), "DescribeAlarms"),
    **on("cloudwatch", lambda call: str(call["ResourceARN"]), "ListTagsForResource", "TagResource"),
    **on_all("cloudwatch", "GetMetricData", "GetMetricStatistics", "ListDashboards", "ListMetrics"),
    **{
        operation: lambda call, operation=operation: [  # type: ignore[misc]
            Need(f"cloudwatch:{operation}", call.world.arn("cloudwatch", f"alarm:{name}")) for name in call["AlarmNames"]
        ]
        for operation in ("DeleteAlarms", "DisableAlarmActions")
    },
    **on("cloudwatch", _dashboard, "GetDashboard"),
    "PutDashboard": _put_dashboard,
    "DeleteDashboards": lambda call: [Need("cloudwatch:DeleteDashboards", _dashboard(call, name)) for name in call["DashboardNames"]],
    "PutMetricData": _put_metrics,
}
