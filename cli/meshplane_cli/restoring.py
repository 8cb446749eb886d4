"""The executions that restore a table: started, followed, told. Called by `commands.restore`; what they do is `statemachines/`."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from meshplane.aws.faults import translated
from meshplane.aws.restorer import AwsRestorer
from meshplane.flows.record_run import readable
from meshplane_cli.output import PROBLEMS, CliError
from meshplane_cli.records import store
from meshplane_cli.releases import provenance
from meshplane_cli.surroundings import Target

LOOK_EVERY = 0.5
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Execution:
    """One that was started: its ARN, and the name that its records carry."""

    target: Target
    arn: str
    name: str

    def answer(self, tell: Tell) -> Mapping[str, Any]:
        """What it answers once it has ended; `tell` hears each state that it enters. Whoever stops waiting stops nothing. Raises CliError
        with its own reason."""
        states, told = self.target.clients("stepfunctions"), ""
        while True:
            with translated("states:DescribeExecution", self.name):
                found = states.describe_execution(executionArn=self.arn)
            if found["status"] == "SUCCEEDED":
                return dict(json.loads(found["output"]))
            if found["status"] != "RUNNING":
                raise self._refused(found)
            if (entered := self._entered()) != told:
                tell(entered)
                told = entered
            time.sleep(LOOK_EVERY)

    def _entered(self) -> str:
        with translated("states:GetExecutionHistory", self.name):
            events = self.target.clients("stepfunctions").get_execution_history(executionArn=self.arn, reverseOrder=True)["events"]
        return next((event["stateEnteredEventDetails"]["name"] for event in events if event.get("stateEnteredEventDetails")), "started")

    def _refused(self, found: Mapping[str, Any]) -> CliError:
        why = readable(str(found.get("cause") or "")) or str(found.get("error") or found["status"])
        if found.get("error") == "RestoreRefused":
            return CliError("nothing was changed", found=why, code=PROBLEMS)
        return CliError(f"{self.name} ended as {found['status']} ({found.get('error') or 'no error'})", found=why, code=PROBLEMS)


def looking(target: Target) -> AwsRestorer:
    """What sees tables and records as the function does, and changes nothing."""
    return AwsRestorer(target.clients, target.naming, store(target))


def start(target: Target, machine: str, request: Mapping[str, str]) -> Execution:
    """Start one of the platform's state machines, in the name of whoever asks."""
    name = f"{machine}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    body = {**request, "by": provenance(target.checkout.root).deployed_by}
    with translated("states:StartExecution", target.machine(machine)):
        found = target.clients("stepfunctions").start_execution(
            stateMachineArn=target.machine(machine), name=name, input=json.dumps(body, separators=(",", ":"))
        )
    return Execution(target, str(found["executionArn"]), name)
