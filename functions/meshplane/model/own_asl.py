"""A project's own ASL file: `${job.load_orders}` and `${gate.orders}` filled in, and everything wrong with it said at once. Pure.

Called by `kinds/state_machine` and by `validate`. Limited to the project's own jobs and the targets that the manifest lists (P6): the
role grants no more, and an author should hear it before AWS says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from meshplane.errors import Problem
from meshplane.model import own_gate
from meshplane.model.own_gate import GATE, JOB, Gates, Steps

_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_TYPES = ("Choice", "Fail", "Map", "Parallel", "Pass", "Succeed", "Task", "Wait")
_GLUE = ("arn:aws:states:::glue:startJobRun", "arn:aws:states:::glue:startJobRun.sync")
# The integrations that may name a target, each with the argument that holds it.
_TARGET = {
    "arn:aws:states:::events:putEvents": "",
    "arn:aws:states:::lambda:invoke": "FunctionName",
    "arn:aws:states:::lambda:invoke.waitForTaskToken": "FunctionName",
    "arn:aws:states:::sns:publish": "TopicArn",
    "arn:aws:states:::sqs:sendMessage": "QueueUrl",
    "arn:aws:states:::sqs:sendMessage.waitForTaskToken": "QueueUrl",
    "arn:aws:states:::states:startExecution": "StateMachineArn",
}


@dataclass(frozen=True, slots=True)
class Filled:
    """The definition with physical names, or what is wrong with it: then `definition` is empty."""

    definition: Mapping[str, Any]
    problems: tuple[Problem, ...]


def fill(
    text: str, file: str, jobs: Collection[str], targets: Collection[str], job_name: Callable[[str], str], gates: Gates | None = None
) -> Filled:
    """Read, judge, fill in. `jobs` are the project's job names, `targets` the listed ARNs, `job_name` gives the physical name."""
    try:
        body = json.loads(text)
    except json.JSONDecodeError as error:
        problem = Problem("asl-json", f"is not JSON: {error.msg}", file=file, line=error.lineno, column=error.colno)
        return Filled({}, (problem,))
    if not isinstance(body, dict):
        return Filled({}, (Problem("asl-shape", "is not a state machine", file=file, found=type(body).__name__, allowed="a JSON object"),))
    judge = _Judge(file, jobs, targets, gates or Gates(), body.get("QueryLanguage") == "JSONata")
    problems = (*judge.references(text), *judge.machine(body, ""))
    if problems:
        return Filled({}, problems)
    return Filled(_substituted(own_gate.filled(body, judge.gates, Steps(JOB.findall(text))), job_name), ())


