"""The one border: AWS's and pyiceberg's errors become ours by code, status and type, with the cause kept."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)
from pyiceberg import exceptions as iceberg

from meshplane.aws.faults import refused, translated
from meshplane.errors import AlreadyExists, Conflict, Denied, NotFound, NotReady, PlaneError, Rejected, ServiceFault, Throttled

CODES = [
    ("glue:CreateJob", "AlreadyExistsException", 400, AlreadyExists),
    ("glue:GetJob", "EntityNotFoundException", 400, NotFound),
    ("glue:UpdateTable", "ConcurrentModificationException", 400, Conflict),
    ("glue:StartJobRun", "ConcurrentRunsExceededException", 400, NotReady),
    ("glue:UpdateJob", "InvalidInputException", 400, Rejected),
    ("glue:CreateTableOptimizer", "OperationTimeoutException", 400, ServiceFault),
    ("iam:CreateRole", "EntityAlreadyExists", 409, AlreadyExists),
    ("iam:GetRole", "NoSuchEntity", 404, NotFound),
    ("iam:DeleteRole", "DeleteConflict", 409, Conflict),
    ("iam:PutRolePolicy", "LimitExceeded", 409, Rejected),
    ("iam:PutRolePolicy", "MalformedPolicyDocument", 400, Rejected),
    ("states:CreateStateMachine", "StateMachineAlreadyExists", 400, AlreadyExists),
    ("states:DescribeStateMachine", "StateMachineDoesNotExist", 400, NotFound),
    ("states:CreateStateMachine", "StateMachineDeleting", 400, NotReady),
    ("states:CreateStateMachine", "AccessDeniedException", 400, Denied),
    ("scheduler:CreateSchedule", "ConflictException", 409, AlreadyExists),
    ("scheduler:UpdateSchedule", "ConflictException", 409, NotReady),
    ("logs:CreateLogGroup", "ResourceAlreadyExistsException", 400, AlreadyExists),
    ("logs:PutRetentionPolicy", "OperationAbortedException", 400, NotReady),
    ("events:DeleteRule", "ManagedRuleException", 400, Conflict),
    ("dynamodb:UpdateItem", "ConditionalCheckFailedException", 400, Conflict),
    ("s3:PutObject", "PreconditionFailed", 412, Conflict),
    ("s3:GetObject", "NoSuchKey", 404, NotFound),
    ("s3:HeadObject", "404", 404, NotFound),
    ("s3:HeadObject", "403", 403, Denied),
    ("s3:PutObject", "SlowDown", 503, Throttled),
    ("glue:GetTables", "ThrottlingException", 400, Throttled),
    ("glue:GetTables", "InternalServiceException", 500, ServiceFault),
    ("glue:GetTables", "NeverHeardOf", 502, ServiceFault),
    ("glue:GetTables", "NeverHeardOf", 400, Rejected),
    ("glue:GetTables", "NotImplemented", 501, Rejected),
]


@pytest.mark.parametrize(("action", "code", "status", "kind"), CODES, ids=[f"{row[0]}-{row[1]}-{row[2]}" for row in CODES])
def test_a_code_means_what_its_operation_and_service_say(action: str, code: str, status: int, kind: type[PlaneError]) -> None:
    answer = {"Error": {"Code": code, "Message": "AlreadyExists NotFound AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    cause = ClientError(answer, action.partition(":")[2])  # type: ignore[arg-type]
    with pytest.raises(PlaneError) as caught, translated(action, "it"):
        raise cause
    assert type(caught.value) is kind, "the text says otherwise, and must not be read"
    assert caught.value.__cause__ is cause
    assert f"{action} on it: {code}" in str(caught.value)


def test_a_denial_names_action_and_resource() -> None:
    error = ClientError({"Error": {"Code": "AccessDenied", "Message": ""}}, "CreateRole")
    with pytest.raises(Denied) as caught, translated("iam:CreateRole", "f01-glue-sales-dev"):
        raise error
    assert (caught.value.action, caught.value.resource) == ("iam:CreateRole", "f01-glue-sales-dev")


LOCAL = [
    (ConnectTimeoutError(endpoint_url="x"), ServiceFault),
    (ReadTimeoutError(endpoint_url="x"), ServiceFault),
    (EndpointConnectionError(endpoint_url="x"), ServiceFault),
    (NoCredentialsError(), ServiceFault),
    (ParamValidationError(report="x"), Rejected),
    (iceberg.CommitFailedException("x"), Conflict),
    (iceberg.CommitStateUnknownException("x"), ServiceFault),
    (iceberg.NoSuchTableError("x"), NotFound),
    (iceberg.NoSuchIcebergTableError("x"), NotFound),
    (iceberg.TableAlreadyExistsError("x"), AlreadyExists),
    (iceberg.ForbiddenError("x"), Denied),
    (iceberg.ServiceUnavailableError("x"), ServiceFault),
    (iceberg.ValidationError("x"), Rejected),
]


@pytest.mark.parametrize(("error", "kind"), LOCAL, ids=[type(row[0]).__name__ for row in LOCAL])
def test_errors_without_an_answer_are_told_apart_by_type(error: Exception, kind: type[PlaneError]) -> None:
    with pytest.raises(PlaneError) as caught, translated("glue:UpdateTable", "t"):
        raise error
    assert type(caught.value) is kind
    assert caught.value.__cause__ is error


def test_a_fault_of_the_code_and_an_error_of_ours_pass_as_they_are() -> None:
    with pytest.raises(KeyError), translated("glue:GetJob"):
        raise KeyError("Job")
    ours = Conflict("whose?", owner="finance")
    with pytest.raises(Conflict) as caught, translated("glue:GetJob"):
        raise ours
    assert caught.value is ours


def test_a_failed_entry_of_a_batch_is_judged_by_the_same_tables() -> None:
    assert isinstance(refused("events:PutTargets", "ConcurrentModificationException", "", "rule"), NotReady)
    assert isinstance(refused("events:PutTargets", "AccessDeniedException", "", "rule"), Denied)
