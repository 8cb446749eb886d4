"""Asks EC2 for the descriptions of rules."""

from __future__ import annotations

from typing import Any

from tests.contract.asking import ask, client, run


def probe() -> None:
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group = ec2.create_security_group(GroupName="g", Description="g", VpcId=vpc)["GroupId"]
    ports = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
    kinds: dict[str, dict[str, Any]] = {
        "range": {"IpRanges": [{"CidrIp": "10.1.0.0/16", "Description": "said"}]},
        "group": {"UserIdGroupPairs": [{"GroupId": group, "Description": "said"}]},
        "prefix_list": {"PrefixListIds": [{"PrefixListId": "pl-12345678", "Description": "said"}]},
        "nothing": {"UserIdGroupPairs": [{"GroupId": group}], "FromPort": 80, "ToPort": 80},
    }
    for name, towards in kinds.items():
        made = ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[{**ports, **towards}])["SecurityGroupRules"][0]
        found = ec2.describe_security_group_rules(SecurityGroupRuleIds=[made["SecurityGroupRuleId"]])["SecurityGroupRules"][0]
        ask(name, lambda found=found: found.get("Description"))  # type: ignore[misc]


run(probe)
