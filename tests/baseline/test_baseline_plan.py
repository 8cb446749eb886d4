"""Every promise of B1-B4 against a real plan of the whole baseline: what is promised, where it is looked for, why it matters."""

from __future__ import annotations

import json
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest

from meshplane.model.baseline import Baseline
from meshplane.model.naming import LAYERS, PURPOSES, Naming
from tests.baseline.conftest import REACHABLE, Plan

Check = Callable[[Plan, Naming], None]
ROWS: list[tuple[str, str, Check]] = []
STORES = (*PURPOSES, "state")


def promise(name: str, reason: str) -> Callable[[Check], Check]:
    def note(check: Check) -> Check:
        ROWS.append((name, reason, check))
        return check

    return note


def statements(policy: str) -> list[dict[str, Any]]:
    return list(json.loads(policy)["Statement"])


def per_store(plan: Plan, kind: str) -> dict[str, dict[str, Any]]:
    """Bucket purpose → planned values of the resource of that kind, whatever it is called."""
    found = plan.of(kind)
    return {address.split('"')[1] if '"' in address else address: values for address, values in found.items()}


@promise("B1 five buckets", "the layers, artifacts and logs, by the names of naming.json")
def _(plan: Plan, naming: Naming) -> None:
    buckets = {purpose: row["bucket"] for purpose, row in per_store(plan, "aws_s3_bucket").items()}
    assert buckets == {**{purpose: naming.bucket(purpose) for purpose in PURPOSES}, "state": naming.of("terraform_state_bucket")}


@promise("B1 domain key", "whoever reads the disk or another account's role reads nothing; the bucket key keeps KMS's bill small")
def _(plan: Plan, naming: Naming) -> None:
    kind = "aws_s3_bucket_server_side_encryption_configuration"
    rows = {purpose: row["rule"][0] for purpose, row in per_store(plan, kind).items()}
    assert set(rows) == set(STORES)
    for purpose in set(STORES) - {"logs"}:
        assert rows[purpose]["bucket_key_enabled"] is True
        assert rows[purpose]["apply_server_side_encryption_by_default"][0]["sse_algorithm"] == "aws:kms"
    for address in ("domain_key", "state"):
        refers = plan.refers(f"{kind}.{address}", "rule", "apply_server_side_encryption_by_default", "kms_master_key_id")
        assert "aws_kms_key.domain.arn" in refers


@promise("B1 log bucket SSE-S3", "S3 delivers access logs to no other encryption, and says nothing when it cannot")
def _(plan: Plan, naming: Naming) -> None:
    row = per_store(plan, "aws_s3_bucket_server_side_encryption_configuration")["logs"]["rule"][0]
    assert row["apply_server_side_encryption_by_default"][0]["sse_algorithm"] == "AES256"


@promise("B1 versioning", "an overwritten or deleted object can be had back; deletion of a manifest is proven by its marker")
def _(plan: Plan, naming: Naming) -> None:
    rows = per_store(plan, "aws_s3_bucket_versioning")
    assert {purpose: row["versioning_configuration"][0]["status"] for purpose, row in rows.items()} == dict.fromkeys(STORES, "Enabled")


@promise("B1 old versions 90 days, multipart 7 days", "storage that nobody sees is not paid for ever")
def _(plan: Plan, naming: Naming) -> None:
    rows = per_store(plan, "aws_s3_bucket_lifecycle_configuration")
    assert set(rows) == set(STORES)
    for row in rows.values():
        old = next(rule for rule in row["rule"] if rule["id"] == "old-versions")
        assert old["status"] == "Enabled"
        assert old["filter"] in (
            [{}],
            [{"and": [], "object_size_greater_than": None, "object_size_less_than": None, "prefix": "", "tag": []}],
        )
        assert old["noncurrent_version_expiration"][0]["noncurrent_days"] == 90
        assert old["abort_incomplete_multipart_upload"][0]["days_after_initiation"] == 7


