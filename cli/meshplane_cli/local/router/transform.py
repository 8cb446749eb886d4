"""What a rule's target receives: the event, or what Input, InputPath or InputTransformer make of it (EventBridge user guide,
"Amazon EventBridge input transformation"). Called by `routing`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from jsonpath_ng.ext import parse  # type: ignore[attr-defined]

_PLACEHOLDER = re.compile(r"<([A-Za-z0-9_.\-]+)>")


def rendered(target: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    """The text that the target receives. Strings stand unquoted inside quotes of the template, as JSON outside of them."""
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        return json.dumps(at(target["InputPath"], event))
    if "InputTransformer" in target:
        return _transformed(target["InputTransformer"], event)
    return json.dumps(event)


def at(path: str, event: Mapping[str, Any]) -> Any:
    """The value at a JSON path of the event; None when nothing is there. EventBridge reads `$.detail-type` without brackets."""
    quoted = re.sub(r"\.([A-Za-z0-9_]*-[A-Za-z0-9_\-]*)", r".'\1'", path)
    found = parse(quoted).find(event)
    return found[0].value if found else None


def _transformed(transformer: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    values: dict[str, Any] = {
        "aws.events.event": {key: value for key, value in event.items() if key != "detail"},
        "aws.events.event.json": event,
        "aws.events.event.ingestion-time": event["time"],
    }
    values.update({name: at(path, event) for name, path in transformer.get("InputPathsMap", {}).items()})
    template = transformer["InputTemplate"]

    def fill(match: re.Match[str]) -> str:
        if match[1] not in values and not match[1].startswith("aws.events."):
            return match[0]
        value = values.get(match[1])
        value = "" if value is None else value  # AWS: a path that finds nothing is an empty string
        inside = len(re.findall(r'(?<!\\)"', template[: match.start()])) % 2 == 1
        if not inside:
            return json.dumps(value)
        return json.dumps(value)[1:-1] if isinstance(value, str) else json.dumps(json.dumps(value))[1:-1]

    return _PLACEHOLDER.sub(fill, template)
