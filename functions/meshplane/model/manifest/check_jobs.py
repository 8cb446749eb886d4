"""Jobs judged as a whole: what they run, read and write, the options of built-ins. Called by `judging`. Pure."""

from __future__ import annotations

import re

from meshplane.model.manifest.jobs import JobPart
from meshplane.model.manifest.normalise import format_of
from meshplane.model.manifest.scope import Scope
from meshplane.model.problems import Loc, did_you_mean

# What the plane itself hands to a job (docs/contracts.md §1 and §2), or Glue reserves.
RESERVED_ARGUMENTS = frozenset(
    {
        "--job-language",
        "--datalake-formats",
        "--conf",
        "--extra-py-files",
        "--extra-jars",
        # Other code would judge the data: a file is imported before the library's, a class taken before Spark's or Iceberg's.
        "--extra-files",
        "--user-jars-first",
        "--additional-python-modules",
        "--python-modules-installer-option",
        "--TempDir",
        "--enable-continuous-cloudwatch-log",
        "--enable-metrics",
        "--enable-observability-metrics",
        "--meshplane-job",
        "--meshplane-run",
        "--meshplane-step",
        "--meshplane-attempt",
        "--meshplane-gate",
        "--JOB_NAME",
        "--JOB_ID",
        "--JOB_RUN_ID",
        "--mode",
        "--scriptLocation",
        "--debug",
        "--SECURITY_CONFIGURATION",
    }
)
RESERVED_SPARK = ("spark.sql.catalog.", "spark.sql.extensions", "spark.sql.defaultCatalog", "spark.master", "spark.submit.", "spark.jars")
WITH = {
    "merge": ("map", "latest_by", "deletes", "mode", "late"),
    "files": ("from_", "format", "pattern"),
    "maintain": ("tasks",),
}


def check(scope: Scope) -> None:
    """Notes every fault of every accepted job."""
    for name, part in scope.document.jobs.items():
        loc = ("jobs", name)
        _work(scope, loc, part)
        for index, read in enumerate(part.reads):
            check_table(scope, (*loc, "reads", index), read.table, read.columns)
        scope.once((*loc, "reads"), [each.table for each in part.reads], "table")
        scope.once((*loc, "writes"), [each.table for each in part.writes], "table")
        _writes(scope, loc, part)
        if part.use == "merge":
            _merge(scope, loc, part)
        elif part.use == "files":
            _files(scope, loc, part)
        elif part.sql and len(part.writes) != 1 and not scope.findings.refused((*loc, "writes")):
            scope.findings.add(
                "built-in-tables",
                loc,
                "a job of SQL writes exactly one table",
                found=str(len(part.writes)),
                allowed="1",
                mend="writes: table",
            )
        _settings(scope, loc, part)


def _work(scope: Scope, loc: Loc, part: JobPart) -> None:
    given = [word for word in ("script", "sql", "use") if getattr(part, word) is not None]
    lost = any(scope.findings.refused((*loc, word)) for word in ("script", "sql", "use"))
    if len(given) != 1 and not lost:
        message = "a job is exactly one of script, sql, use"
        scope.findings.add(
            "job-work", loc, message, found=" and ".join(given) or "none of them", allowed="script: jobs/x.py, sql: sql/x.sql, use: merge"
        )
    if part.with_ is None:
        return
    allowed = WITH.get(part.use or "", ())
    fields = type(part.with_).model_fields
    for word in part.with_.model_fields_set:
        if word not in allowed:
            key = fields[word].alias or word
            what = f"use: {part.use}" if part.use else "a job without `use`"
            known = ", ".join(fields[each].alias or each for each in allowed)
            scope.findings.add(
                "with-option",
                (*loc, "with", key),
                f"'{key}' is no option of {what}",
                found=key,
                allowed=known,
                mend="leave it out",
                at_key=True,
            )


def check_table(scope: Scope, loc: Loc, reference: str, columns: tuple[str, ...] = ()) -> None:
    """A table to read: an own one, or `project.table`, whose existence its owner's manifest decides."""
    owner, dot, table = reference.partition(".")
    names = scope.names("tables")
    if not dot:
        if reference not in names:
            scope.findings.add("ref-table", loc, f"no table '{reference}' in this project", mend=did_you_mean(reference, names))
        for index, column in enumerate(columns):
            scope.known_column((*loc, "columns", index), reference, column)
    elif not (re.fullmatch(r"[a-z][a-z0-9]{1,19}", owner) and re.fullmatch(r"[a-z][a-z0-9_]*", table)):
        scope.findings.add("ref-form", loc, f"'{reference}' names no table", found=reference, allowed="table, or project.table")
    elif owner == scope.project:
        scope.findings.add("ref-own", loc, "an own table is named without the project", found=reference, mend=table)


def _writes(scope: Scope, loc: Loc, part: JobPart) -> None:
    add, names = scope.findings.add, scope.names("tables")
    for index, write in enumerate(part.writes):
        at: Loc = (*loc, "writes", index)
        if "." in write.table:
            add(
                "write-foreign",
                at,
                "a job writes only tables of its own project",
                found=write.table,
                allowed=", ".join(names),
                mend="its owner may read yours",
            )
            continue
        if write.table not in names:
            add("ref-table", at, f"no table '{write.table}' in this project", mend=did_you_mean(write.table, names))
        target = scope.table(write.table)
        if target is None:
            continue
        if format_of(target) != "iceberg" and part.use != "files":
            message = f"'{write.table}' is a raw Hive table: files arrive there, jobs do not write it"
            add("write-raw", at, message, found=write.table, mend="use: files, or format: iceberg")
        mode = write.mode or ("merge" if part.use == "merge" else "append")
        if (
            mode == "merge"
            and format_of(target) == "iceberg"
            and not target.key
            and not scope.findings.refused(("tables", write.table, "key"))
        ):
            add(
                "merge-key", at, f"merge needs the key of table '{write.table}'", found="no key", mend=f"tables.{write.table}.key: [column]"
            )


