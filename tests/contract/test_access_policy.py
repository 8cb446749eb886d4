"""What one policy document says of one request, by the IAM user guide's rules; and that every tested operation declares its needs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meshplane_cli.local import front
from meshplane_cli.local.access.operations import NEEDS, Call
from meshplane_cli.local.access.policy import fits, parsed
from meshplane_cli.local.access.world import World

KEY = "arn:aws:s3:::b/sales/x"


def says(statement: dict[str, Any], action: str = "s3:GetObject", resource: str = KEY, **context: str) -> str:
    document = json.dumps({"Statement": [{"Sid": "One", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", **statement}]})
    allowed, denied = parsed(document).deciding(
        action, resource, {key.replace("__", ":").lower(): (value,) for key, value in context.items()}
    )
    return "deny" if denied else "allow" if allowed else "nothing"


@pytest.mark.parametrize(
    ("statement", "action", "resource", "verdict"),
    [
        ({}, "s3:GetObject", KEY, "allow"),
        ({}, "S3:getobject", KEY, "allow"),
        ({}, "s3:GetObjectVersion", KEY, "nothing"),
        ({"Action": "s3:Get*"}, "s3:GetObjectVersion", KEY, "allow"),
        ({"Action": "s3:GetObject?"}, "s3:GetObject", KEY, "nothing"),
        ({"Effect": "Deny", "Action": "*"}, "s3:GetObject", KEY, "deny"),
        ({"Resource": "arn:aws:s3:::b/sales/*"}, "s3:GetObject", KEY, "allow"),
        ({"Resource": "arn:aws:s3:::b/*"}, "s3:GetObject", "arn:aws:s3:::b/a/b/c", "allow"),
        ({"Resource": "arn:aws:s3:::b/Sales/*"}, "s3:GetObject", KEY, "nothing"),
        ({"Resource": "arn:aws:s3:::b/sales*"}, "s3:GetObject", "arn:aws:s3:::b/sales2/x", "allow"),
        ({"Resource": "arn:aws:s3:::*"}, "s3:GetObject", "*", "nothing"),
        ({"Action": None, "NotAction": "iam:*"}, "s3:GetObject", KEY, "allow"),
        ({"Action": None, "NotAction": ["iam:*", "s3:get*"]}, "s3:GetObject", KEY, "nothing"),
        ({"Resource": None, "NotResource": "arn:aws:s3:::b/sales/*"}, "s3:GetObject", KEY, "nothing"),
        ({"Resource": None, "NotResource": "arn:aws:s3:::b/other/*"}, "s3:GetObject", KEY, "allow"),
    ],
)
def test_actions_and_resources(statement: dict[str, Any], action: str, resource: str, verdict: str) -> None:
    whole = {"Sid": "One", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", **statement}
    document = json.dumps({"Statement": {name: value for name, value in whole.items() if value is not None}})
    allowed, denied = parsed(document).deciding(action, resource, {})
    assert ("deny" if denied else "allow" if allowed else "nothing") == verdict


@pytest.mark.parametrize(
    ("condition", "context", "met"),
    [
        ({"StringEquals": {"iam:PassedToService": "glue.amazonaws.com"}}, {"iam__PassedToService": "glue.amazonaws.com"}, True),
        ({"StringEquals": {"IAM:passedtoservice": "glue.amazonaws.com"}}, {"iam__PassedToService": "Glue.amazonaws.com"}, False),
        ({"StringEquals": {"iam:PassedToService": "glue.amazonaws.com"}}, {}, False),
        ({"StringEqualsIfExists": {"iam:PassedToService": "glue.amazonaws.com"}}, {}, True),
        ({"StringNotEquals": {"iam:PassedToService": "glue.amazonaws.com"}}, {}, True),
        ({"StringNotEquals": {"a:b": ["x", "y"]}}, {"a__b": "y"}, False),
        ({"StringLike": {"s3:prefix": ["sales/*", "hr/*"]}}, {"s3__prefix": "hr/2026/"}, True),
        ({"StringLike": {"s3:prefix": "sales/*"}}, {"s3__prefix": "sales"}, False),
        ({"StringLike": {"s3:prefix": "sales/*"}}, {}, False),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:events:*:1:rule/f01-*"}}, {"aws__SourceArn": "arn:aws:events:eu:1:rule/f01-x"}, True),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:events:*"}}, {"aws__SourceArn": "arn:aws:events:eu:1:rule/f01-x"}, False),
        ({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::1:role/a-*"}}, {"aws__PrincipalArn": "arn:aws:iam::1:role/b"}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, {"aws__SecureTransport": "true"}, False),
        ({"Bool": {"aws:SecureTransport": True}}, {"aws__SecureTransport": "true"}, True),
        ({"NumericLessThan": {"s3:TlsVersion": "1.2"}}, {"s3__TlsVersion": "1.3"}, False),
        ({"Null": {"aws:TokenIssueTime": "true"}}, {}, True),
        ({"Null": {"a:b": "false"}}, {"a__b": "x"}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["k"]}}, {}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["k"]}}, {"aws__TagKeys": "other"}, False),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["k"]}}, {}, False),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws__SourceIp": "10.1.2.3"}, True),
        ({"StringEquals": {"a:b": "x"}, "StringLike": {"c:d": "y*"}}, {"a__b": "x", "c__d": "z"}, False),
    ],
)
def test_conditions(condition: dict[str, Any], context: dict[str, str], met: bool) -> None:
    assert says({"Condition": condition}, **context) == ("allow" if met else "nothing")
    assert says({"Effect": "Deny", "Condition": condition}, **context) == ("deny" if met else "nothing")


@pytest.mark.parametrize(
    "statement",
    [
        {"Condition": {"DateLessThan": {"aws:CurrentTime": "2030-01-01"}}},
        {"Condition": {"StringEquls": {"a:b": "c"}}},
        {"Condition": {"StringLike": {"s3:prefix": "${aws:username}/*"}}},
        {"Effekt": "Allow"},
    ],
)
def test_what_is_not_understood_does_not_decide(statement: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not understood"):
        says(statement)


def test_wildcards_are_the_only_pattern() -> None:
    assert fits("a.b", "a.b")
    assert not fits("axb", "a.b")
    assert not fits("x", "[x]")
    assert fits("a\nb", "a*b")


@pytest.mark.parametrize("service", sorted(front.tested()))
def test_every_tested_operation_says_what_it_needs(service: str) -> None:
    assert set(NEEDS[service]) == front.tested()[service]


def needs(service: str, operation: str, **parameters: Any) -> set[tuple[str, str]]:
    call = Call(operation, parameters, World("123456789012", "eu-central-1"))
    return {(need.action, need.resource) for need in NEEDS[service][operation](call)}


def test_a_call_that_hands_on_a_role_asks_for_that_too() -> None:
    role, passing = "arn:aws:iam::123456789012:role/p/r", ("iam:PassRole", "arn:aws:iam::123456789012:role/p/r")
    optimizer = {"DatabaseName": "d", "TableName": "t", "TableOptimizerConfiguration": {"roleArn": role}}
    assert passing in needs("glue", "CreateJob", Name="j", Role=role)
    assert passing in needs("glue", "UpdateJob", JobName="j", JobUpdate={"Role": role})
    assert passing in needs("glue", "CreateTableOptimizer", **optimizer)
    assert passing in needs("states", "CreateStateMachine", name="m", roleArn=role)
    assert passing in needs("states", "UpdateStateMachine", stateMachineArn="arn:x", roleArn=role)
    assert passing in needs("scheduler", "CreateSchedule", Name="s", GroupName="g", Target={"RoleArn": role})
    assert passing in needs("events", "PutTargets", Rule="r", Targets=[{"Id": "1", "Arn": "arn:x", "RoleArn": role}])
    assert passing in needs("lambda", "CreateFunction", FunctionName="f", Role=role)


def test_words_of_an_operation_are_not_always_those_of_its_action() -> None:
    assert needs("s3", "HeadObject", Bucket="b", Key="k", versionId="1") == {("s3:GetObjectVersion", "arn:aws:s3:::b/k")}
    assert needs("s3", "DeleteObjects", Bucket="b", Keys=["x", "y"]) == {("s3:DeleteObject", f"arn:aws:s3:::b/{key}") for key in "xy"}
    moves = [{"Put": {"TableName": "t"}}, {"ConditionCheck": {"TableName": "u"}}]
    table = "arn:aws:dynamodb:eu-central-1:123456789012:table/"
    assert needs("dynamodb", "TransactWriteItems", TransactItems=moves) == {
        ("dynamodb:PutItem", f"{table}t"),
        ("dynamodb:ConditionCheckItem", f"{table}u"),
    }
    assert needs("lambda", "Invoke", FunctionName="f") == {("lambda:InvokeFunction", "arn:aws:lambda:eu-central-1:123456789012:function:f")}
