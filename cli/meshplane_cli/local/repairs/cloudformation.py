"""CloudFormation: the operations of a deployment by change set, over stacks that `local.cloudformation` really makes.

moto's own knows neither SAM's transform nor most of what the template holds, and calls everything done at once.
API reference: CreateChangeSet, DescribeChangeSet, ExecuteChangeSet, DeleteChangeSet, DescribeStacks, DescribeStackEvents,
ListStackResources, GetTemplate.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from moto.cloudformation.exceptions import AlreadyExistsException, CloudFormationError, ValidationError
from moto.cloudformation.models import cloudformation_backends
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.s3.models import s3_backends

from meshplane_cli.local.clock import CLOCK
from meshplane_cli.local.cloudformation import IN_REVIEW, NO_CHANGES, Body, ChangeSet, Engine, Stack
from meshplane_cli.local.repairs.operations import install

_state: dict[str, Engine] = {}


class _ChangeSetNotFoundError(CloudFormationError):  # type: ignore[misc]
    code = "ChangeSetNotFound"


class _InsufficientCapabilitiesError(CloudFormationError):  # type: ignore[misc]
    code = "InsufficientCapabilitiesException"


class Operations:
    """Copied onto moto's response class."""

    def create_change_set(self: Any) -> ActionResult:
        """Compare; a template that is wrong, or changes nothing, makes a change set that FAILED."""
        name, kind = self._get_param("StackName"), self._get_param("ChangeSetType", "UPDATE")
        stacks = _stacks(self)
        stack = stacks.get(name)
        exists = stack is not None and stack.body is not None
        if kind == "UPDATE" and not exists:
            raise ValidationError(message=f"Stack [{name}] does not exist")
        if kind == "CREATE" and exists:
            raise ValidationError(message=f"Stack [{name}] already exists and cannot be created again with the changeSet.")
        if stack is not None and stack.status != IN_REVIEW and not stack.status.endswith("_COMPLETE"):
            raise ValidationError(message=f"Stack:{stack.arn} is in {stack.status} state and can not be updated.")
        body = _body(self)
        given = set(self._get_param("Capabilities", []))
        if "Transform:" in body.template and "CAPABILITY_AUTO_EXPAND" not in given:
            raise _InsufficientCapabilitiesError("Requires capabilities : [CAPABILITY_AUTO_EXPAND]")
        if stack is None:
            stack = stacks[name] = Stack(name, _arn(self, "stack", name), CLOCK.now().isoformat())
        set_name = self._get_param("ChangeSetName")
        if set_name in stack.change_sets:
            raise AlreadyExistsException(f"ChangeSet [{set_name}] already exists")
        stack.change_sets[set_name] = _compared(stack, set_name, body, kind)
        return ActionResult({"Id": _arn(self, "changeSet", set_name), "StackId": stack.arn})

    def describe_change_set(self: Any) -> ActionResult:
        """Its status and changes."""
        stack, found = _change_set(self)
        rows = [{"Action": action, "LogicalResourceId": logical, "ResourceType": kind} for action, logical, kind in found.changes]
        answer = {
            "ChangeSetName": found.name,
            "StackName": stack.name,
            "StackId": stack.arn,
            "Status": found.status,
            "StatusReason": found.reason,
            "ExecutionStatus": found.execution,
            "Changes": rows,  # moto wraps each as ResourceChange
            "Parameters": dict(found.body.parameters),
        }
        return ActionResult(answer)

    def execute_change_set(self: Any) -> EmptyResult:
        """Begin; DescribeStacks tells how it goes."""
        stack, found = _change_set(self)
        if found.execution != "AVAILABLE":
            raise ValidationError(message=f"ChangeSet [{found.name}] cannot be executed in its current status of [{found.status}]")
        _state["engine"].execute(stack, found, self.access_key)
        return EmptyResult()

    def delete_change_set(self: Any) -> EmptyResult:
        """Idempotent."""
        stack, found = _change_set(self)
        stack.change_sets.pop(found.name)
        return EmptyResult()

    def delete_stack(self: Any) -> EmptyResult:
        """Take its resources away; one that is not there is no error."""
        stack = _stacks(self).get(self._get_param("StackName"))
        if stack is not None:
            _state["engine"].delete(stack, self.access_key, lambda: _stacks(self).pop(stack.name, None))
        return EmptyResult()

    def describe_stacks(self: Any) -> ActionResult:
        """One stack, or all."""
        name = self._get_param("StackName")
        stacks = [_stack(self, name)] if name else list(_stacks(self).values())
        return ActionResult({"Stacks": [_described(stack) for stack in stacks]})

    def describe_stack_events(self: Any) -> ActionResult:
        """Newest first."""
        stack = _stack(self, self._get_param("StackName"))
        rows = [
            {
                "StackId": stack.arn,
                "StackName": stack.name,
                "EventId": f"{stack.name}-{number}",
                "LogicalResourceId": event["logical"],
                "ResourceType": event["kind"],
                "ResourceStatus": event["status"],
                "ResourceStatusReason": event["reason"],
                "Timestamp": datetime.fromisoformat(event["at"]),
            }
            for number, event in enumerate(stack.events)
        ]
        return ActionResult({"StackEvents": rows[::-1]})

    def list_stack_resources(self: Any) -> ActionResult:
        """What the stack holds."""
        stack = _stack(self, self._get_param("StackName"))
        rows = [
            {
                "LogicalResourceId": row["logical"],
                "PhysicalResourceId": row["physical"],
                "ResourceType": row["type"],
                "ResourceStatus": "CREATE_COMPLETE",
                "LastUpdatedTimestamp": datetime.fromisoformat(stack.created),
            }
            for row in _state["engine"].resources(stack)
        ]
        return ActionResult({"StackResourceSummaries": rows})

    def get_template(self: Any) -> ActionResult:
        """The template as it was given."""
        stack = _stack(self, self._get_param("StackName"))
        return ActionResult({"TemplateBody": stack.body.template if stack.body else "", "StagesAvailable": ["Original"]})


