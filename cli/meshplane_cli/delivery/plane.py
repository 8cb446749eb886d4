"""The control plane by CloudFormation: package, change set, execution. Called by `commands.deploy`; the same against an account and the
embedded AWS.

Nothing is called but reads when the stack already holds this release. What was left half-way (a change set, a stack in review, a failed
first creation) is taken up or cleared, so that running it again finishes it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from meshplane.aws.faults import translated
from meshplane.errors import NotFound
from meshplane.model.baseline import Baseline
from meshplane.model.resource import Owner, ownership_tags
from meshplane_cli.delivery.package import functions_zip, layer_zip, template
from meshplane_cli.output import PROBLEMS, UNREACHABLE, WAITS, CliError
from meshplane_cli.platform import Clients, put_content
from meshplane_cli.releases import provenance
from meshplane_cli.surroundings import Target

Say = Callable[[str], None]
RELEASE = "Release"  # the template's parameter that tells which release a stack holds
PLATFORM = "platform"
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
_SECONDS = 1800  # no change of the plane takes longer; CloudFormation goes on by itself
_SIGNS = {"Add": "+", "Modify": "~", "Remove": "-"}


@dataclass(frozen=True, slots=True)
class Deployed:
    """`changes`: sign and logical id; empty when the stack already held the release."""

    release: str
    changes: tuple[str, ...]
    outputs: Mapping[str, str]


def deploy(target: Target, say: Say) -> Deployed:
    """Bring the stack to the checkout. Raises CliError: no baseline, or CloudFormation's own reason."""
    root, name = target.checkout.root, target.naming.of("stack")
    bucket, client = target.naming.bucket("artifacts"), target.clients
    functions, layer = functions_zip(root), layer_zip(root)
    places = {
        key: f"s3://{bucket}/{target.naming.of('platform_file', sha256=_sha(body), name=f'{key}.zip')}"
        for key, body in _both(functions, layer)
    }
    text = template(root, places["functions"], places["layer"])
    parameters = _parameters(target)
    release = _sha((text + json.dumps(parameters, sort_keys=True)).encode())
    stack = _Stack(client, name, 0.1 if target.local else 3.0)
    now = stack.at_rest(say)
    if now is not None and now["StackStatus"].endswith("_COMPLETE") and _values(now, "Parameters", "Parameter").get(RELEASE) == release:
        say(f"control plane: {name} holds release {release[:12]} already")
        return Deployed(release, (), _values(now, "Outputs", "Output"))
    for key, body in _both(functions, layer):
        put_content(client, target.naming, f"{key}.zip", body)
    template_key = put_content(client, target.naming, "template.yaml", text.encode())
    tags = {**ownership_tags(Owner(target.checkout.domain.domain_name, target.env, PLATFORM)), **provenance(root).tags()}
    url = f"https://{bucket}.s3.{target.naming.region}.amazonaws.com/{template_key}"
    changes = stack.change(now, url, {**parameters, RELEASE: release}, tags, say)
    return Deployed(release, changes, _values(stack.described() or {}, "Outputs", "Output"))


def _both(functions: bytes, layer: bytes) -> tuple[tuple[str, bytes], ...]:
    return ("functions", functions), ("layer", layer)


def _parameters(target: Target) -> dict[str, str]:
    """The template's parameters, from domain.json and what the baseline publishes. Raises CliError without a baseline."""
    names = {Baseline.parameters(target.naming)[name]: name for name in ("kms_key_arn", "boundary_arn")}
    with translated("ssm:GetParameters"):
        found = target.clients("ssm").get_parameters(Names=list(names))["Parameters"]
    values = {names[row["Name"]]: row["Value"] for row in found}
    if "kms_key_arn" not in values:
        raise CliError(
            f"{target.env} has no baseline yet",
            found=f"no parameter {next(iter(names))}",
            mend=f"meshplane baseline apply --env {target.env}",
            code=UNREACHABLE,
        )
    domain = target.checkout.domain
    return {
        "Env": target.env,
        "DomainAbbr": domain.domain_abbr,
        "CountryCode": domain.country_code,
        "KmsKeyArn": values["kms_key_arn"],
        "BoundaryArn": values.get("boundary_arn", ""),
    }


