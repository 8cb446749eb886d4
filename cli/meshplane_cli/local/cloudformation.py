"""Stacks of the embedded AWS: change sets made, executed and rolled back as CloudFormation does it. Called by `repairs.cloudformation`.

moto would make every resource by itself, by rules of its own; here a stack's resources are made by `template`, through the same API calls
that anybody may make, with the credentials of whoever executes the change set. So that a SAM template works, its transform is ours too.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.config import Config

from meshplane_cli.local import callers, sessions
from meshplane_cli.local.clock import CLOCK
from meshplane_cli.local.template.deployment import deploy_translated, remembered, translated
from meshplane_cli.local.template.handlers import Target

NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."
IN_REVIEW = "REVIEW_IN_PROGRESS"


@dataclass(frozen=True, slots=True)
class Body:
    """What a stack is made from: the text as it was given, parameter values and tags."""

    template: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """`changes`: (Add | Modify | Remove, logical id, type). `status`: CREATE_COMPLETE, or FAILED with its reason."""

    name: str
    body: Body
    kind: str
    changes: tuple[tuple[str, str, str], ...]
    status: str
    reason: str = ""
    execution: str = "AVAILABLE"


@dataclass(slots=True)
class Stack:
    """One stack, as it is kept in moto's backend: plain values, so that it survives `down` and `up`."""

    name: str
    arn: str
    created: str
    status: str = IN_REVIEW
    reason: str = ""
    body: Body | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)
    change_sets: dict[str, ChangeSet] = field(default_factory=dict)
    events: list[dict[str, str]] = field(default_factory=list)

    def turn(self, status: str, reason: str = "", logical: str = "", kind: str = "AWS::CloudFormation::Stack") -> None:
        """Note an event; without `logical` it is the stack's own and becomes its status."""
        if not logical:
            self.status, self.reason = status, reason
        row = {"logical": logical or self.name, "kind": kind, "status": status, "reason": reason, "at": CLOCK.now().isoformat()}
        self.events.append(row)


@dataclass(frozen=True, slots=True)
class Engine:
    """Where stacks are made. `bucket`: where a stack's resources are remembered."""

    endpoint: str
    region: str
    account: str
    bucket: str

    def changes(self, stack: Stack, body: Body) -> tuple[tuple[str, str, str], ...]:
        """What differs from the stack as it was last made. Raises ValueError for a template that is wrong."""
        after = _resources(body, self.region)
        before = _resources(stack.body, self.region) if stack.body else {}
        every = stack.body is not None and stack.body.tags != body.tags  # tags are spread over all of them
        found = [("Add", name, one["Type"]) for name, one in after.items() if name not in before]
        found += [
            ("Modify", name, one["Type"]) for name, one in after.items() if name in before and (every or _said(one) != _said(before[name]))
        ]
        found += [("Remove", name, one["Type"]) for name, one in before.items() if name not in after]
        return tuple(sorted(found, key=lambda row: row[1]))

    def execute(self, stack: Stack, change: ChangeSet, access_key: str) -> threading.Thread:
        """Bring the stack to the change set in a thread of its own; what fails is rolled back."""
        first = stack.body is None
        stack.turn("CREATE_IN_PROGRESS" if first else "UPDATE_IN_PROGRESS", "User Initiated")
        stack.change_sets.clear()
        target = Target(self._clients(access_key), stack.name, self.region, self.account)

        def work() -> None:
            done = "CREATE" if first else "UPDATE"
            try:
                self._make(stack, change.body, target)
                stack.turn(f"{done}_COMPLETE")
            except Exception as fault:  # noqa: BLE001  # a thread of our own: what fails is told in the stack's events
                self._roll_back(stack, target, f"{fault}", first)

        thread = threading.Thread(target=work, name=f"stack-{stack.name}", daemon=True)
        thread.start()
        return thread

    def delete(self, stack: Stack, access_key: str, gone: Callable[[], object]) -> threading.Thread:
        """Take every resource away in a thread of its own; `gone` is called when nothing is left."""
        stack.turn("DELETE_IN_PROGRESS", "User Initiated")
        target = Target(self._clients(access_key), stack.name, self.region, self.account)

        def work() -> None:
            try:
                deploy_translated({"Resources": {}}, {}, target, self.bucket)
                gone()
            except Exception as fault:  # noqa: BLE001  # as above
                stack.turn("DELETE_FAILED", f"{fault}")

        thread = threading.Thread(target=work, name=f"stack-{stack.name}", daemon=True)
        thread.start()
        return thread

    def _make(self, stack: Stack, body: Body, target: Target) -> None:
        plain = translated(body.template, body.parameters, self.region)
        done = deploy_translated(plain, body.parameters, target, self.bucket, body.tags)
        kinds = {name: row["Type"] for name, row in plain["Resources"].items()}
        for logical in done.made:
            stack.turn("UPDATE_COMPLETE" if stack.body else "CREATE_COMPLETE", "", logical, kinds[logical])
        for logical in done.removed:
            stack.turn("DELETE_COMPLETE", "", logical, "")
        stack.body, stack.outputs = body, dict(done.outputs)

    def _roll_back(self, stack: Stack, target: Target, why: str, first: bool) -> None:
        stack.turn("ROLLBACK_IN_PROGRESS" if first else "UPDATE_ROLLBACK_IN_PROGRESS", why)
        word = "ROLLBACK" if first else "UPDATE_ROLLBACK"
        try:
            if stack.body is None:
                deploy_translated({"Resources": {}}, {}, target, self.bucket)
            else:
                self._make(stack, stack.body, target)
            stack.turn(f"{word}_COMPLETE", why)
        except Exception as fault:  # noqa: BLE001  # as above
            stack.turn(f"{word}_FAILED", f"{why}; and rolling back: {fault}")

    def resources(self, stack: Stack) -> list[dict[str, str]]:
        """Logical id, physical id and type of what the stack holds."""
        target = Target(self._clients(callers.DEVELOPER_KEY), stack.name, self.region, self.account)
        return [{"logical": name, "physical": one.ref, "type": one.type} for name, one in remembered(target, self.bucket).items()]

    def _clients(self, access_key: str) -> Callable[[str], Any]:
        made = dict[str, Any]()

        def client(service: str) -> Any:
            if service not in made:
                made[service] = sessions.client(
                    service,
                    region_name=self.region,
                    endpoint_url=self.endpoint,
                    aws_access_key_id=access_key or callers.DEVELOPER_KEY,
                    aws_secret_access_key=callers.DEVELOPER_SECRET,
                    config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
                )
            return made[service]

        return client


def _resources(body: Body, region: str) -> dict[str, Any]:
    """The resources with every `Ref` to a parameter filled in: so that a parameter's new value is a change of what names it."""
    plain = translated(body.template, body.parameters, region)
    values = {name: body.parameters.get(name, one.get("Default", "")) for name, one in plain.get("Parameters", {}).items()}
    return {name: {**_filled(one, values), "Type": one["Type"]} for name, one in plain["Resources"].items()}


def _filled(part: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(part, Mapping):
        if set(part) == {"Ref"} and part["Ref"] in values:
            return values[part["Ref"]]
        return {name: _filled(one, values) for name, one in part.items()}
    if isinstance(part, list):
        return [_filled(one, values) for one in part]
    if isinstance(part, str):
        for name, value in values.items():
            part = part.replace(f"${{{name}}}", str(value))
    return part


def _said(resource: Mapping[str, Any]) -> str:
    return json.dumps(resource, sort_keys=True)