def apply(engine: Engine | None = None) -> None:
    """Mend moto's CloudFormation in this process; without an engine, in-process under mock_aws, moto's own stays."""
    if engine is None:
        return
    _state["engine"] = engine
    install(CloudFormationResponse, Operations)


def _compared(stack: Stack, name: str, body: Body, kind: str) -> ChangeSet:
    try:
        changes = _state["engine"].changes(stack, body)
    except Exception as fault:  # noqa: BLE001  # whatever is wrong with a template is said in the change set
        return ChangeSet(name, body, kind, (), "FAILED", str(fault), "UNAVAILABLE")
    if stack.body is not None and stack.body == body:
        return ChangeSet(name, body, kind, (), "FAILED", NO_CHANGES, "UNAVAILABLE")
    return ChangeSet(name, body, kind, changes, "CREATE_COMPLETE")


def _body(asked: Any) -> Body:
    template, url = asked._get_param("TemplateBody"), asked._get_param("TemplateURL")
    if bool(template) == bool(url):
        raise ValidationError(message="Either Template URL or Template Body must be specified.")
    parameters = {row["ParameterKey"]: row.get("ParameterValue", "") for row in asked._get_param("Parameters", [])}
    tags = {row["Key"]: row["Value"] for row in asked._get_param("Tags", [])}
    return Body(template or _from_s3(asked, url), parameters, tags)


def _from_s3(asked: Any, url: str) -> str:
    """`https://bucket.s3.region.amazonaws.com/key`, or the bucket as the path's first part."""
    host, _, path = url.partition("://")[2].partition("/")
    bucket, dot, _ = host.partition(".s3")
    if not dot:
        bucket, _, path = path.partition("/")
    key = s3_backends[asked.current_account][asked.partition].get_object(bucket, path)
    if key is None:
        raise ValidationError(message=f"S3 error: The specified key does not exist: {url}")
    return str(key.value.decode())


def _stacks(asked: Any) -> dict[str, Stack]:
    """They live in moto's own backend, whose state `down` keeps."""
    held: dict[str, Stack] = cloudformation_backends[asked.current_account][asked.region].__dict__.setdefault("meshplane_stacks", {})
    return held


def _stack(asked: Any, name: str) -> Stack:
    for stack in _stacks(asked).values():
        if name in (stack.name, stack.arn):
            return stack
    raise ValidationError(name)


def _change_set(asked: Any) -> tuple[Stack, ChangeSet]:
    name = str(asked._get_param("ChangeSetName"))
    wanted = asked._get_param("StackName")
    stacks = [_stack(asked, wanted)] if wanted else list(_stacks(asked).values())
    for stack in stacks:
        for found in stack.change_sets.values():
            if name in (found.name, _arn(asked, "changeSet", found.name)):
                return stack, found
    raise _ChangeSetNotFoundError(f"ChangeSet [{name}] does not exist")


def _arn(asked: Any, kind: str, name: str) -> str:
    return f"arn:aws:cloudformation:{asked.region}:{asked.current_account}:{kind}/{name}/0000-{name}"


def _described(stack: Stack) -> dict[str, Any]:
    body = stack.body
    return {
        "StackName": stack.name,
        "StackId": stack.arn,
        "CreationTime": datetime.fromisoformat(stack.created),
        "StackStatus": stack.status,
        "StackStatusReason": stack.reason,
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in (body.parameters if body else {}).items()],
        "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in stack.outputs.items()],
        "Tags": dict(body.tags) if body else {},
    }
