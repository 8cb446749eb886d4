"""What a request asks for, read at the door: every operation on the tested list, as botocore really sends it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
import pytest
from botocore.config import Config
from moto.core.utils import camelcase_to_underscores

from meshplane_cli.local import front, repairs
from meshplane_cli.local.wire import Asked, asked_of

BOTO_NAMES = {"states": "stepfunctions", "monitoring": "cloudwatch", "tagging": "resourcegroupstaggingapi"}
OPERATIONS = sorted((service, operation) for service, names in front.tested().items() for operation in names)


def dummy(shape: Any, name: str = "") -> Any:
    """The least value of a shape: required members only."""
    if shape.type_name == "structure":
        return {member: dummy(shape.members[member], member) for member in shape.required_members}
    if shape.type_name == "list":
        return [dummy(shape.member)]
    if shape.type_name == "string":
        return shape.enum[0] if shape.enum else "arn:aws:x:y:z:word/part" if name.lower().endswith("arn") else "word"
    return {"map": {}, "boolean": True, "integer": 1, "long": 1, "float": 1.0, "double": 1.0, "blob": b"x", "timestamp": 0}[shape.type_name]


class SentError(Exception):
    """Stops a client when its request is ready."""


def sent(service: str, operation: str) -> dict[str, Any]:
    """The WSGI environment of one request."""
    session = boto3.session.Session(aws_access_key_id="KEY0", aws_secret_access_key="x", region_name="eu-central-1")
    config = Config(s3={"addressing_style": "path"}, parameter_validation=False)
    client: Any = session.client(BOTO_NAMES.get(service, service), endpoint_url="http://127.0.0.1:1", config=config)
    caught: list[Any] = []

    def catch(request: Any, **_: Any) -> None:
        caught.append(request)
        raise SentError

    client.meta.events.register("before-send", catch)
    model = client.meta.service_model.operation_model(operation)
    arguments = dummy(model.input_shape) if model.input_shape is not None else {}
    with pytest.raises(SentError):
        getattr(client, camelcase_of(client, operation))(**arguments)
    request = caught[0]
    parts = urlsplit(request.url)
    body = request.body.read() if hasattr(request.body, "read") else request.body or b""
    headers = {"HTTP_" + name.upper().replace("-", "_"): text_of(value) for name, value in request.headers.items()}
    body = body.encode() if isinstance(body, str) else body
    start = {
        "REQUEST_METHOD": request.method,
        "PATH_INFO": unquote(parts.path),
        "QUERY_STRING": parts.query,
        "wsgi.input": io.BytesIO(body),
    }
    return {**start, **headers, "_body": body.decode("utf-8", "replace")}


def text_of(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def camelcase_of(client: Any, operation: str) -> str:
    return next(name for name, full in client.meta.method_to_api_mapping.items() if full == operation)


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
def test_every_tested_operation_is_recognised(service: str, operation: str) -> None:
    environ = sent(service, operation)
    assert asked_of(environ, lambda: environ["_body"]) == Asked(service, operation, "KEY0")


def responses() -> Iterator[tuple[str, Any]]:
    repairs.apply()
    from moto.awslambda.responses import LambdaResponse
    from moto.cloudformation.responses import CloudFormationResponse
    from moto.cloudwatch.responses import CloudWatchResponse
    from moto.dynamodb.responses import DynamoHandler
    from moto.ec2.responses import EC2Response
    from moto.events.responses import EventsHandler
    from moto.glue.responses import GlueResponse
    from moto.iam.responses import IamResponse
    from moto.kms.responses import KmsResponse
    from moto.logs.responses import LogsResponse
    from moto.resourcegroupstaggingapi.responses import ResourceGroupsTaggingAPIResponse
    from moto.scheduler.responses import EventBridgeSchedulerResponse
    from moto.secretsmanager.responses import SecretsManagerResponse
    from moto.sns.responses import SNSResponse
    from moto.sqs.responses import SQSResponse
    from moto.ssm.responses import SimpleSystemManagerResponse
    from moto.stepfunctions.responses import StepFunctionResponse
    from moto.sts.responses import TokenResponse

    yield from (
        ("cloudformation", CloudFormationResponse),
        ("dynamodb", DynamoHandler), ("ec2", EC2Response), ("events", EventsHandler), ("glue", GlueResponse), ("iam", IamResponse),
        ("kms", KmsResponse), ("lambda", LambdaResponse), ("logs", LogsResponse), ("monitoring", CloudWatchResponse),
        ("scheduler", EventBridgeSchedulerResponse), ("secretsmanager", SecretsManagerResponse),
        ("sns", SNSResponse), ("sqs", SQSResponse), ("ssm", SimpleSystemManagerResponse),
        ("states", StepFunctionResponse), ("sts", TokenResponse), ("tagging", ResourceGroupsTaggingAPIResponse),
    )  # fmt: skip


def test_the_list_names_nothing_that_nobody_answers() -> None:
    absent = [
        f"{service}:{operation}"
        for service, response in responses()
        for operation in front.tested()[service]
        if not hasattr(response, camelcase_to_underscores(operation))
    ]
    assert absent == []
    assert set(front.tested()) == {service for service, _ in responses()} | {"s3"}
