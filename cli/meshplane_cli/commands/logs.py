"""`meshplane logs`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

import typer

from meshplane.aws.faults import translated
from meshplane.errors import NotFound
from meshplane.model.runs import JobRun, Run
from meshplane_cli.log_reading import Fault, fault, next_command, readable
from meshplane_cli.output import PROBLEMS, USAGE, CliError, age, emit, show
from meshplane_cli.records import ENDED, find, job_runs, outbox, rows_written, seconds
from meshplane_cli.surroundings import EnvOption, JsonOption, Target, target

GROUPS = ("/aws-glue/jobs/output", "/aws-glue/jobs/error")
LOOK_EVERY = 1.0


def command(
    run: Annotated[str, typer.Argument(help="A run's id; or PROJECT.PIPELINE or PROJECT.JOB for its newest run.")],
    step: Annotated[str, typer.Option(help="Only this step.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show new lines until the run has ended.")] = False,
    env: EnvOption = "",
    as_json: JsonOption = False,
) -> None:
    """What happened in a run: for each step its fault, your own script's line first; the next command to try; then the lines.

    Ends with 1 when the run failed.
    """
    found = target(env)
    record = find(found, run)
    if follow:
        record = _follow(found, record, step, quiet=as_json)
    steps = _steps(found, record, step)
    faults = {one.job_run_id: fault(lines, one.error) if one.error or one.state == "FAILED" else None for one, lines in steps}
    if as_json:
        told = [{**asdict(one), "fault": asdict(why) if (why := faults[one.job_run_id]) else None, "lines": lines} for one, lines in steps]
        emit({"run": asdict(record), "rows": rows_written(outbox(found, record)), "steps": told})
    else:
        _show(found, record, steps, faults, lines_too=not follow)
    raise typer.Exit(PROBLEMS if record.status in ("FAILED", "TIMED_OUT", "ABORTED") else 0)


def _steps(found: Target, record: Run, step: str) -> list[tuple[JobRun, list[str]]]:
    every = job_runs(found, record)
    chosen = [one for one in every if step in ("", one.step)]
    if step and not chosen:
        known = ", ".join(dict.fromkeys(one.step for one in every)) or "none has begun"
        raise CliError(f"run {record.run_id} has no step '{step}'", allowed=known, code=USAGE)
    return [(one, [line for _, line in _lines(found, one)]) for one in chosen]


def _show(found: Target, record: Run, steps: list[tuple[JobRun, list[str]]], faults: dict[str, Fault | None], lines_too: bool) -> None:
    took = seconds(record)
    show(f"{record.run_id}: {record.status}" + (f" after {age(took)}" if took is not None else ""), style="bold")
    for text in (record.reason, record.cause if not any(faults.values()) else ""):
        if text:
            show(f"  {text}")
    last: Fault | None = None
    newest = {one.step or one.job: one.job_run_id for one, _ in steps}
    for one, _ in steps:
        attempt = f" round {one.round + 1}" * bool(one.round) + f" attempt {one.attempt + 1}" * bool(one.attempt)
        show(f"  {one.step or one.job}{attempt}: {one.state}")
        if newest[one.step or one.job] == one.job_run_id:  # a retry mostly says the same once more
            last = faults[one.job_run_id] or last
            for line in _told(faults[one.job_run_id]):
                show(f"    {line}", style="red")
    written = rows_written(outbox(found, record))
    if written:
        show("  rows: " + ", ".join(f"{table} +{count}" for table, count in written.items()))
    show(f"next: {next_command(record.project, record.pipeline or record.job, last, record.status)}", style="bold")
    for one, lines in steps if lines_too else ():
        show(f"--- {one.step or one.job} {one.job_run_id}")
        for line in readable(lines):
            show(line)


def _told(why: Fault | None) -> Iterator[str]:
    if why and why.place:
        yield why.place + (f":  {why.code}" if why.code else "")
    if why:
        yield why.message


def _follow(found: Target, record: Run, step: str, quiet: bool) -> Run:
    """Print lines as they come until the run has ended; the record as it is then."""
    places: dict[tuple[str, str], str] = {}  # how far each stream is read: one of them may lag behind the other
    while True:
        ended = record.status in ENDED
        for one in job_runs(found, record) if not quiet else ():
            lines = [line for _, line in _lines(found, one, places)] if step in ("", one.step) else []
            for line in readable(lines):
                show(f"{one.step or one.job} | {line}")
        if ended:
            return record
        time.sleep(LOOK_EVERY)
        record = find(found, record.run_id)


def _lines(found: Target, one: JobRun, places: dict[tuple[str, str], str] | None = None) -> list[tuple[int, str]]:
    """Both streams of a job run, in the order of time: from where `places` says, which is moved on, or all of them."""
    told: dict[tuple[str, str], str] = {} if places is None else places
    lines = [event for group in GROUPS for event in _events(found, (group, one.job_run_id), told)]
    return sorted(((event["timestamp"], event["message"].rstrip("\n")) for event in lines), key=lambda line: line[0])


def _events(found: Target, where: tuple[str, str], places: dict[tuple[str, str], str]) -> list[Any]:
    logs, events, (group, stream) = found.clients("logs"), [], where
    try:
        while True:
            token = places.get(where, "")
            extra = {"nextToken": token} if token else {}
            with translated("logs:GetLogEvents", f"{group}/{stream}"):
                page = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True, **extra)
            events += page["events"]
            places[where] = page["nextForwardToken"]
            if not page["events"] or page["nextForwardToken"] == token:
                return events
    except NotFound:  # nothing has been logged yet
        return events
