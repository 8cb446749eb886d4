"""Lambda: Invoke calls the real worker process, asynchronous calls are really asynchronous, mappings are polled by our own pollers.

moto wants Docker, else echoes the event and deletes the message: a silent loss.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import moto.awslambda.models as models
from moto.awslambda.responses import LambdaResponse
from moto.core.config import default_user_config
from moto.sqs.models import Queue

Run = Callable[[str, str, str, str], Any]
"""account, region, function name, payload → an Outcome (`payload`, `error`)."""

_state: dict[str, Any] = {}


def _invoke(self: Any) -> tuple[int, dict[str, str], str | bytes]:
    """The Invoke API: RequestResponse, Event and DryRun."""
    run: Run | None = _state["run"]
    if run is None:
        return _state["invoke"](self)  # type: ignore[no-any-return]  # in-process under mock_aws: moto's own
    name = _name(self.path)
    kind = self.headers.get("X-Amz-Invocation-Type", "RequestResponse")
    payload = self.body.decode() if isinstance(self.body, bytes) else self.body
    function = self.backend.get_function(name, None)
    if kind == "DryRun":
        return 204, {"status": "204"}, ""
    if kind == "Event":
        _state["later"](function.function_arn, payload or "{}")
        return 202, {"status": "202"}, ""
    outcome = run(self.current_account, self.region, function.function_name, payload or "{}")
    headers = {"status": "200", "content-type": "application/json", "X-Amz-Executed-Version": "$LATEST"}
    if outcome.error:
        headers["X-Amz-Function-Error"] = outcome.error
    return 200, headers, outcome.payload


def _name(path: str) -> str:
    return unquote(path.rsplit("/", 2)[-2])


def _invoke_lambda(self: Any, event: Any = None) -> tuple[str, bool, str]:
    """What moto's other services call (Step Functions, SNS)."""
    run: Run | None = _state["run"]
    if run is None:
        return _state["invoke_lambda"](self, event)  # type: ignore[no-any-return]
    body = event if isinstance(event, str) else json.dumps(event or {})
    outcome = run(self.account_id, self.region, self.function_name, body)
    return outcome.payload, bool(outcome.error), ""


class _NoMappings(dict[str, Any]):
    """moto calls the mappings of a queue inside SendMessage; ours are polled."""

    def items(self) -> Any:
        """None."""
        return ()


def _refreshing(original: Any) -> Any:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        answer = original(self, *args, **kwargs)
        if _state.get("changed"):
            _state["changed"]()
        return answer

    return call


def _keep_letters() -> None:
    """moto forgets a function's dead-letter queue."""
    initialise, configuration, update = (
        models.LambdaFunction.__init__,
        models.LambdaFunction.get_configuration,
        models.LambdaFunction.update_configuration,
    )

    def function_init(self: Any, account_id: str, spec: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        initialise(self, account_id, spec, *args, **kwargs)
        self.dead_letter_config = spec.get("DeadLetterConfig")

    def get_configuration(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        found: dict[str, Any] = configuration(self, *args, **kwargs)
        return {**found, "DeadLetterConfig": self.dead_letter_config} if self.dead_letter_config else found

    def update_configuration(self: Any, config_updates: dict[str, Any]) -> Any:
        self.dead_letter_config = config_updates.get("DeadLetterConfig", self.dead_letter_config)
        return update(self, config_updates)

    models.LambdaFunction.__init__ = function_init
    models.LambdaFunction.get_configuration = get_configuration
    models.LambdaFunction.update_configuration = update_configuration


def apply(run: Run | None = None, later: Callable[[str, str], None] | None = None, changed: Callable[[], None] | None = None) -> None:
    """Mend moto's Lambda in this process. `run` and `later` invoke, `changed` hears that mappings changed."""
    first = not _state
    _state.update(run=run, later=later, changed=changed)
    if not first:
        return
    _state.update(invoke=LambdaResponse.invoke, invoke_lambda=models.LambdaFunction._invoke_lambda)
    default_user_config["lambda"] = {"use_docker": True}  # the whole backend; Docker itself is never asked
    LambdaResponse.invoke = _invoke
    models.LambdaFunction._invoke_lambda = _invoke_lambda
    _keep_letters()
    for name in ("create_event_source_mapping", "delete_event_source_mapping", "update_event_source_mapping"):
        setattr(models.LambdaBackend, name, _refreshing(getattr(models.LambdaBackend, name)))
    initialise = Queue.__init__

    def queue_init(self: Any, *args: Any, **kwargs: Any) -> None:
        initialise(self, *args, **kwargs)
        self.lambda_event_source_mappings = _NoMappings()

    Queue.__init__ = queue_init
