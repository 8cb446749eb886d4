"""EventBridge: PutEvents goes through our router, patterns are really tested, a rule has at most five targets.

moto delivers inside the producer's request, fires disabled rules and schedule-only rules, ignores Input and InputPath, reaches neither
functions nor state machines, and answers TestEventPattern with nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.events.models import EventPattern, EventsBackend, Rule
from moto.events.responses import EventsHandler

from meshplane_cli.local.repairs.operations import refuse

Publish = Callable[..., None]
MOST_TARGETS = 5  # EventBridge quota: targets per rule
_OPERATORS = frozenset({"prefix", "suffix", "anything-but", "numeric", "exists", "cidr", "equals-ignore-case", "wildcard"})
_state: dict[str, Any] = {}


def _send_to_targets(self: Any, original_event: Mapping[str, Any], transform_input: bool = True) -> None:
    """moto calls this once per rule of the bus, matched or not; S3's events come through the S3 repair instead."""
    publish_to = _state.get("to_targets")
    if publish_to is None or original_event.get("source") == "aws.s3" or self.state == "DISABLED":
        return
    if not self.event_pattern.get_pattern() or not self.event_pattern.matches_event(original_event):
        return
    event = {key: value for key, value in original_event.items() if key != "ingestion-time"}
    if not isinstance(event.get("time"), str):
        event["time"] = datetime.fromtimestamp(float(event["time"]), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    publish_to(self, event)


def _test_event_pattern(self: Any) -> ActionResult:
    asked = json.loads(self.body)
    pattern = EventPattern.load(asked["EventPattern"])
    return ActionResult({"Result": pattern.matches_event(json.loads(asked["Event"]))})


def check_pattern(node: Any) -> None:
    """Refuse a pattern with an operator that EventBridge does not know."""
    for key, value in node.items() if isinstance(node, Mapping) else ():
        if key == "$or":
            for branch in value:
                check_pattern(branch)
        elif isinstance(value, Mapping):
            check_pattern(value)
        else:
            for item in value:
                unknown = set(item) - _OPERATORS if isinstance(item, Mapping) else set()
                if unknown:
                    raise refuse(
                        "InvalidEventPatternException", f"Event pattern is not valid. Reason: Unrecognized match type {min(unknown)}"
                    )


def _mend_put_rule(original: Any) -> Any:
    def put_rule(self: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("event_pattern"):
            check_pattern(json.loads(kwargs["event_pattern"]))
        return original(self, *args, **kwargs)

    return put_rule


def _mend_put_targets(original: Any) -> Any:
    def put_targets(self: Any, name: str, event_bus_arn: str, targets: list[dict[str, Any]]) -> Any:
        rule = self.describe_rule(name, event_bus_arn)
        if len({target["Id"] for target in [*rule.targets, *targets]}) > MOST_TARGETS:
            raise refuse("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
        return original(self, name, event_bus_arn, targets)

    return put_targets


def apply(to_targets: Callable[[Any, Mapping[str, Any]], None] | None = None) -> None:
    """Mend moto's EventBridge in this process. `to_targets` (rule, event) delivers; without it nothing is delivered."""
    first = not _state
    _state["to_targets"] = to_targets
    if first:
        Rule.send_to_targets = _send_to_targets
        EventsHandler.test_event_pattern = _test_event_pattern
        EventsBackend.put_rule = _mend_put_rule(EventsBackend.put_rule)
        EventsBackend.put_targets = _mend_put_targets(EventsBackend.put_targets)
