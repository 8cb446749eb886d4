"""What a Glue job is given: its files by content and its default arguments, as docs/contracts.md §1 lists them. Pure.

Called by `kinds/glue_job`; the job library reads the result (`dp_foundation.config.arguments`, `schemas/job.schema.json`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from meshplane.model import types
from meshplane.model.access import foreign_table, secret_name
from meshplane.model.context import Context, SharedTable
from meshplane.model.project import CsvFormat, Job, Project, Table
from meshplane.model.release import columns_file

CATALOG = "glue_catalog"  # the one catalog name that jobs of both earlier generations use

# Arguments that the plane itself sets, or that would put other code before the release's: a job may not set them another way.
OURS = frozenset(
    {
        "--JOB_NAME",
        "--TempDir",
        "--additional-python-modules",
        "--conf",
        "--datalake-formats",
        "--enable-continuous-cloudwatch-log",
        "--enable-metrics",
        "--enable-observability-metrics",
        "--extra-files",
        "--extra-jars",
        "--extra-py-files",
        "--job-language",
        "--meshplane-attempt",
        "--meshplane-gate",
        "--meshplane-job",
        "--meshplane-run",
        "--meshplane-step",
        "--python-modules-installer-option",
        "--scriptLocation",
        "--user-jars-first",
    }
)


@dataclass(frozen=True, slots=True)
class JobFiles:
    """Keys in the artifacts bucket. `missing` says what no release holds (the job waits), `refused` what can never be."""

    job: Job
    project: Project
    context: Context
    script: str
    sql: str
    py_files: tuple[str, ...]
    wheels: tuple[str, ...]
    jars: tuple[str, ...]
    missing: tuple[str, ...]
    refused: str

    @staticmethod
    def of(job: Job, project: Project, context: Context) -> JobFiles:
        """Look every file up in the release; the library and built-in scripts in the platform's own."""
        release, naming, platform = context.release, context.naming, context.platform
        lost: list[str] = []

        def own(path: str) -> str:
            return found(path, release.file_key(naming, project.name, path))

        def found(path: str, key: str) -> str:
            if not key:
                lost.append(f"FileMissing: {path} is in no release of this project; mend: meshplane publish {project.name}")
            return key

        builtin = "sql" if job.sql else job.use
        script = own(job.script) if job.script else platform.jobs.get(builtin, "")
        if not script and not job.script:
            lost.append(f"the platform's release has no built-in job '{builtin}'; mend: publish the platform's files")
        modules = [found(module, release.module_key(naming, project.name, module)) for module in job.modules]
        wheels: list[str] = []
        for requirement in job.packages:
            keys = release.wheel_keys(naming, project.name, requirement)
            wheels += keys or [found(f"the wheel of package {requirement}", "")]
        return JobFiles(
            job,
            project,
            context,
            script,
            own(job.sql) if job.sql else "",
            (platform.library, *modules),
            tuple(dict.fromkeys(wheels)),
            tuple(own(jar) for jar in job.jars),
            tuple(lost),
            _refusal(job) or _unreachable(job, context),
        )

    def path(self, key: str) -> str:
        """A key as an `s3://` path; empty stays empty."""
        return f"s3://{self.context.naming.bucket('artifacts')}/{key}" if key else ""

    def arguments(self) -> Mapping[str, str]:
        """The DefaultArguments, complete."""
        naming = self.context.naming
        own = {key if key.startswith("--") else f"--{key}": value for key, value in self.job.arguments.items()}
        given = {
            "--job-language": "python",
            "--datalake-formats": "iceberg",
            "--conf": self.conf(),
            "--extra-py-files": self._list(self.py_files),
            "--TempDir": f"s3://{naming.bucket('artifacts')}/{naming.of('temp_prefix', project=self.project.name)}",
            "--enable-continuous-cloudwatch-log": "true",
            "--enable-metrics": "true",
            "--enable-observability-metrics": "true",
            "--meshplane-job": json.dumps(self.description(), sort_keys=True, separators=(",", ":"), ensure_ascii=False),
        }
        if self.wheels:
            given |= {"--additional-python-modules": self._list(self.wheels), "--python-modules-installer-option": "--no-index"}
        if self.jars:
            given["--extra-jars"] = self._list(self.jars)
        return {**own, **given}

    def conf(self) -> str:
        """One chained value: Glue passes on a single `--conf`, and the catalog cannot be set at run time (aws-facts C1)."""
        naming = self.context.naming
        warehouse = f"s3://{naming.bucket('refined')}/{naming.of('warehouse_prefix', project=self.project.name)}"
        catalog = f"spark.sql.catalog.{CATALOG}"
        settings = {
            catalog: "org.apache.iceberg.spark.SparkCatalog",
            f"{catalog}.catalog-impl": "org.apache.iceberg.aws.glue.GlueCatalog",
            f"{catalog}.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
            f"{catalog}.warehouse": warehouse,
            "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
            **self.job.spark,
        }
        return " --conf ".join(f"{key}={value}" for key, value in settings.items())

    def description(self) -> Mapping[str, Any]:
        """The value of `--meshplane-job`: what the library must know of the job, and nothing else."""
        domain, naming, job = self.context.domain, self.context.naming, self.job
        return {
            "schema": 1,
            "domain": {
                "name": domain.domain_name,
                "abbr": naming.abbr,
                "region": naming.region,
                "country_code": naming.country_code,
                "account_id": naming.account_id,
            },
            "env": naming.env,
            "project": self.project.name,
            "job": job.name,
            "tables": self._tables(),
            "reads": [{"table": self._called(ref.project, ref.table), "columns": list(ref.columns)} for ref in job.reads],
            "writes": [{"table": write.table, "mode": write.mode} for write in job.writes],
            "use": "sql" if job.sql else job.use,
            "with": dict(job.options),
            "sql": self.path(self.sql),
            "secrets": {name: secret_name(secret, self.project, self.context) for name, secret in job.secrets.items()},
            **self._connections(),
            **self._columns(),
        }

    def _connections(self) -> Mapping[str, Any]:
        """Where the job's source is; who asks there, the secret says."""
        name = self.job.options.get("connection")
        place = self.context.domain.reachable.get(str(name)) if name else None
        return {"connections": {name: place.model_dump(include={"kind", "host", "port", "database"})}} if place else {}

    def _columns(self) -> Mapping[str, Any]:
        """Which columns its SQL makes of which, where `publish` found out."""
        key = self.context.release.file_key(self.context.naming, self.project.name, columns_file(self.job.sql, self.job.name))
        return {"columns": self.path(key)} if key else {}

    def _called(self, project: str, table: str) -> str:
        return table if project == self.project.name else f"{project}.{table}"

    def _tables(self) -> Mapping[str, Any]:
        told: dict[str, Any] = {}
        for ref in self.job.reads:
            name = self._called(ref.project, ref.table)
            if ref.project == self.project.name:
                own = self.project.tables[ref.table]
                told[name] = {**self._own(own), **(_gate(own) if own.layer == "raw" or self.job.use == "check" else {})}
            elif found := foreign_table(ref, self.project.name, self.context)[0]:
                # A raw batch is judged where it is read: its owner's jobs may never see it, or see it later.
                told[name] = {**_told(found, ref.project), **({"gate": found.gate(name).to_json()} if found.layer == "raw" else {})}
        written = [self.project.tables[write.table] for write in self.job.writes]
        return told | {table.name: {**self._own(table), **_gate(table)} for table in written}

    def _own(self, table: Table) -> Mapping[str, Any]:
        naming = self.context.naming
        shared = SharedTable(
            naming.database(table.layer),
            table.physical_name or naming.table(self.project.name, table.name),
            naming.table_location(self.project.name, table.name, table.layer, table.is_iceberg),
            table.layer,
            table.format,
            table.readers,
            table.columns,
            table.key,
            table.csv,
            table.hive_partition,
        )
        return _told(shared, self.project.name)

    def _list(self, keys: Sequence[str]) -> str:
        return ",".join(self.path(key) for key in keys if key)


