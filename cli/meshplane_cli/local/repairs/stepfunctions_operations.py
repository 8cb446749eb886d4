"""Step Functions' API as the service answers: names, idempotent create, checked definitions, deletion, paging, whole answers.

Installed by `stepfunctions`, which mends the interpreter below it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.stepfunctions.exceptions import StateMachineDoesNotExist
from moto.stepfunctions.parser.api import ExecutionStatus, InvalidDefinition
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str
from moto.stepfunctions.parser.backend.execution import Execution
from moto.stepfunctions.parser.models import StepFunctionsParserBackend, stepfunctions_parser_backends
from moto.stepfunctions.responses import StepFunctionResponse

from meshplane_cli.local.clock import CLOCK
from meshplane_cli.local.repairs.operations import install, page, refuse

PAGE = 1000  # the most that a listing answers at once; 100 where nothing is asked (Step Functions API)
_original: dict[str, Any] = {}


def check_definition(definition: str) -> None:
    """Refuse what AWS refuses at creation: StartAt, Next, End, unreachable states. Raises InvalidDefinition with every fault."""
    from statelint.linter import Linter

    try:
        parsed = json.loads(definition)
    except ValueError as error:
        raise refuse("InvalidDefinition", f"Invalid State Machine Definition: 'INVALID_JSON_DESCRIPTION: {error}'") from None
    problems = Linter.validate(parsed) if isinstance(parsed, dict) else ["a definition is a JSON object"]
    if problems:
        raise refuse("InvalidDefinition", f"Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: {', '.join(problems)}'")


def _validate(definition: str) -> None:
    check_definition(definition)
    try:
        _original["validate"](definition)
    except InvalidDefinition as error:
        raise refuse("InvalidDefinition", f"Invalid State Machine Definition: '{error.message}'") from error


class MachineOperations(StepFunctionResponse):  # type: ignore[misc]
    """State machines."""

    def create_state_machine(self) -> ActionResult:
        """Idempotent by definition, type, logging and tracing; role and tags of a repeated create change nothing (API reference)."""
        asked = self._asked()
        found = next((sm for sm in self.stepfunction_backend.state_machines if sm.name == asked["name"]), None)
        if found is None:
            return _original["create_state_machine"](self)
        if getattr(found, "deleting", False):
            raise refuse("StateMachineDeleting", f"State Machine is being deleted: '{found.arn}'")
        same = (
            json.loads(found.definition) == json.loads(asked["definition"])
            and found.type == (asked.get("type") or "STANDARD")
            and found.loggingConfiguration == (asked.get("loggingConfiguration") or {"level": "OFF"})
            and found.tracingConfiguration == (asked.get("tracingConfiguration") or {"enabled": False})
        )
        if not same:
            raise refuse("StateMachineAlreadyExists", f"State Machine Already Exists: '{found.arn}'")
        return ActionResult({"stateMachineArn": found.arn, "creationDate": found.creation_date})

    def describe_state_machine(self) -> ActionResult:
        """DELETING while open executions hold it."""
        sm = self.stepfunction_backend.describe_state_machine(self._asked()["stateMachineArn"])
        return ActionResult(_described(sm))

    def update_state_machine(self) -> ActionResult:
        """Every update draws a new revision."""
        sm = self._present()
        answer = _original["update_state_machine"](self)
        sm.revision_id = str(uuid.uuid4())
        shown = {"updateDate": sm.update_date, "revisionId": sm.revision_id}
        if sm.latest_version is not None and self._asked().get("publish"):
            shown["stateMachineVersionArn"] = sm.latest_version.arn
        return ActionResult(shown) if answer is not None else EmptyResult()

    def delete_state_machine(self) -> ActionResult:
        """Gone at once when nothing runs, else DELETING until the last open execution has ended. An absent one is no error."""
        backend = self.stepfunction_backend
        arn = self._asked()["stateMachineArn"]
        backend._validate_machine_arn(arn)
        sm = next((sm for sm in backend.state_machines if sm.arn == arn), None)
        if sm is not None:
            sm.deleting = True
            finish_deletion(backend.account_id, backend.region_name, arn)
        return EmptyResult()

    def list_tags_for_resource(self) -> ActionResult:
        """ResourceNotFound for a machine that is not there."""
        arn = self._asked()["resourceArn"]
        if ":stateMachine:" in arn and all(sm.arn != arn for sm in self.stepfunction_backend.state_machines):
            raise refuse("ResourceNotFound", f"Resource not found: '{arn}'")
        return ActionResult(self.stepfunction_backend.list_tags_for_resource(arn))

    def _asked(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.body or "{}")
        return body

    def _present(self) -> Any:
        """The machine that the request names, unless it is going."""
        sm = self.stepfunction_backend.describe_state_machine(self._asked()["stateMachineArn"])
        if getattr(sm, "deleting", False):
            raise refuse("StateMachineDeleting", f"State Machine is being deleted: '{sm.arn}'")
        return sm


class ExecutionOperations(StepFunctionResponse):  # type: ignore[misc]
    """Executions."""

    def start_execution(self) -> ActionResult:
        """A name of its own where none is given; the same name and input while it runs is the same execution."""
        asked = self._asked()
        self._present()
        name = asked.get("name") or str(uuid.uuid4())
        self.stepfunction_backend._validate_name(name)
        run = self.stepfunction_backend.start_execution(asked["stateMachineArn"], name, asked.get("input", "{}"))
        return ActionResult({"executionArn": run.execution_arn, "startDate": run.start_date})

    def stop_execution(self) -> ActionResult:
        """With the error and cause that the caller gives. One that has ended stays as it ended."""
        asked = self._asked()
        run = self.stepfunction_backend.describe_execution(asked["executionArn"])
        if run.exec_status is ExecutionStatus.RUNNING:
            run.stop(stop_date=CLOCK.now(), error=asked.get("error"), cause=asked.get("cause"))
        return ActionResult({"stopDate": run.stop_date or CLOCK.now()})

    def describe_execution(self) -> ActionResult:
        """Times of every ended execution, output as JSON text also when it is a string."""
        run = self.stepfunction_backend.describe_execution(self._asked()["executionArn"])
        shown = {**_listed(run), "input": run.execution_input, "inputDetails": {"included": True}, "redriveCount": 0}
        if run.exec_status is ExecutionStatus.SUCCEEDED:
            shown |= {"output": to_json_str(run.output, separators=(",", ":")), "outputDetails": {"included": True}}
        shown |= {key: value for key, value in (("error", run.error), ("cause", run.cause)) if value is not None}
        return ActionResult(shown)

    def list_executions(self) -> ActionResult:
        """Newest first."""
        asked = self._asked()
        sm = self.stepfunction_backend.describe_state_machine(asked["stateMachineArn"])
        wanted = asked.get("statusFilter")
        rows = sorted((run for run in sm.executions if wanted in (None, run.status)), key=lambda run: run.start_date, reverse=True)
        rows, token = page(rows, asked.get("nextToken"), asked.get("maxResults") or 100, PAGE)
        return ActionResult({"executions": [_listed(run) for run in rows], "nextToken": token})

    def describe_state_machine_for_execution(self) -> ActionResult:
        """The machine as it was when this execution began."""
        run = self.stepfunction_backend.describe_execution(self._asked()["executionArn"])
        shown = _described(run.state_machine)
        kept = ("stateMachineArn", "name", "definition", "roleArn", "loggingConfiguration", "tracingConfiguration", "revisionId")
        return ActionResult({**{key: shown[key] for key in kept if key in shown}, "updateDate": run.state_machine.update_date})

    def get_execution_history(self) -> ActionResult:
        """Paged, in either order; kept when the execution has ended and after a restart."""
        asked = self._asked()
        run = self.stepfunction_backend.describe_execution(asked["executionArn"])
        events = run.to_history_output()["events"]
        rows = list(reversed(events)) if asked.get("reverseOrder") else list(events)
        rows, token = page(rows, asked.get("nextToken"), asked.get("maxResults") or 100, PAGE)
        return ActionResult({"events": rows, "nextToken": token})


def _described(sm: Any) -> dict[str, Any]:
    shown = {
        "stateMachineArn": sm.arn,
        "name": sm.name,
        "status": "DELETING" if getattr(sm, "deleting", False) else "ACTIVE",
        "definition": sm.definition,
        "roleArn": sm.roleArn,
        "type": sm.type,
        "creationDate": sm.creation_date,
        "loggingConfiguration": sm.loggingConfiguration,
        "tracingConfiguration": sm.tracingConfiguration,
        "encryptionConfiguration": sm.encryptionConfiguration,
    }
    extras = {"description": sm.description, "revisionId": getattr(sm, "revision_id", None)}
    return {**shown, **{key: value for key, value in extras.items() if value is not None}}


def _listed(run: Any) -> dict[str, Any]:
    shown = {
        "executionArn": run.execution_arn,
        "stateMachineArn": run.state_machine_arn,
        "name": run.name,
        "status": run.status,
        "startDate": run.start_date,
    }
    return shown if run.stop_date is None else {**shown, "stopDate": run.stop_date}


def _history(self: Any) -> Any:
    """The live worker's events, else those kept when it ended."""
    worker = self.exec_worker
    if not hasattr(self, "history") and worker is not None and worker.env is not None:
        return _original["history"](self)
    return {"events": list(getattr(self, "history", []))}


