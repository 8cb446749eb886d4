"""A pipeline's steps compiled to a Step Functions definition, and a project's own ASL file filled in. Pure.

Called by `kinds/state_machine`; what each job step passes is docs/contracts.md §2. Own files are judged by `own_asl`.
Compiled definitions use JSONPath: the execution's input `{"run": …}` stays as it is from the first state to the last.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from meshplane.model.access import topic
from meshplane.model.asl_gate import gated_states
from meshplane.model.asl_ingest import ingest_state
from meshplane.model.context import Context
from meshplane.model.gating import gated_jobs
from meshplane.model.project import IngestStep, JobStep, Parallel, Pipeline, Project, Step
from meshplane.model.project import Sequence as Steps

State = dict[str, Any]

RUN_JOB = "arn:aws:states:::glue:startJobRun.sync"
PUBLISH = "arn:aws:states:::sns:publish"

# Names with a capital and a space can never be a job's: `[a-z][a-z0-9_-]*`.
NOTICE, FAILED = "Notify failure", "Run failed"

# A run that Glue refuses to start for now is no failure of the job: it is asked again, however often. 1,000 minutes outlast any queue
# of runs that `concurrency` and Glue's own time-out leave; the error names are Glue's (API StartJobRun).
_BUSY = {
    "ErrorEquals": ["Glue.ConcurrentRunsExceededException", "Glue.ThrottlingException"],
    "IntervalSeconds": 10,
    "BackoffRate": 1.5,
    "MaxDelaySeconds": 60,
    "MaxAttempts": 1000,
}


def canonical(definition: str | Mapping[str, Any]) -> str:
    """A definition as one comparable text: order of keys and white space carry no meaning in ASL."""
    body = json.loads(definition) if isinstance(definition, str) else definition
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def compile_steps(pipeline: Pipeline, project: Project, context: Context) -> str:
    """The canonical definition of a pipeline with `steps`. A failure is never swallowed: after the notice the run fails as it did."""
    compiler = _Compiler(pipeline, project, context)
    start, states = compiler.chain(pipeline.steps)
    arn = topic(pipeline, context)
    if arn:
        for state in states.values():
            if state["Type"] in ("Task", "Parallel"):
                caught = {"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": NOTICE}
                state["Catch"] = [*state.get("Catch", ()), caught]
            elif state["Type"] == "Choice":
                states = {name: one for name, one in states.items() if name != state["Default"]}
                state["Default"] = NOTICE
        states.update(_notice(arn, f"{project.name}.{pipeline.name}", context))
    comment = pipeline.description or f"Pipeline {pipeline.name} of project {project.name}, compiled by Meshplane from its manifest"
    return canonical({"Comment": comment, "StartAt": start, "States": states})


def step_names(pipeline: Pipeline) -> Sequence[tuple[str, JobStep]]:
    """Each job step with its name, in the order of the file: the job, or `job-2` for its second use; never two of one name."""
    jobs = list(_job_steps(pipeline.steps))
    taken = {step.job for step in jobs}
    named: list[tuple[str, JobStep]] = []
    uses: dict[str, int] = {}
    for step in jobs:
        uses[step.job] = uses.get(step.job, 0) + 1
        name = step.job
        if uses[step.job] > 1:
            name = f"{step.job}-{uses[step.job]}"
            while name in taken:  # a job may itself be called load-2
                uses[step.job] += 1
                name = f"{step.job}-{uses[step.job]}"
            taken.add(name)
        named.append((name, step))
    return named


def _job_steps(steps: Sequence[Step]) -> Iterator[JobStep]:
    for step in steps:
        match step:
            case JobStep():
                yield step
            case Parallel(branches):
                for branch in branches:
                    yield from _job_steps(branch)
            case Steps(inner):
                yield from _job_steps(inner)


class _Compiler:
    """Walks the steps once, in the order in which `step_names` named them."""

    def __init__(self, pipeline: Pipeline, project: Project, context: Context) -> None:
        self.project, self.naming, self.release = project, context.naming, context.release
        self.names = iter(step_names(pipeline))
        self.parallels = 0
        self.gated = gated_jobs(project)
        self.pipeline, self.ingests = pipeline.name, 0

    def chain(self, steps: Sequence[Step]) -> tuple[str, dict[str, State]]:
        """The states of steps that follow one another, and the name of the first."""
        flat = [self._state(step) for step in _flattened(steps)]
        states: dict[str, State] = {}
        for (_, last, made), following in zip(flat, [*flat[1:], None], strict=True):
            made[last] |= {"Next": following[0]} if following else {"End": True}
            states |= made
        return flat[0][0], states

    def _state(self, step: JobStep | IngestStep | Parallel) -> tuple[str, str, dict[str, State]]:
        """The name of a step's first state, that of its last, and all of them."""
        if isinstance(step, IngestStep):
            self.ingests += 1
            name = f"Ingest {self.ingests} {step.source.name}"
            return name, name, {name: ingest_state(step, self.project.name, self.pipeline, self.naming, self.release)}
        if isinstance(step, Parallel):
            self.parallels += 1
            name = f"Parallel {self.parallels}"
            branches = []
            for branch in step.branches:
                start, states = self.chain(branch)
                branches.append({"StartAt": start, "States": states})
            return name, name, {name: {"Type": "Parallel", "Branches": branches, "ResultPath": None}}
        name, _ = next(self.names)
        job = self._job(name, step)
        return gated_states(name, job, self.naming) if step.job in self.gated else (name, name, {name: job})

    def _job(self, name: str, step: JobStep) -> State:
        extra = {key if key.startswith("--") else f"--{key}": value for key, value in step.arguments.items()}
        arguments = {
            **extra,
            "--meshplane-run.$": "States.JsonToString($.run)",
            "--meshplane-step": name,
            "--meshplane-attempt.$": "States.Format('{}', $$.State.RetryCount)",
        }
        seconds = max(1, int(step.retry_after.total_seconds()))
        again = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": seconds, "BackoffRate": 2.0, "MaxAttempts": step.retry}
        return {
            "Type": "Task",
            "Resource": RUN_JOB,
            "Parameters": {"JobName": self.naming.job(self.project.name, step.job), "Arguments": arguments},
            "ResultPath": None,
            "Retry": [dict(_BUSY), *([again] if step.retry else [])],
        }


def _flattened(steps: Sequence[Step]) -> Iterator[JobStep | IngestStep | Parallel]:
    for step in steps:
        if isinstance(step, Steps):
            yield from _flattened(step.steps)
        else:
            yield step


def _notice(arn: str, name: str, context: Context) -> dict[str, State]:
    """Tell the topic, then fail as the step failed. A notice that cannot be given changes nothing of that."""
    text = f"States.Format('{name} failed in run {{}}: {{}}: {{}}', $.run.run_id, $.failure.Error, $.failure.Cause)"
    notice = {
        "Type": "Task",
        "Resource": PUBLISH,
        "Parameters": {"TopicArn": arn, "Subject": f"{name} failed in {context.naming.env}", "Message.$": text},
        "ResultPath": None,
        "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 2, "BackoffRate": 2.0, "MaxAttempts": 2}],
        "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": FAILED}],
        "Next": FAILED,
    }
    return {NOTICE: notice, FAILED: {"Type": "Fail", "ErrorPath": "$.failure.Error", "CausePath": "$.failure.Cause"}}
