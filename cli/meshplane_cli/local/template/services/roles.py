"""AWS::IAM::Role with its inline policies."""

from __future__ import annotations

import json

from meshplane_cli.local.template.handlers import Handler, Made, Properties, Target, tag_list


def _role(target: Target, logical: str, properties: Properties, earlier: str) -> Made:
    iam = target.client("iam")
    name = properties.get("RoleName") or target.name(logical)
    trust = json.dumps(properties["AssumeRolePolicyDocument"])
    if earlier == name:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust)
        role = iam.get_role(RoleName=name)["Role"]
    else:
        shape = {key: properties[key] for key in ("Path", "Description", "PermissionsBoundary") if key in properties}
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, Tags=tag_list(properties), **shape)["Role"]
    wanted = {policy["PolicyName"]: json.dumps(policy["PolicyDocument"]) for policy in properties.get("Policies", [])}
    for gone in set(iam.list_role_policies(RoleName=name)["PolicyNames"]) - set(wanted):
        iam.delete_role_policy(RoleName=name, PolicyName=gone)
    for policy, document in wanted.items():
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=document)
    for arn in properties.get("ManagedPolicyArns", []):
        raise ValueError(f"{logical}: the embedded AWS has no managed policies; write {arn} as an inline policy")
    return Made(name, {"Arn": role["Arn"], "RoleId": role["RoleId"]})


def _remove(target: Target, ref: str) -> None:
    iam = target.client("iam")
    for policy in iam.list_role_policies(RoleName=ref)["PolicyNames"]:
        iam.delete_role_policy(RoleName=ref, PolicyName=policy)
    iam.delete_role(RoleName=ref)


HANDLERS = {"AWS::IAM::Role": Handler(_role, _remove)}
