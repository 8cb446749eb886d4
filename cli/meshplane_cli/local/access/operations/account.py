"""IAM, STS, EC2, CloudFormation and the tag index: what each operation asks of its caller (Service Authorization Reference)."""

from __future__ import annotations

from collections.abc import Iterable

from meshplane_cli.local.access.operations.call import Call, Need, Table, on, on_all

_BOUNDARY = "iam:permissionsboundary"


# ---- IAM -----------------------------------------------------------------------------------------------------------------------------
def _role(call: Call) -> str:
    return call.world.role_arn(str(call["RoleName"]))


def _role_by_boundary(call: Call) -> Iterable[Need]:
    """Operations that carry the condition key of the boundary: the one they set, else the role's present one."""
    boundary = str(call["PermissionsBoundary"] or call.world.role_boundary(str(call["RoleName"])))
    return [Need(f"iam:{call.operation}", _role(call), {_BOUNDARY: (boundary,)} if boundary else {})]


def _create_role(call: Call) -> Iterable[Need]:
    arn = f"arn:aws:iam::{call.world.account}:role{call['Path'] or '/'}{call['RoleName']}"
    yield Need("iam:CreateRole", arn, {_BOUNDARY: (str(call["PermissionsBoundary"]),)} if call["PermissionsBoundary"] else {})
    yield from call.tagged("iam:TagRole", arn, "Tags.member.1.Key")


def _policy(call: Call) -> str:
    return str(call["PolicyArn"]) or f"arn:aws:iam::{call.world.account}:policy{call['Path'] or '/'}{call['PolicyName']}"


def _provider(call: Call) -> str:
    url = str(call["Url"]).removeprefix("https://")
    return str(call["OpenIDConnectProviderArn"]) or f"arn:aws:iam::{call.world.account}:oidc-provider/{url}"


_BOUNDED = (
    "AttachRolePolicy",
    "DeleteRolePermissionsBoundary",
    "DeleteRolePolicy",
    "DetachRolePolicy",
    "PutRolePermissionsBoundary",
    "PutRolePolicy",
)
_ROLE = (
    "DeleteRole GetRole GetRolePolicy ListAttachedRolePolicies ListRolePolicies ListRoleTags TagRole UntagRole"
    " UpdateAssumeRolePolicy UpdateRole"
)
IAM: Table = {
    **on("iam", _role, *_ROLE.split()),
    **dict.fromkeys(_BOUNDED, _role_by_boundary),
    **on("iam", _policy, "CreatePolicy", "DeletePolicy", "GetPolicy", "GetPolicyVersion", "ListPolicyTags", "ListPolicyVersions"),
    **on("iam", _provider, "CreateOpenIDConnectProvider", "GetOpenIDConnectProvider"),
    **on_all("iam", "GetAccountAuthorizationDetails", "ListOpenIDConnectProviders", "ListPolicies", "ListRoles"),
    "CreateRole": _create_role,
}
STS: Table = {
    **on("sts", lambda call: str(call["RoleArn"]), "AssumeRole"),
    "GetCallerIdentity": lambda call: [],  # needs no permission
}


# ---- EC2, CloudFormation, tags: called by people and by CI -----------------------------------------------------------------------------
def _network(call: Call) -> str:
    return call.world.arn("ec2", "*")


_DESCRIBE = (
    "AvailabilityZones FlowLogs NetworkAcls NetworkInterfaces PrefixLists RouteTables SecurityGroupRules SecurityGroups Subnets"
    " VpcAttribute VpcEndpoints Vpcs"
)
_CHANGE = (
    "AssociateRouteTable AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress CreateFlowLogs CreateRouteTable CreateSecurityGroup"
    " CreateSubnet CreateTags CreateVpc CreateVpcEndpoint ModifySecurityGroupRules ModifyVpcAttribute RevokeSecurityGroupEgress"
    " RevokeSecurityGroupIngress"
)
EC2: Table = {**on_all("ec2", *(f"Describe{word}" for word in _DESCRIBE.split())), **on("ec2", _network, *_CHANGE.split())}


def _stack(call: Call) -> str:
    name = str(call["StackName"] or "*")
    return name if name.startswith("arn:") else call.world.arn("cloudformation", f"stack/{name}/*")


_STACK = (
    "CreateChangeSet DeleteChangeSet DeleteStack DescribeChangeSet DescribeStackEvents DescribeStacks ExecuteChangeSet GetTemplate"
    " ListStackResources"
)
CLOUDFORMATION: Table = on("cloudformation", _stack, *_STACK.split())
TAGGING: Table = on_all("tag", "GetResources", "GetTagKeys", "GetTagValues", "TagResources", "UntagResources")
