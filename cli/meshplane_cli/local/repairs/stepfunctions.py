"""Step Functions' interpreter as pipelines need it: `.sync` on Glue, Retry after it, clean JSON, error names, events, who is asking.

moto carries LocalStack's interpreter with some parts cut off (local-aws §4). Each repair replaces one seam of it; the API's own
operations are mended in `stepfunctions_operations`. moto interprets machines only when told to, which `apply` does.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name as custom_error_name
import moto.stepfunctions.parser.asl.component.common.retry.retrier_decl as retrier
import moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service as task_service
import moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk as sdk_service
import moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback as callback_service
import moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_glue as glue_service
import moto.stepfunctions.parser.asl.jsonata.jsonata as jsonata_bridge
import moto.stepfunctions.parser.asl.utils.boto_client as boto_client
import moto.stepfunctions.parser.backend.execution as execution_module
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.core.config import default_user_config
from moto.core.models import botocore_stubber
from moto.settings import moto_server_port
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.asl.eval.program_state import ProgramStopped
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str

from meshplane_cli.local import role_credentials, sessions
from meshplane_cli.local.clock import CLOCK
from meshplane_cli.local.repairs import Publish, execution_logs, glue_job_runs, stepfunctions_operations

POLL_SECONDS = 0.1  # between two looks at whether an execution still runs
LOOK_SECONDS = 2.0  # between two looks at a job run where none ends meanwhile; AWS looks less often
_SDK_ERROR_NAMES = {
    "glue": "Glue",
    "s3": "S3",
    "sqs": "Sqs",
    "sns": "Sns",
    "lambda": "Lambda",
    "iam": "Iam",
    "athena": "Athena",
    "eventbridge": "EventBridge",
    "cloudwatch": "CloudWatch",
}
_publish: list[Publish] = []
_original: dict[str, Any] = {}
_retrying = threading.local()


# ---- who is asking -----------------------------------------------------------------------------------------------------------------
@lru_cache(maxsize=256)
def _client(region: str, service: str, role: str, endpoint: str | None) -> Any:
    key = role_credentials.of_role(role)
    # One attempt: a Retry belongs to the state machine. The interpreter normalises names itself, so boto3 need not check them.
    settings = Config(parameter_validation=False, retries={"total_max_attempts": 1}, read_timeout=900, inject_host_prefix=False)
    return sessions.client(
        service,
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=key.access_key,
        aws_secret_access_key=key.secret_key,
        config=settings,
    )


def _client_for(region: str, service: str, state_credentials: Any = None) -> Any:
    """A task calls as the machine's role (or its own `Credentials`); one client per caller instead of one per task."""
    endpoint = None if botocore_stubber.enabled else f"http://127.0.0.1:{moto_server_port()}"
    return _client(region, service, state_credentials.role_arn if state_credentials else "", endpoint)


