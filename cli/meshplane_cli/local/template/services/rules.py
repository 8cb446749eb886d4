"""AWS::Events::Rule with its targets."""

from __future__ import annotations

import json

from meshplane_cli.local.template.handlers import Handler, Made, Properties, Target, only, tag_list


def _rule(target: Target, logical: str, properties: Properties, earlier: str) -> Made:
    events = target.client("events")
    name = properties.get("Name") or target.name(logical)
    shape = only(properties, ("Description", "ScheduleExpression", "State", "RoleArn"))
    if "EventPattern" in properties:
        shape["EventPattern"] = json.dumps(properties["EventPattern"])
    if tag_list(properties) and not earlier:
        shape["Tags"] = tag_list(properties)
    arn = events.put_rule(Name=name, **shape)["RuleArn"]
    wanted = properties.get("Targets", [])
    present = {row["Id"] for row in events.list_targets_by_rule(Rule=name)["Targets"]}
    gone = sorted(present - {row["Id"] for row in wanted})
    if gone:
        events.remove_targets(Rule=name, Ids=gone)
    if wanted:
        events.put_targets(Rule=name, Targets=wanted)
    return Made(name, {"Arn": arn})


def _remove(target: Target, ref: str) -> None:
    events = target.client("events")
    ids = [row["Id"] for row in events.list_targets_by_rule(Rule=ref)["Targets"]]
    if ids:
        events.remove_targets(Rule=ref, Ids=ids)
    events.delete_rule(Name=ref)


HANDLERS = {"AWS::Events::Rule": Handler(_rule, _remove)}
