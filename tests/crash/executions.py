"""Executions that stand still until a test ends them, and everything in AWS dated by the world's clock: no thread runs, so all may fork."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import botocore.endpoint
import moto.s3.models
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from meshplane.flows import reconcile_project
from meshplane.model.project import Project
from meshplane_cli.local.clock import LocalClock
from meshplane_cli.local.repairs.stepfunctions_operations import finish_deletion
from tests.aws.plane_world import Moving, World


@contextmanager
def standing_still(clock: Moving) -> Iterator[None]:
    """No execution moves, no time passes but the clock's, and the SDK's back-off takes none."""
    with ExitStack() as stack:
        for owner, name, instead in (
            (botocore.endpoint, "time", SimpleNamespace(sleep=lambda seconds: None)),
            (moto.s3.models, "utcnow", lambda: clock.now().replace(tzinfo=None)),
            (LocalClock, "now", lambda self: clock.now()),
            (ExecutionWorker, "start", _started),
            (ExecutionWorker, "stop", _stopped),
            (reconcile_project, "load", _read_once(reconcile_project.load)),
        ):
            stack.enter_context(patch.object(owner, name, instead))
        yield


def _read_once(load: Callable[..., Project]) -> Callable[..., Project]:
    """A manifest's text is read in hundreds of copies of one world, and means the same in each."""
    known: dict[tuple[str, str], Project] = {}

    def read(text: str, **asked: Any) -> Project:
        if (text, asked["project"]) not in known:
            known[text, asked["project"]] = load(text, **asked)
        return known[text, asked["project"]]

    return read


def running(world: World, project: str = "") -> list[str]:
    """ARNs of open executions, of every project or of one."""
    return [run.exec_arn for run in _all(world) if run.exec_status is ExecutionStatus.RUNNING and f"-{project}" in run.exec_arn]


def end(world: World, arn: str, at: datetime, status: str = "SUCCEEDED") -> dict[str, Any]:
    """The machine ends by itself. Returns the event that EventBridge tells of it."""
    run = next(run for run in _all(world) if run.exec_arn == arn)
    _over(run, ExecutionStatus(status), at)
    stop = int(at.timestamp() * 1000)
    detail = {"executionArn": arn, "status": status, "stopDate": stop, "input": run.execution_input}
    return {"id": f"end-{run.name}", "source": "aws.states", "time": at.isoformat(), "detail": detail}


def _all(world: World) -> list[Any]:
    backend = stepfunctions_parser_backends[world.naming.account_id][world.naming.region]
    return [run for machine in backend.state_machines for run in machine.executions]


def _started(self: Any) -> None:
    self.env = SimpleNamespace()  # what a stop waits for


def _stopped(self: Any, stop_date: datetime, error: str | None, cause: str | None) -> None:
    run = self._execution_communication.execution
    run.error, run.cause = error, cause
    _over(run, ExecutionStatus.ABORTED, stop_date)


def _over(run: Any, status: ExecutionStatus, at: datetime) -> None:
    run.exec_status, run.stop_date = status, at
    run.output = {} if status is ExecutionStatus.SUCCEEDED else None
    finish_deletion(run.account_id, run.region_name, run.state_machine.arn)
