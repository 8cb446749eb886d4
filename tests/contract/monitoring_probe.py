"""What CloudWatch of moto answers, as it is or as repaired. Run by `probes.answered`."""

import json
import sys
from collections.abc import Callable
from typing import Any

import boto3
from moto import mock_aws

if sys.argv[1] == "repaired":
    from meshplane_cli.local.repairs import monitoring

    monitoring.apply()

TAG = [{"Key": "k", "Value": "v"}]
ALARM = {"AlarmName": "a", "Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1.0}


def asked(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001  any refusal is an answer
        return getattr(error, "response", {}).get("Error", {}).get("Code") or type(error).__name__


def main() -> dict[str, Any]:
    cloudwatch: Any = boto3.client("cloudwatch", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="y")
    found: dict[str, Any] = {}

    def tags(arn: str) -> Any:
        return asked(lambda: {tag["Key"]: tag["Value"] for tag in cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"]})

    def alarm(**more: Any) -> None:
        cloudwatch.put_metric_alarm(**ALARM, ComparisonOperator="GreaterThanThreshold", **more)

    cloudwatch.put_dashboard(DashboardName="d", DashboardBody="{}", Tags=TAG)
    dashboard = cloudwatch.get_dashboard(DashboardName="d")["DashboardArn"]
    found["dashboard's tags"] = tags(dashboard)
    cloudwatch.put_dashboard(DashboardName="d", DashboardBody="{}", Tags=[{"Key": "k", "Value": "other"}])
    found["tags of a replaced dashboard"] = tags(dashboard)
    found["tagging a dashboard"] = asked(lambda: cloudwatch.tag_resource(ResourceARN=dashboard, Tags=TAG) and "tagged")
    cloudwatch.delete_dashboards(DashboardNames=["d"])
    found["tags of no dashboard"] = tags(dashboard)
    alarm(Tags=TAG)
    arn = cloudwatch.describe_alarms()["MetricAlarms"][0]["AlarmArn"]
    cloudwatch.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="r")
    alarm(Tags=[{"Key": "k", "Value": "other"}])
    found["state of an updated alarm"] = cloudwatch.describe_alarms()["MetricAlarms"][0]["StateValue"]
    found["tags of an updated alarm"] = tags(arn)
    cloudwatch.delete_alarms(AlarmNames=["a"])
    found["tags of no alarm"] = tags(arn)
    return found


with mock_aws():
    print("ANSWERS" + json.dumps(main()))
