"""Every policy of the template, of the reconciler and of the baseline is one that AWS would apply as it reads; faults are found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from meshplane.model import access
from meshplane_cli.local.seed_policies import FOLDER, document
from tests.contract import access_simulator as sim
from tests.contract.iam_lint import findings
from tests.unit.kinds import sample

GIVEN = {
    "bucket": "b",
    "provider": "arn:aws:iam::1:oidc-provider/x",
    "subject": "repo:a/b:environment:dev",
    "flow_log_group": "/aws/vpc/x",
    "action": "glue:*",
    "unresourced": "cloudwatch:PutMetricData",
}
OF_RESOURCES = {"bucket", "logs_bucket", "key", "ci_trust", "flow_logs_trust", "log_delivery", "endpoint", "endpoint_without_resource"}
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("function", sorted(sim.of_functions()))
def test_the_roles_of_the_template(function: str) -> None:
    for one in sim.of_functions()[function]:
        assert findings(one) == []


@pytest.mark.parametrize("purpose", ["job", "optimizer", "pipeline"])
def test_the_policies_that_the_reconciler_writes(purpose: str) -> None:
    assert findings(sim.of_project(sample.SALES, sample.CONTEXT)[purpose]) == []
    assert findings(access.trust("glue", sample.CONTEXT, "arn:aws:glue:eu-central-1:1:job/x"), of_resource=True) == []


@pytest.mark.parametrize("name", sorted(path.name.partition(".")[0] for path in FOLDER.glob("*.json.tftpl")))
def test_the_policies_of_the_baseline(name: str) -> None:
    assert findings(json.loads(document(name, sample.NAMING, **GIVEN)), of_resource=name in OF_RESOURCES) == []


def test_the_roles_trust_one_service_each() -> None:
    for name, resource in yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))["Resources"].items():
        if resource["Type"] == "AWS::IAM::Role":
            (row,) = resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]
            assert isinstance(row["Principal"]["Service"], str), name
            assert set(row["Principal"]) == {"Service"}, name


FAULTS: list[tuple[str, Mapping[str, Any], str]] = [
    ("a misspelt action", {"Action": ["s3:GetObjct"]}, "s3:GetObjct is no action of AWS"),
    ("a service that is none", {"Action": ["s4:GetObject"]}, "s4:GetObject is no action of AWS"),
    ("a wildcard resource", {"Resource": "*"}, "s3:GetObject takes a resource; it must not have *"),
    ("a bucket for an object", {"Resource": "arn:aws:s3:::b"}, "s3:GetObject is given no resource of its kind"),
    (
        "a resource of another service",
        {"Resource": ["arn:aws:s3:::b/*", "arn:aws:sqs:eu-central-1:1:q"]},
        "is no resource of these actions",
    ),
    ("a resource where none is taken", {"Action": "logs:CreateLogDelivery"}, "logs:CreateLogDelivery takes no resource; only * applies"),
    ("a misspelt condition key", {"Condition": {"StringEquals": {"s3:prefx": "x"}}}, "s3:prefx is no condition key in use"),
    ("a key that the action does not carry", {"Condition": {"StringLike": {"s3:prefix": "x"}}}, "s3:GetObject does not carry s3:prefix"),
    ("a misspelt operator", {"Condition": {"StringEqual": {"aws:SourceAccount": "1"}}}, "StringEqual is no operator in use"),
    (
        "a role of a project without boundary",
        {"Action": "iam:CreateRole", "Resource": "arn:aws:iam::1:role/mesh*"},
        "iam:CreateRole reaches the roles of projects without their boundary",
    ),
    ("everything", {"Action": "*"}, "* allows what nobody has read"),
    ("a misspelt element", {"Resources": "*"}, "Resources is not used here"),
    ("a Sid with a space", {"Sid": "Own data"}, "a Sid has letters and digits only"),
]


@pytest.mark.parametrize(("name", "change", "told"), FAULTS, ids=[name for name, _, _ in FAULTS])
def test_a_fault_is_found(name: str, change: Mapping[str, Any], told: str) -> None:
    good = {"Sid": "OwnData", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::b/*"}
    assert findings({"Version": "2012-10-17", "Statement": [good]}) == []
    found = findings({"Version": "2012-10-17", "Statement": [{**deepcopy(good), **change}]})
    assert any(told in line for line in found), found


def test_a_name_given_twice_and_an_old_version_are_found() -> None:
    row = {"Sid": "OwnData", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::b/*"}
    assert findings({"Version": "2008-10-17", "Statement": [row, row]}) == [
        "Version is not 2012-10-17",
        "OwnData: two statements are called so",
    ]
