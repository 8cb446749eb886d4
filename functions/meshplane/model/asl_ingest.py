"""The ingest step as a state of Step Functions. Pure; called by `asl`, whose other states are jobs, and by what asks which sources run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from meshplane.model.naming import Naming
from meshplane.model.project import IngestStep, Parallel, Step
from meshplane.model.project import Sequence as Steps
from meshplane.model.release import Release
from meshplane.model.sources import Source

INVOKE = "arn:aws:states:::lambda:invoke"

# Not a failure of the source: the function's time was up, or Lambda's service failed (its documented retriers). It goes on where it ended.
_GO_ON = {
    "ErrorEquals": [
        "IngestUnfinished",
        "Broken",
        "Sandbox.Timedout",
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.TooManyRequestsException",
    ],
    "IntervalSeconds": 5,
    "BackoffRate": 1.5,
    "MaxDelaySeconds": 300,
    "MaxAttempts": 200,
}


def ingest_state(step: IngestStep, project: str, pipeline: str, naming: Naming, release: Release) -> dict[str, Any]:
    """What the function gets is docs/contracts.md §10; the source itself is what the last reconcile stored, never the caller's word.

    `script` is the content of the source's own script: an execution keeps to the one that it began with.
    """
    payload = {"project": project, "pipeline": pipeline, "source": step.source.name, "run.$": "$.run"}
    if sha256 := release.files.get(step.source.rest.script, ""):
        payload["script"] = sha256
    seconds = max(1, int(step.retry_after.total_seconds()))
    again = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": seconds, "BackoffRate": 2.0, "MaxAttempts": step.retry}
    function = naming.arn("lambda", f"function:{naming.of('ingest_function')}")
    return {
        "Type": "Task",
        "Resource": INVOKE,
        "Parameters": {"FunctionName": function, "Payload": payload},
        "ResultPath": None,
        "Retry": [dict(_GO_ON), *([again] if step.retry else [])],
    }


def sources_of(steps: Sequence[Step]) -> list[Source]:
    """Every source that these steps fetch, each once, in the order of the file."""
    found: dict[str, Source] = {}
    for step in steps:
        match step:
            case IngestStep(source):
                found[source.name] = source
            case Parallel(branches):
                found |= {source.name: source for branch in branches for source in sources_of(branch)}
            case Steps(inner):
                found |= {source.name: source for source in sources_of(inner)}
    return list(found.values())
