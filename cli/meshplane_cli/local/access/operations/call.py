"""One request as IAM sees it: what was called with which parameters, and what permission that needs. Used by the tables beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from meshplane_cli.local.access.world import World


@dataclass(frozen=True, slots=True)
class Need:
    """One permission: IAM's action, the resource's ARN (`*` where the action takes none), condition keys beside the usual ones."""

    action: str
    resource: str
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """A request. `parameters` are those of the API, by its own names; for S3 see `parameters.s3`."""

    operation: str
    parameters: Mapping[str, Any]
    world: World

    def __getitem__(self, name: str) -> Any:
        return self.parameters.get(name) or ""

    def tagged(self, action: str, resource: str, name: str = "Tags") -> list[Need]:
        """What setting tags in the creating call asks for beside the creation."""
        return [Need(action, resource)] if self[name] else []

    def passing(self, role: str, service: str) -> list[Need]:
        """What handing a role to a service asks for."""
        if not role:
            return []
        return [Need("iam:PassRole", self.world.role_arn(role), {"iam:passedtoservice": (f"{service}.amazonaws.com",)})]


Needs = Callable[[Call], Iterable[Need]]
Table = Mapping[str, Needs]


def on(prefix: str, resource: Callable[[Call], str], *operations: str) -> dict[str, Needs]:
    """Operations that need the action of their own name on one resource."""
    return {name: lambda call, name=name: [Need(f"{prefix}:{name}", resource(call))] for name in operations}  # type: ignore[misc]


def on_all(prefix: str, *operations: str) -> dict[str, Needs]:
    """Operations that take no resource."""
    return on(prefix, lambda call: "*", *operations)


def as_action(action: str, resource: Callable[[Call], str]) -> Needs:
    """An operation whose action has another name."""
    return lambda call: [Need(action, resource(call))]
