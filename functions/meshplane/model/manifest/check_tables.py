"""Tables judged as a whole: layers and formats, columns, keys, layout, optimizers. Called by `judging`. Pure.

The rules on types are Iceberg's (spec, "Partition Transforms") and Glue's (aws-facts C2, C3, B13, B14).
"""

from __future__ import annotations

from functools import partial

from meshplane.model.manifest.normalise import format_of
from meshplane.model.manifest.parts import byte_size
from meshplane.model.manifest.scope import Scope
from meshplane.model.manifest.tables import TablePart
from meshplane.model.problems import Loc
from meshplane.model.project import PartitionField
from meshplane.model.type_reading import duplicates
from meshplane.model.types import Decimal, ListType, MapType, Primitive, StructType, Type, text

_WHOLE = {"int", "long"}
_TIMES = {"timestamp", "timestamptz"}
TRANSFORMS = {
    "bucket": _WHOLE | _TIMES | {"decimal", "date", "string", "binary"},
    "truncate": _WHOLE | {"decimal", "string", "binary"},
    "year": _TIMES | {"date"},
    "month": _TIMES | {"date"},
    "day": _TIMES | {"date"},
    "hour": _TIMES,
    "identity": _WHOLE | _TIMES | {"decimal", "date", "string", "binary", "boolean"},
}
KEYS = _WHOLE | _TIMES | {"decimal", "date", "string", "binary", "boolean"}
RESERVED_PROPERTIES = (
    "meshplane.",
    "write.wap.",
    "write.data.path",
    "write.metadata.path",
    "format-version",
    "comment",
    "owner",
    "location",
)
ONLY_ICEBERG = ("key", "sort", "optimizers", "properties", "dropped")


def check(scope: Scope) -> None:
    """Notes every fault of every accepted table."""
    for name, part in scope.document.tables.items():
        loc = ("tables", name)
        if _form(scope, loc, part):
            if format_of(part) == "iceberg":
                _iceberg(scope, name, part)
            else:
                _hive(scope, name, part)
        _columns(scope, name, part)
        scope.once((*loc, "readers"), part.readers, "project")
        for index, reader in enumerate(part.readers):
            if reader == scope.project:
                message = "a project reads its own tables without being named"
                scope.findings.add("readers-self", (*loc, "readers", index), message, found=reader, mend="leave it out")


def _form(scope: Scope, loc: Loc, part: TablePart) -> bool:
    """Layer, format and csv block fit together."""
    add = scope.findings.add
    if part.layer == "raw" and part.format is None:
        if not scope.findings.refused((*loc, "format")):
            add("format-missing", loc, "a raw table says what its files are: 'format' is missing", allowed="csv, json, parquet, iceberg")
        return False
    if part.layer != "raw" and part.format not in (None, "iceberg"):
        message = f"a {part.layer} table is always Iceberg"
        add(
            "format-layer",
            (*loc, "format"),
            message,
            found=str(part.format),
            allowed="iceberg",
            mend="leave `format` out, or make it a raw table",
        )
        return False
    if part.csv is not None and part.format != "csv":
        add(
            "csv-format",
            (*loc, "csv"),
            "a csv block stands only in a table of format csv",
            found=format_of(part),
            mend="format: csv, or leave it out",
            at_key=True,
        )
    return True


def _columns(scope: Scope, name: str, part: TablePart) -> None:
    loc: Loc = ("tables", name)
    add = scope.findings.add
    written = scope.columns(name)
    lower = {column.lower() for column in written}
    for column in duplicates(written):
        add(
            "column-twice",
            (*loc, "columns", column),
            f"column '{column}' stands twice: names are compared without case",
            found=column,
            at_key=True,
        )
    scope.once((*loc, "dropped"), part.dropped, "column")
    for index, column in enumerate(part.dropped):
        if column.lower() in lower:
            message = f"column '{column}' is dropped and declared"
            add("dropped-declared", (*loc, "dropped", index), message, found=column, mend="take it out of `columns`, or out of `dropped`")
    former: set[str] = set()
    for column, form in part.columns.items():
        old = form.renamed_from.lower()
        at = (*loc, "columns", column, "renamedFrom")
        if not old:
            continue
        if old in lower:
            message = f"column '{column}' is renamed from '{form.renamed_from}', which is declared too"
            add("renamed-declared", at, message, found=form.renamed_from, mend="take the old name out of `columns`")
        elif old in former or old in {each.lower() for each in part.dropped}:
            message = f"'{form.renamed_from}' leaves under two names"
            add("renamed-twice", at, message, found=form.renamed_from, mend="a column becomes one other, or is dropped")
        former.add(old)