def _told(table: SharedTable, project: str) -> Mapping[str, Any]:
    """One entry of `tables`: types as Spark's DDL; a key column is never null."""
    told: dict[str, Any] = {
        "project": project,
        "layer": table.layer,
        "database": table.database,
        "name": table.name,
        "location": table.location,
        "format": table.format,
        "hive_partition": list(table.hive_partition),
        "key": list(table.key),
        "columns": [{"name": c.name, "type": types.spark(c.type), "required": c.required or c.name in table.key} for c in table.columns],
    }
    return told | {"csv": _csv(table.csv)} if table.format == "csv" else told


def _gate(table: Table) -> Mapping[str, Any]:
    return {"gate": table.gate.to_json()}


def _csv(csv: CsvFormat) -> Mapping[str, Any]:
    return asdict(csv)


def _unreachable(job: Job, context: Context) -> str:
    name = job.options.get("connection")
    if not name or name in context.domain.reachable:
        return ""
    known = ", ".join(context.domain.reachable) or "none"
    return f"jobs.{job.name}: the domain declares no connection '{name}'; declared: {known}; mend: domain.json, reachable.{name}"


def _refusal(job: Job) -> str:
    taken = sorted({key if key.startswith("--") else f"--{key}" for key in job.arguments} & OURS)
    if taken:
        return f"jobs.{job.name}.arguments: {', '.join(taken)} belongs to the plane; use the manifest's own field for it"
    # Glue splits its one --conf value at ` --conf `: a setting that holds it would smuggle in others.
    smuggled = sorted(
        key for key, value in job.spark.items() if "--conf" in f"{key}{value}" or any(c.isspace() for c in key) or "\n" in value
    )
    return (
        f"jobs.{job.name}.spark: {', '.join(smuggled)} cannot be passed on; allowed are a key without spaces and one line"
        if smuggled
        else ""
    )
