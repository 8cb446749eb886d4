"""Stack tags, as CloudFormation spreads them: on every resource that takes tags, when it is made or changed. Called by `deployment`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from meshplane_cli.local.template.handlers import Made, Target, tag_list

Tags = Mapping[str, str]


def _function(target: Target, made: Made, tags: Tags) -> None:
    target.client("lambda").tag_resource(Resource=made.attributes["Arn"], Tags=dict(tags))


def _queue(target: Target, made: Made, tags: Tags) -> None:
    target.client("sqs").tag_queue(QueueUrl=made.ref, Tags=dict(tags))


def _table(target: Target, made: Made, tags: Tags) -> None:
    target.client("dynamodb").tag_resource(ResourceArn=made.attributes["Arn"], Tags=tag_list({"Tags": tags}))


def _topic(target: Target, made: Made, tags: Tags) -> None:
    target.client("sns").tag_resource(ResourceArn=made.ref, Tags=tag_list({"Tags": tags}))


def _rule(target: Target, made: Made, tags: Tags) -> None:
    target.client("events").tag_resource(ResourceARN=made.attributes["Arn"], Tags=tag_list({"Tags": tags}))


def _role(target: Target, made: Made, tags: Tags) -> None:
    target.client("iam").tag_role(RoleName=made.ref, Tags=tag_list({"Tags": tags}))


def _log_group(target: Target, made: Made, tags: Tags) -> None:
    target.client("logs").tag_resource(resourceArn=made.attributes["Arn"].removesuffix(":*"), tags=dict(tags))


def _alarm(target: Target, made: Made, tags: Tags) -> None:
    target.client("cloudwatch").tag_resource(ResourceARN=made.attributes["Arn"], Tags=tag_list({"Tags": tags}))


def _machine(target: Target, made: Made, tags: Tags) -> None:
    target.client("stepfunctions").tag_resource(resourceArn=made.ref, tags=[{"key": key, "value": value} for key, value in tags.items()])


TAGGERS: Mapping[str, Callable[[Target, Made, Tags], None]] = {
    "AWS::Lambda::Function": _function,
    "AWS::SQS::Queue": _queue,
    "AWS::DynamoDB::Table": _table,
    "AWS::SNS::Topic": _topic,
    "AWS::Events::Rule": _rule,
    "AWS::IAM::Role": _role,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::StepFunctions::StateMachine": _machine,
}
