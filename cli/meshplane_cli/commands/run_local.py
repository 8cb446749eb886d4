"""`meshplane run-local`."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from meshplane.aws.faults import translated
from meshplane.errors import NotFound
from meshplane.model.project import Job
from meshplane.model.runs import Run, run_id
from meshplane.model.windows import iso
from meshplane_cli.given_data import parsed, placed
from meshplane_cli.local_jobs import arguments, description, import_paths, script
from meshplane_cli.manifests import project_of
from meshplane_cli.output import PROBLEMS, USAGE, CliError, emit, say
from meshplane_cli.records import outbox, rows_written
from meshplane_cli.single_jobs import SingleJob
from meshplane_cli.surroundings import EnvOption, JsonOption, Target, split_name, target


def command(
    name: Annotated[str, typer.Argument(help="PROJECT.JOB, like sales.daily_revenue.")],
    param: Annotated[list[str] | None, typer.Option("--param", help="name=value; repeat it for more.")] = None,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", help="TABLE=PATH: read these files (csv, json, parquet) as that table; repeat it for more."),
    ] = None,
    env: EnvOption = "",
    as_json: JsonOption = False,
) -> None:
    """Run one job of this checkout here, as it stands, with ENV=local: the library builds the Spark session itself.

    Tables and files are those of the AWS that is talked to, which is the embedded one when it is up; what --data names is read from a
    file or folder of this machine instead. Ends with 1 when the job fails.
    """
    given = parsed(data or [])
    project_name, job_name = split_name(name, "job")
    found = target(env)
    project = project_of(found.checkout, project_name, found.env)
    if job_name not in project.jobs:
        raise CliError(f"{project_name} declares no job '{job_name}'", allowed=", ".join(project.jobs), code=USAGE)
    job = project.jobs[job_name]
    started = run_id(project_name, job_name, "", str(uuid.uuid4()), datetime.now(UTC))
    run = Run(started, project_name, "", "RUNNING", "", "manual", iso(datetime.now(UTC)), params=_params(param or []))
    told = description(found, project, job)
    _tables_stand(found, project_name, told)
    told = placed(found, told, given, started)
    environment = _environment(found, project_name, job)
    gated = SingleJob.gates(told)
    words = [sys.executable, str(script(found, project_name, job)), *arguments(job, told, run, gated)]
    say(f"{name} on local Spark, run {started}")
    done = subprocess.run(words, env=environment, stdout=sys.stderr if as_json else None, check=False)
    written = rows_written(outbox(found, run))
    if done.returncode == 0 and gated:  # as a pipeline does it: nothing writes a gated `main` directly
        error, cause = SingleJob(found, project_name, job_name, run.input()["run"]).publish(0)
        if error:
            raise CliError(
                f"{name} ran, and its gate did not publish it", found=f"{error}: {cause}", mend="docs/publishing.md has each cause"
            )
    if as_json:
        emit({"run_id": started, "exit": done.returncode, "rows": written})
    elif done.returncode == 0:
        say("rows: " + (", ".join(f"{table} +{count}" for table, count in written.items()) or "nothing was written"))
        for table in written:
            say(f'look at them: meshplane query "select * from {project_name}.{table}"')  # noqa: S608  # shown, never run
    raise typer.Exit(PROBLEMS if done.returncode else 0)


def _params(pairs: list[str]) -> dict[str, str]:
    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise CliError(f"'{wrong[0]}' is not name=value", mend="--param country=DE", code=USAGE)
    return dict(pair.split("=", 1) for pair in pairs)


def _tables_stand(found: Target, project: str, description: Mapping[str, Any]) -> None:
    """A job makes no table: those that it writes must have been published. Raises CliError."""
    for write in description["writes"]:
        table = description["tables"][write["table"]]
        try:
            with translated("glue:GetTable", f"{table['database']}.{table['name']}"):
                found.clients("glue").get_table(DatabaseName=table["database"], Name=table["name"])
        except NotFound as missing:
            mend = f"meshplane publish {project}"
            raise CliError(f"{write['table']}, which the job writes, is not there in {found.env}", mend=mend) from missing


def _environment(found: Target, project: str, job: Job) -> dict[str, str]:
    from meshplane_cli.local.java import java

    folder, root = found.checkout.folder(project), found.checkout.root
    settings = [word for key, value in job.spark.items() for word in ("--conf", f"{key}={value}")]
    jars = os.environ.get("MESHPLANE_JARS") or str(root / ".meshplane" / "jars")
    return {
        **os.environ,
        "ENV": "local",
        "AWS_REGION": found.naming.region,
        "JAVA_HOME": str(java().parent.parent),
        "MESHPLANE_JARS": os.pathsep.join([jars, *(str(folder / jar) for jar in job.jars)]),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": shlex.join([*settings, "pyspark-shell"]),
        "PYTHONPATH": os.pathsep.join([str(root / "glue_jobs"), *import_paths(folder, job)]),
    }
