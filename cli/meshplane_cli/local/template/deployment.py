"""One deployment of the template: translate, order by dependency, make or update what changed, remove what is gone.

What was made last time is remembered as `platform/{stack}.json` in the artifacts bucket, so that it lives and dies with the embedded
AWS's state. Called by `deploy.deploy_plane`, where code is the checkout's own folder, and by `cloudformation`, where it was uploaded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import boto3
from samtranslator.metrics.metrics import DummyMetricsPublisher, Metrics
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.utils.py27hash_fix import to_py27_compatible_template, undo_mark_unicode_str_in_template
from samtranslator.yaml_helper import yaml_parse

from meshplane_cli.local.template.handlers import Made, Target
from meshplane_cli.local.template.intrinsics import ABSENT, Evaluator
from meshplane_cli.local.template.services import HANDLERS
from meshplane_cli.local.template.services.functions import CHECKOUT
from meshplane_cli.local.template.tagging import TAGGERS
from meshplane_cli.machines import with_machines

_MANAGED = {
    name: f"arn:aws:iam::aws:policy/service-role/{name}" for name in ("AWSLambdaBasicExecutionRole", "AWSLambdaSQSQueueExecutionRole")
}


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of one resource."""

    type: str
    digest: str
    ref: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Deployed:
    """The stack's outputs, and the logical ids by what was done to them."""

    outputs: Mapping[str, str]
    made: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]


def deploy(template: Path, parameters: Mapping[str, str], target: Target, bucket: str, tags: Mapping[str, str] | None = None) -> Deployed:
    """Bring the stack to the template of a checkout. Raises ValueError as `deploy_translated` does."""
    text = with_machines(template.read_text(encoding="utf-8"), template.parent)
    body = translated(text, parameters, target.region)
    return deploy_translated(body, parameters, target, bucket, tags)


def deploy_translated(
    body: Mapping[str, Any], parameters: Mapping[str, str], target: Target, bucket: str, tags: Mapping[str, str] | None = None
) -> Deployed:
    """Bring the stack to a template without SAM's own types. `tags` go onto what is made or changed, and touch nothing else (D4).

    Raises ValueError for a template that is wrong, or names a type that nobody handles here.
    """
    before = remembered(target, bucket)
    deployment = _Deployment(body, parameters, target, before, tags or {})
    try:
        deployment.run()
    finally:  # also after a fault: what was made is remembered
        _remember(target, bucket, {**before, **deployment.records})
    removed = [logical for logical in before if logical not in deployment.records]
    for logical in removed:
        HANDLERS[before[logical].type].remove(target, before[logical].ref)
    _remember(target, bucket, deployment.records)
    return Deployed(deployment.outputs(), tuple(deployment.made), tuple(deployment.unchanged), tuple(removed))


def translated(template: str, parameters: Mapping[str, str], region: str) -> dict[str, Any]:
    """A SAM template as CloudFormation's transform leaves it. Raises samtranslator's InvalidDocumentException for one that is wrong."""
    body = yaml_parse(template)
    places = [body.get("Globals", {}).get("Function", {}), *(resource.get("Properties", {}) for resource in body["Resources"].values())]
    for properties in places:
        for key in ("CodeUri", "ContentUri"):
            if isinstance(properties.get(key), str) and not properties[key].startswith(
                "s3://"
            ):  # as `sam package` would: the "key" is the folder in the checkout
                properties[key] = f"s3://{CHECKOUT}/{properties[key].strip('./')}"
    # What samtranslator's own `transform` does, with a session that knows the Region: it must not depend on the shell's.
    values = dict(parameters)
    to_py27_compatible_template(body, values)
    metrics = Metrics("ServerlessTransform", DummyMetricsPublisher())
    translator = Translator(None, Parser(), boto_session=boto3.session.Session(region_name=region), metrics=metrics)
    plain = undo_mark_unicode_str_in_template(translator.translate(body, values, get_managed_policy_map=lambda: _MANAGED))
    metrics.publish()  # to nobody; unpublished ones are complained about at exit
    return dict(json.loads(json.dumps(plain, default=str)))


