"""CloudFormation's intrinsic functions and pseudo parameters, evaluated over a translated template. Used by `deployment`."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

_PLACE = re.compile(r"\$\{([^!}][^}]*)\}")


class _Absent:
    """AWS::NoValue: the property that holds it is left out."""


ABSENT = _Absent()


class Evaluator:
    """`refer` gives a Ref's value, `attribute` a GetAtt's; both may first make the resource that is named."""

    def __init__(self, refer: Callable[[str], Any], attribute: Callable[[str, str], Any], conditions: Mapping[str, Any]) -> None:
        self._refer, self._attribute, self._conditions = refer, attribute, conditions

    def value(self, node: Any) -> Any:
        """The node with every intrinsic replaced. Raises ValueError for an intrinsic that is not known."""
        if isinstance(node, list):
            return [found for item in node if (found := self.value(item)) is not ABSENT]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            name, argument = next(iter(node.items()))
            if name == "Ref":
                return ABSENT if argument == "AWS::NoValue" else self._refer(argument)
            if name == "Condition" and isinstance(argument, str):
                return self.condition(argument)
            if name.startswith("Fn::"):
                return self._function(name, argument)
        return {key: found for key, item in node.items() if (found := self.value(item)) is not ABSENT}

    def condition(self, name: str) -> bool:
        """Whether a condition of the template holds."""
        return bool(self.value(self._conditions[name]))

    def _function(self, name: str, argument: Any) -> Any:
        if name == "Fn::If":
            return self.value(argument[1] if self.condition(argument[0]) else argument[2])
        if name == "Fn::GetAtt":
            parts = argument.split(".", 1) if isinstance(argument, str) else argument
            return self._attribute(parts[0], parts[1])
        if name == "Fn::Sub":
            return self._substituted(argument)
        functions: dict[str, Callable[[Any], Any]] = {
            "Fn::Join": lambda it: it[0].join(str(part) for part in it[1]),
            "Fn::Equals": lambda it: str(it[0]) == str(it[1]),
            "Fn::Not": lambda it: not it[0],
            "Fn::And": all,
            "Fn::Or": any,
            "Fn::Select": lambda it: it[1][int(it[0])],
            "Fn::Split": lambda it: it[1].split(it[0]),
            "Fn::Base64": lambda it: base64.b64encode(it.encode()).decode(),
        }
        if name not in functions:
            raise ValueError(f"the embedded AWS does not evaluate {name}")
        return functions[name](self.value(argument))

    def _substituted(self, argument: Any) -> str:
        text, given = (argument, {}) if isinstance(argument, str) else (argument[0], self.value(argument[1]))

        def fill(match: re.Match[str]) -> str:
            name = match[1].strip()
            if name in given:
                return str(given[name])
            head, dot, attribute = name.partition(".")
            return str(self._attribute(head, attribute) if dot else self._refer(name))

        return _PLACE.sub(fill, text).replace("${!", "${")