@dataclass(frozen=True)
class _Stack:
    client: Clients
    name: str
    pause: float

    def described(self) -> dict[str, Any] | None:
        """DescribeStacks; None for a stack that is not there."""
        try:
            with translated("cloudformation:DescribeStacks", self.name):
                return dict(self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"][0])
        except NotFound:
            return None

    def at_rest(self, say: Say) -> dict[str, Any] | None:
        """The stack once nobody works on it; a first creation that failed is cleared away, there is nothing in it."""
        found = self._until(lambda stack: not stack["StackStatus"].endswith("_IN_PROGRESS") or stack["StackStatus"] == "REVIEW_IN_PROGRESS")
        if found is not None and found["StackStatus"] in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED"):
            say(f"control plane: clearing away {self.name}, whose first creation failed")
            with translated("cloudformation:DeleteStack", self.name):
                self.client("cloudformation").delete_stack(StackName=self.name)
            self._until(lambda stack: stack["StackStatus"] == "DELETE_COMPLETE")
            return None
        return found

    def change(
        self, now: Mapping[str, Any] | None, url: str, parameters: Mapping[str, str], tags: Mapping[str, str], say: Say
    ) -> tuple[str, ...]:
        """Make a change set, show it, execute it, wait. What it changes; nothing when CloudFormation sees no change."""
        cloudformation = self.client("cloudformation")
        first = now is None or now["StackStatus"] == "REVIEW_IN_PROGRESS"
        named = f"meshplane-{parameters[RELEASE][:16]}-{time.time_ns() // 10**6}"  # what an earlier attempt left goes with the execution
        with translated("cloudformation:CreateChangeSet", self.name):
            cloudformation.create_change_set(
                StackName=self.name,
                ChangeSetName=named,
                ChangeSetType="CREATE" if first else "UPDATE",
                TemplateURL=url,
                Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
                Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
                Capabilities=_CAPABILITIES,
            )
        changes = self._compared(named)
        for line in changes:
            say(f"  {line}")
        with translated("cloudformation:ExecuteChangeSet", self.name):
            cloudformation.execute_change_set(StackName=self.name, ChangeSetName=named)
        self._finished(say)
        return changes

    def _compared(self, named: str) -> tuple[str, ...]:
        until = time.monotonic() + _SECONDS
        while time.monotonic() < until:
            with translated("cloudformation:DescribeChangeSet", named):
                found = self.client("cloudformation").describe_change_set(StackName=self.name, ChangeSetName=named)
            if found["Status"] == "FAILED":
                raise CliError(
                    f"CloudFormation refuses the change of {self.name}. Nothing was changed", found=found.get("StatusReason", "")
                )
            if found["Status"] == "CREATE_COMPLETE":
                rows = [row["ResourceChange"] for row in found.get("Changes", ())]
                return tuple(f"{_SIGNS.get(row['Action'], '?')} {row['LogicalResourceId']}  {row['ResourceType']}" for row in rows)
            time.sleep(self.pause)
        raise CliError(f"the change set of {self.name} is not ready after {_SECONDS} s", mend="run it again", code=WAITS)

    def _finished(self, say: Say) -> None:
        found = self._until(lambda stack: not stack["StackStatus"].endswith("_IN_PROGRESS"))
        status = found["StackStatus"] if found else "gone"
        say(f"control plane: {self.name} {status}")
        if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return
        with translated("cloudformation:DescribeStackEvents", self.name):
            events = self.client("cloudformation").describe_stack_events(StackName=self.name)["StackEvents"]
        failed = [f"{row['LogicalResourceId']}: {row['ResourceStatusReason']}" for row in events if row.get("ResourceStatusReason")]
        raise CliError(
            f"{self.name} was rolled back: {status}", found="; ".join(failed[:3]), mend="mend it and deploy again", code=PROBLEMS
        )

    def _until(self, ready: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any] | None:
        until = time.monotonic() + _SECONDS
        while time.monotonic() < until:
            found = self.described()
            if found is None or ready(found):
                return found
            time.sleep(self.pause)
        raise CliError(f"{self.name} is still being changed after {_SECONDS} s", mend="run it again", code=WAITS)


def _values(stack: Mapping[str, Any], field: str, word: str) -> dict[str, str]:
    return {row[f"{word}Key"]: row[f"{word}Value"] for row in stack.get(field, ())}


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
