"""Sources that a Glue job fetches, judged as a whole: connection, words, raw table. Called by `check_sources`. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from meshplane.model.manifest.normalise import format_of
from meshplane.model.manifest.scope import Scope
from meshplane.model.manifest.source_jobs import job_name, kinds_of
from meshplane.model.manifest.sources import JdbcPart, SourcePart
from meshplane.model.manifest.tables import TablePart
from meshplane.model.problems import Loc, did_you_mean
from meshplane.model.types import Primitive
from meshplane.model.types import text as spell

PLACES = {"jdbc": ("postgresql",), "kafka": ("kafka",)}
FORMATS = {"jdbc": ("parquet", "json"), "kafka": ("iceberg",), "files": ("csv", "json", "parquet", "iceberg")}
# What a raw table may keep of a Kafka record: column → the types that it may have.
RECORD: Mapping[str, tuple[str, ...]] = {
    "key": ("string", "binary"),
    "payload": ("string", "binary"),
    "offset": ("long",),
    "partition_id": ("int",),
    "topic": ("string",),
    "published_at": ("timestamptz",),
    "fault": ("string",),
}
TIMES = tuple(map(Primitive, ("timestamptz", "timestamp", "string")))
NEEDED = ("payload", "offset", "partition_id")


def check(scope: Scope, loc: Loc, name: str, part: SourcePart) -> None:
    """Notes every fault of one source whose table is written somewhere in the manifest."""
    (kind,) = kinds_of(part)
    if job_name(name) in scope.names("jobs"):
        message = f"source '{name}' is fetched by a job of its own, '{job_name(name)}', and a job has that name"
        scope.findings.add("source-form", loc, message, found=job_name(name), mend="rename the job, or the source", at_key=True)
    _words(scope, loc, kind, part)
    _secret(scope, loc, kind, part)
    table = scope.table(part.into)
    if table and (
        table.layer != "raw" or format_of(table) not in FORMATS[kind] or (format_of(table) != "iceberg" and len(table.partition) > 1)
    ):
        found = f"{table.layer}, {format_of(table)}, {len(table.partition)} path columns"
        allowed = f"layer: raw, format: {' or '.join(FORMATS[kind])}, with one path column or none"
        scope.findings.add(
            "source-into", (*loc, "into"), f"what {kind} brings does not go into table '{part.into}'", found=found, allowed=allowed
        )
        return
    if kind in PLACES and not scope.findings.refused((*loc, kind)):
        _connection(scope, (*loc, kind), kind, part)
    if table and part.jdbc:
        _jdbc(scope, (*loc, "jdbc"), part.into, part.jdbc)
    elif table and part.kafka:
        _record(scope, (*loc, "into"), part.into, table)
    elif table and part.files:
        _files(scope, (*loc, "files"), part, table)


def _words(scope: Scope, loc: Loc, kind: str, part: SourcePart) -> None:
    for word in sorted(part.model_fields_set & {"run", "every"}):
        if kind != "kafka" or (word == "every" and part.run != "continuous"):
            message = f"'{word}' belongs to {'a source by kafka' if kind != 'kafka' else 'run: continuous'}"
            scope.findings.add("source-form", (*loc, word), message, found=word, mend="leave it out", at_key=True)


def _secret(scope: Scope, loc: Loc, kind: str, part: SourcePart) -> None:
    if kind == "jdbc" and part.secret is None and not scope.findings.refused((*loc, "secret")):
        allowed = "secret: name, a JSON object with username and password"
        scope.findings.add("source-form", loc, "a database asks who you are", found="no secret", allowed=allowed, at_key=True)
    elif kind == "files" and part.secret is not None:
        scope.findings.add(
            "source-form",
            (*loc, "secret"),
            "files are dropped, nothing is asked for them",
            found="secret",
            mend="leave it out",
            at_key=True,
        )


def _connection(scope: Scope, loc: Loc, kind: str, part: SourcePart) -> None:
    asked = part.jdbc.connection if part.jdbc else part.kafka.connection if part.kafka else ""
    if scope.domain is None:
        return
    known = scope.domain.reachable
    fitting = [name for name, place in known.items() if place.kind in PLACES[kind]]
    if asked not in known:
        mend = did_you_mean(asked, fitting) or f"declare it in domain.json: reachable.{asked}"
        scope.findings.add(
            "source-form",
            (*loc, "connection"),
            f"the domain declares no '{asked}'",
            found=asked,
            allowed=", ".join(fitting),
            mend=mend,
        )
    elif asked not in fitting:
        found, allowed = f"{asked}, {known[asked].kind}", ", ".join(PLACES[kind])
        scope.findings.add("source-form", (*loc, "connection"), f"a source by {kind} does not read there", found=found, allowed=allowed)


def _jdbc(scope: Scope, loc: Loc, into: str, part: JdbcPart) -> None:
    for word, column in (("incrementalBy", part.incremental_by), ("splitBy", part.split_by)):
        if column:
            scope.known_column((*loc, word), into, column)
    if part.deletes:
        for index, column in enumerate(part.deletes.key):
            scope.known_column((*loc, "deletes", "key", index), into, column)
        scope.known_column((*loc, "deletes", "mark"), into, part.deletes.mark)
    if part.fetched_at:
        _fetched_at(scope, (*loc, "fetchedAt"), into, part, part.fetched_at)
    for word in ("initial", "lookback"):
        if word in part.model_fields_set and part.incremental_by is None:
            scope.findings.add(
                "source-form", (*loc, word), f"'{word}' belongs to incrementalBy", found=word, mend="leave it out", at_key=True
            )
    if "parts" in part.model_fields_set and part.split_by is None:
        scope.findings.add("source-form", (*loc, "parts"), "'parts' belongs to splitBy", found="parts", mend="leave it out", at_key=True)


def _fetched_at(scope: Scope, loc: Loc, into: str, part: JdbcPart, column: str) -> None:
    if not scope.known_column(loc, into, column):
        return
    kind = scope.columns(into)[column]
    if kind is not None and kind not in TIMES:
        allowed = ", ".join(map(spell, TIMES))
        message = f"'{column}' does not hold a time to the microsecond"
        scope.findings.add("source-form", loc, message, found=spell(kind), allowed=allowed, mend=f"{column}: {spell(TIMES[0])}")
    of_the_source = [part.incremental_by, part.split_by, *(part.deletes.key if part.deletes else ())]
    if column.lower() in {name.lower() for name in (*of_the_source, part.deletes.mark if part.deletes else None) if name}:
        message = f"'{column}' gets the time at which a row was taken, and is filled in another way here"
        scope.findings.add("source-form", loc, message, found=column, mend="a column of its own, fetched_at: timestamptz")


def _record(scope: Scope, loc: Loc, into: str, table: TablePart) -> None:
    have = {name: spell(form.type) for name, form in table.columns.items()}
    wrong = [f"{name}: {form}" for name, form in have.items() if form not in RECORD.get(name, ())]
    wrong += [f"no {name}" for name in NEEDED if name not in have and name not in scope.columns(into)]
    if wrong:
        allowed = ", ".join(f"{name}: {' or '.join(forms)}" for name, forms in RECORD.items())
        message = f"table '{into}' does not hold a Kafka record as it came"
        scope.findings.add("source-into", loc, message, found=", ".join(wrong), allowed=f"{allowed}; {', '.join(NEEDED)} at least")


def _files(scope: Scope, loc: Loc, part: SourcePart, table: TablePart) -> None:
    files, form = part.files, format_of(table)
    if files is None:
        return
    if files.from_.split("/")[0] in {*scope.names("tables"), "iceberg", "_runs"}:
        message = "the folder of the drop lies inside a table"
        scope.findings.add("files-from", (*loc, "from"), message, found=files.from_, mend="a folder beside the tables, inbox/orders/")
    if form == "iceberg" and files.format is None:
        scope.findings.add("files-format", loc, "what the files are is not said", allowed="format: csv, json or parquet", at_key=True)
    elif form != "iceberg" and files.format not in (None, form):
        message = f"files land as they are, and '{part.into}' holds {form}"
        scope.findings.add("files-format", (*loc, "format"), message, found=str(files.format), allowed=form, mend="leave `format` out")
