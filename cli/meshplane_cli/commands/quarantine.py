"""`meshplane quarantine show|replay`: rows that broke a table's contract, and another run for them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from meshplane.model import asl
from meshplane.model.project import Project
from meshplane.model.quarantine import ENDING, REPLAY, quarantines
from meshplane_cli.commands.run import follow, pipeline_look, start_pipeline
from meshplane_cli.main import EPILOG
from meshplane_cli.manifests import project_of
from meshplane_cli.output import USAGE, CliError, emit, rows, say, show
from meshplane_cli.records import keys_under, read_all, store
from meshplane_cli.surroundings import EnvOption, JsonOption, Target, split_name, target
from meshplane_cli.tables import Tables

app = typer.Typer(
    help="Rows that broke a table's contract at landing, and another run for them. Both verbs take --json.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
)
TableName = Annotated[str, typer.Argument(metavar="PROJECT.TABLE", help="A table with a contract, like sales.orders.")]
Reason = Annotated[str, typer.Option(help="Only rows with this reason: what they break (types), a column, or a rule.")]
OfRun = Annotated[str, typer.Option("--run", help="Only rows that this run put there.")]
REPLAYING = ("merge", "files")  # the built-in jobs that can take rows up again


@app.command("show", epilog=EPILOG)
def show_rows(
    table: TableName,
    reason: Reason = "",
    run: OfRun = "",
    limit: Annotated[int, typer.Option(help="How many rows to print.", min=0)] = 20,
    env: EnvOption = "",
    as_json: JsonOption = False,
) -> None:
    """How many rows for which reason; then the rows, where each came from, and whether it waits, is claimed, or was replayed."""
    project, name = split_name(table, "table")
    found = target(env)
    tables = Tables(found)
    kept = tables.arrow(tables.find(project, f"{name}{ENDING}"), None, None).to_pylist()
    kept = [row for row in kept if _meant(row, reason, run)]
    states = {claim: _state(found, project, name, claim) for claim in {row["replayed_by"] or "" for row in kept}}
    kept.sort(key=lambda row: (str(row["source_object"]), row["source_position"] or 0, row["row"]))
    told = [{**row, **_claimant(row["replayed_by"] or ""), "state": states[row["replayed_by"] or ""]} for row in kept]
    groups = Counter((each["entity"], each["column"], each["rule"], each["mode"], row["state"]) for row in told for each in row["reasons"])
    heads = ("breaks", "column", "rule", "mode", "state")
    if as_json:
        emit(
            {"table": table, "reasons": [{**dict(zip(heads, group, strict=True)), "rows": n} for group, n in groups.items()], "rows": told}
        )
        return
    rows(("rows", *heads), [(str(n), *group) for group, n in groups.most_common()], empty=f"nothing of {table} is in quarantine")
    if told[:limit]:
        show("")
        rows(("state", "run", "file", "record", "row"), [_line(row) for row in told[:limit]])
    if len(told) > limit:
        show(f"{len(told) - limit} more: --limit, --reason or --run")


@app.command("replay", epilog=EPILOG)
def replay(
    table: TableName,
    reason: Reason = "",
    run: OfRun = "",
    pipeline: Annotated[str, typer.Option(help="Which pipeline to run, where several fill the table.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end; exit code 1 when it did not succeed.")] = False,
    env: EnvOption = "",
    as_json: JsonOption = False,
) -> None:
    """Run the table's pipeline on rows of its quarantine in place of new files: today's contract, the gate and the publication as ever.
    What keeps the contract now lands once, however often this is said; the rest stays, with today's reasons."""
    project, name = split_name(table, "table")
    found = target(env)
    policies = store(found).policies(project)
    if policies is None:
        raise CliError(f"{project} is not published in {found.env}", mend=f"meshplane publish {project}")
    chosen = pipeline_for(project_of(found.checkout, project, found.env), name, pipeline)
    if chosen not in policies:
        known = ", ".join(policies) or "none"
        raise CliError(f"{project} has no pipeline '{chosen}' in {found.env}", allowed=known, mend=f"meshplane publish {project}")
    wanted = {word: value for word, value in (("table", name), ("reason", reason), ("run", run)) if value}
    started = start_pipeline(found, project, chosen, policies[chosen], {REPLAY: json.dumps(wanted)})
    if not as_json:
        say(f"{project}.{chosen}: run {started} replays {table}")
    follow(started, pipeline_look(found, project, started), 3600 if wait else None, as_json)


