"""D4 for what SAM owns: stack tags on every resource that takes tags, of the change that touched it last, and on no other."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from meshplane.model.resource import Owner, Provenance, ownership_tags
from meshplane_cli.local.template import deploy
from meshplane_cli.local.template.handlers import Target
from meshplane_cli.local.template.tagging import TAGGERS

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "artifacts"
TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Queue: { Type: AWS::SQS::Queue, Properties: { QueueName: q, VisibilityTimeout: %d } }
  Table: { Type: AWS::DynamoDB::Table, Properties: { TableName: t, BillingMode: PAY_PER_REQUEST,
    KeySchema: [{ AttributeName: pk, KeyType: HASH }], AttributeDefinitions: [{ AttributeName: pk, AttributeType: S }] } }
  Topic: { Type: AWS::SNS::Topic, Properties: { TopicName: n } }
  Rule: { Type: AWS::Events::Rule, Properties: { Name: r, EventPattern: { source: [aws.s3] } } }
  Role: { Type: AWS::IAM::Role, Properties: { RoleName: ro, AssumeRolePolicyDocument: { Version: "2012-10-17", Statement: [] } } }
  Logs: { Type: AWS::Logs::LogGroup, Properties: { LogGroupName: /l } }
  Alarm: { Type: AWS::CloudWatch::Alarm, Properties: { AlarmName: a, Namespace: N, MetricName: M, Statistic: Sum, Period: 60,
    EvaluationPeriods: 1, Threshold: 0, ComparisonOperator: GreaterThanThreshold } }
"""


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    """An account on moto, with the bucket that remembers the stack."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = cache(lambda service: boto3.client(service, region_name="eu-central-1"))
        client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        yield Target(client, "stack", "eu-central-1", "123456789012")


def tags_of(target: Target) -> dict[str, dict[str, str]]:
    """The tags of each resource of TEMPLATE, as its own service tells them."""
    c: Any = target.client
    url = c("sqs").get_queue_url(QueueName="q")["QueueUrl"]
    rows = {
        "table": c("dynamodb").list_tags_of_resource(ResourceArn=target.arn("dynamodb", "table/t"))["Tags"],
        "topic": c("sns").list_tags_for_resource(ResourceArn=target.arn("sns", "n"))["Tags"],
        "rule": c("events").list_tags_for_resource(ResourceARN=target.arn("events", "rule/r"))["Tags"],
        "role": c("iam").list_role_tags(RoleName="ro")["Tags"],
        "alarm": c("cloudwatch").list_tags_for_resource(ResourceARN=target.arn("cloudwatch", "alarm:a"))["Tags"],
    }
    found = {name: {tag["Key"]: tag["Value"] for tag in tags} for name, tags in rows.items()}
    found["queue"] = c("sqs").list_queue_tags(QueueUrl=url)["Tags"]
    found["logs"] = c("logs").list_tags_for_resource(resourceArn=target.arn("logs", "log-group:/l"))["tags"]
    return found


def stack_tags(sha: str) -> dict[str, str]:
    return {**ownership_tags(Owner("retail", "dev", "platform")), **Provenance(sha, "ci", "org/mesh").tags()}


def test_every_resource_carries_the_change_that_touched_it_last(target: Target, tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(TEMPLATE % 30)
    deploy(template, {}, target, BUCKET, stack_tags("one"))
    assert all(tags == stack_tags("one") for tags in tags_of(target).values()), tags_of(target)
    template.write_text(TEMPLATE % 60)
    assert deploy(template, {}, target, BUCKET, stack_tags("two")).made == ("Queue",)
    after = tags_of(target)
    assert after.pop("queue") == stack_tags("two")
    assert all(tags == stack_tags("one") for tags in after.values()), "a commit that does not change a resource does not touch it"


def test_no_taggable_type_of_the_template_is_forgotten() -> None:
    from samtranslator.yaml_helper import yaml_parse

    types = {r["Type"] for r in yaml_parse((ROOT / "template.yaml").read_text())["Resources"].values()}
    types = {{"AWS::Serverless::StateMachine": "AWS::StepFunctions::StateMachine"}.get(one, one) for one in types}  # as SAM makes it
    untagged = {
        "AWS::Serverless::Function",
        "AWS::Serverless::LayerVersion",
        "AWS::SQS::QueuePolicy",
        "AWS::CloudWatch::Dashboard",  # its CloudFormation resource has no tags
    }  # functions become AWS::Lambda::Function
    assert types - untagged <= set(TAGGERS)