# ---- glue:startJobRun.sync -------------------------------------------------------------------------------------------------------
class _GlueInMillis:
    """Glue as tasks see it: times are epoch milliseconds in a task's output and cause, as AWS writes them."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def get_job_run(self, **asked: Any) -> Any:
        return _in_millis(self._client.get_job_run(**asked))


def _in_millis(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_millis(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_in_millis(inner) for inner in value]
    return _millis(value) if isinstance(value, datetime) else value


def _millis(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _glue_client(resource_runtime_part: Any, state_credentials: Any) -> Any:
    return _GlueInMillis(_client_for(resource_runtime_part.region, "glue", state_credentials))


def _await_job_run(self: Any, env: Any, resource_runtime_part: Any, normalised_parameters: Any, state_credentials: Any) -> None:
    """Look at the run, and again when one ends. A machine that was stopped or timed out meanwhile cancels the run, as AWS does."""
    started, seen = dict(env.stack[-1]), -1
    look = self._build_sync_resolver(env, resource_runtime_part, normalised_parameters, state_credentials)

    def resolver() -> Any:
        nonlocal seen
        until = time.monotonic() + LOOK_SECONDS
        while env.is_running() and time.monotonic() < until and not glue_job_runs.another(seen, POLL_SECONDS):
            pass
        seen = glue_job_runs.endings()  # before the look: what ends after it is another ending
        return look()

    outcome = self._eval_sync(env=env, sync_resolver=resolver, timeout_seconds=None, callback_endpoint=None, heartbeat_endpoint=None)
    if outcome is None:
        glue = _glue_client(resource_runtime_part, state_credentials)
        glue.batch_stop_job_run(JobName=started["JobName"], JobRunIds=[started["JobRunId"]])
    env.stack.append(outcome)


def _forget_last_attempt(self: Any, env: Any, *arguments: Any, **named: Any) -> Any:
    """The callback of a task is one object for all its attempts: a second attempt would find it already called."""
    token = (env.states.context_object.context_object_data.get("Task") or {}).get("Token")
    endpoint = env.callback_pool_manager.get(token) if token else None
    if endpoint is not None:
        endpoint._notify_event.clear()
        endpoint._outcome = None
    return _original["await"](self, env, *arguments, **named)


def _retry(self: Any, env: Any) -> None:
    _retrying.env = env
    _original["retry"](self, env)


def _wait_to_retry(seconds: float) -> None:
    """The interval before another attempt, cut short when the execution is stopped."""
    until = time.monotonic() + seconds
    while _retrying.env.is_running() and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, POLL_SECONDS))


# ---- names in requests, answers and errors ---------------------------------------------------------------------------------------
@lru_cache(maxsize=1024)
def _operation(service: str, action: str) -> Any:
    model = sessions.model(service)
    return next((model.operation_model(name) for name in model.operation_names if task_service.camel_to_snake_case(name) == action), None)


def _normaliser(convert: str, shape: str, name: str) -> Callable[..., None]:
    """`name`: what moto calls the body where a subclass (Lambda, Step Functions) hands it on by keyword."""

    def normalise(
        self: Any, *body: Any, boto_service_name: str | None = None, service_action_name: str | None = None, **named: Any
    ) -> None:
        body = body or (named[name],)
        operation = _operation(self._get_boto_service_name(boto_service_name), self._get_boto_service_action(service_action_name))
        found = getattr(operation, shape, None)
        if found is not None:
            getattr(self, convert)(body[0], found)

    return normalise


def _sdk_exception_name(service: str, error: ClientError) -> str:
    name = error.response["Error"]["Code"].rpartition(".")[2] or service
    return f"{service}.{name if name.endswith('Exception') else name + 'Exception'}"


def _evaluate_jsonata(expression: str) -> Any:
    import jsonata

    try:
        return jsonata.Jsonata(expression).evaluate(None)
    except Exception as error:  # whatever the library raises is the expression's fault
        raise jsonata_bridge.JSONataException("UNKNOWN", str(error)) from error


# ---- an execution's life ---------------------------------------------------------------------------------------------------------
def _announce(run: Any) -> None:
    """'Step Functions Execution Status Change' (Step Functions guide, "EventBridge events"); absent values are null, as there."""
    output = None if run.output is None else to_json_str(run.output, separators=(",", ":"))
    detail = {
        "executionArn": run.exec_arn,
        "stateMachineArn": run.state_machine.arn,
        "name": run.name,
        "status": run.status,
        "startDate": _millis(run.start_date),
        "stopDate": None if run.stop_date is None else _millis(run.stop_date),
        "input": run.execution_input,
        "output": output,
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "redriveCount": 0,
        "redriveDate": None,
        "error": run.error,
        "cause": run.cause,
        "inputDetails": {"included": True},
        "outputDetails": None if output is None else {"included": True},
    }
    event = {"source": "aws.states", "detail-type": "Step Functions Execution Status Change", "resources": [run.exec_arn], "detail": detail}
    for publish in _publish:
        publish(run.account_id, run.region_name, event)


def _start(self: Any) -> None:
    """RUNNING is told before the machine can end."""
    if self.exec_worker is None:
        self.exec_status = ExecutionStatus.RUNNING
        self.start_date = CLOCK.now()
        _announce(self)
    _original["start"](self)


def _start_details(self: Any) -> Any:
    """`$$.Execution.StartTime` is text, as every value of the context object."""
    details = _original["details"](self)
    details.start_time = details.start_time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return details


def _terminated(self: Any) -> None:
    """Outputs hold only JSON, an abort keeps error and cause, and the history outlives the worker (and a snapshot)."""
    run = self.execution
    state = run.exec_worker.env.program_state()
    run.history = run.exec_worker.env.event_manager.get_event_history()
    if isinstance(state, ProgramStopped):
        run.error, run.cause = state.error, state.cause
    status = ExecutionStatus.SUCCEEDED
    try:
        self._reflect_execution_status()
    finally:
        run.stop_date = CLOCK.now()
        if run.output is not None:
            run.output = json.loads(to_json_str(run.output))
        status = run.exec_status
    if status is not ExecutionStatus.RUNNING:
        _announce(run)
        stepfunctions_operations.finish_deletion(run.account_id, run.region_name, run.state_machine.arn)


def _stop(self: Any, stop_date: datetime, error: str | None, cause: str | None) -> None:
    """A machine stopped in its first instant has no environment yet: wait for it instead of failing."""
    worker = self.exec_worker
    pause = threading.Event()
    for _ in range(500):
        if worker is None or worker.env is not None:
            break
        pause.wait(0.01)
    _original["stop"](self, stop_date, error or None, cause or None)


def settle_interrupted() -> int:
    """After a restart: executions that ran when the embedded AWS stopped are ABORTED, and say why. How many there were."""
    return stepfunctions_operations.abort_orphans(_announce)


def apply(publish: Publish | None = None) -> None:
    """Mend the interpreter in this process; `publish` receives status changes. Calling again only replaces it."""
    _publish[:] = [publish] if publish else []
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    if _original:
        return
    run, service, callback = execution_module.Execution, task_service.StateTaskService, callback_service.StateTaskServiceCallback
    _original.update({"await": callback._eval_integration_pattern, "start": run.start, "stop": run.stop})
    _original["details"] = run.get_start_execution_details
    _original["retry"] = retrier.RetrierDecl._eval_body
    retrier.RetrierDecl._eval_body = _retry
    retrier.time = SimpleNamespace(sleep=_wait_to_retry)
    callback._eval_integration_pattern = _forget_last_attempt
    callback_service._DELAY_SECONDS_SYNC_CONDITION_CHECK = POLL_SECONDS
    glue_service.StateTaskServiceGlue._eval_integration_pattern = _await_job_run
    glue_service.StateTaskServiceGlue._get_glue_client = staticmethod(_glue_client)
    # moto calls a run that somebody stopped a good end; a step whose job did not finish must not go on.
    glue_service._JOB_RUN_STATE_ABNORMAL_TERMINAL_VALUE.add("STOPPED")
    service._normalise_parameters = _normaliser("_to_boto_request", "input_shape", "parameters")
    service._normalise_response = _normaliser("_from_boto_response", "output_shape", "response")
    sdk_service._SERVICE_ERROR_NAMES.update(_SDK_ERROR_NAMES)
    sdk_service.StateTaskServiceAwsSdk._normalise_exception_name = staticmethod(_sdk_exception_name)
    # A Fail state may pass on States.TaskFailed by ErrorPath; only a literal is limited to other names.
    custom_error_name.CustomErrorName.__init__ = lambda self, error_name: custom_error_name.ErrorName.__init__(self, error_name=error_name)
    jsonata_bridge._eval_jsonata = _evaluate_jsonata
    run.start, run.stop, run.get_start_execution_details = _start, _stop, _start_details
    execution_module.BaseExecutionWorkerCommunication.terminated = _terminated
    _replace_everywhere(boto_client.boto_client_for, _client_for)
    execution_logs.apply()
    stepfunctions_operations.apply()


def _replace_everywhere(old: Any, new: Any) -> None:
    """The interpreter's modules imported the function by name: each holds its own reference. Load them all, then replace."""
    import pkgutil
    import sys
    from importlib import import_module

    import moto.stepfunctions.parser as parser

    for found in pkgutil.walk_packages(parser.__path__, parser.__name__ + "."):
        if ".service." in found.name or found.name.endswith(("resource_eval_s3", "lambda_eval_utils", "boto_client")):
            import_module(found.name)
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith(parser.__name__) and getattr(module, "boto_client_for", None) is old:
            module.boto_client_for = new  # type: ignore[attr-defined]