@promise(
    "B1 nothing current expires",
    "an `expiration` takes delete markers of manifests and live files of tables: only logs and temporary files have one",
)
def _(plan: Plan, naming: Naming) -> None:
    expiring = {
        (purpose, rule["filter"][0].get("prefix") or "")
        for purpose, row in per_store(plan, "aws_s3_bucket_lifecycle_configuration").items()
        for rule in row["rule"]
        if rule.get("expiration")
    }
    assert expiring == {("logs", ""), ("artifacts", "glue-temp/")}


@promise("B1 no public access", "no policy or ACL can open a bucket by mistake")
def _(plan: Plan, naming: Naming) -> None:
    rows = per_store(plan, "aws_s3_bucket_public_access_block")
    flags = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
    assert {purpose: all(row[flag] for flag in flags) for purpose, row in rows.items()} == dict.fromkeys(STORES, True)
    owners = per_store(plan, "aws_s3_bucket_ownership_controls")
    assert {purpose: row["rule"][0]["object_ownership"] for purpose, row in owners.items()} == dict.fromkeys(STORES, "BucketOwnerEnforced")


@promise("B1 TLS only", "no object crosses a wire in the clear")
def _(plan: Plan, naming: Naming) -> None:
    rows = per_store(plan, "aws_s3_bucket_policy")
    assert set(rows) == set(STORES)
    for purpose, row in rows.items():
        name = naming.of("terraform_state_bucket") if purpose == "state" else naming.bucket(purpose)
        denied = [one for one in statements(row["policy"]) if one["Effect"] == "Deny"]
        assert {"Bool": {"aws:SecureTransport": "false"}} in [one["Condition"] for one in denied]
        for one in denied:
            assert (one["Principal"], one["Action"]) == ({"AWS": "*"}, "s3:*")
            assert set(one["Resource"]) == {f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"}


@promise("B1 only S3's log service is let in, and only for our buckets", "a bucket policy that allows is how data leaves")
def _(plan: Plan, naming: Naming) -> None:
    allowed = [
        (purpose, one)
        for purpose, row in per_store(plan, "aws_s3_bucket_policy").items()
        for one in statements(row["policy"])
        if one["Effect"] == "Allow"
    ]
    assert [(purpose, one["Principal"], one["Action"]) for purpose, one in allowed] == [
        ("logs", {"Service": "logging.s3.amazonaws.com"}, "s3:PutObject")
    ]
    condition = allowed[0][1]["Condition"]
    assert condition["StringEquals"] == {"aws:SourceAccount": naming.account_id}
    assert all(arn.count("*") <= 1 and naming.account_id in arn for arn in condition["ArnLike"]["aws:SourceArn"])


@promise("B1 access logs", "who read what can be answered later; the log bucket does not log itself")
def _(plan: Plan, naming: Naming) -> None:
    rows = per_store(plan, "aws_s3_bucket_logging")
    assert {purpose: row["target_prefix"] for purpose, row in rows.items()} == {p: f"s3/{p}/" for p in STORES if p != "logs"}
    for address in ("this", "state"):
        assert 'aws_s3_bucket.this["logs"].id' in plan.refers(f"aws_s3_bucket_logging.{address}", "target_bucket")


@promise("B1 EventBridge on raw and artifacts", "S3 sends nothing until the bucket is told to: no reconcile and no run would ever start")
def _(plan: Plan, naming: Naming) -> None:
    rows = per_store(plan, "aws_s3_bucket_notification")
    assert {purpose: row["eventbridge"] for purpose, row in rows.items()} == {"raw": True, "artifacts": True}


@promise("B2 one key", "one place to look, rotated, and not gone before somebody notices")
def _(plan: Plan, naming: Naming) -> None:
    (key,) = plan.of("aws_kms_key").values()
    assert (key["enable_key_rotation"], key["deletion_window_in_days"]) == (True, 30)
    assert [row["name"] for row in plan.of("aws_kms_alias").values()] == [naming.of("kms_alias")]


def key_statements(plan: Plan) -> dict[str, dict[str, Any]]:
    (key,) = plan.of("aws_kms_key").values()
    return {one["Sid"]: one for one in statements(key["policy"])}


@promise(
    "B2 the account administers",
    "a key that its account cannot administer is lost; one that it can use by default is open to every policy with kms:*",
)
def _(plan: Plan, naming: Naming) -> None:
    root = key_statements(plan)["AccountAdministersAndNeverUses"]
    assert root["Principal"] == {"AWS": f"arn:aws:iam::{naming.account_id}:root"}
    assert "kms:PutKeyPolicy" in root["Action"]
    assert not [
        action
        for action in root["Action"]
        if "*" in action or action.removeprefix("kms:").startswith(("Decrypt", "Encrypt", "Generate", "ReEncrypt", "CreateGrant"))
    ]


@promise("B2 domain roles, by ARN with path", "aws:PrincipalArn holds the path: role/f01-* does not match role/meshplane/projects/f01-x")
def _(plan: Plan, naming: Naming) -> None:
    use = key_statements(plan)["DomainRolesUse"]
    patterns = use["Condition"]["ArnLike"]["aws:PrincipalArn"]
    role = f"arn:aws:iam::{naming.account_id}:role"
    assert patterns == [f"{role}/{name}-*-{naming.env}" for name in ("meshplane/projects/f01", "f01-meshplane", "f01-ci")]
    assert {"kms:Decrypt", "kms:GenerateDataKey"} <= set(use["Action"])


@promise("B2 logs service, by context", "any group of any account could otherwise be encrypted with, and so read by, our key")
def _(plan: Plan, naming: Naming) -> None:
    logs = key_statements(plan)["LogsOfThisDomain"]
    assert logs["Principal"] == {"Service": f"logs.{naming.region}.amazonaws.com"}
    contexts = logs["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    group = naming.arn("logs", "log-group:")
    assert contexts == [f"{group}/aws/vendedlogs/states/f01-*", f"{group}/aws/vpc/f01-*"]


@promise("B2 notices, by account", "alarms and rules publish to the encrypted topic, only those of this account")
def _(plan: Plan, naming: Naming) -> None:
    notices = key_statements(plan)["NoticesThroughTheEncryptedTopic"]
    assert notices["Principal"] == {"Service": ["cloudwatch.amazonaws.com", "events.amazonaws.com"]}
    assert notices["Condition"] == {"StringEquals": {"aws:SourceAccount": naming.account_id}}
    assert len(key_statements(plan)) == 4


@promise("B3 three private subnets from one range", "no address plan to keep in three places; a zone may fail")
def _(plan: Plan, naming: Naming) -> None:
    (vpc,) = plan.of("aws_vpc").values()
    subnets = plan.of("aws_subnet").values()
    ranges = [ip_network(row["cidr_block"]) for row in subnets]
    assert {row["availability_zone"] for row in subnets} == {f"{naming.region}{zone}" for zone in "abc"}
    assert all(one.subnet_of(ip_network(vpc["cidr_block"])) for one in ranges)
    assert not any(one.overlaps(other) for one in ranges for other in ranges if one is not other)
    assert all(row["map_public_ip_on_launch"] is False for row in subnets)
    assert (vpc["enable_dns_hostnames"], vpc["enable_dns_support"]) == (True, True)


@promise("B3 no way to the internet", "what a job reads can leave only through endpoints")
def _(plan: Plan, naming: Naming) -> None:
    assert not plan.types & {"aws_internet_gateway", "aws_egress_only_internet_gateway", "aws_nat_gateway", "aws_eip", "aws_vpn_gateway"}
    assert plan.of("aws_route") == {}
    assert [row["route"] for row in plan.of("aws_route_table").values() if row.get("route")] == []


@promise("B3 endpoints that private Glue needs", "without any one of them a job hangs until its timeout, and says nothing")
def _(plan: Plan, naming: Naming) -> None:
    rows = plan.of("aws_vpc_endpoint").values()
    services = {row["service_name"].removeprefix(f"com.amazonaws.{naming.region}."): row for row in rows}
    assert {name for name, row in services.items() if row["vpc_endpoint_type"] == "Gateway"} == {"s3"}
    assert set(services) - {"s3"} == {"glue", "kms", "logs", "monitoring", "secretsmanager", "ssm", "sts"}
    assert all(row["private_dns_enabled"] for name, row in services.items() if name != "s3")


@promise(
    "B3 endpoints only for this account",
    "a job with stolen keys of another account could otherwise carry data out through S3's own endpoint",
)
def _(plan: Plan, naming: Naming) -> None:
    ours = {"aws:PrincipalAccount": naming.account_id}
    resourceless = {"cloudwatch:PutMetricData", "sts:GetCallerIdentity"}
    for row in plan.of("aws_vpc_endpoint").values():
        for one in statements(row["policy"]):
            expected = ours if one["Action"] in resourceless else {**ours, "aws:ResourceAccount": naming.account_id}
            assert one["Condition"] == {"StringEquals": expected}, row["service_name"]


@promise("B3 Glue's nodes talk to each other", "driver and executors use every TCP port; without the way out as well the shuffle hangs")
def _(plan: Plan, naming: Naming) -> None:
    for kind in ("ingress", "egress"):
        address = f"aws_vpc_security_group_{kind}_rule"
        row = plan.of(address)["workers_themselves"]
        assert (row["ip_protocol"], row["from_port"], row["to_port"]) == ("tcp", 0, 65535)
        for argument in ("security_group_id", "referenced_security_group_id"):
            assert "aws_security_group.workers.id" in plan.refers(f"{address}.workers_themselves", argument)


@promise("B3 the way out", "endpoints, S3 and what domain.json declares; nothing else, and never a whole world")
def _(plan: Plan, naming: Naming) -> None:
    out = plan.of("aws_vpc_security_group_egress_rule")
    assert set(out) == {"workers_themselves", "workers_endpoints", "workers_s3", *(f'reachable["{name}"]' for name in REACHABLE)}
    assert {(row["from_port"], row["to_port"]) for name, row in out.items() if name in ("workers_endpoints", "workers_s3")} == {(443, 443)}
    assert "aws_vpc_endpoint.s3.prefix_list_id" in plan.refers("aws_vpc_security_group_egress_rule.workers_s3", "prefix_list_id")
    assert "aws_security_group.endpoints.id" in plan.refers(
        "aws_vpc_security_group_egress_rule.workers_endpoints", "referenced_security_group_id"
    )
    assert set(plan.of("aws_vpc_security_group_ingress_rule")) == {"workers_themselves", "endpoints_workers"}
    assert all(not row["ingress"] and not row["egress"] for row in plan.of("aws_default_security_group").values() if "ingress" in row)
    ranges = [row["cidr_ipv4"] for row in out.values() if row["cidr_ipv4"]] + [row["cidr_ipv6"] for row in out.values() if row["cidr_ipv6"]]
    assert "0.0.0.0/0" not in ranges
    assert "::/0" not in ranges


@promise("B3 one rule and one connection per declared place", "a source works when domain.json says so, and only then")
def _(plan: Plan, naming: Naming) -> None:
    rules = plan.of("aws_vpc_security_group_egress_rule")
    found = {name: (rules[f'reachable["{name}"]']["cidr_ipv4"], rules[f'reachable["{name}"]']["from_port"]) for name in REACHABLE}
    assert found == {"shop": ("10.20.0.0/24", 5432), "erp": ("10.40.0.7/32", 1433), "events": ("10.30.0.0/24", 9094)}
    connections = {
        row["name"].removeprefix("f01-reachable-").removesuffix(f"-{naming.env}"): row
        for name, row in plan.of("aws_glue_connection").items()
        if name.startswith("reachable")
    }
    assert {name: row["connection_type"] for name, row in connections.items()} == {
        "shop": "JDBC",
        "erp": "JDBC",
        "events": "KAFKA",
    }
    properties = {name: row["connection_properties"] for name, row in connections.items()}
    assert properties["shop"]["JDBC_CONNECTION_URL"] == "jdbc:postgresql://shop.db.example.org:5432/shop"
    assert properties["erp"]["JDBC_CONNECTION_URL"] == "jdbc:sqlserver://10.40.0.7:1433;databaseName=erp"
    assert properties["events"] == {"KAFKA_BOOTSTRAP_SERVERS": "broker.example.org:9094", "KAFKA_SSL_ENABLED": "true"}
    assert not any(word in json.dumps(properties).upper() for word in ("PASSWORD", "USERNAME"))


@promise("B3 one network connection per subnet", "a connection holds one subnet; a job that names all three outlives a zone")
def _(plan: Plan, naming: Naming) -> None:
    rows = {name: row for name, row in plan.of("aws_glue_connection").items() if name.startswith("network")}
    assert {row["name"] for row in rows.values()} == {naming.of("connection", zone=zone) for zone in "abc"}
    assert {row["connection_type"] for row in rows.values()} == {"NETWORK"}
    zones = {row["physical_connection_requirements"][0]["availability_zone"] for row in rows.values()}
    assert zones == {f"{naming.region}{zone}" for zone in "abc"}
    refers = plan.refers("aws_glue_connection.network", "physical_connection_requirements", "security_group_id_list")
    assert "aws_security_group.workers.id" in refers


@promise("B3 flow logs", "encrypted and kept 90 days: an incident can be read back")
def _(plan: Plan, naming: Naming) -> None:
    (flow,) = plan.of("aws_flow_log").values()
    assert (flow["traffic_type"], flow["log_destination_type"]) == ("ALL", "cloud-watch-logs")
    (group,) = plan.of("aws_cloudwatch_log_group").values()
    assert (group["name"], group["retention_in_days"]) == (naming.of("flow_log_group"), 90)
    assert "aws_kms_key.domain.arn" in plan.refers("aws_cloudwatch_log_group.flow", "kms_key_id")


@promise("B4 a database per layer", "tables are the reconciler's, databases outlive them")
def _(plan: Plan, naming: Naming) -> None:
    rows = {row["name"]: row["location_uri"] for row in plan.of("aws_glue_catalog_database").values()}
    assert rows == {naming.database(layer): f"s3://{naming.bucket(layer)}/" for layer in LAYERS}


@promise("B4 exact subjects", "a wildcard in `sub` lets any branch, or any repository, deploy")
def _(plan: Plan, naming: Naming) -> None:
    (provider,) = plan.of("aws_iam_openid_connect_provider").values()
    assert (provider["url"], provider["client_id_list"]) == ("https://token.actions.githubusercontent.com", ["sts.amazonaws.com"])
    roles = plan.of("aws_iam_role")
    assert {row["name"] for row in roles.values()} == {f"f01-{name}-{naming.env}" for name in ("ci-deploy", "ci-plan", "flow-logs")}
    subjects = {"deploy": f"repo:acme/retail:environment:{naming.env}", "plan": "repo:acme/retail:pull_request"}
    for purpose, subject in subjects.items():
        (one,) = statements(roles[f'ci["{purpose}"]']["assume_role_policy"])
        assert one["Action"] == "sts:AssumeRoleWithWebIdentity"
        assert one["Principal"] == {"Federated": f"arn:aws:iam::{naming.account_id}:oidc-provider/token.actions.githubusercontent.com"}
        host = "token.actions.githubusercontent.com"
        assert one["Condition"] == {"StringEquals": {f"{host}:aud": "sts.amazonaws.com", f"{host}:sub": subject}}


@promise(
    "B4 CI cannot widen itself",
    "a stolen token must not outlive the workflow: no change of CI's own roles, of the provider, no key but what it needs",
)
def _(plan: Plan, naming: Naming) -> None:
    for address, row in plan.of("aws_iam_role_policy").items():
        for one in statements(row["policy"]):
            actions = [one["Action"]] if isinstance(one["Action"], str) else one["Action"]
            resources = [one["Resource"]] if isinstance(one["Resource"], str) else one["Resource"]
            writes = [a for a in actions if a.startswith("iam:") and not a.removeprefix("iam:").startswith(("Get", "List"))]
            if writes:
                assert address == 'ci["deploy"]'
                assert not [arn for arn in resources if arn == "*" or "/f01-*" in arn or "-ci-" in arn or "oidc" in arn]
            assert "*" not in actions
            if "iam:PassRole" in actions:
                assert "iam:PassedToService" in one["Condition"]["StringEquals"]
    plan_actions = [
        a
        for one in statements(plan.of("aws_iam_role_policy")['ci["plan"]']["policy"])
        for a in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    ]
    reading = ("Get", "List", "Describe", "Decrypt", "InvokeFunction")
    assert not [action for action in plan_actions if not action.split(":")[1].startswith(reading)]


@promise("B4 log delivery", "state machines log without any project role that may write resource policies")
def _(plan: Plan, naming: Naming) -> None:
    (row,) = plan.of("aws_cloudwatch_log_resource_policy").values()
    (one,) = statements(row["policy_document"])
    assert one["Principal"] == {"Service": "delivery.logs.amazonaws.com"}
    assert one["Resource"] == naming.arn("logs", "log-group:/aws/vendedlogs/states/f01-*:log-stream:*")
    assert one["Condition"]["StringEquals"] == {"aws:SourceAccount": naming.account_id}
    assert len(row["policy_document"]) < 5120  # CloudWatch Logs refuses longer ones


@promise("B4 parameters", "the one place where Terraform and SAM meet: exactly what model/baseline.py reads")
def _(plan: Plan, naming: Naming) -> None:
    rows = {row["name"]: row["type"] for row in plan.of("aws_ssm_parameter").values()}
    parameters = Baseline.parameters(naming)
    assert set(rows) == set(parameters.values())
    lists = {name for name, kind in rows.items() if kind == "StringList"}
    assert lists == {parameters[name] for name in ("connections", "subnet_arns", "security_group_arns")}


@promise("B4 state bucket", "versioned, closed and encrypted as the rest; the lock is S3's own, so no table is left over")
def _(plan: Plan, naming: Naming) -> None:
    assert plan.of("aws_s3_bucket")["state"]["bucket"] == f"tfstate-{naming.account_id}"
    assert "aws_dynamodb_table" not in plan.types


@promise("D4 tags", "who made what is written on it")
def _(plan: Plan, naming: Naming) -> None:
    untagged = {
        row["address"]
        for row in plan.document["planned_values"]["root_module"]["resources"]
        if "tags" in row["values"] and not {"domain", "git_sha", "deployed_by", "repository"} <= set(row["values"]["tags"] or ())
    }
    rules = {address for address in untagged if address.startswith("aws_vpc_security_group_")}
    assert untagged == rules  # a rule carries its group's


@pytest.mark.parametrize(("name", "reason", "check"), [pytest.param(*row, id=row[0]) for row in ROWS])
def test_promise(planned: Plan, naming: Naming, name: str, reason: str, check: Check) -> None:
    try:
        check(planned, naming)
    except (AssertionError, KeyError, StopIteration, ValueError) as broken:
        raise AssertionError(f"{name}: {reason}\n{broken}") from broken
