"""What a job of this checkout is given when it runs on this machine: its script, description, arguments and import path. Called by
`run-local` and `test`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meshplane.aws.faults import translated
from meshplane.errors import ManifestInvalid
from meshplane.model.baseline import Baseline
from meshplane.model.context import Context, Neighbour, PlaneNames
from meshplane.model.job_arguments import JobFiles
from meshplane.model.project import Job, Project
from meshplane.model.release import PlatformRelease, Release, columns_file
from meshplane.model.runs import Run
from meshplane.plan.shares import neighbour, references, shares
from meshplane_cli.manifests import project_of
from meshplane_cli.output import CliError, say
from meshplane_cli.sql_lineage import columns_json
from meshplane_cli.surroundings import Target


def script(found: Target, project: str, job: Job) -> Path:
    """The file that runs: the job's own, or the entry of its built-in."""
    if job.script:
        return found.checkout.folder(project) / job.script
    return found.checkout.root / "glue_jobs" / "jobs" / f"{'sql' if job.sql else job.use}.py"


def description(found: Target, project: Project, job: Job) -> Mapping[str, Any]:
    """What the plane would tell the job (docs/contracts.md §1). A file of SQL is put where the job reads it. Raises CliError."""
    return JobFiles.of(job, project, context(found, project, _uploaded_sql(found, project, job))).description()


def arguments(job: Job, description: Mapping[str, Any], run: Run, gate: bool = False) -> list[str]:
    """The process's arguments for one run (docs/contracts.md §2); with `gate` it writes what is to be published to a branch."""
    own = {key if key.startswith("--") else f"--{key}": value for key, value in job.arguments.items()}
    given = {
        **own,
        "--meshplane-job": json.dumps(description),
        "--meshplane-run": json.dumps(run.input()["run"]),
        "--meshplane-step": job.name,
        **({"--meshplane-attempt": "0_0", "--meshplane-gate": "audit"} if gate else {"--meshplane-attempt": "0"}),
    }
    return [word for pair in given.items() for word in pair]


def import_paths(folder: Path, job: Job) -> list[str]:
    """Where the job imports from, beside the library: its project's folder, its modules and packages."""
    return [str(folder), *(str(folder / module) for module in job.modules if not module.endswith("/")), *_packages(folder, job)]


def context(found: Target, project: Project, release: Release) -> Context:
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


def _uploaded_sql(found: Target, project: Project, job: Job) -> Release:
    """A SQL job reads its file, and what it makes of which columns, from the artifacts bucket: put there by content, as publish would."""
    if not job.sql:
        return Release()
    content = (found.checkout.folder(project.name) / job.sql).read_bytes()
    columns = columns_json(content.decode("utf-8", "replace"), job, project)
    files = {job.sql: content, **({columns_file(job.sql, job.name): columns} if columns else {})}
    release = Release(files={path: hashlib.sha256(body).hexdigest() for path, body in files.items()})
    bucket = found.naming.bucket("artifacts")
    for path, body in files.items():
        key = release.file_key(found.naming, project.name, path)
        with translated("s3:PutObject", f"{bucket}/{key}"):
            found.clients("s3").put_object(Bucket=bucket, Key=key, Body=body)
    return release


def _packages(folder: Path, job: Job) -> list[str]:
    """The folder that holds the job's packages, the same wheels that publish chooses."""
    if not job.packages:
        return []
    from meshplane_cli.local.glue_runs.files import install_wheels
    from meshplane_cli.wheels import one_version_each, resolve

    wheels = [wheel for package in job.packages for wheel in resolve(package, folder, say)]
    one_version_each(job.name, [wheel.name for wheel in wheels])
    return [str(install_wheels(dict.fromkeys(wheels), folder.parents[1] / ".meshplane" / "wheels"))]