def _substituted(value: Any, job_name: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return _REFERENCE.sub(lambda found: job_name(found[1].removeprefix("job.")), value)
    if isinstance(value, dict):
        return {key: _substituted(inner, job_name) for key, inner in value.items()}
    return [_substituted(inner, job_name) for inner in value] if isinstance(value, list) else value


class _Judge:
    """Everything wrong with one file. Paths are dotted, from the root of the file."""

    def __init__(self, file: str, jobs: Collection[str], targets: Collection[str], gates: Gates, jsonata: bool) -> None:
        self.file, self.jobs, self.targets, self.gates, self.jsonata = file, jobs, targets, gates, jsonata

    def _wrong(self, code: str, path: str, message: str, **rows: str) -> Problem:
        return Problem(code, message, path=path.lstrip("."), file=self.file, **rows)  # type: ignore[arg-type]

    def references(self, text: str) -> Iterator[Problem]:
        """Every `${…}` names an own job, or a table that is published through a gate."""
        known = [*(f"job.{job}" for job in sorted(self.jobs)), *(f"gate.{table}" for table in self.gates.names)]
        for name in dict.fromkeys(_REFERENCE.findall(text)):
            if name not in known:
                what = "table that jobs of this project write" if name.startswith("gate.") else "job of this project"
                allowed = ", ".join(f"${{{one}}}" for one in known) or "nothing: the project has no job"
                yield self._wrong("asl-reference", "", f"'${{{name}}}' names no {what}", allowed=allowed)

    def machine(self, body: Mapping[str, Any], path: str, mapped: bool = False) -> Iterator[Problem]:
        """One machine, or one branch of it: where it starts, its states, where they lead. `mapped`: a Map runs it for each item."""
        states = body.get("States")
        if not isinstance(states, dict) or not states:
            yield self._wrong("asl-shape", f"{path}.States", "a machine needs at least one state")
            return
        if body.get("StartAt") not in states:
            yield self._wrong("asl-next", f"{path}.StartAt", "no such state", found=str(body.get("StartAt")), allowed=", ".join(states))
        for name, state in states.items():
            where = f"{path}.States.{name}"
            if not isinstance(state, dict) or state.get("Type") not in _TYPES:
                found = str(state.get("Type")) if isinstance(state, dict) else type(state).__name__
                yield self._wrong("asl-type", where, "is not a state", found=found, allowed=", ".join(_TYPES))
                continue
            yield from self._ways_on(state, where, states)
            yield from self._inside(state, where, mapped)
        for where, message, rows in own_gate.faults(states, path, self.gates, self.jsonata, mapped):
            yield self._wrong("asl-gate", where, message, **rows)

    def _ways_on(self, state: Mapping[str, Any], where: str, states: Collection[str]) -> Iterator[Problem]:
        """Each target exists, and a state that is not an end leads on."""
        named = [("Next", state.get("Next")), ("Default", state.get("Default"))]
        named += [(f"Catch.{n}.Next", each.get("Next")) for n, each in enumerate(state.get("Catch", ()))]
        named += [(f"Choices.{n}.Next", each.get("Next")) for n, each in enumerate(state.get("Choices", ()))]
        for key, target in named:
            if target is not None and target not in states:
                yield self._wrong("asl-next", f"{where}.{key}", "no such state", found=str(target), allowed=", ".join(states))
        if state["Type"] not in ("Choice", "Fail", "Succeed") and "Next" not in state and state.get("End") is not True:
            yield self._wrong("asl-next", where, "leads nowhere", allowed='"Next": "<state>" or "End": true')

    def _inside(self, state: Mapping[str, Any], where: str, mapped: bool) -> Iterator[Problem]:
        for n, branch in enumerate(state.get("Branches", ())):
            yield from self.machine(branch, f"{where}.Branches.{n}", mapped)
        for key in ("ItemProcessor", "Iterator"):
            if isinstance(state.get(key), dict):
                yield from self.machine(state[key], f"{where}.{key}", mapped=True)
        if "ItemReader" in state or "ResultWriter" in state:
            yield self._wrong("asl-target", where, "reads or writes S3 by itself, which a pipeline's role may not", mend="let a job do it")
        if state["Type"] == "Task":
            yield from self._task(state, where)

    def _task(self, state: Mapping[str, Any], where: str) -> Iterator[Problem]:
        resource = state.get("Resource", "")
        arguments = state.get("Parameters") or state.get("Arguments") or {}
        arguments = arguments if isinstance(arguments, dict) else {}
        if resource in _GLUE:
            found = arguments.get("JobName", "")
            if not (isinstance(found, str) and _REFERENCE.fullmatch(found)):
                mend = "write the job as ${job.<name>}: a name from the input could be another project's"
                yield self._wrong("asl-job", f"{where}.JobName", "is not a reference to an own job", found=str(found), mend=mend)
        elif resource in _TARGET:
            yield from self._target(_TARGET[resource], arguments, where)
        elif resource not in self.targets and not GATE.fullmatch(str(resource)):
            allowed = ", ".join((*_GLUE, *_TARGET, *self.targets))
            yield self._wrong("asl-target", f"{where}.Resource", "may not be called", found=str(resource), allowed=allowed)

    def _target(self, key: str, arguments: Mapping[str, Any], where: str) -> Iterator[Problem]:
        if not key:  # putEvents names its bus inside each entry; the role lets only listed buses through
            return
        found = arguments.get(key, "")
        if not found or found not in {*self.targets, *map(_queue_url, self.targets)}:
            mend = "list its ARN under asl.targets"
            yield self._wrong("asl-target", f"{where}.{key}", "is not a listed target", found=str(found), mend=mend)


def _queue_url(arn: str) -> str:
    """An SQS queue's URL, which the integration wants, from the ARN that a manifest lists."""
    parts = arn.split(":")
    return f"https://sqs.{parts[3]}.amazonaws.com/{parts[4]}/{parts[5]}" if parts[2:3] == ["sqs"] and len(parts) == 6 else ""
