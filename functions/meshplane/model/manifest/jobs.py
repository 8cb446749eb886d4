"""The authoring models of `jobs:`. Read by `document`; made plain by `normalise`, judged by `check_jobs`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Strict, WithJsonSchema

from meshplane.model.manifest.parts import (
    Description,
    Names,
    OneOrList,
    Part,
    Setting,
    Text,
    Whole,
    as_written,
    duration,
    field,
    named,
    refuse,
    relative,
)
from meshplane.model.reading import shown

JobName = Annotated[str, named("job", "[a-z][a-z0-9_-]*", "lower-case letters, digits, _ and -, beginning with a letter")]
SecretName = Annotated[str, named("secret", "[A-Za-z0-9][A-Za-z0-9/_+=.@-]*", "letters, digits and / _ + = . @ -")]
ScriptPath = Annotated[str, relative("script", ".py")]
SqlPath = Annotated[str, relative("SQL file", ".sql")]
ModulePaths = Annotated[tuple[Annotated[str, relative("module", "/", ".py")], ...], OneOrList()]
FolderPath = Annotated[str, relative("folder", "/")]
JarPaths = Annotated[tuple[Annotated[str, relative("jar", ".jar")], ...], OneOrList()]
Timeout = Annotated[timedelta, duration("1m", "7d", "1m")]

Task = Literal["compaction", "retention", "orphans"]
TASKS: tuple[Task, ...] = ("compaction", "retention", "orphans")
Tasks = Annotated[tuple[Task, ...], OneOrList()]

# 5.1 without quotes is a number to YAML.
GlueVersion = Annotated[Literal["5.1"], BeforeValidator(as_written), WithJsonSchema({"enum": ["5.1", 5.1]})]
# What Glue 5.1 runs Spark batch jobs on; G.025X is for streaming, Z.2X for Ray.
WORKER_TYPES = ("G.1X", "G.2X", "G.4X", "G.8X", "G.12X", "G.16X", "R.1X", "R.2X", "R.4X", "R.8X")


class Read(Part):
    """A table that a job reads: an own one, or `project.table`."""

    short = ({"type": "string"},)

    table: Text = field("`orders`, or `customers.contacts` of another project.")
    columns: Names = field("The columns that are used. Default: all.", default=())

    @classmethod
    def expand(cls, value: object) -> object:
        """`orders`."""
        return {"table": value} if isinstance(value, str) else value


Reads = Annotated[tuple[Read, ...], OneOrList()]


class WritePart(Part):
    """A table of this project that a job writes."""

    short = ({"type": "string"},)

    table: Text = field("A table of this project.")
    mode: Literal["append", "merge", "overwrite_window"] | None = field(
        "Default append; merge for the built-in of that name.", default=None
    )

    @classmethod
    def expand(cls, value: object) -> object:
        """`orders`."""
        return {"table": value} if isinstance(value, str) else value


Writes = Annotated[tuple[WritePart, ...], OneOrList()]


class Workers(Part):
    """Size of a job: `2 x G.1X`."""

    short = ({"type": "string", "pattern": r"^[0-9]+ ?x ?[GR]\.[0-9]+X$"},)

    count: Whole = field("Workers, the driver's included.", ge=2, le=299)
    type: Annotated[str, Strict(), WithJsonSchema({"enum": list(WORKER_TYPES)})] = field("Glue's worker type.")

    @classmethod
    def expand(cls, value: object) -> object:
        """`2 x G.1X`; the types are an allow-list."""
        allowed = "number x type, the type one of " + ", ".join(WORKER_TYPES)
        if isinstance(value, dict):
            kind = value.get("type", WORKER_TYPES[0])
        else:
            match = re.fullmatch(r"([0-9]{1,4})\s*x\s*([A-Z]\.[0-9]+X)", shown(value))
            if not match:
                refuse("workers", "workers are a number and a type", shown(value), allowed, "2 x G.1X")
            value, kind = {"count": int(match[1]), "type": match[2]}, match[2]
        if kind not in WORKER_TYPES:
            refuse("worker-type", f"there is no worker type '{shown(kind)}' for Spark jobs", shown(kind), ", ".join(WORKER_TYPES))
        return value


def _pinned(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._-]+\])?==[A-Za-z0-9][A-Za-z0-9.!+_-]*", value):
        refuse(
            "package-pin",
            "a package is pinned to one version",
            shown(value),
            "name==version",
            f"{re.split(r'[<>=!~ @;]', shown(value))[0]}==1.2.3",
        )
    return value


Package = Annotated[str, Strict(), AfterValidator(_pinned), WithJsonSchema({"type": "string", "pattern": "=="})]


class Deletes(Part):
    """Which rows of the source ask for a deletion, and what it leaves."""

    when: Text = field("SQL condition over the source: `status = 'deleted'`. Null is no deletion.")
    as_: Literal["hard", "soft", "close"] = field(
        "hard: the row goes; soft: it stays, with `is_deleted`; close (with mode: scd2): its version ends.", alias="as"
    )


class Options(Part):
    """`with:` of a built-in job: `map`, `latestBy`, `deletes`, `mode` and `late` of merge; `from`, `format` and `pattern` of files; `tasks`
    of maintain."""

    map: dict[str, Setting] = field("merge: target column → SQL expression over the source; others go by name.", default_factory=dict)
    latest_by: Names = field("merge: columns that tell the newest of rows with one key, compared with the target too.", default=())
    deletes: Deletes | None = field("merge: rows of the source that delete.", default=None)
    mode: Literal["scd2"] | None = field(
        "merge: scd2 keeps versions in `valid_from`, `valid_to`, `is_current`. Default: the newest row only.", default=None
    )
    late: Literal["rewrite", "ignore"] | None = field(
        "merge with scd2: a row older than its key's newest version finds its place, or is left out. Default rewrite.", default=None
    )
    from_: FolderPath | None = field(
        "files: folder of the drop under the project's raw location, `inbox/orders/`.", default=None, alias="from"
    )
    format: Literal["csv", "json", "parquet"] | None = field("files: what is dropped. Default: the target's format.", default=None)
    pattern: Text = field("files: names of files that are taken, with * and ?. Default *.", default="*")
    tasks: Tasks = field("maintain: compaction, retention, orphans, as the table's `optimizers` say. Default: all three.", default=TASKS)


class JobPart(Part):
    """A Glue job: an own script, an own SQL file, or a built-in."""

    script: ScriptPath | None = field("Python file in the project's folder.", default=None)
    sql: SqlPath | None = field("SQL file with one SELECT, whose rows are written.", default=None)
    use: Literal["merge", "files", "check", "maintain"] | None = field("A built-in job: merge, files, check, maintain.", default=None)
    description: Description = field("What it does, for people.", default="")
    reads: Reads = field("Tables that it reads: own ones, or `project.table`.", default=())
    writes: Writes = field("Tables of this project that it writes.", default=())
    with_: Options | None = field("Options of the built-in job.", default=None, alias="with")
    workers: Workers = field("Number and type of workers. Default 2 x G.1X.", overlay=True, default="2 x G.1X")
    timeout: Timeout = field("Longest run, with a unit. Default 1h.", overlay=True, default="1h")
    packages: tuple[Package, ...] = field("Extra Python packages, `name==version`; resolved by hash at publish.", default=())
    modules: ModulePaths = field("Folders (`lib/`) and files on the job's import path.", default=())
    jars: JarPaths = field("Java archives in the project's folder.", default=())
    spark: dict[str, Setting] = field("Spark settings.", overlay=True, default_factory=dict)
    secrets: dict[str, SecretName] = field("Name in the job → secret of the project in Secrets Manager.", default_factory=dict)
    arguments: dict[str, Setting] = field("Further Glue arguments, `--name: value`.", overlay=True, default_factory=dict)
    max_concurrent_runs: Whole = field("Most runs at once. Default 10.", overlay=True, default=10, ge=1, le=1000)
    glue_version: GlueVersion = field("Glue's version. Default 5.1.", default="5.1")
