"""The permissions boundary: the data plane and nothing else, and no less than the roles of projects need. Needs no Terraform."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from meshplane.model.access import Access
from meshplane.model.naming import Naming
from meshplane_cli.local.seed_policies import document
from tests.unit.kinds import sample

ROOT = Path(__file__).parents[2]
NAMING = Naming("f01", "de", "390403879405", "eu-central-1", "dev")
BOUNDARY = json.loads(document("boundary", NAMING))
ARN = "arn:aws:{service}:eu-central-1:390403879405:{resource}"
PROJECT_CALLS = ("publish-tables", "ingest-api")  # functions of the plane that a project's pipeline calls as a step


def listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def allowed(action: str, resource: str, context: Mapping[str, str] | None = None, boundary: Any = BOUNDARY["Statement"]) -> bool:
    """Allow, deny, wildcards, and the one condition in use (a StringLike on the prefix)."""
    verdict = False
    for one in boundary:
        if not any(fnmatchcase(action.lower(), pattern.lower()) for pattern in listed(one["Action"])):
            continue
        if not any(fnmatchcase(resource, pattern) for pattern in listed(one["Resource"])):
            continue
        wanted = one.get("Condition", {}).get("StringLike", {})
        if not all(fnmatchcase((context or {}).get(key, ""), pattern) for key, pattern in wanted.items()):
            continue
        if one["Effect"] == "Deny":
            return False
        verdict = True
    return verdict


def arn(service: str, resource: str) -> str:
    return ARN.format(service=service, resource=resource)


ARTIFACTS = f"arn:aws:s3:::{NAMING.bucket('artifacts')}"


@pytest.mark.parametrize(
    ("action", "resource", "why"),
    [
        ("iam:CreateRole", "arn:aws:iam::390403879405:role/meshplane/projects/f01-glue-x-dev", "a job that makes roles is an admin"),
        ("iam:PassRole", "arn:aws:iam::390403879405:role/meshplane/projects/f01-glue-x-dev", "passing a role is using it"),
        ("iam:DeleteRolePermissionsBoundary", "arn:aws:iam::390403879405:role/meshplane/projects/f01-glue-x-dev", "the boundary would go"),
        ("iam:CreatePolicyVersion", "arn:aws:iam::390403879405:policy/f01-project-boundary-dev", "the boundary would be widened"),
        ("sts:AssumeRole", "arn:aws:iam::390403879405:role/f01-ci-deploy-dev", "no other role is reached"),
        ("glue:CreateJob", arn("glue", "job/f01-x-y-dev"), "jobs are the reconciler's"),
        ("glue:UpdateJob", arn("glue", "job/f01-x-y-dev"), "a changed job runs as another project's role"),
        ("glue:DeleteTable", arn("glue", "table/f01_de_refined/x_y"), "no code path deletes a table"),
        ("glue:CreateDatabase", arn("glue", "database/f01_de_other"), "databases are Terraform's"),
        ("states:CreateStateMachine", arn("states", "stateMachine:f01-x-pipeline-y-dev"), "pipelines are the reconciler's"),
        ("states:UpdateStateMachine", arn("states", "stateMachine:f01-x-pipeline-y-dev"), "the same"),
        ("events:PutRule", arn("events", "rule/f01-x"), "triggers are the reconciler's"),
        ("scheduler:CreateSchedule", arn("scheduler", "schedule/f01-x-dev/y"), "the same"),
        ("lambda:CreateFunction", arn("lambda", "function:x"), "code with another role"),
        ("lambda:UpdateFunctionCode", arn("lambda", "function:f01-meshplane-reconcile-project-dev"), "the control plane itself"),
        ("s3:PutObject", f"{ARTIFACTS}/manifests/x/project.yaml", "who writes a manifest rules the project"),
        ("s3:PutObject", f"{ARTIFACTS}/releases/x/1.json", "who writes a release chooses the code"),
        ("s3:PutObject", f"{ARTIFACTS}/x/files/0/job.py", "code is published, not written by jobs"),
        ("s3:GetObject", f"{ARTIFACTS}/manifests/x/project.yaml", "the control bucket is not data"),
        ("s3:GetObject", f"{ARTIFACTS}/status/x.json", "the same"),
        ("s3:GetObject", f"arn:aws:s3:::{NAMING.bucket('logs')}/s3/raw/1", "logs are not data"),
        ("s3:GetObject", "arn:aws:s3:::tfstate-390403879405/f01/dev/baseline.tfstate", "Terraform's state is not data"),
        ("s3:GetObject", "arn:aws:s3:::somebodys-bucket/x", "no bucket but the domain's"),
        ("s3:PutBucketPolicy", f"arn:aws:s3:::{NAMING.bucket('raw')}", "buckets are Terraform's"),
        ("dynamodb:GetItem", arn("dynamodb", "table/f01-meshplane-state-dev"), "no state table"),
        ("dynamodb:PutItem", arn("dynamodb", "table/f01-meshplane-state-dev"), "no state table"),
        ("sqs:SendMessage", arn("sqs", "f01-meshplane-trigger-dev"), "a project starts no other project's runs"),
        ("sqs:SendMessage", arn("sqs", "f01-meshplane-reconcile-dev.fifo"), "nor a reconcile"),
        ("ssm:GetParameter", arn("ssm", "parameter/f01/dev/baseline/kms_key_arn"), "the baseline's parameters are the functions'"),
        ("ssm:PutParameter", arn("ssm", "parameter/f01/dev/x/y"), "parameters are read"),
        ("secretsmanager:GetSecretValue", arn("secretsmanager", "secret:f02/dev/x/y-abcdef"), "another domain's secret"),
        ("kms:PutKeyPolicy", arn("kms", "key/1"), "the key is used, never changed"),
        ("kms:CreateGrant", arn("kms", "key/1"), "a grant outlives the role"),
        ("logs:PutResourcePolicy", "*", "opens the account's logs"),
        ("logs:DeleteLogGroup", arn("logs", "log-group:/aws-glue/jobs/output"), "tracks are not removed"),
        ("ec2:CreateTags", arn("ec2", "security-group/sg-1"), "tags decide about access elsewhere"),
        ("ec2:AuthorizeSecurityGroupEgress", arn("ec2", "security-group/sg-1"), "the way out stays shut"),
    ],
)
def test_what_no_role_of_a_project_may_ever_do(action: str, resource: str, why: str) -> None:
    assert not allowed(action, resource), why


def functions_of_the_plane() -> Iterator[str]:
    for line in (ROOT / "template.yaml").read_text(encoding="utf-8").splitlines():
        if line.strip().startswith("FunctionName: !Sub ${DomainAbbr}-meshplane-"):
            yield line.partition("-meshplane-")[2].removesuffix("-${Env}").strip()


def test_a_project_calls_only_those_functions_of_the_plane_that_are_steps() -> None:
    """A function that joins template.yaml must be denied in boundary.json.tftpl, or named here."""
    names = list(functions_of_the_plane())
    assert len(names) >= 5
    callable_ = {name for name in names if allowed("lambda:InvokeFunction", arn("lambda", f"function:f01-meshplane-{name}-dev"))}
    assert callable_ <= set(PROJECT_CALLS)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:PutObject", f"arn:aws:s3:::{NAMING.bucket('refined')}/sales/iceberg/orders/data/1.parquet"),
        ("s3:GetObject", f"{ARTIFACTS}/sales/files/0/job.py"),
        ("s3:GetObject", f"{ARTIFACTS}/platform/files/0/library.whl"),
        ("s3:PutObject", f"{ARTIFACTS}/glue-temp/sales/1"),
        ("glue:UpdateTable", arn("glue", "table/f01_de_refined/sales_orders")),
        ("glue:GetDatabase", arn("glue", "database/default")),
        ("glue:StartJobRun", arn("glue", "job/f01-sales-load-dev")),
        ("glue:GetConnection", arn("glue", "connection/f01-network-a-dev")),
        ("secretsmanager:GetSecretValue", arn("secretsmanager", "secret:f01/dev/sales/shop-abcdef")),
        ("ssm:GetParameter", arn("ssm", "parameter/f01/dev/sales/x")),
        ("kms:Decrypt", arn("kms", "key/1")),
        ("ec2:CreateNetworkInterface", arn("ec2", "subnet/subnet-1")),
        ("ec2:CreateTags", arn("ec2", "network-interface/eni-1")),
        ("logs:PutLogEvents", arn("logs", "log-group:/aws-glue/jobs/output:log-stream:x")),
        ("logs:CreateLogDelivery", "*"),
        ("cloudwatch:PutMetricData", "*"),
        ("sns:Publish", arn("sns", "f01-meshplane-alerts-dev")),
        ("lambda:InvokeFunction", arn("lambda", "function:own-function")),
        *(("lambda:InvokeFunction", arn("lambda", f"function:f01-meshplane-{name}-dev")) for name in PROJECT_CALLS),
    ],
)
def test_what_a_project_needs_is_left(action: str, resource: str) -> None:
    assert allowed(action, resource)


@pytest.mark.parametrize("purpose", ["job", "optimizer", "pipeline"])
def test_it_takes_nothing_from_the_policies_that_the_reconciler_writes(purpose: str) -> None:
    """Every action on every resource of the real documents, a wildcard standing for some letters."""
    boundary = json.loads(document("boundary", sample.NAMING))["Statement"]
    lost = []
    for one in getattr(Access(sample.SALES, sample.CONTEXT), purpose)()["Statement"]:
        prefixes = one.get("Condition", {}).get("StringLike", {}).get("s3:prefix", [""])
        for action, resource in product(one["Action"], one["Resource"]):
            example = resource if resource == "*" else resource.replace("*", "x").replace("?", "a")
            if not allowed(action, example, {"s3:prefix": prefixes[0].replace("*", "x")}, boundary):
                lost.append((one["Sid"], action, resource))
    assert lost == []


def test_temporary_files_are_listed_by_their_prefix_only() -> None:
    assert allowed("s3:ListBucket", ARTIFACTS, {"s3:prefix": "glue-temp/sales/"})
    assert not allowed("s3:ListBucket", ARTIFACTS, {"s3:prefix": "manifests/"})


def test_the_size_that_iam_takes() -> None:
    """6,144 characters of a managed policy, 10,240 of a role's inline ones, white space not counted (IAM quotas)."""
    assert len(json.dumps(BOUNDARY, separators=(",", ":"))) <= 6144
    for name in ("ci_deploy", "ci_plan"):
        assert len(json.dumps(json.loads(document(name, NAMING)), separators=(",", ":"))) <= 10_240
