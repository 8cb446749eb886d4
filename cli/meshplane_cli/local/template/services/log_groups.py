"""AWS::Logs::LogGroup."""

from __future__ import annotations

from contextlib import suppress

from meshplane_cli.local.template.handlers import Handler, Made, Properties, Target, tags


def _group(target: Target, logical: str, properties: Properties, earlier: str) -> Made:
    logs = target.client("logs")
    name = properties.get("LogGroupName") or target.name(logical)
    if earlier != name:
        with suppress(logs.exceptions.ResourceAlreadyExistsException):  # a function that ran before its group was declared made it
            logs.create_log_group(logGroupName=name, tags=tags(properties))
    if "RetentionInDays" in properties:
        logs.put_retention_policy(logGroupName=name, retentionInDays=int(properties["RetentionInDays"]))
    return Made(name, {"Arn": target.arn("logs", f"log-group:{name}:*")})


def _remove(target: Target, ref: str) -> None:
    target.client("logs").delete_log_group(logGroupName=ref)


HANDLERS = {"AWS::Logs::LogGroup": Handler(_group, _remove)}
