"""The end of an execution or of a job run is recorded, its place freed and what waits started: called by `handlers.record_run`.
A reconcile that waits for the project's runs (a removal, a change of a table) is asked to look again.

An event only says where to look: the truth is read from the service. So a duplicate, a late one and one that overtook another
do no harm, and the sweep uses the same function for ends whose events were lost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from meshplane.flows.run_slots import RunPorts, close_run
from meshplane.model.runs import GLUE_STATUS, Execution, JobRun, Run, StepEnd
from meshplane.model.windows import iso
from meshplane.ports import ReconcileQueue


def record_run(ports: RunPorts, reconciles: ReconcileQueue, event: Mapping[str, Any]) -> str:
    """Take in an EventBridge event. Returns the id of the run it was about, empty when it was none of ours or nothing changed."""
    detail = event.get("detail") or {}
    if detail.get("executionArn"):
        found = ports.executions.describe(str(detail["executionArn"]))
        run_id = execution_ended(ports, found) if found else ""
        told = found.input.get("run") if found and found.status != "RUNNING" else None
        project = str(told.get("project", "")) if isinstance(told, Mapping) else ""
        if project and ports.runs.awaited(project):  # also when the run was closed before: whoever did may have died right then
            reconciles.send([project])
        return run_id
    if detail.get("jobRunId"):
        job_run = ports.executions.job_run(str(detail.get("jobName", "")), str(detail["jobRunId"]))
        return job_run_ended(ports, job_run) if job_run else ""
    return ""


def execution_ended(ports: RunPorts, execution: Execution) -> str:
    """Close the run of an execution that is over."""
    told = execution.input.get("run")
    if execution.status == "RUNNING" or not isinstance(told, Mapping):
        return ""
    run = ports.runs.run(str(told.get("project", "")), str(told.get("run_id", "")))
    if run is None or execution.arn.rsplit(":", 1)[-1] != run.run_id:  # somebody started an execution with a run's input by hand
        return ""
    ended = replace(
        run,
        status=execution.status,
        execution=execution.arn,
        started=run.started or execution.started,
        ended=execution.ended or iso(ports.clock.now()),
        error=execution.error,
        cause=readable(execution.cause),
        reason="",  # why it could not be started, when only the reply to its start was lost
    )
    return run.run_id if close_run(ports, ended, ports.runs.policies(run.project)) else ""


def job_run_ended(ports: RunPorts, job_run: JobRun) -> str:
    """Note a step's end in its run, or close the run of a single job."""
    status = GLUE_STATUS.get(job_run.state)
    project, run_id = str(job_run.run.get("project", "")), str(job_run.run.get("run_id", ""))
    if status is None or not (project and run_id):
        return ""
    times = (job_run.started, job_run.ended)
    step = StepEnd(job_run.job, job_run.job_run_id, job_run.state, job_run.attempt, *times, job_run.error, job_run.round)
    name = job_run.step or job_run.job
    if job_run.run.get("pipeline"):
        known = ports.runs.step_ended(project, run_id, job_run.key, step)
        return run_id if known else ""
    alone = Run(
        run_id,
        project,
        "",
        status,
        "",
        "manual",
        job_run.started,
        job=name,
        started=job_run.started,
        ended=job_run.ended or iso(ports.clock.now()),
        params={str(key): str(value) for key, value in (job_run.run.get("params") or {}).items()},
        by=str(job_run.run.get("by", "")),
        error="" if status == "SUCCEEDED" else job_run.state,
        cause=job_run.error,
        steps={job_run.key: step},
    )
    return run_id if ports.runs.put(alone) else ""


def readable(cause: str) -> str:
    """A failed `.sync` job step's cause is the whole job run as JSON, a failed function's its answer: the message is what people read."""
    try:
        told = json.loads(cause)
    except ValueError:
        return cause
    return str(told.get("ErrorMessage") or told.get("errorMessage") or cause) if isinstance(told, dict) else cause
