"""moto's backends are not thread-safe: one request at a time per service whose atomicity callers rely on (local-aws §10).

Not Lambda, Step Functions or SQS: their requests wait for others, which would then never come in.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import Any

from moto.core.responses import BaseResponse
from moto.dynamodb.responses import DynamoHandler

SERVICES = frozenset({"dynamodb", "glue", "iam", "cloudwatch", "logs", "ssm", "scheduler", "kms"})
_locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)


def of(service: str) -> threading.RLock:
    """The lock of one service, for code that touches a backend outside of a request."""
    return _locks[service]


def _serialised(original: Any) -> Any:
    def call_action(self: Any) -> Any:
        if self.service_name in SERVICES:
            with _locks[self.service_name]:
                return original(self)
        return original(self)

    call_action.meshplane = True  # type: ignore[attr-defined]
    return call_action


def apply() -> None:
    """Mend in this process; a second call changes nothing. DynamoDB has a call_action of its own."""
    for response in (BaseResponse, DynamoHandler):
        if not hasattr(response.call_action, "meshplane"):
            response.call_action = _serialised(response.call_action)
