"""What a resource type's handler is, and what it is given. Implemented in `services`, called by `deployment`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Properties = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """Where things are made: clients by service name, and the names of the stack."""

    client: Callable[[str], Any]
    stack: str
    region: str
    account: str

    def name(self, logical: str, most: int = 64) -> str:
        """A physical name for a resource that gives itself none: stable for stack and logical id."""
        digest = hashlib.sha256(f"{self.stack}/{logical}".encode()).hexdigest()[:12]
        return f"{self.stack}-{logical}"[: most - 13] + f"-{digest}"

    def arn(self, service: str, resource: str) -> str:
        """An ARN here."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


@dataclass(frozen=True, slots=True)
class Made:
    """What `Ref` and `Fn::GetAtt` of a resource give."""

    ref: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Handler:
    """`put` makes the resource or brings the present one to the properties; `remove` deletes it by its Ref.

    put(target, logical id, properties, the earlier Ref or the empty text)
    """

    put: Callable[[Target, str, Properties, str], Made]
    remove: Callable[[Target, str], None]


def tags(properties: Properties) -> dict[str, str]:
    """Tags, which CloudFormation has in two shapes."""
    found = properties.get("Tags") or {}
    return dict(found) if isinstance(found, Mapping) else {tag["Key"]: tag["Value"] for tag in found}


def tag_list(properties: Properties) -> list[dict[str, str]]:
    """The same as Key and Value."""
    return [{"Key": key, "Value": value} for key, value in tags(properties).items()]


def only(properties: Properties, names: Sequence[str]) -> dict[str, Any]:
    """The named properties that are there."""
    return {name: properties[name] for name in names if name in properties}


def nothing(target: Target, ref: str) -> None:
    """For what goes with its parent."""
