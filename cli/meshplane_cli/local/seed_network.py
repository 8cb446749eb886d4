"""The VPC, its endpoints, groups, flow logs and Glue connections, as `baseline_tf` has them in dev. Called by `seed`.

A resource that is there already (an earlier, interrupted `up`) is found again by its name and left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from meshplane.model.naming import Naming
from meshplane_cli.local.seed_policies import document

ZONES = ("a", "b", "c")
VPC_CIDR = "10.0.0.0/16"  # environments/dev.tfvars
ENDPOINT_ZONES = 1  # the same
_INTERFACES = ("glue", "kms", "logs", "monitoring", "secretsmanager", "ssm", "sts")
_UNRESOURCED = {"monitoring": "cloudwatch:PutMetricData", "sts": "sts:GetCallerIdentity"}
_TCP = {"IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535}
_TLS = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}


@dataclass(frozen=True, slots=True)
class Network:
    """Ids: the subnets in the order of ZONES, and the group of Glue's workers."""

    subnets: tuple[str, ...]
    workers: str


def network(ec2: Any, naming: Naming, reachable: Mapping[str, Mapping[str, Any]]) -> Network:
    """Make it or find it; `reachable` is what Terraform's variable of that name holds."""
    vpc = _vpc(ec2, naming.of("network"))
    subnets = [_subnet(ec2, vpc, naming, index) for index in range(len(ZONES))]
    table = _route_table(ec2, vpc, naming.of("network"), subnets)
    text = "Glue workers among themselves, to endpoints and to what domain.json declares reachable"
    workers, fresh = _group(ec2, vpc, naming.of("network"), text)
    endpoints, _ = _group(ec2, vpc, naming.of("endpoint_group"), "Interface endpoints: answer Glue workers, ask nobody")
    gateway = _endpoints(ec2, vpc, naming, table, subnets, endpoints)
    if fresh:
        _close_default(ec2, vpc)
        _rules(ec2, naming, workers, endpoints, gateway, reachable)
    return Network(tuple(subnets), workers)


def _named(name: str) -> list[dict[str, Any]]:
    return [{"Key": "Name", "Value": name}]


def _tags(kind: str, name: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": _named(name)}]


def _vpc(ec2: Any, name: str) -> str:
    found = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [name]}])["Vpcs"]
    if found:
        return str(found[0]["VpcId"])
    vpc = str(ec2.create_vpc(CidrBlock=VPC_CIDR, TagSpecifications=_tags("vpc", name))["Vpc"]["VpcId"])
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsSupport={"Value": True})
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    return vpc


def _subnet(ec2: Any, vpc: str, naming: Naming, index: int) -> str:
    zone, cidr = ZONES[index], str(list(ip_network(VPC_CIDR).subnets(4))[index])
    name = f"{naming.of('network')}-{zone}"
    where = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "availability-zone", "Values": [f"{naming.region}{zone}"]}]
    found = ec2.describe_subnets(Filters=where)["Subnets"]
    if found:
        return str(found[0]["SubnetId"])
    place = {"VpcId": vpc, "CidrBlock": cidr, "AvailabilityZone": f"{naming.region}{zone}"}
    return str(ec2.create_subnet(**place, TagSpecifications=_tags("subnet", name))["Subnet"]["SubnetId"])


def _route_table(ec2: Any, vpc: str, name: str, subnets: list[str]) -> str:
    where = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "tag:Name", "Values": [name]}]
    found = ec2.describe_route_tables(Filters=where)["RouteTables"]
    if found:
        return str(found[0]["RouteTableId"])
    table = str(ec2.create_route_table(VpcId=vpc, TagSpecifications=_tags("route-table", name))["RouteTable"]["RouteTableId"])
    for subnet in subnets:
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    return table


def _group(ec2: Any, vpc: str, name: str, text: str) -> tuple[str, bool]:
    """The group's id, and whether it was made now. A new group may go everywhere until that rule is taken away."""
    where = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": [name]}]
    found = ec2.describe_security_groups(Filters=where)["SecurityGroups"]
    if found:
        return str(found[0]["GroupId"]), False
    group = str(
        ec2.create_security_group(GroupName=name, Description=text, VpcId=vpc, TagSpecifications=_tags("security-group", name))["GroupId"]
    )
    _revoke(ec2.revoke_security_group_egress, group, ec2)
    return group, True


def _revoke(revoke: Callable[..., Any], group: str, ec2: Any) -> None:
    side = "IpPermissionsEgress" if revoke == ec2.revoke_security_group_egress else "IpPermissions"
    rules = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0][side]
    if rules:
        revoke(GroupId=group, IpPermissions=rules)


def _close_default(ec2: Any, vpc: str) -> None:
    where = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": ["default"]}]
    for group in ec2.describe_security_groups(Filters=where)["SecurityGroups"]:
        _revoke(ec2.revoke_security_group_ingress, group["GroupId"], ec2)
        _revoke(ec2.revoke_security_group_egress, group["GroupId"], ec2)


