"""AWS's and pyiceberg's errors become `meshplane.errors` here and nowhere else: by code, HTTP status and exception type, never by text.

Every call in `meshplane.aws` stands inside `with translated("glue:CreateJob", name):`. The cause is kept (`__cause__`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from meshplane.errors import AlreadyExists, Conflict, Denied, NotFound, NotReady, PlaneError, Rejected, ServiceFault, Throttled

# The most specific table comes first: the same code means different things in different services.
_BY_SERVICE: Mapping[tuple[str, str], type[PlaneError]] = {
    ("cloudformation:DescribeStacks", "ValidationError"): NotFound,  # its only validation is that the stack is there
    ("scheduler:CreateSchedule", "ConflictException"): AlreadyExists,
    ("scheduler:CreateScheduleGroup", "ConflictException"): AlreadyExists,
    ("scheduler", "ConflictException"): NotReady,  # the group or schedule is just being changed or deleted
    ("events", "ManagedRuleException"): Conflict,
    ("events", "LimitExceededException"): Rejected,
    ("events", "ConcurrentModificationException"): NotReady,  # serialised per rule: no version of ours was overtaken
    ("iam", "ConcurrentModification"): NotReady,
    ("iam", "DeleteConflict"): Conflict,
    ("iam", "EntityTemporarilyUnmodifiable"): NotReady,
    ("iam", "LimitExceeded"): Rejected,
    ("iam", "InvalidInput"): Rejected,
    ("logs", "OperationAbortedException"): NotReady,
    ("logs", "LimitExceededException"): Rejected,
    ("states", "ConflictException"): NotReady,
    ("states", "StateMachineDeleting"): NotReady,
    ("glue", "ConcurrentRunsExceededException"): NotReady,
    ("glue", "OperationTimeoutException"): ServiceFault,
    ("glue", "GlueEncryptionException"): Denied,
    ("glue", "ResourceNumberLimitExceededException"): Rejected,
    ("glue", "FederationSourceRetryableException"): ServiceFault,
    ("s3", "PreconditionFailed"): Conflict,
    ("s3", "ConditionalRequestConflict"): Conflict,
    ("dynamodb", "ConditionalCheckFailedException"): Conflict,
    ("dynamodb", "TransactionConflictException"): Conflict,
    ("kms", "KMSInvalidStateException"): NotReady,
}

_BY_CODE: Mapping[str, type[PlaneError]] = {
    **dict.fromkeys(
        (
            "AccessDenied",
            "AccessDeniedException",
            "UnauthorizedOperation",
            "UnauthorizedException",
            "AuthorizationError",
            "AuthorizationErrorException",
            "NotAuthorized",
            "Forbidden",
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "SignatureDoesNotMatch",
            "KMSAccessDeniedException",
            "KmsAccessDeniedException",
        ),
        Denied,
    ),
    **dict.fromkeys(
        (
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestThrottled",
            "RequestThrottledException",
            "RequestLimitExceeded",
            "TooManyRequestsException",
            "ProvisionedThroughputExceededException",
            "SlowDown",
            "BandwidthLimitExceeded",
            "KmsThrottlingException",
        ),
        Throttled,
    ),
    **dict.fromkeys(
        (
            "NoSuchEntity",
            "EntityNotFoundException",
            "ResourceNotFoundException",
            "ResourceNotFound",
            "NotFoundException",
            "NotFound",
            "NoSuchBucket",
            "NoSuchKey",
            "NoSuchVersion",
            "StateMachineDoesNotExist",
            "ExecutionDoesNotExist",
            "ParameterNotFound",
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
        ),
        NotFound,
    ),
    **dict.fromkeys(
        (
            "EntityAlreadyExists",
            "AlreadyExistsException",
            "ResourceAlreadyExistsException",
            "StateMachineAlreadyExists",
            "ExecutionAlreadyExists",
            "IdempotentParameterMismatchException",
        ),
        AlreadyExists,
    ),
    **dict.fromkeys(("ConcurrentModificationException", "ConflictException", "VersionMismatchException"), Conflict),
    **dict.fromkeys(("ResourceNotReadyException", "ResourceInUseException"), NotReady),
    **dict.fromkeys(
        ("InternalFailure", "InternalError", "InternalServiceException", "InternalServerException", "ServiceUnavailable", "RequestTimeout"),
        ServiceFault,
    ),
}

_BY_STATUS: Mapping[int, type[PlaneError]] = {
    401: Denied,
    403: Denied,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    429: Throttled,
    501: Rejected,
}

# pyiceberg's exceptions by class name, looked up along the MRO: importing the package costs a second, and a no-op never does.
_PYICEBERG: Mapping[str, type[PlaneError]] = {
    "CommitStateUnknownException": ServiceFault,
    "CommitFailedException": Conflict,
    "WaitingForLockException": NotReady,
    "NoSuchTableError": NotFound,
    "NoSuchIcebergTableError": NotFound,
    "NoSuchNamespaceError": NotFound,
    "NoSuchPropertyException": NotFound,
    "TableAlreadyExistsError": AlreadyExists,
    "NamespaceAlreadyExistsError": AlreadyExists,
    "ForbiddenError": Denied,
    "UnauthorizedError": Denied,
    "ServiceUnavailableError": ServiceFault,
    "ServerError": ServiceFault,
    "ConditionalCheckFailedException": Conflict,
    "ValidationError": Rejected,
    "ValidationException": Rejected,
}


def kind_of(action: str, code: str, status: int) -> type[PlaneError]:
    """The class for one answer of AWS. `action` is `service:Operation`; the operation's own meaning wins, then the service's."""
    service = action.partition(":")[0]
    for found in (_BY_SERVICE.get((action, code)), _BY_SERVICE.get((service, code)), _BY_CODE.get(code), _BY_STATUS.get(status)):
        if found is not None:
            return found
    return ServiceFault if status >= 500 else Rejected


def translate(error: Exception, action: str, resource: str = "") -> PlaneError | None:
    """The same error as one of ours, or None when it is neither AWS's nor pyiceberg's (then it is a fault of the code: let it through)."""
    what = f"{action} on {resource}" if resource else action
    if isinstance(error, ClientError):
        answer = error.response
        code = answer.get("Error", {}).get("Code", "")
        kind = kind_of(action, code, answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return _made(kind, f"{what}: {code}: {answer.get('Error', {}).get('Message', '')}", action, resource)
    if isinstance(error, ParamValidationError):
        return Rejected(f"{what}: {error}")
    if isinstance(error, BotoCoreError):  # connection, time-out, endpoint, credentials: the outcome of a write is unknown
        return ServiceFault(f"{what}: {type(error).__name__}: {error}")
    for base in type(error).__mro__:
        if base.__module__.startswith("pyiceberg.") and base.__name__ in _PYICEBERG:
            return _made(_PYICEBERG[base.__name__], f"{what}: {type(error).__name__}: {error}", action, resource)
    if type(error).__module__.startswith("pyiceberg."):
        return Rejected(f"{what}: {type(error).__name__}: {error}")
    return None


def refused(action: str, code: str, message: str, resource: str = "") -> PlaneError:
    """The error for one failed entry of a batch call, which AWS answers inside a 200."""
    return _made(kind_of(action, code, 0), f"{action} on {resource}: {code}: {message}", action, resource)


def _made(kind: type[PlaneError], message: str, action: str, resource: str) -> PlaneError:
    return Denied(message, action, resource) if kind is Denied else kind(message)


@contextmanager
def translated(action: str, resource: str = "") -> Iterator[None]:
    """Around one AWS or pyiceberg call, or as a decorator. Raises `meshplane.errors`; `resource` is for the message and for Denied."""
    try:
        yield
    except PlaneError:
        raise
    except Exception as error:
        ours = translate(error, action, resource)
        if ours is None:
            raise
        raise ours from error
