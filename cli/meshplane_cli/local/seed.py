"""The secure baseline on the laptop, until Terraform owns it: the same resources, published through the same typed contract.

Idempotent; called by `deploy` with ordinary AWS clients.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from meshplane.model.baseline import Baseline
from meshplane.model.naming import LAYERS, PURPOSES, Naming

Clients = Callable[[str], Any]
_EVENTS = ("raw", "artifacts")  # the buckets whose changes go to EventBridge
_ZONES = ("a", "b", "c")


def seed(client: Clients, naming: Naming) -> Baseline:
    """Make what is missing and publish it; the published baseline."""
    parameters = Baseline.parameters(naming)
    published = _published(client, parameters)
    if all(published.get(name) for name in ("kms_key_arn", "connections")):
        return Baseline.read(published)
    for purpose in PURPOSES:
        _bucket(client, naming, purpose)
    key = _key(client, naming)
    subnets, group = _network(client, naming)
    connections = _connections(client, naming, subnets, group)
    for layer in LAYERS:
        _database(client, naming, layer)
    values = {
        "kms_key_arn": key,
        "connections": ",".join(connections),
        "subnet_arns": ",".join(naming.arn("ec2", f"subnet/{subnet}") for subnet in subnets),
        "security_group_arns": naming.arn("ec2", f"security-group/{group}"),
    }
    for name, value in values.items():
        kind = "StringList" if name != "kms_key_arn" else "String"
        client("ssm").put_parameter(Name=parameters[name], Value=value, Type=kind, Overwrite=True)
    return Baseline.read(values)


def _published(client: Clients, parameters: Any) -> dict[str, str]:
    found = client("ssm").get_parameters(Names=list(parameters.values()))["Parameters"]
    values = {row["Name"]: row["Value"] for row in found}
    return {name: values.get(parameter, "") for name, parameter in parameters.items()}


def _bucket(client: Clients, naming: Naming, purpose: str) -> None:
    s3, name = client("s3"), naming.bucket(purpose)
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):  # from an earlier, interrupted `up`
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": naming.region})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    closed = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=closed)
    if purpose in _EVENTS:
        s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}})


def _key(client: Clients, naming: Naming) -> str:
    kms, alias = client("kms"), naming.of("kms_alias")
    try:
        return str(kms.describe_key(KeyId=alias)["KeyMetadata"]["Arn"])
    except kms.exceptions.NotFoundException:
        made = kms.create_key(Description="The domain's data key", Policy=_key_policy(naming))["KeyMetadata"]
        kms.enable_key_rotation(KeyId=made["KeyId"])
        kms.create_alias(AliasName=alias, TargetKeyId=made["KeyId"])
        return str(made["Arn"])


def _key_policy(naming: Naming) -> str:
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{naming.account_id}:root"}, "Action": "kms:*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Sid": "Account", **root}]})


def _network(client: Clients, naming: Naming) -> tuple[list[str], str]:
    """VPC, a private subnet per zone, and the one security group that lets Glue's workers talk to each other."""
    ec2, mark = client("ec2"), f"{naming.abbr}-data-lake-{naming.env}"
    found = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [mark]}])["SecurityGroups"]
    if found:
        of_vpc = [{"Name": "vpc-id", "Values": [found[0]["VpcId"]]}]
        subnets = ec2.describe_subnets(Filters=of_vpc)["Subnets"]
        return sorted(subnet["SubnetId"] for subnet in subnets), str(found[0]["GroupId"])
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{16 * number}.0/20", AvailabilityZone=f"{naming.region}{zone}")["Subnet"]["SubnetId"]
        for number, zone in enumerate(_ZONES)
    ]
    group = ec2.create_security_group(GroupName=mark, Description="Glue workers among themselves", VpcId=vpc)["GroupId"]
    itself = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=itself)
    return sorted(subnets), str(group)


def _connections(client: Clients, naming: Naming, subnets: list[str], group: str) -> list[str]:
    glue = client("glue")
    names = [f"{naming.abbr}-network-{zone}-{naming.env}" for zone in _ZONES]
    present = {row["Name"] for row in glue.get_connections()["ConnectionList"]}
    for name, zone, subnet in zip(names, _ZONES, subnets, strict=True):
        place = {"SubnetId": subnet, "SecurityGroupIdList": [group], "AvailabilityZone": f"{naming.region}{zone}"}
        wanted = {"Name": name, "ConnectionType": "NETWORK", "ConnectionProperties": {}, "PhysicalConnectionRequirements": place}
        if name not in present:
            glue.create_connection(ConnectionInput=wanted)
    return names


def _database(client: Clients, naming: Naming, layer: str) -> None:
    glue, name = client("glue"), naming.database(layer)
    with suppress(glue.exceptions.AlreadyExistsException):  # from an earlier, interrupted `up`
        glue.create_database(DatabaseInput={"Name": name, "LocationUri": f"s3://{naming.bucket(layer)}/", "Description": f"Layer {layer}"})
