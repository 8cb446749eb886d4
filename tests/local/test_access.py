"""Every request of a role is judged by that role's policies, and refused as each of AWS's protocols refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from meshplane_cli.local import callers
from meshplane_cli.local.stack import Stack

pytestmark = pytest.mark.local
ROLE = "f01-judged"


def client(stack: Stack, service: str, keys: dict[str, str]) -> Any:
    settings = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    names = {"aws_access_key_id": keys["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": keys["AWS_SECRET_ACCESS_KEY"]}
    session: Any = boto3.session.Session()
    return session.client(service, region_name=stack.naming.region, endpoint_url=stack.endpoint, config=settings, **names)


@pytest.fixture(scope="module")
def role(stack: Stack) -> Iterator[str]:
    """A role that may do one thing, and its ARN."""
    iam = stack.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    arn = iam.create_role(RoleName=ROLE, Path="/meshplane/projects/", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    yield str(arn)
    for name in iam.list_role_policies(RoleName=ROLE)["PolicyNames"]:
        iam.delete_role_policy(RoleName=ROLE, PolicyName=name)
    iam.delete_role(RoleName=ROLE)


def allow(stack: Stack, *statements: dict[str, Any]) -> None:
    rows = [{"Effect": "Allow", "Resource": "*", **statement} for statement in statements]
    document = json.dumps({"Version": "2012-10-17", "Statement": rows})
    stack.client("iam").put_role_policy(RoleName=ROLE, PolicyName="p", PolicyDocument=document)


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "code", "status", "action"),
    [
        ("dynamodb", "list_tables", {}, "AccessDeniedException", 400, "dynamodb:ListTables"),
        ("glue", "get_table", {"DatabaseName": "d", "Name": "t"}, "AccessDeniedException", 400, "glue:GetTable"),
        ("stepfunctions", "list_state_machines", {}, "AccessDeniedException", 400, "states:ListStateMachines"),
        ("events", "list_rules", {}, "AccessDeniedException", 400, "events:ListRules"),
        ("kms", "list_keys", {}, "AccessDeniedException", 400, "kms:ListKeys"),
        ("logs", "describe_log_groups", {}, "AccessDeniedException", 400, "logs:DescribeLogGroups"),
        ("sqs", "get_queue_url", {"QueueName": "q"}, "AccessDenied", 403, "sqs:GetQueueUrl"),
        ("scheduler", "list_schedules", {}, "AccessDeniedException", 403, "scheduler:ListSchedules"),
        ("lambda", "invoke", {"FunctionName": "f"}, "AccessDeniedException", 403, "lambda:InvokeFunction"),
        ("iam", "create_role", {"RoleName": "r", "AssumeRolePolicyDocument": "{}"}, "AccessDenied", 403, "iam:CreateRole"),
        ("sns", "list_topics", {}, "AuthorizationError", 403, "sns:ListTopics"),
        ("ec2", "describe_vpcs", {}, "UnauthorizedOperation", 403, "ec2:DescribeVpcs"),
        ("cloudwatch", "put_metric_data", {"Namespace": "n", "MetricData": []}, "AccessDenied", 403, "cloudwatch:PutMetricData"),
        ("s3", "list_buckets", {}, "AccessDenied", 403, "s3:ListAllMyBuckets"),
    ],
)  # fmt: skip
def test_a_denial_has_the_shape_of_its_protocol(
    stack: Stack, role: str, service: str, operation: str, arguments: dict[str, Any], code: str, status: int, action: str
) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(client(stack, service, callers.of_role(role)), operation)(**arguments)
    answer: Any = caught.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    who = f"arn:aws:sts::{stack.naming.account_id}:assumed-role/{ROLE}/local"
    assert answer["Error"]["Message"].startswith(f"User: {who} is not authorized to perform: {action} on resource: ")
    assert stack.ask("access")["denials"][-1][:2] == [ROLE, action]


def test_a_head_request_is_refused_without_a_body(stack: Stack, role: str) -> None:
    with pytest.raises(ClientError) as caught:
        client(stack, "s3", callers.of_role(role)).head_object(Bucket=stack.naming.bucket("raw"), Key="x")
    answer: Any = caught.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("403", 403)


def test_a_changed_policy_counts_at_once_and_a_condition_is_read(stack: Stack, role: str) -> None:
    bucket, s3 = stack.naming.bucket("raw"), client(stack, "s3", callers.of_role(role))
    allow(stack, {"Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}", "Condition": {"StringLike": {"s3:prefix": "mine/*"}}})
    assert s3.list_objects_v2(Bucket=bucket, Prefix="mine/x")["KeyCount"] == 0
    for arguments in ({"Prefix": "theirs/"}, {"Prefix": "mine"}, {}):
        with pytest.raises(ClientError, match="s3:ListBucket"):
            s3.list_objects_v2(Bucket=bucket, **arguments)
    allow(stack, {"Action": "s3:*"}, {"Effect": "Deny", "Action": "s3:ListBucket"})
    with pytest.raises(ClientError, match="with an explicit deny in an identity-based policy"):
        s3.list_objects_v2(Bucket=bucket, Prefix="mine/x")


def test_the_boundary_limits_what_a_policy_allows(stack: Stack, role: str) -> None:
    iam, sqs = stack.client("iam"), client(stack, "sqs", callers.of_role(role))
    allow(stack, {"Action": "*"})
    assert sqs.list_queues()["ResponseMetadata"]["HTTPStatusCode"] == 200
    boundary = f"arn:aws:iam::{stack.naming.account_id}:policy/{stack.naming.of('boundary')}"
    iam.put_role_permissions_boundary(RoleName=ROLE, PermissionsBoundary=boundary)
    with pytest.raises(ClientError, match="because no permissions boundary allows the sqs:ListQueues action"):
        sqs.list_queues()
    iam.delete_role_permissions_boundary(RoleName=ROLE)


def test_an_object_under_the_domain_key_asks_for_the_key_whose_policy_must_agree(stack: Stack, role: str) -> None:
    bucket, s3 = stack.naming.bucket("refined"), client(stack, "s3", callers.of_role(role))
    allow(stack, {"Action": "s3:*"})
    with pytest.raises(ClientError, match=r"kms:GenerateDataKey on resource: arn:aws:kms:.* because no resource-based policy"):
        s3.put_object(Bucket=bucket, Key="mine/x", Body=b"x")  # the key's policy names roles of the domain by f01-*-dev; this is none
    domain_role = f"{ROLE}-dev"
    iam = stack.client("iam")
    made = iam.create_role(
        RoleName=domain_role, Path="/meshplane/projects/", AssumeRolePolicyDocument='{"Version":"2012-10-17","Statement":[]}'
    )
    keys = callers.of_role(made["Role"]["Arn"])
    statements = [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]
    for more, outcome in ((None, "no identity-based policy allows the kms:GenerateDataKey"), ("kms:*", "")):
        rows = [*statements, *([{"Effect": "Allow", "Action": more, "Resource": "*"}] if more else [])]
        document = json.dumps({"Version": "2012-10-17", "Statement": rows})
        iam.put_role_policy(RoleName=domain_role, PolicyName="p", PolicyDocument=document)
        if outcome:
            with pytest.raises(ClientError, match=outcome):
                client(stack, "s3", keys).put_object(Bucket=bucket, Key="mine/x", Body=b"x")
        else:
            client(stack, "s3", keys).put_object(Bucket=bucket, Key="mine/x", Body=b"x")


def test_all_keys_and_aliases_have_no_policy_to_ask(stack: Stack, role: str) -> None:
    kms = client(stack, "kms", callers.of_role(role))
    allow(stack, {"Action": "kms:ListAliases"})
    assert kms.list_aliases()["Aliases"]
    with pytest.raises(ClientError, match="because no identity-based policy allows the kms:ListKeys action"):
        kms.list_keys()


def test_only_who_may_list_is_told_that_an_object_is_absent(stack: Stack, role: str) -> None:
    bucket, s3 = stack.naming.bucket("logs"), client(stack, "s3", callers.of_role(role))
    allow(stack, {"Action": "s3:GetObject"})
    with pytest.raises(ClientError, match="s3:ListBucket"):
        s3.get_object(Bucket=bucket, Key="absent")
    allow(stack, {"Action": ["s3:GetObject", "s3:ListBucket"]})
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="absent")
    assert caught.value.response["Error"]["Code"] == "NoSuchKey"


def test_a_role_is_passed_only_where_the_policy_says_so(stack: Stack, role: str) -> None:
    glue = client(stack, "glue", callers.of_role(role))
    job: dict[str, Any] = {"Name": "judged", "Role": role, "Command": {"Name": "glueetl", "ScriptLocation": "s3://x/y.py"}}
    allow(stack, {"Action": "glue:*"})
    with pytest.raises(ClientError, match="iam:PassRole"):
        glue.create_job(**job)
    passing = {"Action": "iam:PassRole", "Resource": role, "Condition": {"StringEquals": {"iam:PassedToService": "states.amazonaws.com"}}}
    allow(stack, {"Action": "glue:*"}, passing)
    with pytest.raises(ClientError, match="iam:PassRole"):
        glue.create_job(**job)
    passing["Condition"] = {"StringEquals": {"iam:PassedToService": "glue.amazonaws.com"}}
    allow(stack, {"Action": "glue:*"}, passing)
    assert glue.create_job(**job)["Name"] == "judged"
    stack.client("glue").delete_job(JobName="judged")


def test_a_session_of_an_assumed_role_is_judged_as_that_role(stack: Stack, role: str) -> None:
    allow(stack, {"Action": "sns:ListTopics"})
    session = stack.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    keys = {"AWS_ACCESS_KEY_ID": session["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"]}
    client(stack, "sns", keys).list_topics()
    with pytest.raises(ClientError) as caught:
        client(stack, "sqs", keys).list_queues()
    assert caught.value.response["Error"]["Code"] == "AccessDenied"


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("s3", "list_buckets", "InvalidAccessKeyId"),
        ("iam", "list_roles", "InvalidClientTokenId"),
        ("glue", "get_databases", "UnrecognizedClientException"),
    ],
)
def test_a_key_that_nobody_has_is_refused(stack: Stack, service: str, operation: str, code: str) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "x"}
    with pytest.raises(ClientError) as caught:
        getattr(client(stack, service, keys), operation)()
    assert caught.value.response["Error"]["Code"] == code
