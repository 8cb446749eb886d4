"""The domain key, the boundary, the roles of CI and flow logs and the log-delivery policy, as `baseline_tf` has them. Called by `seed`."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from meshplane.model.naming import Naming
from meshplane_cli.local.seed_policies import document

GITHUB = "token.actions.githubusercontent.com"


def key(kms: Any, naming: Naming, domain_name: str) -> str:
    """The domain key's ARN; made where its alias names none."""
    alias = naming.of("kms_alias")
    try:
        return str(kms.describe_key(KeyId=alias)["KeyMetadata"]["Arn"])
    except kms.exceptions.NotFoundException:
        text = f"{domain_name} {naming.env}: the domain's data, logs and notices"
        made = kms.create_key(Description=text, KeyUsage="ENCRYPT_DECRYPT", Policy=document("key", naming))["KeyMetadata"]
        kms.enable_key_rotation(KeyId=made["KeyId"])
        kms.create_alias(AliasName=alias, TargetKeyId=made["KeyId"])
        return str(made["Arn"])


def boundary(iam: Any, naming: Naming) -> str:
    """The permissions boundary's ARN."""
    text = "Permissions boundary of every project role: data plane only"
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_policy(PolicyName=naming.of("boundary"), PolicyDocument=document("boundary", naming), Description=text)
    return f"arn:aws:iam::{naming.account_id}:policy/{naming.of('boundary')}"


def flow_log_role(iam: Any, naming: Naming) -> str:
    """The ARN of the role by which flow logs are written."""
    name = naming.of("flow_log_role")
    trust = document("flow_logs_trust", naming)
    _role(iam, name, "VPC flow logs write to their log group", trust)
    policy = document("flow_logs", naming, flow_log_group=naming.of("flow_log_group"))
    iam.put_role_policy(RoleName=name, PolicyName="write", PolicyDocument=policy)
    return f"arn:aws:iam::{naming.account_id}:role/{name}"


def github(iam: Any, naming: Naming, repository: str) -> None:
    """GitHub's provider, and the two roles that its workflows assume."""
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_open_id_connect_provider(Url=f"https://{GITHUB}", ClientIDList=["sts.amazonaws.com"])
    provider = f"arn:aws:iam::{naming.account_id}:oidc-provider/{GITHUB}"
    subjects = {"deploy": f"repo:{repository}:environment:{naming.env}", "plan": f"repo:{repository}:pull_request"}
    for purpose, subject in subjects.items():
        name = naming.of("ci_role", purpose=purpose)
        _role(iam, name, f"GitHub Actions of {repository}: {purpose}", document("ci_trust", naming, provider=provider, subject=subject))
        iam.put_role_policy(RoleName=name, PolicyName=purpose, PolicyDocument=document(f"ci_{purpose}", naming))


def log_delivery(logs: Any, naming: Naming) -> None:
    """State machines of projects may log."""
    logs.put_resource_policy(policyName=naming.of("log_delivery_policy"), policyDocument=document("log_delivery", naming))


def _role(iam: Any, name: str, text: str, trust: str) -> None:
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName=name, Description=text, AssumeRolePolicyDocument=trust)