def _iceberg(scope: Scope, name: str, part: TablePart) -> None:
    loc: Loc = ("tables", name)
    if part.projection:
        scope.findings.add(
            "needs-hive", (*loc, "projection"), "only Hive tables have projected partitions", mend="leave it out", at_key=True
        )
    _key(scope, name, part)
    _partition(scope, name, part)
    scope.once((*loc, "sort"), [each.column for each in part.sort], "column")
    for index, field in enumerate(part.sort):
        at = (*loc, "sort", index)
        if scope.known_column(at, name, field.column):
            kind = scope.columns(name)[field.column]
            if isinstance(kind, ListType | MapType | StructType):
                scope.findings.add(
                    "sort-type", at, f"rows cannot be sorted by a column of type {text(kind)}", found=field.column, allowed="a simple type"
                )
    strategy = part.optimizers.compaction.strategy
    if strategy != "binpack" and not part.sort and not scope.findings.refused((*loc, "sort")):
        message = f"compaction by {strategy} needs the table's order"
        scope.findings.add(
            "compaction-sort",
            (*loc, "optimizers", "compaction", "strategy"),
            message,
            found=strategy,
            mend="sort: [column], or strategy: binpack",
        )
    for key, value in part.properties.items():
        at = (*loc, "properties", key)
        if key.startswith(RESERVED_PROPERTIES):
            scope.findings.add(
                "property-reserved", at, f"property '{key}' is set by the plane", found=key, mend="leave it out", at_key=True
            )
        elif key.endswith("-bytes"):
            scope.findings.attempt(at, partial(byte_size, value))


def _key(scope: Scope, name: str, part: TablePart) -> None:
    loc: Loc = ("tables", name, "key")
    scope.once(loc, part.key, "column")
    for index, column in enumerate(part.key):
        if not scope.known_column((*loc, index), name, column):
            continue
        kind = scope.columns(name)[column]
        if kind is not None and _word(kind) not in KEYS:
            message = f"a column of type {text(kind)} cannot be part of a key"
            mend = "decimal(p,s) compares exactly" if _word(kind) in ("float", "double") else ""
            scope.findings.add("key-type", (*loc, index), message, found=column, allowed=", ".join(sorted(KEYS)), mend=mend)
        form = part.columns.get(column)
        if form and "required" in form.model_fields_set and not form.required:
            message = f"column '{column}' is part of the key, which is never null"
            scope.findings.add(
                "key-optional", ("tables", name, "columns", column, "required"), message, found="false", mend="leave `required` out"
            )


def _word(kind: Type) -> str:
    """`long`, `decimal`, and `nested` for all with parts."""
    return kind.name if isinstance(kind, Primitive) else "decimal" if isinstance(kind, Decimal) else "nested"


def _partition(scope: Scope, name: str, part: TablePart) -> None:
    loc: Loc = ("tables", name, "partition")
    times: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    for index, field in enumerate(part.partition):
        at = (*loc, index)
        if not scope.known_column(at, name, field.column):
            continue
        kind = scope.columns(name)[field.column]
        if kind is not None and _word(kind) not in TRANSFORMS[field.transform]:
            message = f"{field.transform} cannot partition a column of type {text(kind)}"
            scope.findings.add("partition-type", at, message, found=field.column, allowed=", ".join(sorted(TRANSFORMS[field.transform])))
        earlier = times.get(field.column, "") if field.transform in ("year", "month", "day", "hour") else ""
        if (field.transform, field.column) in seen or earlier:
            message = f"'{field.column}' is partitioned twice by " + (f"{earlier} and {field.transform}" if earlier else field.transform)
            scope.findings.add("partition-twice", at, message, found=_shown(field), mend="keep the finer one: it serves both")
        if field.transform in ("year", "month", "day", "hour"):
            times[field.column] = field.transform
        seen.add((field.transform, field.column))
        made = f"{field.column}_{field.transform}" if field.transform not in ("truncate",) else f"{field.column}_trunc"
        if field.transform != "identity" and made in scope.columns(name):
            message = f"Iceberg would call this partition '{made}', and a column has that name"
            scope.findings.add("partition-name", at, message, found=_shown(field), mend=f"rename column '{made}'")


