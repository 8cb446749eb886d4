"""What a baseline left in an account, read through ordinary clients, without what is drawn by lot: ids become the names they belong to.

Tags are not told: Terraform's say who applied, the laptop's seed has none but Name.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from meshplane.model.baseline import Baseline
from meshplane.model.naming import LAYERS, PURPOSES, Naming

Client = Callable[[str], Any]


def told(client: Client, naming: Naming) -> dict[str, Any]:
    """Everything of the baseline, by kind."""
    network = _network(client("ec2"), naming)
    found = {
        "buckets": _buckets(client("s3"), naming),
        "key": _key(client("kms"), naming),
        "network": network,
        "logs": _logs(client("logs"), naming),
        "catalog": _catalog(client("glue"), naming),
        "access": _access(client("iam"), naming),
        "parameters": _parameters(client("ssm"), naming),
    }
    text = json.dumps(found, sort_keys=True, default=str)
    for drawn, name in _names(client, naming).items():
        text = text.replace(drawn, name)
    whole: dict[str, Any] = _sorted(json.loads(text))
    return whole


def _sorted(value: Any) -> Any:
    """Lists of texts in order: of actions, resources and subnets none is first."""
    if isinstance(value, dict):
        return {key: _sorted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted(value) if all(isinstance(inner, str) for inner in value) else [_sorted(inner) for inner in value]
    return value


def _names(client: Client, naming: Naming) -> dict[str, str]:
    """Drawn id → what stands for it. The longest first, so that none is a part of another."""
    ec2, glue = client("ec2"), client("glue")
    vpc = _vpc(ec2, naming)
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    found = {vpc: "<vpc>", client("kms").describe_key(KeyId=naming.of("kms_alias"))["KeyMetadata"]["KeyId"]: "<key>"}
    found |= {row["SubnetId"]: f"<subnet {row['AvailabilityZone']}>" for row in ec2.describe_subnets(Filters=of_vpc)["Subnets"]}
    found |= {row["GroupId"]: f"<group {row['GroupName']}>" for row in ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"]}
    found |= {row["RouteTableId"]: f"<routes {_name(row)}>" for row in ec2.describe_route_tables(Filters=of_vpc)["RouteTables"]}
    lists = ec2.describe_prefix_lists(Filters=[])["PrefixLists"]
    found |= {row["PrefixListId"]: f"<{row['PrefixListName']}>" for row in lists}
    assert glue.get_connections()["ConnectionList"], "no connection at all"
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def _name(row: Any) -> str:
    return next((tag["Value"] for tag in row.get("Tags", ()) if tag["Key"] == "Name"), "")


def _vpc(ec2: Any, naming: Naming) -> str:
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [naming.of("network")]}])["Vpcs"]
    return str(vpc["VpcId"])


def _plain(answer: Any, *keys: str) -> Any:
    """Of an answer only these keys; of a policy in it the meaning."""
    found = {key: answer.get(key) for key in keys}
    return {key: json.loads(value) if isinstance(value, str) and value.startswith("{") else value for key, value in found.items()}


def _buckets(s3: Any, naming: Naming) -> dict[str, Any]:
    def one(name: str) -> dict[str, Any]:
        lifecycle = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
        rules = [{**rule, "Filter": rule.get("Filter") or {"Prefix": ""}} for rule in lifecycle]
        return {
            "versioning": s3.get_bucket_versioning(Bucket=name)["Status"],
            "encryption": s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"],
            "lifecycle": rules,
            "policy": json.loads(s3.get_bucket_policy(Bucket=name)["Policy"]),
            "public": s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"],
            "owner": s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"],
            "logging": s3.get_bucket_logging(Bucket=name).get("LoggingEnabled"),
            "events": _plain(s3.get_bucket_notification_configuration(Bucket=name), "EventBridgeConfiguration"),
            "place": s3.get_bucket_location(Bucket=name)["LocationConstraint"],
        }

    expected = {*(naming.bucket(purpose) for purpose in PURPOSES), naming.of("terraform_state_bucket")}
    present = {row["Name"] for row in s3.list_buckets()["Buckets"]}
    return {name: one(name) for name in sorted(present & expected)} | {"others": sorted(present - expected)}


def _key(kms: Any, naming: Naming) -> dict[str, Any]:
    key = kms.describe_key(KeyId=naming.of("kms_alias"))["KeyMetadata"]
    policy = json.loads(kms.get_key_policy(KeyId=key["KeyId"], PolicyName="default")["Policy"])
    rotation = kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"]
    return {**_plain(key, "Description", "KeyUsage", "KeySpec", "Enabled"), "policy": policy, "rotation": rotation}


def _network(ec2: Any, naming: Naming) -> dict[str, Any]:
    vpc = _vpc(ec2, naming)
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    dns = ("enableDnsSupport", "enableDnsHostnames")
    subnets = ec2.describe_subnets(Filters=of_vpc)["Subnets"]
    groups = ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"]
    tables = ec2.describe_route_tables(Filters=of_vpc)["RouteTables"]
    endpoints = ec2.describe_vpc_endpoints(Filters=of_vpc)["VpcEndpoints"]
    flows = ec2.describe_flow_logs(Filters=[{"Name": "resource-id", "Values": [vpc]}])["FlowLogs"]
    endpoint = ("VpcEndpointType", "PolicyDocument", "PrivateDnsEnabled", "SubnetIds", "RouteTableIds", "Groups")
    flow = ("TrafficType", "LogDestinationType", "LogDestination", "DeliverLogsPermissionArn")
    return {
        "vpc": ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["CidrBlock"],
        "dns": {name: ec2.describe_vpc_attribute(VpcId=vpc, Attribute=name)[name[0].upper() + name[1:]]["Value"] for name in dns},
        "subnets": {_name(row): _plain(row, "CidrBlock", "AvailabilityZone", "MapPublicIpOnLaunch") for row in subnets},
        "groups": {row["GroupName"]: {"text": row["Description"], "rules": _rules(ec2, row["GroupId"])} for row in groups},
        "routes": {
            _name(row): {
                "routes": [
                    _plain(route, "DestinationCidrBlock", "GatewayId") for route in row["Routes"] if "DestinationCidrBlock" in route
                ],
                "subnets": sorted(each["SubnetId"] for each in row["Associations"] if not each.get("Main")),
            }
            for row in tables
        },
        "endpoints": {row["ServiceName"]: _plain(row, *endpoint) for row in endpoints},
        "flow logs": [_plain(row, *flow) for row in flows],
    }


def _rules(ec2: Any, group: str) -> list[Any]:
    rows = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    keys = ("IsEgress", "IpProtocol", "FromPort", "ToPort", "CidrIpv4", "PrefixListId", "Description")
    found = [{**_plain(row, *keys), "group": row.get("ReferencedGroupInfo", {}).get("GroupId")} for row in rows]
    return sorted(found, key=lambda row: (row["IsEgress"], str(row["Description"])))


def _logs(logs: Any, naming: Naming) -> dict[str, Any]:
    groups = logs.describe_log_groups(logGroupNamePrefix=naming.of("flow_log_group"))["logGroups"]
    policies = logs.describe_resource_policies()["resourcePolicies"]
    return {
        "groups": [_plain(row, "logGroupName", "retentionInDays", "kmsKeyId") for row in groups],
        "policies": [_plain(row, "policyName", "policyDocument") for row in policies],
    }


def _catalog(glue: Any, naming: Naming) -> dict[str, Any]:
    databases = [glue.get_database(Name=naming.database(layer))["Database"] for layer in LAYERS]
    connections = glue.get_connections(HidePassword=True)["ConnectionList"]
    keys = ("Description", "ConnectionType", "ConnectionProperties", "PhysicalConnectionRequirements")
    return {
        "databases": {row["Name"]: _plain(row, "Description", "LocationUri") for row in databases},
        "connections": {row["Name"]: _plain(row, *keys) for row in connections},
    }


def _access(iam: Any, naming: Naming) -> dict[str, Any]:
    boundary = f"arn:aws:iam::{naming.account_id}:policy/{naming.of('boundary')}"
    policy = iam.get_policy(PolicyArn=boundary)["Policy"]
    version = iam.get_policy_version(PolicyArn=boundary, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    host = "token.actions.githubusercontent.com"
    provider = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=f"arn:aws:iam::{naming.account_id}:oidc-provider/{host}")
    roles = {}
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        inline = {
            one: iam.get_role_policy(RoleName=name, PolicyName=one)["PolicyDocument"]
            for one in iam.list_role_policies(RoleName=name)["PolicyNames"]
        }
        roles[name] = {**_plain(role, "Path", "Description", "AssumeRolePolicyDocument"), "inline": inline}
    return {
        "boundary": {"text": policy.get("Description"), "document": version["Document"]},
        "provider": _plain(provider, "Url", "ClientIDList"),
        "roles": roles,
    }


def _parameters(ssm: Any, naming: Naming) -> dict[str, Any]:
    found = ssm.get_parameters(Names=list(Baseline.parameters(naming).values()))["Parameters"]
    return {row["Name"]: _plain(row, "Type", "Value") for row in found}
