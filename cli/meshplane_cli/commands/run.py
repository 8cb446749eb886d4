"""`meshplane run`."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from meshplane.aws.executions import SqsTriggers, job_run_of
from meshplane.aws.faults import translated
from meshplane.errors import NotFound, Rejected
from meshplane.model.runs import PipelinePolicy, Run, run_id, settle_params
from meshplane.model.windows import iso, moment
from meshplane_cli.output import OK, PROBLEMS, USAGE, WAITS, CliError, emit, say, show
from meshplane_cli.records import ENDED, as_run, store
from meshplane_cli.releases import provenance
from meshplane_cli.surroundings import EnvOption, JsonOption, Target, split_name, target

LOOK_EVERY = 0.5


def command(
    name: Annotated[str, typer.Argument(help="PROJECT.PIPELINE or PROJECT.JOB, like sales.daily.")],
    param: Annotated[list[str] | None, typer.Option("--param", help="name=value; repeat it for more.")] = None,
    window: Annotated[str, typer.Option(help="Start of the window, like 2026-11-20; its end follows from the pipeline's window.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end; exit code 1 when it did not succeed.")] = False,
    timeout: Annotated[int, typer.Option(min=0, help="Seconds to wait at most.")] = 3600,
    env: EnvOption = "",
    as_json: JsonOption = False,
) -> None:
    """Start a pipeline or one job in AWS. A pipeline's run obeys its concurrency: it may have to wait."""
    project, what = split_name(name, "pipeline")
    found = target(env)
    given = _params(param or [])
    policies = store(found).policies(project)
    if policies is None:
        raise CliError(f"{project} is not published in {found.env}", mend=f"meshplane publish {project}")
    if what in policies:
        started = _start_pipeline(found, project, what, policies[what], given, window)
        look = _pipeline_look(found, project, started)
    else:
        started, look = _start_job(found, project, what, list(policies), given)
    if not as_json:
        say(f"{name}: run {started}")
    run = _wait(look, timeout, as_json) if wait else None
    _tell(started, run, as_json)
    raise typer.Exit(_code(run) if wait else OK)


def _code(run: Run | None) -> int:
    """Of a run that was waited for, which may not even have been taken in yet."""
    if run is None or run.status not in ENDED:
        return WAITS
    return OK if run.status == "SUCCEEDED" else PROBLEMS


def _params(pairs: list[str]) -> dict[str, str]:
    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise CliError(f"'{wrong[0]}' is not name=value", mend="--param country=DE", code=USAGE)
    return dict(pair.split("=", 1) for pair in pairs)


def _start_pipeline(found: Target, project: str, pipeline: str, policy: PipelinePolicy, given: dict[str, str], window: str) -> str:
    try:
        settle_params(policy.params, given)
    except Rejected as wrong:
        raise CliError(str(wrong), code=USAGE) from wrong
    try:
        start = iso(moment(window)) if window else ""
    except ValueError as wrong:
        allowed = "a day or a time, like 2026-11-20 or 2026-11-20T06:00:00Z"
        raise CliError(f"--window: '{window}' is no moment", allowed=allowed, code=USAGE) from wrong
    if start and not policy.window:
        raise CliError(f"{project}.{pipeline} declares no window, so none can be given", mend="leave --window out", code=USAGE)
    now = datetime.now(UTC)
    event = {"id": str(uuid.uuid4()), "time": iso(now), "by": provenance(found.checkout.root).deployed_by}
    event |= {"params": given, "window_start": start, "window_end": ""}  # type: ignore[dict-item] # JSON values of any kind
    body = {"schema": 1, "project": project, "pipeline": pipeline, "trigger": "", "kind": "manual", "event": event}
    SqsTriggers(found.clients, found.trigger_queue).send([body])
    return run_id(project, pipeline, "", str(event["id"]), moment(iso(now)))


def _pipeline_look(found: Target, project: str, started: str) -> Any:
    return lambda: store(found).run(project, started)


def _start_job(found: Target, project: str, job: str, pipelines: list[str], given: dict[str, str]) -> tuple[str, Any]:
    physical = found.naming.job(project, job)
    now = datetime.now(UTC)
    started = run_id(project, job, "", str(uuid.uuid4()), now)
    run = Run(started, project, "", "RUNNING", "", "manual", iso(now), params=given).input()["run"]
    arguments = {"--meshplane-run": json.dumps(run), "--meshplane-step": job, "--meshplane-attempt": "0"}
    glue = found.clients("glue")
    try:
        with translated("glue:StartJobRun", physical):
            job_run_id = glue.start_job_run(JobName=physical, Arguments=arguments)["JobRunId"]
    except NotFound as missing:
        known = ", ".join(f"{project}.{one}" for one in pipelines) or "no pipeline"
        raise CliError(
            f"{project} has neither a pipeline nor a job '{job}' in {found.env}", allowed=f"{known}, or a job", code=USAGE
        ) from missing

    def look() -> Run:
        with translated("glue:GetJobRun", physical):
            return as_run(project, job, job_run_of(physical, glue.get_job_run(JobName=physical, RunId=job_run_id)["JobRun"]))

    return started, look


def _wait(look: Any, timeout: float, quiet: bool) -> Run | None:
    until = time.monotonic() + timeout
    told = ""
    run: Run | None = None
    while time.monotonic() < until:
        run = look()
        status = run.status if run else "not taken in yet"
        if status != told and not quiet:
            say(status)
            told = status
        if run and run.status in ENDED:
            break
        time.sleep(LOOK_EVERY)
    return run


def _tell(started: str, run: Run | None, as_json: bool) -> None:
    if as_json:
        emit({"run_id": started, "run": asdict(run) if run else None})
    elif run is None:
        show(f"look at it: meshplane logs {started} -f")
    else:
        show(" ".join(part for part in (f"{started} {run.status}", run.reason, run.cause) if part))
        if run.status not in ("SUCCEEDED", "SKIPPED"):
            show(f"what happened: meshplane logs {started}")
