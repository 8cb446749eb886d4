"""Runs as the command line reads them: the records in the state table, their rows from the outbox, their Glue job runs.

Called by run, runs, logs and files. It reads; only start_run and record_run write records.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from meshplane.aws.executions import job_run_of
from meshplane.aws.faults import translated
from meshplane.aws.runs_store import DynamoRuns
from meshplane.errors import NotFound
from meshplane.model.runs import GLUE_STATUS, JobRun, Run
from meshplane.model.windows import moment
from meshplane_cli.output import CliError
from meshplane_cli.project_status import published
from meshplane_cli.surroundings import Target

ENDED = frozenset({"SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT", "SKIPPED"})


def store(target: Target) -> DynamoRuns:
    """The state table, to read."""
    return DynamoRuns(target.clients("dynamodb"), target.state_table)


def newest_first(runs: Iterable[Run]) -> list[Run]:
    """By when they were made."""
    return sorted(runs, key=lambda run: (run.created, run.run_id), reverse=True)


def find(target: Target, name: str) -> Run:
    """A run by its id; or the newest one of `project.pipeline` or `project.job`. Raises CliError when there is none."""
    runs = store(target)
    project, dot, rest = name.partition(".")
    if dot:
        alone = {run.run_id: run for run in _alone(target, project, rest)}
        mine = {run.run_id: run for run in runs.history(project) if rest in (run.pipeline, run.job)}
        if alone or mine:
            return newest_first((alone | mine).values())[0]
        raise CliError(f"no run of {name} is on record", mend=f"meshplane run {name}")
    projects = published(target)
    for project in projects:
        run = runs.run(project, name) or _unrecorded(target, project, name)
        if run:
            return run
    raise CliError(f"no run '{name}' is on record in {target.env}", mend="meshplane runs shows them")


def _unrecorded(target: Target, project: str, run_id: str) -> Run | None:
    job = run_id.rsplit("-", 2)[0]
    return next((run for run in _alone(target, project, job) if run.run_id == run_id), None)


def _alone(target: Target, project: str, job: str) -> list[Run]:
    """Runs of a job by itself as Glue knows them: they are recorded only when they have ended."""
    found = _runs_of(target, target.naming.job(project, job))
    return [as_run(project, job, one) for one in found if one.run.get("run_id") and not one.run.get("pipeline")]


def outbox(target: Target, run: Run) -> list[Mapping[str, Any]]:
    """What the run's steps left behind (docs/contracts.md §3), by step."""
    bucket = target.naming.bucket("refined")
    prefix = f"{target.naming.of('runs_prefix', project=run.project)}{run.run_id}/"
    return read_all(target, bucket, [key for key in keys_under(target, bucket, prefix) if key.endswith(".json")])


def keys_under(target: Target, bucket: str, prefix: str) -> list[str]:
    """Every key under a prefix."""
    with translated("s3:ListObjectsV2", f"{bucket}/{prefix}"):
        pages = target.clients("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [one["Key"] for page in pages for one in page.get("Contents", [])]


def read_all(target: Target, bucket: str, keys: list[str]) -> list[Mapping[str, Any]]:
    """Many small JSON objects, in the order of their keys."""
    s3 = target.clients("s3")

    def read(key: str) -> Mapping[str, Any]:
        with translated("s3:GetObject", f"{bucket}/{key}"):
            return dict(json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(read, keys))


def job_runs(target: Target, run: Run) -> list[JobRun]:
    """The Glue job runs of a run, oldest first: its recorded steps, and what its execution has started since."""
    names = {step.job for step in run.steps.values()} | ({target.naming.job(run.project, run.job)} if run.job else set())
    names |= set(_jobs_of(target, run.execution))
    found = [one for name in sorted(names) for one in _runs_of(target, name) if one.run.get("run_id") == run.run_id]
    return sorted(found, key=lambda one: (one.started, one.step, one.round, one.attempt))


def rows_written(outboxes: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Table → rows that the run added."""
    totals: dict[str, int] = {}
    for step in outboxes:
        for output in step.get("outputs", ()) if step.get("state") == "done" else ():
            totals[output["table"]] = totals.get(output["table"], 0) + int(output.get("rows_added") or 0)
    return totals


def seconds(run: Run, now: datetime | None = None) -> float | None:
    """How long it took, or has taken; None before it began."""
    if not run.started:
        return None
    until = moment(run.ended) if run.ended else (now or datetime.now(UTC))
    return max((until - moment(run.started)).total_seconds(), 0.0)


def as_run(project: str, job: str, found: JobRun) -> Run:
    """A job run as a run, for a single job."""
    told = Run(str(found.run.get("run_id", "")), project, "", "RUNNING", "", "manual", found.started, job=job, started=found.started)
    return replace(told, status=GLUE_STATUS.get(found.state, "RUNNING"), ended=found.ended, cause=found.error)


def _runs_of(target: Target, job: str) -> Iterator[JobRun]:
    try:
        with translated("glue:GetJobRuns", job):
            for page in target.clients("glue").get_paginator("get_job_runs").paginate(JobName=job):
                yield from (job_run_of(job, one) for one in page["JobRuns"])
    except NotFound:  # the job has been removed since
        return


def _jobs_of(target: Target, execution: str) -> Iterator[str]:
    """The Glue jobs that an execution has asked for."""
    if not execution:
        return
    try:
        with translated("states:GetExecutionHistory", execution):
            for page in target.clients("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=execution):
                for event in page["events"]:
                    details = event.get("taskScheduledEventDetails") or {}
                    if details.get("resourceType") == "glue":
                        yield str(json.loads(details.get("parameters") or "{}").get("JobName", ""))
    except NotFound:  # forgotten after 90 days
        return
