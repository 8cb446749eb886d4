"""AWS::CloudWatch::Alarm and AWS::CloudWatch::Dashboard."""

from __future__ import annotations

from meshplane_cli.local.template.handlers import Handler, Made, Properties, Target


def _alarm(target: Target, logical: str, properties: Properties, earlier: str) -> Made:
    name = properties.get("AlarmName") or target.name(logical)
    target.client("cloudwatch").put_metric_alarm(**{**properties, "AlarmName": name})
    return Made(name, {"Arn": target.arn("cloudwatch", f"alarm:{name}")})


def _remove(target: Target, ref: str) -> None:
    target.client("cloudwatch").delete_alarms(AlarmNames=[ref])


def _dashboard(target: Target, logical: str, properties: Properties, earlier: str) -> Made:
    name = properties.get("DashboardName") or target.name(logical)
    target.client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody=properties["DashboardBody"])
    return Made(name)


def _remove_dashboard(target: Target, ref: str) -> None:
    target.client("cloudwatch").delete_dashboards(DashboardNames=[ref])


HANDLERS = {"AWS::CloudWatch::Alarm": Handler(_alarm, _remove), "AWS::CloudWatch::Dashboard": Handler(_dashboard, _remove_dashboard)}