def _meant(row: dict[str, Any], reason: str, run: str) -> bool:
    named = not reason or any(reason in (each["entity"], each["column"], each["rule"]) for each in row["reasons"])
    return named and run in ("", row["run_id"])


def _claimant(claim: str) -> dict[str, str]:
    """The run that a row is marked with, and its step; an earlier release marked with the run alone."""
    run_id, _, step = claim.partition("~")
    return {"replayed_by": run_id, "step": step}


def _state(found: Target, project: str, table: str, claim: str) -> str:
    if not claim:
        return "waiting"
    run_id, step = _claimant(claim).values()
    bucket, prefix = found.naming.bucket("refined"), f"{found.naming.of('runs_prefix', project=project)}{run_id}/"
    keys = keys_under(found, bucket, prefix)
    notes = read_all(found, bucket, [key for key in keys if key.startswith(f"{prefix}publish-")])
    return claim_state(table, read_all(found, bucket, [key for key in keys if not key.startswith(f"{prefix}publish-")]), notes, step)


def claim_state(table: str, records: Sequence[Mapping[str, Any]], notes: Sequence[Mapping[str, Any]], step: str = "") -> str:
    """replayed, or claimed: by a step that is not published; the next replay takes that over. `records` are what the run's steps left,
    `notes` what was published of them. Without a step every one that took rows counts."""
    published = {note.get("step") for note in notes if note.get("state") == "done"}
    taking = [each for each in records if any(one.get("table") == f"{table}{ENDING}" for one in each.get("inputs", ()))]
    taking = [each for each in taking if step in ("", each.get("step"))]
    stands = [
        each.get("step") in published
        or each.get("state") == "nothing"
        or (each.get("state") == "done" and all(output["branch"] == "main" for output in each.get("outputs", ())))
        for each in taking
    ]
    return "replayed" if stands and all(stands) else "claimed"


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    by = f"{row['state']} by {row['replayed_by']}" if row["replayed_by"] else row["state"]
    return by, row["run_id"], str(row["source_object"] or "").rpartition("/")[2], str(row["source_position"] or ""), row["row"]


def pipeline_for(project: Project, table: str, named: str) -> str:
    """The pipeline that fills the table. Raises CliError where none, or more than one, does."""
    if table not in quarantines(project):
        known = ", ".join(quarantines(project)) or "none: no table has a contract that keeps rows aside"
        raise CliError(f"{project.name}.{table} has no quarantine", found=table, allowed=known, code=USAGE)
    writers = {job.name for job in project.jobs.values() if any(w.table == table for w in job.writes) and job.use in REPLAYING}
    if not writers:
        mend = "start the project's own job again: meshplane files PROJECT.JOB --reset --run RUN, meshplane run"
        raise CliError(f"no job by {' or '.join(REPLAYING)} writes {table}, so none can take its rows up", mend=mend, code=USAGE)
    filling = [p.name for p in project.pipelines.values() if writers & {step.job for _, step in asl.step_names(p)}]
    if named in filling or (named and named in project.pipelines and project.pipelines[named].asl):
        return named
    if named or len(filling) != 1:
        mend = "--pipeline, where several are allowed; else name the job in a pipeline: a run without one has no gate"
        allowed = ", ".join(filling) or "none has a step of " + ", ".join(sorted(writers))
        raise CliError(f"no one pipeline of {project.name} to fill {table}", found=named or "", allowed=allowed, mend=mend, code=USAGE)
    return filling[0]
