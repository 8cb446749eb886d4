"""`meshplane files`."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from dp_foundation.run.ledger import Entry, entry, valid
from meshplane.aws.faults import translated
from meshplane.errors import NotFound
from meshplane_cli.output import USAGE, CliError, emit, rows, show
from meshplane_cli.records import keys_under, read_all
from meshplane_cli.surroundings import EnvOption, JsonOption, Target, split_name, target


def command(
    name: Annotated[str, typer.Argument(help="PROJECT.JOB, like sales.load_orders.")],
    reset: Annotated[bool, typer.Option("--reset", help="Forget what it consumed: its next run reads every file again.")] = False,
    run: Annotated[list[str] | None, typer.Option(help="With --reset: forget only what these runs consumed.")] = None,
    env: EnvOption = "",
    as_json: JsonOption = False,
) -> None:
    """Which versions of which raw files a job has consumed, and in which run. --reset adds an entry; nothing is deleted."""
    project, job = split_name(name, "job")
    if run and not reset:
        raise CliError("--run says what --reset is to forget", mend=f"meshplane files {name} --reset --run {run[0]}", code=USAGE)
    found = target(env)
    keys = _keys(found, project, job)
    if not keys:
        _exists(found, project, job)
    entries = valid(entry(raw) for raw in read_all(found, found.naming.bucket("refined"), keys))
    if reset:
        entries = valid([*entries, _reset(found, project, job, _known(run or (), entries))])
    lines = sorted(
        (each.recorded, table, file.key, file.version, each.run_id, each.state)
        for each in entries
        for table, files in each.files.items()
        for file in files
    )
    if as_json:
        emit([dict(zip(("recorded", "table", "key", "version", "run_id", "state"), line, strict=True)) for line in lines])
        return
    if reset:
        what = f"the files of {', '.join(run)}" if run else "every file"
        show(f"{name} forgot {what}; its next run reads them again: meshplane run {name}")
    rows(("recorded", "table", "file", "version", "run", "state"), lines, empty=f"{name} has consumed no file")


def _keys(found: Target, project: str, job: str) -> list[str]:
    return keys_under(found, found.naming.bucket("refined"), _prefix(found, project, job))


def _prefix(found: Target, project: str, job: str) -> str:
    return f"{found.naming.of('runs_prefix', project=project)}_ledger/{job}/"


def _exists(found: Target, project: str, job: str) -> None:
    """A misspelt job has consumed nothing either: then that is to be said. Raises CliError."""
    physical = found.naming.job(project, job)
    try:
        with translated("glue:GetJob", physical):
            found.clients("glue").get_job(JobName=physical)
    except NotFound as missing:
        raise CliError(f"{project} has no job '{job}' in {found.env}", found=f"no Glue job {physical}", code=USAGE) from missing


def _known(runs: Sequence[str], entries: Sequence[Entry]) -> tuple[str, ...]:
    """Raises CliError for a run that has consumed nothing."""
    consumed = list(dict.fromkeys(each.run_id for each in entries))
    unknown = [run for run in runs if run not in consumed]
    if unknown:
        raise CliError(f"run {unknown[0]} has consumed no file that still counts", allowed=", ".join(consumed) or "no run has", code=USAGE)
    return tuple(runs)


def _reset(found: Target, project: str, job: str, runs: tuple[str, ...]) -> Entry:
    now = datetime.now(UTC)
    said = Entry("reset", "", job, now.isoformat(timespec="milliseconds").replace("+00:00", "Z"), runs=runs)
    bucket, key = found.naming.bucket("refined"), f"{_prefix(found, project, job)}reset-{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}.json"
    with translated("s3:PutObject", f"{bucket}/{key}"):
        found.clients("s3").put_object(Bucket=bucket, Key=key, Body=json.dumps(said.as_json()).encode(), ContentType="application/json")
    return said
