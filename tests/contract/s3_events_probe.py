"""Asks S3 and EventBridge what arrives where, through a queue that a rule on everything of S3 fills, and through other targets."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.contract.asking import ACCOUNT, REGION, REPAIRED, answers, ask, client, run


def drained(queue: str) -> list[Any]:
    sqs = client("sqs")
    url, found = sqs.get_queue_url(QueueName=queue)["QueueUrl"], []
    if REPAIRED:  # the router delivers on a thread of its own
        from meshplane_cli.local.router import ROUTER

        while not ROUTER.idle:
            time.sleep(0.01)
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            body = message["Body"]
            found.append(json.loads(body) if body.startswith(("{", "[", '"')) else body)
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def queue(name: str, **attributes: str) -> str:
    client("sqs").create_queue(QueueName=name, Attributes=attributes)
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


def rule(name: str, pattern: Any, arn: str, state: str = "ENABLED", **target: Any) -> None:
    events = client("events")
    events.put_rule(Name=name, State=state, **({"EventPattern": json.dumps(pattern)} if pattern else {"ScheduleExpression": "rate(1 day)"}))
    events.put_targets(Rule=name, Targets=[{"Id": "t", "Arn": arn, **target}])


def of_s3() -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="plain", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    for bucket in ("plain", "kept"):
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}})
    ask("configuration_read_back", lambda: "EventBridgeConfiguration" in s3.get_bucket_notification_configuration(Bucket="kept"))
    rule("s3", {"source": ["aws.s3"]}, queue("s3"))
    s3.put_object(Bucket="kept", Key="a", Body=b"12")
    s3.put_object(Bucket="kept", Key="a", Body=b"123")
    put = drained("s3")
    created = [event for event in put if event["detail-type"] == "Object Created"]
    answers["put"] = [len(put), len({event["id"] for event in put}) == len(put)]
    answers["put_detail"] = sorted(created[0]["detail"]["object"]), created[0]["detail"]["reason"]
    answers["sequencer_grows"] = created[0]["detail"]["object"]["sequencer"] < created[1]["detail"]["object"]["sequencer"]
    version = s3.list_object_versions(Bucket="kept")["Versions"][-1]["VersionId"]
    s3.delete_object(Bucket="kept", Key="a")
    answers["delete_marker"] = [event["detail"].get("deletion-type") for event in drained("s3")]
    s3.delete_object(Bucket="kept", Key="a", VersionId=version)
    answers["one_version"] = [
        [event["detail"].get("deletion-type"), event["detail"]["object"]["version-id"] == version] for event in drained("s3")
    ]
    upload = s3.create_multipart_upload(Bucket="plain", Key="m")["UploadId"]
    etag = s3.upload_part(Bucket="plain", Key="m", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    s3.complete_multipart_upload(Bucket="plain", Key="m", UploadId=upload, MultipartUpload={"Parts": [{"ETag": etag, "PartNumber": 1}]})
    answers["multipart"] = [[event["detail"]["reason"], "version-id" in event["detail"]["object"]] for event in drained("s3")]
    s3.copy_object(Bucket="plain", Key="c", CopySource={"Bucket": "plain", "Key": "m"})
    answers["copy"] = [event["detail"]["reason"] for event in drained("s3")]


def put_event(source: str, **detail: Any) -> None:
    client("events").put_events(Entries=[{"Source": source, "DetailType": "t", "Detail": json.dumps(detail)}])


def of_rules() -> None:
    rule("off", {"source": ["one"]}, queue("off"), state="DISABLED")
    rule("timed", None, queue("timed"))
    rule("fixed", {"source": ["one"]}, queue("fixed"), Input='{"fixed": true}')
    rule("path", {"source": ["one"]}, queue("path"), InputPath="$.detail")
    template = {
        "InputPathsMap": {"text": "$.detail.text", "type": "$.detail-type"},
        "InputTemplate": '{"said": "<text>", "raw": <text>, "type": <type>}',
    }
    rule("shaped", {"source": ["one"]}, queue("shaped"), InputTransformer=template)
    rule("fifo", {"source": ["one"]}, queue("g.fifo", FifoQueue="true"), SqsParameters={"MessageGroupId": "$.detail.text"})
    ask("put_events", lambda: put_event("one", text='a "word"') or "sent")
    for name in ("off", "timed", "fixed", "path", "shaped"):
        ask(f"queue_{name}", lambda name=name: drained(name))
    found = ask(
        "fifo_group",
        lambda: (
            client("sqs")
            .receive_message(QueueUrl=client("sqs").get_queue_url(QueueName="g.fifo")["QueueUrl"], AttributeNames=["All"])
            .get("Messages", [])
        ),
    )
    answers["fifo_group"] = [message["Attributes"]["MessageGroupId"] for message in found]
    letters = queue("letters")
    rule("lost", {"source": ["two"]}, f"arn:aws:sqs:{REGION}:{ACCOUNT}:nowhere", DeadLetterConfig={"Arn": letters})
    client("sns").create_topic(Name="topic")
    topic, noticed = f"arn:aws:sns:{REGION}:{ACCOUNT}:topic", queue("noticed")
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=noticed)
    rule("notify", {"source": ["three"]}, topic)
    ask("to_nowhere", lambda: put_event("two") or [event["source"] for event in drained("letters")])
    ask("to_topic", lambda: put_event("three") or len(drained("noticed")))


def of_patterns() -> None:
    events = client("events")
    event = {
        "id": "1",
        "source": "x",
        "detail-type": "t",
        "account": ACCOUNT,
        "time": "2000-01-01T00:00:00Z",
        "region": REGION,
        "resources": [],
        "detail": {},
    }
    ask(
        "pattern_tested",
        lambda: [
            events.test_event_pattern(EventPattern=json.dumps({"source": [source]}), Event=json.dumps(event))["Result"] for source in "xy"
        ],
    )
    ask("operator_unknown", lambda: events.put_rule(Name="bad", EventPattern=json.dumps({"source": [{"sounds-like": "x"}]})) and "taken")
    events.put_rule(Name="many", EventPattern=json.dumps({"source": ["m"]}))
    targets = [{"Id": str(number), "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q{number}"} for number in range(6)]
    ask("six_targets", lambda: events.put_targets(Rule="many", Targets=targets) and "taken")


def probe() -> None:
    of_s3()
    of_rules()
    of_patterns()


run(probe, routed=True)
