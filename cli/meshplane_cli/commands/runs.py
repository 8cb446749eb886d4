"""`meshplane runs`."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from typing import Annotated

import typer

from meshplane.model.runs import Run
from meshplane_cli.output import age, emit, rows
from meshplane_cli.project_status import published
from meshplane_cli.records import newest_first, outbox, rows_written, seconds, store
from meshplane_cli.surroundings import EnvOption, JsonOption, Target, target


def command(
    project: Annotated[str, typer.Argument(help="A project, or PROJECT.PIPELINE; all projects when none is named.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    env: EnvOption = "",
    as_json: JsonOption = False,
) -> None:
    """The runs of a project, newest first: what started each, how long it took, how many rows it wrote."""
    found = target(env)
    name, _, pipeline = project.partition(".")
    projects = [name] if name else published(found)
    known = (run for each in projects for run in store(found).history(each) if pipeline in ("", run.pipeline, run.job))
    runs = list(islice(newest_first(known), limit))
    written = {run.run_id: rows_written(outbox(found, run)) for run in runs if run.status != "SKIPPED"}
    if as_json:
        emit([{**asdict(run), "rows": written.get(run.run_id, {})} for run in runs])
        return
    lines = ((run.run_id, _name(run), run.status, _why(run), run.created, _took(run), _rows(written.get(run.run_id, {}))) for run in runs)
    rows(("run", "of", "status", "started by", "made", "took", "rows"), lines, empty=_empty(found, project))


def _name(run: Run) -> str:
    return f"{run.project}.{run.pipeline or run.job}"


def _why(run: Run) -> str:
    if run.reason:
        return run.reason
    what = f"{run.trigger} ({run.files_total} file{'s' if run.files_total != 1 else ''})" if run.kind == "files" else run.trigger
    return what or run.by or run.kind


def _took(run: Run) -> str:
    took = seconds(run)
    return "" if took is None or run.status == "SKIPPED" else age(took)


def _rows(written: dict[str, int]) -> str:
    return ", ".join(f"{table} +{count}" for table, count in written.items())


def _empty(found: Target, project: str) -> str:
    return f"no run of {project or 'any project'} is on record in {found.env}"