class _Deployment:
    def __init__(
        self, body: Mapping[str, Any], parameters: Mapping[str, str], target: Target, before: Mapping[str, Record], tags: Mapping[str, str]
    ) -> None:
        self._body, self._target, self._before, self._tags = body, target, before, tags
        self._resources: Mapping[str, Any] = body["Resources"]
        self._open: list[str] = []
        self.records: dict[str, Record] = {}
        self.made: list[str] = []
        self.unchanged: list[str] = []
        self._known: dict[str, Any] = {
            "AWS::Region": target.region,
            "AWS::AccountId": target.account,
            "AWS::Partition": "aws",
            "AWS::StackName": target.stack,
            "AWS::URLSuffix": "amazonaws.com",
            **{name: parameters.get(name, parameter.get("Default")) for name, parameter in body.get("Parameters", {}).items()},
        }
        self._evaluate = Evaluator(self._refer, self._attribute, body.get("Conditions", {}))

    def run(self) -> None:
        """Make every resource whose condition holds, dependencies first."""
        for logical in self._resources:
            self._make(logical)

    def outputs(self) -> dict[str, str]:
        """The template's outputs."""
        return {name: str(self._evaluate.value(output["Value"])) for name, output in self._body.get("Outputs", {}).items()}

    def _make(self, logical: str) -> None:
        resource = self._resources[logical]
        if logical in self.records or ("Condition" in resource and not self._evaluate.condition(resource["Condition"])):
            return
        if logical in self._open:
            raise ValueError(f"circular dependency: {' → '.join([*self._open, logical])}")
        if resource["Type"] not in HANDLERS:
            raise ValueError(f"{logical}: the embedded AWS does not deploy {resource['Type']}")
        self._open.append(logical)
        depends = resource.get("DependsOn", [])
        for other in [depends] if isinstance(depends, str) else depends:
            self._make(other)
        properties = self._evaluate.value(resource.get("Properties", {}))
        self.records[logical] = self._put(logical, resource["Type"], properties)
        self._open.remove(logical)

    def _put(self, logical: str, kind: str, properties: Mapping[str, Any]) -> Record:
        digest = hashlib.sha256(json.dumps(properties, sort_keys=True).encode()).hexdigest()
        before = self._before.get(logical)
        if before is not None and (before.type, before.digest) == (kind, digest):
            self.unchanged.append(logical)
            return before
        earlier = before.ref if before is not None and before.type == kind else ""
        made: Made = HANDLERS[kind].put(self._target, logical, properties, earlier)
        if self._tags and kind in TAGGERS:
            TAGGERS[kind](self._target, made, self._tags)
        if before is not None and before.ref != made.ref:
            HANDLERS[before.type].remove(self._target, before.ref)  # replaced, as CloudFormation does it: new first, then old
        self.made.append(logical)
        return Record(kind, digest, made.ref, dict(made.attributes))

    def _refer(self, name: str) -> Any:
        if name in self._known:
            return self._known[name]
        if name not in self._resources:
            raise ValueError(f"the template refers to {name}, which is neither parameter nor resource")
        self._make(name)
        return self.records[name].ref if name in self.records else ABSENT

    def _attribute(self, logical: str, attribute: str) -> Any:
        self._make(logical)
        found = self.records[logical].attributes
        if attribute not in found:
            raise ValueError(f"{logical} ({self._resources[logical]['Type']}) has no attribute {attribute} here, only {', '.join(found)}")
        return found[attribute]


def remembered(target: Target, bucket: str) -> dict[str, Record]:
    """What the stack's last deployment left; nothing for a stack that was never deployed."""
    s3 = target.client("s3")
    try:
        rows = json.loads(s3.get_object(Bucket=bucket, Key=_memory(target))["Body"].read())
    except s3.exceptions.NoSuchKey:
        return {}
    return {logical: Record(**row) for logical, row in rows.items()}


def _memory(target: Target) -> str:
    return f"platform/{target.stack}.json"


def _remember(target: Target, bucket: str, records: Mapping[str, Record]) -> None:
    body = json.dumps({logical: asdict(record) for logical, record in records.items()}, indent=1)
    target.client("s3").put_object(Bucket=bucket, Key=_memory(target), Body=body.encode())
