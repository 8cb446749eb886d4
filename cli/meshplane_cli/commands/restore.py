"""`meshplane restore list|roll-back|rebuild`: which published state of a table readers see."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import typer

from meshplane.errors import RestoreRefused
from meshplane.flows.restore_table import choices, gated, head, known_choice, looked
from meshplane.model import asl
from meshplane.model.gating import GatedTable
from meshplane.model.project import Job, Project
from meshplane.model.restoring import Choice, arrived, previous, tagged
from meshplane.model.windows import iso, moment
from meshplane.ports import TableLook
from meshplane_cli.main import EPILOG
from meshplane_cli.manifests import project_of
from meshplane_cli.output import USAGE, WAITS, CliError, emit, rows, say, show
from meshplane_cli.records import store
from meshplane_cli.restoring import Tell, looking, start
from meshplane_cli.surroundings import EnvOption, JsonOption, Target, split_name, target

PREVIOUS = "previous"
app = typer.Typer(
    help="Published states of a table: lead readers back to one, or have its rows made anew from raw. All verbs take --json.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
)
TableName = Annotated[str, typer.Argument(metavar="PROJECT.TABLE", help="A published table, like sales.orders.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command("list", epilog=EPILOG)
def list_states(
    table: TableName,
    limit: Annotated[int, typer.Option(help="How many, the newest first.", min=1)] = 20,
    env: EnvOption = "",
    as_json: JsonOption = False,
) -> None:
    """The published states that are still there: when, by which run, by which rules, and which of them readers see."""
    found = target(env)
    project, gate, seen = _table(found, table)
    states = choices(looking(found), gate, project, seen, limit)
    if as_json:
        emit([one.to_json() for one in states])
        return
    heads = ("snapshot", "published", "run", "rows", "rules", "")
    lines = [(one.snapshot, one.published, one.run_id, "" if one.rows is None else one.rows, _rules(one), _reads(one)) for one in states]
    rows(heads, lines, empty="nothing of the table was published, or its tags have expired")
    if not any(one.read for one in states):
        show(f"readers see snapshot {head(seen)}, which is none of these")


@app.command("roll-back", epilog=EPILOG)
def roll_back(
    table: TableName,
    to: Annotated[str, typer.Argument(metavar="SNAPSHOT|previous", help="What `list` shows; `previous`: the one below what readers see.")],
    yes: Yes = False,
    env: EnvOption = "",
    as_json: JsonOption = False,
) -> None:
    """Readers see an earlier published state again, at once. Nothing is deleted, no event is sent: back is the same command with the
    snapshot of now. Refused while a run writes the table."""
    if to != PREVIOUS and not to.isdecimal():
        raise CliError(f"'{to}' is no snapshot", allowed=f"an id that meshplane restore list {table} shows, or {PREVIOUS}", code=USAGE)
    found = target(env)
    project, gate, seen = _table(found, table)

    def known(number: int) -> Choice | None:
        return known_choice(looking(found), gate, project, seen, number)

    chosen = previous(seen.metadata, known) if to == PREVIOUS else (known(int(to)) if int(to) in tagged(seen.metadata) else None)
    if chosen is None:
        raise CliError(f"{table} has no such published state", found=to, allowed=f"what meshplane restore list {table} shows", code=USAGE)
    if chosen.read:
        raise CliError(f"readers of {table} see snapshot {chosen.snapshot} already", code=USAGE)
    other = "" if chosen.todays else "; it was judged by other rules than today's"
    _agreed(f"readers of {table} will see snapshot {chosen.snapshot}, published {chosen.published} by {chosen.run_id}{other}", yes, as_json)
    request = {"project": project, "table": gate.table, "snapshot": str(chosen.snapshot), "seen": str(head(seen))}
    execution = start(found, "roll-back", request)
    answer = execution.answer(_teller(as_json))
    if as_json:
        emit({**answer, "table": table, "execution": execution.name, "before": str(head(seen))})
        return
    show(f"readers of {table} see snapshot {chosen.snapshot}; to undo it: meshplane restore roll-back {table} {head(seen)}")
    _hint(found, project, gate.table, answer["undone"])


@app.command("rebuild", epilog=EPILOG)
def rebuild(
    table: TableName,
    start_at: Annotated[str, typer.Option("--from", help="Files that arrived from this day or moment on (UTC).")],
    until: Annotated[str, typer.Option(help="And before this one.")],
    pipeline: Annotated[str, typer.Option(help="Which pipeline to run, where several fill the table.")] = "",
    yes: Yes = False,
    env: EnvOption = "",
    as_json: JsonOption = False,
) -> None:
    """Run the pipeline that fills the table on the files of raw that arrived in a window, whether they were read before or not: the job,
    contract and gate of today, and the publication as ever. Other files wait for the next run."""
    project, name = split_name(table, "table")
    try:
        first, last = arrived(start_at, until)
    except ValueError as wrong:
        raise CliError(str(wrong), code=USAGE) from wrong
    found = target(env)
    _table(found, table)
    chosen = pipeline_of(project_of(found.checkout, project, found.env), name, pipeline)
    _agreed(
        f"{project}.{chosen} will read the files of raw that arrived from {first} on and before {last}, and publish {table}", yes, as_json
    )
    execution = start(found, "rebuild", {"project": project, "table": name, "pipeline": chosen, "from": first, "until": last})
    answer = execution.answer(_teller(as_json))
    if as_json:
        emit({**answer, "table": table, "execution": execution.name})
    elif answer["published"]:
        show(f"{table} is rebuilt: snapshot {answer['published']} by run {answer['run_id']}")
    else:
        show(f"run {answer['run_id']} published nothing of {table}: no file arrived then that it may read again")


def _table(found: Target, table: str) -> tuple[str, GatedTable, TableLook]:
    """Its project, its gate, and how it is now. Raises CliError."""
    project, name = split_name(table, "table")
    try:
        gate = gated(looking(found), project, name)
        return project, gate, looked(looking(found), gate, project)
    except RestoreRefused as no:
        raise CliError(f"{table} cannot be restored in {found.env}", found="; ".join(no.reasons)) from no


def _agreed(what: str, yes: bool, as_json: bool) -> None:
    """Say what will be, and ask. Raises CliError when nobody agrees."""
    if not as_json:
        say(what)
    if yes:
        return
    if not sys.stdin.isatty():
        raise CliError("nothing was changed: nobody said yes", found=what, mend="--yes", code=WAITS)
    if not typer.confirm("Go on?", err=True):
        raise CliError("nothing was changed", code=WAITS)


def _teller(quiet: bool) -> Tell:
    return (lambda _: None) if quiet else say


def _rules(one: Choice) -> str:
    held = sum(outcome == "passed" for outcome in one.rules.values())
    of = f"{held} of {len(one.rules)} held" if one.rules else "no record"
    return of if one.todays else f"{of}, not today's set"


def _reads(one: Choice) -> str:
    return "readers see it" if one.read else ""


def _hint(found: Target, project: str, table: str, gone: Sequence[str]) -> None:
    """What is missing now: a rollback takes rows off `main`, and leaves their files consumed."""
    runs = [run for run in (store(found).run(project, one) for one in gone) if run is not None]
    if not gone:
        return
    show(f"not in it: the rows of {', '.join(gone)}. Their files of raw count as read; once the fix is published, they come again by")
    first = min((min([run.created, *(file.at for file in run.files if file.at)]) for run in runs), default="")
    last = max((run.created for run in runs), default="")
    window = f"--from {first[:10]} --until {iso(moment(last[:10]) + timedelta(days=1))[:10]}" if runs else "--from DAY --until DAY"
    show(f"    meshplane restore rebuild {project}.{table} {window}")


def pipeline_of(project: Project, table: str, named: str) -> str:
    """The pipeline with a job that reads raw files into the table. Raises CliError where none, or more than one, does."""
    filling = {
        job.name for job in project.jobs.values() if any(write.table == table for write in job.writes) and _reads_files(project, job)
    }
    if not filling:
        mend = "meshplane restore roll-back, and run the pipeline that computes it from other tables"
        raise CliError(f"no job of {project.name} reads files of raw into {table}", mend=mend, code=USAGE)
    able = [p.name for p in project.pipelines.values() if filling & {step.job for _, step in asl.step_names(p)}]
    if named in able or (named and named in project.pipelines and project.pipelines[named].asl):
        return named
    if named or len(able) != 1:
        allowed = ", ".join(able) or f"none has a step of {', '.join(sorted(filling))}"
        mend = "--pipeline, where several are allowed; else name the job in a pipeline: a run without one has no gate"
        raise CliError(f"no one pipeline of {project.name} to rebuild {table}", found=named, allowed=allowed, mend=mend, code=USAGE)
    return able[0]


def _reads_files(project: Project, job: Job) -> bool:
    own = [project.tables[read.table] for read in job.reads if read.project == project.name and read.table in project.tables]
    return job.use == "files" or any(not one.is_iceberg for one in own)
