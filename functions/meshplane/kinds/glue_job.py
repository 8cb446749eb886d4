"""A job as a Glue job definition: complete, because UpdateJob replaces the whole of it. Pure; arguments are `model/job_arguments`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from meshplane.kinds.comparing import differences
from meshplane.kinds.role import role_id
from meshplane.model.access import table_name, waits
from meshplane.model.context import Context
from meshplane.model.job_arguments import JobFiles
from meshplane.model.project import Job, Project
from meshplane.model.quarantine import quarantines
from meshplane.model.resource import Difference, Id, Seen, Want

NAME = "glue_job"


@dataclass(frozen=True, slots=True)
class GlueJobSpec:
    """The definition as Glue takes it. `script` is an `s3://` path that names its content; `timeout_minutes` is Glue's unit.

    `max_retries` stays 0: a retry is another run with another id, and `.sync` would watch the dead one (aws-facts B14).
    """

    role: str
    script: str
    arguments: Mapping[str, str]
    connections: tuple[str, ...]
    worker_type: str
    workers: int
    timeout_minutes: int
    max_concurrent_runs: int
    description: str = ""
    glue_version: str = "5.1"
    command: str = "glueetl"
    python_version: str = "3"
    max_retries: int = 0
    execution_class: str = "STANDARD"
    queuing: bool = False
    security_configuration: str = ""
    maintenance_window: str = ""
    notify_delay_minutes: int = 0
    fixed_arguments: Mapping[str, str] = field(default_factory=dict)


def job_id(project: str, job: str, context: Context) -> Id:
    """`f01-sales-load_orders-dev`."""
    return Id("glue_job", context.naming.job(project, job), job)


class GlueJob:
    """One per declared job."""

    name = NAME

    def desired(self, project: Project, context: Context) -> Iterable[Want[GlueJobSpec]]:
        """Each job, waiting in words for what is not there yet: files of the release, reads that others have not granted."""
        return [self._want(job, project, context) for job in project.jobs.values()]

    def _want(self, job: Job, project: Project, context: Context) -> Want[GlueJobSpec]:
        files = JobFiles.of(job, project, context)
        spec = GlueJobSpec(
            role=context.naming.role_arn("job", project.name),
            script=files.path(files.script),
            arguments=files.arguments(),
            connections=context.baseline.connections,
            worker_type=job.worker_type,
            workers=job.workers,
            timeout_minutes=max(1, math.ceil(job.timeout.total_seconds() / 60)),
            max_concurrent_runs=job.max_concurrent_runs,
            description=job.description,
            glue_version=job.glue_version,
        )
        own = [project.tables[ref.table] for ref in job.reads if ref.project == project.name]
        own += [project.tables[write.table] for write in job.writes]
        aside = quarantines(project)
        own += [aside[write.table] for write in job.writes if write.table in aside]
        tables = {Id("iceberg_table" if t.is_iceberg else "hive_table", table_name(t, project, context), t.name) for t in own}
        needs = frozenset({role_id("job", project.name, context), *tables})
        named = frozenset(key for key in (files.script, files.sql, *files.py_files, *files.wheels, *files.jars) if key)
        wait = "; ".join((*files.missing, *waits(job, project, context)))
        return Want(job_id(project.name, job.name, context), spec, needs, refused=files.refused, waits=wait, files=named)

    def compare(self, want: GlueJobSpec, seen: GlueJobSpec) -> tuple[Difference, ...]:
        """Every field; arguments one by one."""
        return differences(want, seen)

    def resting(self, seen: Seen[GlueJobSpec]) -> GlueJobSpec | None:
        """Deleted."""
        return None


KIND = GlueJob()
