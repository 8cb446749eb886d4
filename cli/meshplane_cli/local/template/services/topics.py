"""AWS::SNS::Topic and subscriptions."""

from __future__ import annotations

from meshplane_cli.local.template.handlers import Handler, Made, Properties, Target, tag_list


def _topic(target: Target, logical: str, properties: Properties, earlier: str) -> Made:
    name = properties.get("TopicName") or target.name(logical)
    attributes = {key: str(properties[key]) for key in ("DisplayName", "KmsMasterKeyId") if key in properties}
    arn = target.client("sns").create_topic(Name=name, Attributes=attributes, Tags=tag_list(properties))["TopicArn"]
    return Made(arn, {"TopicArn": arn, "TopicName": name})


def _remove_topic(target: Target, ref: str) -> None:
    target.client("sns").delete_topic(TopicArn=ref)


def _subscription(target: Target, logical: str, properties: Properties, earlier: str) -> Made:
    found = target.client("sns").subscribe(
        TopicArn=properties["TopicArn"], Protocol=properties["Protocol"], Endpoint=properties["Endpoint"], ReturnSubscriptionArn=True
    )
    return Made(found["SubscriptionArn"])


def _remove_subscription(target: Target, ref: str) -> None:
    target.client("sns").unsubscribe(SubscriptionArn=ref)


HANDLERS = {
    "AWS::SNS::Topic": Handler(_topic, _remove_topic),
    "AWS::SNS::Subscription": Handler(_subscription, _remove_subscription),
}