def _merge(scope: Scope, loc: Loc, part: JobPart) -> None:
    add = scope.findings.add
    if not _lost_tables(scope, loc) and (len(part.reads), len(part.writes)) != (1, 1):
        found = f"{len(part.reads)} and {len(part.writes)}"
        add(
            "built-in-tables",
            loc,
            "use: merge reads one table and writes one",
            found=found,
            allowed="reads: one, writes: one",
            mend="a job for each",
        )
    for index, write in enumerate(part.writes):
        if write.mode not in (None, "merge"):
            add(
                "built-in-mode",
                (*loc, "writes", index, "mode"),
                "use: merge merges",
                found=str(write.mode),
                allowed="merge",
                mend="leave `mode` out",
            )
    if part.with_ is None or len(part.writes) != 1:
        return
    target = part.writes[0].table
    for column in part.with_.map:
        scope.known_column((*loc, "with", "map", column), target, column)
    for index, column in enumerate(part.with_.latest_by):
        scope.known_column((*loc, "with", "latestBy", index), target, column)


def _files(scope: Scope, loc: Loc, part: JobPart) -> None:
    add = scope.findings.add
    if not _lost_tables(scope, loc) and (len(part.reads), len(part.writes)) != (0, 1):
        found = f"{len(part.reads)} and {len(part.writes)}"
        add(
            "built-in-tables",
            loc,
            "use: files reads no table and writes one",
            found=found,
            allowed="writes: a raw table",
            mend="name the folder in with: { from: inbox/ }",
        )
    options = part.with_
    if (options is None or options.from_ is None) and not scope.findings.refused((*loc, "with")):
        add("files-from", loc, "use: files needs the folder of the drop", allowed="with: { from: inbox/orders/ }")
        return
    target = scope.table(part.writes[0].table) if len(part.writes) == 1 else None
    if target is not None and target.layer != "raw":
        add("files-target", (*loc, "writes", 0), "use: files lands files in a raw table", found=part.writes[0].table, allowed="layer: raw")
    if options is None or options.from_ is None:
        return
    folder = options.from_
    if folder.split("/")[0] in {*scope.names("tables"), "iceberg", "_runs"}:
        message = "the folder of the drop lies inside a table"
        add("files-from", (*loc, "with", "from"), message, found=folder, mend="a folder beside the tables, inbox/orders/")
    mode = part.writes[0].mode if part.writes else None
    if target is not None and format_of(target) != "iceberg" and mode not in (None, "append"):
        add(
            "built-in-mode",
            (*loc, "writes", 0, "mode"),
            "files land beside those that are there",
            found=str(mode),
            allowed="append",
            mend="leave `mode` out",
        )
    if target is None or target.layer != "raw" or scope.findings.refused((*loc, "with", "format")):
        return
    if format_of(target) == "iceberg":
        if options.format is None:
            add("files-format", (*loc, "with"), "what the files are is not said", allowed="format: csv, json or parquet", at_key=True)
    elif options.format not in (None, target.format):
        message = f"files land as they are, and '{part.writes[0].table}' holds {target.format}"
        add(
            "files-format",
            (*loc, "with", "format"),
            message,
            found=str(options.format),
            allowed=str(target.format),
            mend="leave `format` out",
        )


def _settings(scope: Scope, loc: Loc, part: JobPart) -> None:
    for key, value in part.spark.items():
        at: Loc = (*loc, "spark", key)
        if key.startswith(RESERVED_SPARK):
            scope.findings.add("spark-reserved", at, f"'{key}' is set by the plane", found=key, mend="leave it out", at_key=True)
        elif not re.fullmatch(r"spark\.[A-Za-z0-9._-]+", key):
            scope.findings.add("spark-form", at, f"'{key}' is no Spark setting", found=key, allowed="spark.…", at_key=True)
        elif re.search(r"\s", value) or not value:
            message = "a Spark setting reaches Glue in one line, its value without spaces"
            scope.findings.add("spark-form", at, message, found=value, allowed="a text without spaces")
    check_arguments(scope, (*loc, "arguments"), part.arguments)


def check_arguments(scope: Scope, loc: Loc, arguments: dict[str, str]) -> None:
    """Glue arguments that somebody adds: none of ours, and spelt as Glue wants them."""
    for key in arguments:
        if key in RESERVED_ARGUMENTS:
            scope.findings.add(
                "argument-reserved",
                (*loc, key),
                f"argument '{key}' is set by the plane or by Glue",
                found=key,
                mend="leave it out",
                at_key=True,
            )
        elif not re.fullmatch(r"--[A-Za-z][A-Za-z0-9_-]*", key):
            mend = f"--{key.lstrip('-')}"
            scope.findings.add(
                "argument-form", (*loc, key), f"'{key}' is no Glue argument", found=key, allowed="--name", mend=mend, at_key=True
            )


def _lost_tables(scope: Scope, loc: Loc) -> bool:
    return any(scope.findings.refused((*loc, key)) for key in ("reads", "writes"))
