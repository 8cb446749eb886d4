"""`meshplane run-local`."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from meshplane.aws.faults import translated
from meshplane.errors import ManifestInvalid, NotFound
from meshplane.model.baseline import Baseline
from meshplane.model.context import Context, Neighbour, PlaneNames
from meshplane.model.job_arguments import JobFiles
from meshplane.model.project import Job, Project
from meshplane.model.release import PlatformRelease, Release
from meshplane.model.runs import Run, run_id
from meshplane.model.windows import iso
from meshplane.plan.shares import neighbour, references, shares
from meshplane_cli.given_data import parsed, placed
from meshplane_cli.manifests import project_of
from meshplane_cli.output import PROBLEMS, USAGE, CliError, emit, say
from meshplane_cli.records import outbox, rows_written
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
    description = _description(found, project, job)
    _tables_stand(found, project_name, description)
    description = placed(found, description, given, started)
    environment = _environment(found, project_name, job)
    words = [sys.executable, str(_script(found, project_name, job)), *_arguments(job, description, run)]
    say(f"{name} on local Spark, run {started}")
    done = subprocess.run(words, env=environment, stdout=sys.stderr if as_json else None, check=False)
    written = rows_written(outbox(found, run))
    if as_json:
        emit({"run_id": started, "exit": done.returncode, "rows": written})
    elif done.returncode == 0:
        say("rows: " + (", ".join(f"{table} +{count}" for table, count in written.items()) or "nothing was written"))
        for table in written:
            say(f'look at them: meshplane query "select * from {project_name}.{table}"')  # noqa: S608  # shown, never run
    raise typer.Exit(PROBLEMS if done.returncode else 0)


def _script(found: Target, project: str, job: Job) -> Path:
    if job.script:
        return found.checkout.folder(project) / job.script
    return found.checkout.root / "glue_jobs" / "jobs" / f"{'sql' if job.sql else job.use}.py"


def _params(pairs: list[str]) -> dict[str, str]:
    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise CliError(f"'{wrong[0]}' is not name=value", mend="--param country=DE", code=USAGE)
    return dict(pair.split("=", 1) for pair in pairs)


def _description(found: Target, project: Project, job: Job) -> Mapping[str, Any]:
    return JobFiles.of(job, project, _context(found, project, _uploaded_sql(found, project.name, job))).description()


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


def _arguments(job: Job, description: Mapping[str, Any], run: Run) -> list[str]:
    own = {key if key.startswith("--") else f"--{key}": value for key, value in job.arguments.items()}
    given = {
        **own,
        "--meshplane-job": json.dumps(description),
        "--meshplane-run": json.dumps(run.input()["run"]),
        "--meshplane-step": job.name,
        "--meshplane-attempt": "0",
    }
    return [word for pair in given.items() for word in pair]


def _context(found: Target, project: Project, release: Release) -> Context:
    """As much of a context as a job's description needs. Other projects are known from their manifests in this checkout."""
    nothing = Baseline("", (), (), ()), PlatformRelease(""), PlaneNames("", "", "")
    return Context(found.checkout.domain, found.naming, *nothing, release, _neighbours(found, project))


def _neighbours(found: Target, project: Project) -> Mapping[str, Neighbour]:
    known = {}
    for name in references(project) & set(found.checkout.projects):
        try:
            other = project_of(found.checkout, name, found.env)
        except ManifestInvalid as invalid:
            raise CliError(f"{name}, which {project.name} reads, is not valid", mend=f"meshplane validate {name}") from invalid
        standing = {
            f"{found.naming.database(table.layer)}.{table.physical_name or found.naming.table(name, table.name)}"
            for table in other.tables.values()
        }
        known[name] = neighbour(name, shares(other, found.naming, standing, {}), True)
    return known


def _uploaded_sql(found: Target, project: str, job: Job) -> Release:
    """A SQL job reads its file from the artifacts bucket: put it there by its content, as publish would."""
    if not job.sql:
        return Release()
    import hashlib

    content = (found.checkout.folder(project) / job.sql).read_bytes()
    sha = hashlib.sha256(content).hexdigest()
    bucket, key = found.naming.bucket("artifacts"), found.naming.project_file(project, sha, Path(job.sql).name)
    with translated("s3:PutObject", f"{bucket}/{key}"):
        found.clients("s3").put_object(Bucket=bucket, Key=key, Body=content)
    return Release(files={job.sql: sha})


def _environment(found: Target, project: str, job: Job) -> dict[str, str]:
    from meshplane_cli.local.java import java

    folder, root = found.checkout.folder(project), found.checkout.root
    settings = [word for key, value in job.spark.items() for word in ("--conf", f"{key}={value}")]
    modules = [str(folder / module) for module in job.modules if not module.endswith("/")]
    jars = os.environ.get("MESHPLANE_JARS") or str(root / ".meshplane" / "jars")
    return {
        **os.environ,
        "ENV": "local",
        "AWS_REGION": found.naming.region,
        "JAVA_HOME": str(java().parent.parent),
        "MESHPLANE_JARS": os.pathsep.join([jars, *(str(folder / jar) for jar in job.jars)]),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": shlex.join([*settings, "pyspark-shell"]),
        "PYTHONPATH": os.pathsep.join([str(root / "glue_jobs"), str(folder), *modules, *_packages(folder, job)]),
    }


def _packages(folder: Path, job: Job) -> list[str]:
    """The folder that holds the job's packages, the same wheels that publish chooses."""
    if not job.packages:
        return []
    from meshplane_cli.local.glue_runs.files import install_wheels
    from meshplane_cli.wheels import one_version_each, resolve

    wheels = [wheel for package in job.packages for wheel in resolve(package, folder, say)]
    one_version_each(job.name, [wheel.name for wheel in wheels])
    return [str(install_wheels(dict.fromkeys(wheels), folder.parents[1] / ".meshplane" / "wheels"))]