def _endpoints(ec2: Any, vpc: str, naming: Naming, table: str, subnets: list[str], group: str) -> str:
    """All of them; the prefix list of S3, which a rule names."""
    present = {row["ServiceName"] for row in ec2.describe_vpc_endpoints(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["VpcEndpoints"]}
    for service in ("s3", *_INTERFACES):
        if (full := f"com.amazonaws.{naming.region}.{service}") in present:
            continue
        more = {"action": f"{'cloudwatch' if service == 'monitoring' else service}:*", "unresourced": _UNRESOURCED.get(service, "")}
        policy = document("endpoint_without_resource" if service in _UNRESOURCED else "endpoint", naming, **more)
        place: dict[str, Any] = {"VpcEndpointType": "Gateway", "RouteTableIds": [table], "PrivateDnsEnabled": False}
        if service != "s3":
            place = {"VpcEndpointType": "Interface", "SubnetIds": subnets[:ENDPOINT_ZONES], "SecurityGroupIds": [group]}
            place["PrivateDnsEnabled"] = True
        tags = _tags("vpc-endpoint", f"{naming.of('network')}-{service}")
        ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=full, PolicyDocument=policy, TagSpecifications=tags, **place)
    where = [{"Name": "prefix-list-name", "Values": [f"com.amazonaws.{naming.region}.s3"]}]
    return str(ec2.describe_prefix_lists(Filters=where)["PrefixLists"][0]["PrefixListId"])


def _rules(ec2: Any, naming: Naming, workers: str, endpoints: str, s3: str, reachable: Mapping[str, Mapping[str, Any]]) -> None:
    def to(group: str, text: str) -> dict[str, Any]:
        return {"UserIdGroupPairs": [{"GroupId": group, "Description": text}]}

    among = {**_TCP, **to(workers, "Glue workers of one run")}
    ec2.authorize_security_group_ingress(GroupId=workers, IpPermissions=[among])
    ec2.authorize_security_group_ingress(GroupId=endpoints, IpPermissions=[{**_TLS, **to(workers, "AWS services asked by Glue workers")}])
    out = [
        among,
        {**_TLS, **to(endpoints, "AWS services through their endpoints")},
        {**_TLS, "PrefixListIds": [{"PrefixListId": s3, "Description": "S3 through the gateway endpoint"}]},
    ]
    for name, place in reachable.items():
        ports = {"IpProtocol": "tcp", "FromPort": place["port"], "ToPort": place["port"]}
        out.append({**ports, "IpRanges": [{"CidrIp": place["cidr"], "Description": f"{name}: {place['kind']}, declared in domain.json"}]})
    for rule in out:  # one rule each, as Terraform makes them
        ec2.authorize_security_group_egress(GroupId=workers, IpPermissions=[rule])


def flow_logs(client: Callable[[str], Any], naming: Naming, key: str, role_arn: str) -> None:
    """The log group under the domain key, and the flow log of the VPC into it."""
    logs, ec2, name = client("logs"), client("ec2"), naming.of("flow_log_group")
    vpc = _vpc(ec2, naming.of("network"))
    if not logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]:
        logs.create_log_group(logGroupName=name, kmsKeyId=key)
        logs.put_retention_policy(logGroupName=name, retentionInDays=90)
    if not ec2.describe_flow_logs(Filters=[{"Name": "resource-id", "Values": [vpc]}])["FlowLogs"]:
        ec2.create_flow_logs(
            ResourceIds=[vpc],
            ResourceType="VPC",
            TrafficType="ALL",
            LogDestinationType="cloud-watch-logs",
            LogDestination=naming.arn("logs", f"log-group:{name}"),
            DeliverLogsPermissionArn=role_arn,
            TagSpecifications=_tags("vpc-flow-log", naming.of("network")),
        )


def connections(glue: Any, naming: Naming, made: Network, reachable: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Make what is missing; the names of the network connections, in the order of ZONES."""
    present = {row["Name"] for row in glue.get_connections()["ConnectionList"]}
    names = [naming.of("connection", zone=zone) for zone in ZONES]

    def place(index: int) -> dict[str, Any]:
        zone = f"{naming.region}{ZONES[index]}"
        return {"SubnetId": made.subnets[index], "SecurityGroupIdList": [made.workers], "AvailabilityZone": zone}

    wanted = [
        {
            "Name": name,
            "Description": f"Glue jobs in the domain's VPC, zone {zone}",
            "ConnectionType": "NETWORK",
            "ConnectionProperties": {},
            "PhysicalConnectionRequirements": place(index),
        }
        for index, (name, zone) in enumerate(zip(names, ZONES, strict=True))
    ]
    for name, where in reachable.items():
        wanted.append(
            {
                "Name": naming.of("reachable_connection", name=name),
                "Description": f"{name}: {where['kind']}, declared in domain.json",
                "ConnectionType": "KAFKA" if where["kind"] == "kafka" else "JDBC",
                "ConnectionProperties": _properties(naming, name, where),
                "PhysicalConnectionRequirements": place(0),
            }
        )
    for connection in wanted:
        if connection["Name"] not in present:
            glue.create_connection(ConnectionInput=connection)
    return names


def _properties(naming: Naming, name: str, where: Mapping[str, Any]) -> dict[str, str]:
    at = f"{where['host']}:{where['port']}"
    if where["kind"] == "kafka":
        return {"KAFKA_BOOTSTRAP_SERVERS": at, "KAFKA_SSL_ENABLED": "true"}
    url = {
        "sqlserver": f"jdbc:sqlserver://{at};databaseName={where['database']}",
        "oracle": f"jdbc:oracle:thin://@{at}/{where['database']}",
    }.get(where["kind"], f"jdbc:{where['kind']}://{at}/{where['database']}")
    secret = naming.of("secret", project="platform", name=name)
    return {"JDBC_CONNECTION_URL": url, "JDBC_ENFORCE_SSL": "true", "SECRET_ID": secret}
