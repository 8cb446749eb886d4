"""`meshplane run`."""

from __future__ import annotations

import time
import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from meshplane.aws.executions import SqsTriggers
from meshplane.errors import NotFound, Rejected
from meshplane.model.run_params import run_params
from meshplane.model.runs import PipelinePolicy, Run, run_id
from meshplane.model.windows import iso, moment
from meshplane_cli.output import OK, PROBLEMS, USAGE, WAITS, CliError, emit, say, show
from meshplane_cli.records import ENDED, store
from meshplane_cli.releases import provenance
from meshplane_cli.single_jobs import SingleJob, refuse_unless_ended
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
    """Start a pipeline or one job in AWS. A pipeline's run obeys its concurrency: it may have to wait.

    A job that writes tables which are published goes through its gate, so its end is always waited for.
    """
    project, what = split_name(name, "pipeline")
    found = target(env)
    given = _params(param or [])
    policies = store(found).policies(project)
    if policies is None:
        raise CliError(f"{project} is not published in {found.env}", mend=f"meshplane publish {project}")
    if what in policies:
        started = start_pipeline(found, project, what, policies[what], given, window)
        look = pipeline_look(found, project, started)
    else:
        job = _job(found, project, what, given)
        started, gated = str(job.run["run_id"]), _known(job, list(policies))
        if gated:
            say(f"{name}: run {started}; it writes through a gate, so its end is waited for")
            ended = refuse_unless_ended(job.through_the_gate(lambda one: _wait(one, timeout, as_json)), started)
            _tell(started, ended, as_json)
            raise typer.Exit(OK if ended.status == "SUCCEEDED" else PROBLEMS)
        look = job.start()
    if not as_json:
        say(f"{name}: run {started}")
    follow(started, look, timeout if wait else None, as_json)


def follow(started: str, look: Any, timeout: float | None, as_json: bool) -> None:
    """Wait up to `timeout` seconds (None: not at all) for a run's end, and tell it. Ends with the exit code that it means."""
    run = _wait(look, timeout, as_json) if timeout is not None else None
    _tell(started, run, as_json)
    raise typer.Exit(OK if timeout is None else _code(run))


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


def start_pipeline(found: Target, project: str, pipeline: str, policy: PipelinePolicy, given: dict[str, str], window: str = "") -> str:
    """Send the message that starts a run; its id. Raises CliError for parameters or a window that the pipeline does not take."""
    try:
        run_params(policy.params, given)
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


def pipeline_look(found: Target, project: str, started: str) -> Any:
    """What `follow` asks for the run as it is now."""
    return lambda: store(found).run(project, started)


def _job(found: Target, project: str, job: str, given: dict[str, str]) -> SingleJob:
    now = datetime.now(UTC)
    started = run_id(project, job, "", str(uuid.uuid4()), now)
    return SingleJob(found, project, job, Run(started, project, "", "RUNNING", "", "manual", iso(now), params=given).input()["run"])


def _known(job: SingleJob, pipelines: list[str]) -> bool:
    """Whether it is gated. Raises CliError naming what there is when there is no such job."""
    try:
        return job.gated()
    except NotFound as missing:
        known = ", ".join(f"{job.project}.{one}" for one in pipelines) or "no pipeline"
        message = f"{job.project} has neither a pipeline nor a job '{job.job}' in {job.target.env}"
        raise CliError(message, allowed=f"{known}, or a job", code=USAGE) from missing


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