def _shown(field: PartitionField) -> str:
    width = f"{field.width}, " if field.width else ""
    return field.column if field.transform == "identity" else f"{field.transform}({width}{field.column})"


def _hive(scope: Scope, name: str, part: TablePart) -> None:
    loc: Loc = ("tables", name)
    add = scope.findings.add
    for key in ONLY_ICEBERG:
        if key in part.model_fields_set and getattr(part, key):
            add(
                "needs-iceberg",
                (*loc, key),
                f"'{key}' is for Iceberg tables, this one is Hive",
                mend="leave it out, or format: iceberg",
                at_key=True,
            )
    for column, form in part.columns.items():
        at = (*loc, "columns", column)
        kind = form.type
        if column != column.lower():
            message = "Hive keeps names of columns in lower case"
            add("column-case", at, message, found=column, mend=column.lower(), at_key=True)
        if form.required or form.renamed_from:
            key = "required" if form.required else "renamedFrom"
            add("needs-iceberg", (*at, key), f"'{key}' is for Iceberg tables, this one is Hive", mend="leave it out", at_key=True)
        if part.format == "csv" and (isinstance(kind, ListType | MapType | StructType) or kind == Primitive("binary")):
            add(
                "csv-type",
                at,
                f"a csv file cannot hold a column of type {text(kind)}",
                found=text(kind),
                allowed="simple types but binary",
                mend="string, or format: json",
            )
    lower = {column.lower() for column in scope.columns(name)}
    scope.once((*loc, "partition"), [each.column for each in part.partition], "path column")
    for index, field in enumerate(part.partition):
        at = (*loc, "partition", index)
        if field.transform != "identity":
            message = "a Hive table is partitioned by names of path columns"
            add(
                "partition-hive", at, message, found=_shown(field), mend=f"partition: {field.column}, a folder {field.column}=… in the path"
            )
        elif field.column.lower() in lower:
            message = f"path column '{field.column}' is listed in `columns` too"
            add("partition-listed", at, message, found=field.column, mend="take it out of `columns`: its value is in the path")
    _projection(scope, name, part)


def _projection(scope: Scope, name: str, part: TablePart) -> None:
    loc: Loc = ("tables", name, "projection")
    paths = [field.column for field in part.partition]
    for column, form in part.projection.items():
        at = (*loc, column)
        if column not in paths:
            scope.findings.add(
                "projection-column",
                at,
                f"'{column}' is no path column",
                found=column,
                allowed=", ".join(paths),
                mend=f"partition: {column}",
                at_key=True,
            )
        if form.type != "enum" and len(form.range) != 2:
            message = f"a range of type {form.type} has a first and a last value"
            scope.findings.add("projection-range", (*at, "range"), message, found=str(len(form.range)), allowed="[first, last]")
        elif form.type == "integer" and not all(value.lstrip("-").isdecimal() for value in form.range):
            scope.findings.add("projection-range", (*at, "range"), "a range of integers is two whole numbers", found=", ".join(form.range))
    missing = [column for column in paths if part.projection and column not in part.projection]
    if missing and not scope.findings.is_lost(loc):
        message = "Athena wants a range for every path column, or for none"
        scope.findings.add(
            "projection-partial",
            loc,
            message,
            found=", ".join(part.projection),
            allowed=", ".join(paths),
            mend=f"add {', '.join(missing)}",
            at_key=True,
        )
