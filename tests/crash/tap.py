"""Every request of the plane to AWS passes here: written down, judged, and at each crash point the world is forked and perturbed.

One session's hooks see all clients. A request's effect and its reply are two moments: the tap stands between them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import boto3
from botocore.exceptions import ClientError, ReadTimeoutError
from moto.core.models import botocore_stubber

from tests.crash.forking import Brood

READS = ("Get", "List", "Describe", "BatchGet", "Query", "Head", "Scan")
NEVER = ("DeleteTable", "BatchDeleteTable", "DeleteTableOptimizer", "DeleteDatabase", "DeleteBucket", "DeleteRolePermissionsBoundary")
_NAMES = (
    *("Name", "name", "RoleName", "PolicyName", "JobName", "DatabaseName", "TableName", "Type", "logGroupName", "stateMachineArn"),
    *("AlarmName", "DashboardName", "GroupName", "Rule", "Bucket", "Key", "resourceArn", "ResourceArn", "ResourceARN"),
)
_DRAWN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Mode(StrEnum):
    """What goes wrong at one request, once."""

    DIES = "dies after it"  # every further call raises, so that no `finally` cleans up; the lease stays
    FORGOTTEN = "dies after it, and its message never comes again"
    LOST = "its reply is lost"  # a time-out for the caller, which goes on
    RESENT = "its reply is lost, and the SDK sends it again"
    THROTTLED = "throttled"
    BROKEN = "fails with 500"
    DENIED = "denied"


AFTER = (Mode.DIES, Mode.FORGOTTEN, Mode.LOST, Mode.RESENT)
_ERRORS = {
    Mode.THROTTLED: ("ThrottlingException", 400),
    Mode.BROKEN: ("InternalServiceException", 500),
    Mode.DENIED: ("AccessDeniedException", 403),
}


class Died(BaseException):
    """This process image is gone. No `except Exception` of the plane or of botocore holds it up."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request: `glue:CreateJob`, and whom it is about."""

    operation: str
    about: str
    born: bool = False  # a PutRule that makes the rule, not one that changes it

    @property
    def mutates(self) -> bool:
        """Could it change anything?"""
        return not self.operation.split(":")[1].startswith(READS)

    @property
    def counted(self) -> bool:
        """Is it a creation or a deletion?"""
        return self.born or (self.operation.split(":")[1].startswith(("Create", "Delete")) and not self.operation.startswith("dynamodb:"))

    def __str__(self) -> str:
        return f"{self.operation} {self.about}"


class Tap:
    """`modes` are tried after (or instead of) each mutating request, or only those of `only`; `reads` for each of the others."""

    def __init__(self, session: boto3.Session) -> None:
        self.brood = Brood()
        self.modes: tuple[Mode, ...] = ()
        self.reads: tuple[Mode, ...] = ()
        self.only: frozenset[str] = frozenset()
        self.fault: Mode | None = None  # what this copy of the world suffered
        self.where = ""
        self.done: list[Call] = []  # what took effect, since `forget`
        self.wrong: list[str] = []
        self.number = 0
        self._live = self._dead = self._losing = self._noted = False
        self._call = Call("", "")
        session.events.register_first("before-parameter-build.*.*", self._asked)
        session.events.unregister("before-send", botocore_stubber)  # every handler is called: moto would hear each request twice
        session.events.register("before-send.*.*", self._sent)
        session.events.register("after-call.*.*", self._answered)

    @contextmanager
    def image(self) -> Iterator[None]:
        """One invocation's process image. What is asked outside of it are the world's own hands."""
        self._live, self._dead = True, False
        try:
            yield
        finally:
            self._live = False

    def forget(self) -> None:
        """Begin a new scenario."""
        self.done, self.wrong, self.number = [], [], 0

    def counts(self) -> Counter[str]:
        """How often each id was created and deleted."""
        return Counter(str(call) for call in self.done if call.counted)

    def _asked(self, params: Mapping[str, Any], model: Any, **_: Any) -> None:
        if not self._live:
            return
        if self._dead:
            raise Died
        names = [str(params[key]) for key in _NAMES if key in params]
        names += [str(table["Name"])] if (table := params.get("TableInput")) else []
        service = model.service_model.endpoint_prefix
        self._noted = False
        self._call = Call(f"{service}:{model.name}", _DRAWN.sub("…", " ".join(names)), model.name == "PutRule" and "Tags" in params)

    def _sent(self, request: Any, event_name: str, **_: Any) -> Any:
        if not self._live:
            return botocore_stubber(event_name, request)
        if self._dead:
            raise Died
        call = self._call
        if not call.mutates:
            self._fork(self.reads)
            return botocore_stubber(event_name, request)
        self.number += 1
        if call.operation.split(":")[1] in NEVER:
            self.wrong.append(f"{call} must never be asked")
        self._fork(tuple(mode for mode in self.modes if mode not in AFTER))
        answer = botocore_stubber(event_name, request)
        if answer.status_code < 300 and not self._noted:  # what the SDK sends again is one call of ours
            self._noted = True
            self.done.append(call)
        self._fork(tuple(mode for mode in self.modes if mode in AFTER))
        return answer

    def _answered(self, **_: Any) -> None:
        if self._losing:
            self._losing = False
            raise ReadTimeoutError(endpoint_url="aws")

    def _fork(self, modes: tuple[Mode, ...]) -> None:
        if self.only and self._call.operation not in self.only:
            return
        for mode in modes:
            if self.brood.fork(f"{self.number} {self._call}: {mode}"):
                self.modes = self.reads = ()
                self.fault, self.where = mode, f"{self.number} {self._call}"
                self._suffer(mode)
                return

    def _suffer(self, mode: Mode) -> None:
        if mode in (Mode.DIES, Mode.FORGOTTEN):
            self._dead = True
            raise Died
        if mode is Mode.RESENT:
            raise ReadTimeoutError(endpoint_url="aws")
        if mode is Mode.LOST:
            self._losing = True
            return
        code, status = _ERRORS[mode]
        raise ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, self._call.operation)  # type: ignore[typeddict-item]