def finish_deletion(account: str, region: str, arn: str) -> None:
    """Remove a machine that is DELETING once none of its executions is open; its tags go too."""
    backend = stepfunctions_parser_backends[account][region]
    sm = next((sm for sm in backend.state_machines if sm.arn == arn), None)
    if sm is None or not getattr(sm, "deleting", False):
        return
    if all(run.exec_status is not ExecutionStatus.RUNNING for run in sm.executions):
        try:
            backend.delete_state_machine(arn)
        except (StateMachineDoesNotExist, ValueError):
            return  # two executions ended at the same moment
        backend.tagger.delete_all_tags_for_resource(arn)


def abort_orphans(announce: Callable[[Any], None]) -> int:
    """Executions without a worker that still say RUNNING: a snapshot keeps them, nobody runs them."""
    orphans = [
        run
        for _, _, backend in stepfunctions_parser_backends.iter_backends()
        for sm in backend.state_machines
        for run in sm.executions
        if run.exec_worker is None and run.exec_status is ExecutionStatus.RUNNING
    ]
    for run in orphans:
        run.exec_status, run.stop_date = ExecutionStatus.ABORTED, CLOCK.now()
        run.error, run.cause = "Meshplane.Stopped", "The embedded AWS was stopped while this execution was under way"
        announce(run)
        finish_deletion(run.account_id, run.region_name, run.state_machine_arn)
    return len(orphans)


def apply() -> None:
    """Install in this process; a second call changes nothing."""
    if _original:
        return
    for name in ("create_state_machine", "update_state_machine"):
        _original[name] = StepFunctionResponse.__dict__[name]
    _original["validate"] = StepFunctionsParserBackend._validate_definition
    _original["history"] = Execution.to_history_output
    StepFunctionsParserBackend._validate_definition = staticmethod(_validate)
    Execution.to_history_output = _history
    install(StepFunctionResponse, MachineOperations)
    install(StepFunctionResponse, ExecutionOperations)
