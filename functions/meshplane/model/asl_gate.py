"""The states around a job step that writes gated tables: job, publish_tables, and both again when `main` moved. Pure; called by `asl`."""

from __future__ import annotations

from typing import Any

from meshplane.model.gating import publish_function
from meshplane.model.naming import Naming
from meshplane.model.publishing import ROUNDS

State = dict[str, Any]
INVOKE = "arn:aws:states:::lambda:invoke"

# What may go better next time: Lambda's own errors (as its best practices list them), and those of ours that say so.
AGAIN = {
    "ErrorEquals": [
        *(f"Lambda.{name}" for name in ("ClientExecutionTimeoutException", "ServiceException", "AWSLambdaException", "SdkClientException")),
        *("Lambda.TooManyRequestsException", "Lambda.Unknown", "Sandbox.Timedout", "ServiceFault", "Throttled", "NotReady"),
    ],
    "IntervalSeconds": 2,
    "BackoffRate": 2.0,
    "MaxAttempts": 6,
}


def gated_states(name: str, job: State, naming: Naming) -> tuple[str, str, dict[str, State]]:
    """The name of the first state, that of the last (its `Next` is the caller's), and all of them. `job` is the step's own state.

    Round and attempt stand under `$.gate`; `$.run` stays as it is. After ROUNDS rounds the run fails with MainMoved.
    """
    first, publish, moved = f"First round of {name}", f"Publish {name}", f"Main moved under {name}"
    following, failed = f"Next round of {name}", f"Main kept moving under {name}"
    arguments = job["Parameters"]["Arguments"] | {
        "--meshplane-gate": "audit",
        "--meshplane-attempt.$": "States.Format('{}_{}', $.gate.round, $$.State.RetryCount)",
    }
    # Which retry of the job it was that succeeded, only the arguments tell that the job run itself had.
    selected = {"ResultSelector": {"arguments.$": "$.Arguments"}, "ResultPath": "$.gate.job", "Next": publish}
    asked = {"run.$": "$.run", "step": name, "arguments.$": "$.gate.job.arguments"}
    invoke = {
        "Type": "Task",
        "Resource": INVOKE,
        "Parameters": {"FunctionName": publish_function(naming), "Payload": asked},
        "ResultPath": None,
        "Retry": [dict(AGAIN)],
        "Catch": [{"ErrorEquals": ["MainMoved"], "ResultPath": "$.failure", "Next": moved}],
    }
    again = {"Variable": "$.gate.round", "NumericLessThan": ROUNDS - 1, "Next": following}
    counted = {"round.$": "States.MathAdd($.gate.round, 1)"}
    return (
        first,
        publish,
        {
            first: {"Type": "Pass", "Result": {"round": 0}, "ResultPath": "$.gate", "Next": name},
            name: {**job, **selected, "Parameters": {**job["Parameters"], "Arguments": arguments}},
            publish: invoke,
            moved: {"Type": "Choice", "Choices": [again], "Default": failed},
            following: {"Type": "Pass", "Parameters": counted, "ResultPath": "$.gate", "Next": name},
            failed: {"Type": "Fail", "ErrorPath": "$.failure.Error", "CausePath": "$.failure.Cause"},
        },
    )
