"""A state machine's executions in its log group: moto keeps `loggingConfiguration` and delivers nothing.

Installed by `stepfunctions`. Level and `includeExecutionData` are honoured by moto's own event manager, which only needs somebody to
publish to; lines and stream names are as Step Functions writes them (guide, "Using CloudWatch Logs to log execution history").
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moto.logs.models import logs_backends
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventManager
from moto.stepfunctions.parser.asl.eval.event.logging import is_logging_enabled_for
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str
from moto.stepfunctions.parser.backend.execution import Execution

from meshplane_cli.local.clock import CLOCK

_original: dict[str, Any] = {}


@dataclass(frozen=True)
class Configuration:
    """What the event manager asks for."""

    include_execution_data: bool


@dataclass(frozen=True)
class ExecutionLog:
    """One execution's stream. Plain values only: executions are kept when the embedded AWS goes down."""

    execution_arn: str
    level: str
    configuration: Configuration
    account: str
    region: str
    group: str
    stream: str

    def log_level_filter(self, history_event_type: Any) -> bool:
        """Is an event of this type to be told at the machine's level?"""
        return bool(is_logging_enabled_for(self.level, history_event_type))

    def publish_history_log(self, history_log: Mapping[str, Any]) -> None:
        """A group that is gone takes nothing, and the execution goes on."""
        group = logs_backends[self.account][self.region].groups.get(self.group)
        if group is None:
            return
        if self.stream not in group.streams:
            group.create_log_stream(self.stream)
        at = datetime.fromisoformat(str(history_log["event_timestamp"]).replace("Z", "+00:00"))
        millis = round(at.timestamp() * 1000)
        line = {
            "id": history_log["id"],
            "type": history_log["type"],
            "details": json.loads(to_json_str(history_log.get("details") or {})),
            "previous_event_id": history_log["previous_event_id"],
            "event_timestamp": str(millis),
            "execution_arn": self.execution_arn,
        }
        group.put_log_events(self.stream, [{"timestamp": millis, "message": json.dumps(line, separators=(",", ":"))}])


def of(run: Execution) -> ExecutionLog | None:
    """Where this execution is to be logged; None where its machine says nowhere."""
    asked = getattr(run.state_machine, "loggingConfiguration", None) or {}
    groups = [one["cloudWatchLogsLogGroup"]["logGroupArn"] for one in asked.get("destinations") or () if "cloudWatchLogsLogGroup" in one]
    if asked.get("level", "OFF") == "OFF" or not groups:
        return None
    _, _, _, region, account, _, group, *_ = groups[0].split(":")
    digest = hashlib.sha256(run.exec_arn.encode()).hexdigest()[:8]
    stream = f"states/{run.state_machine.name}/{run.start_date:%Y-%m-%d-%H-%M}/{digest}"
    kept = Configuration(bool(asked.get("includeExecutionData")))
    return ExecutionLog(run.exec_arn, asked["level"], kept, account, region, group, stream)


def _worker(self: Any) -> Any:
    self._cloud_watch_logging_session = of(self)
    return _original["worker"](self)


def apply() -> None:
    """Deliver from now on, dated by the embedded AWS's clock, as the history is; calling again changes nothing."""
    if _original:
        return
    _original["worker"] = Execution._get_start_execution_worker
    Execution._get_start_execution_worker = _worker
    EventManager._get_current_timestamp = staticmethod(lambda: CLOCK.now())
