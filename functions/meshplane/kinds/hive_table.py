"""A raw table of files as they arrive: csv, json or parquet, as a Hive table in Glue (REQUIREMENTS P3).

Reading is by schema: a change of columns rewrites no file, it changes how all of them are read. Parameters that somebody else added
are kept and reported. An undeclared table rests with a tombstone parameter; its files stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace

from meshplane.kinds.iceberg_table import OWNERSHIP, TOMBSTONE
from meshplane.model.context import Context
from meshplane.model.evolution import impossible
from meshplane.model.project import CsvFormat, Project, Projection, Table
from meshplane.model.resource import Difference, Effect, Id, Seen, Want
from meshplane.model.types import Type, hive

NAME = "hive_table"

_TEXT_INPUT = "org.apache.hadoop.mapred.TextInputFormat"
_TEXT_OUTPUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
_STORAGE = {
    "csv": (_TEXT_INPUT, _TEXT_OUTPUT, "org.apache.hadoop.hive.serde2.OpenCSVSerde"),
    "json": (_TEXT_INPUT, _TEXT_OUTPUT, "org.openx.data.jsonserde.JsonSerDe"),
    "parquet": (
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    ),
}
# Quotes and escapes need OpenCSVSerde, which reads every column as string; without a quote, LazySimpleSerDe knows types.
_LAZY = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
# What crawlers, Athena and Hive write by themselves.
_ENGINES = ("transient_lastDdlTime", "last_modified_time", "last_modified_by", "numFiles", "totalSize", "numRows", "rawDataSize")


@dataclass(frozen=True, slots=True)
class HiveColumn:
    """A column in Hive's words."""

    name: str
    type: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class HiveTableSpec:
    """A raw table as wanted or as Glue has it. `parameters`: wanted ones, or all that stand; an empty wanted value means none."""

    location: str
    columns: tuple[HiveColumn, ...]
    partition: tuple[HiveColumn, ...] = ()
    description: str = ""
    input_format: str = ""
    output_format: str = ""
    serde: str = ""
    serde_parameters: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    tombstone: bool = False
    table_format: str = "hive"  # only read: `iceberg` where an Iceberg table has the name


class HiveTable:
    """The kind."""

    name = NAME
    holds_data = True

    def desired(self, project: Project, context: Context) -> Iterable[Want[HiveTableSpec]]:
        """One per declared table of files."""
        for table in project.tables.values():
            if not table.is_iceberg:
                name = table.physical_name or context.naming.table(project.name, table.name)
                this = Id(NAME, f"{context.naming.database(table.layer)}.{name}", table.name)
                yield Want(this, _spec(project, table, context), refused=impossible(table.columns))

    def compare(self, want: HiveTableSpec, seen: HiveTableSpec) -> tuple[Difference, ...]:
        """Every managed field. Refused only where an Iceberg table stands: files are not touched."""
        if want.tombstone:
            return () if seen.tombstone else (Difference("tombstone", "in use", "resting", note="its files are kept"),)
        if want.table_format != seen.table_format:
            refused = "an Iceberg table has this name and cannot become a table of files: give this one another name"
            return (Difference("format", seen.table_format, want.table_format, refused=refused),)
        out = [Difference("tombstone", "resting", "in use")] if seen.tombstone else []
        out += _columns(want.columns, seen.columns)
        if want.partition != seen.partition:
            note = "partitions that are registered keep their old keys: register them anew"
            was, wanted = (", ".join(c.name for c in columns) or "none" for columns in (seen.partition, want.partition))
            out.append(Difference("partition", was, wanted, Effect.BREAKING, note))
        for one in fields(HiveTableSpec):
            if one.type != "str" or one.name == "table_format":
                continue
            was, wanted = getattr(seen, one.name), getattr(want, one.name)
            if was != wanted:
                breaking = one.name in ("serde", "input_format") and bool(was)
                note = "files that stand are read the new way" if breaking else ""
                out.append(Difference(one.name, was, wanted, Effect.BREAKING if breaking else Effect.SAFE, note))
        keys = sorted({*want.serde_parameters, *seen.serde_parameters})
        out += _changed("serde_parameters", {key: want.serde_parameters.get(key, "") for key in keys}, seen.serde_parameters)
        gone = {key: "" for key in seen.parameters if key.startswith("projection.") or key == "storage.location.template"}
        out += _changed("parameters", {**gone, **want.parameters}, seen.parameters)
        return tuple(out)

    def extra(self, want: HiveTableSpec, seen: HiveTableSpec) -> tuple[str, ...]:
        """Parameters that somebody else added."""
        managed = {*want.parameters, *OWNERSHIP, TOMBSTONE, *_ENGINES}
        others = (key for key in seen.parameters if key not in managed and not key.startswith("projection."))
        return () if want.tombstone else tuple(f"parameter {key}" for key in sorted(others))

    def resting(self, seen: Seen[HiveTableSpec]) -> HiveTableSpec:
        """Itself with a tombstone."""
        if seen.spec is None:
            raise ValueError(f"{seen.id} was not read")  # the listing holds every Hive table whole
        return replace(seen.spec, tombstone=True)


KIND = HiveTable()


def _spec(project: Project, table: Table, context: Context) -> HiveTableSpec:
    location = context.naming.table_location(project.name, table.name, table.layer, iceberg=False)
    input_format, output_format, serde = _STORAGE[table.format]
    serde_parameters = {"serialization.format": "1"}
    parameters = {"EXTERNAL": "TRUE", "classification": table.format, "meshplane.table": table.name, **_projection(table, location)}
    if table.format == "csv":
        serde = _LAZY if not table.csv.quote else serde
        serde_parameters |= _csv_serde(table.csv)
        parameters |= _csv_parameters(table.csv)
    opencsv = serde == _STORAGE["csv"][2]
    return HiveTableSpec(
        location=location,
        columns=tuple(HiveColumn(c.name, _type(c.type, opencsv), c.doc) for c in table.columns),
        partition=tuple(HiveColumn(name, "string") for name in table.hive_partition),
        description=table.description,
        input_format=input_format,
        output_format=output_format,
        serde=serde,
        serde_parameters=serde_parameters,
        parameters={**parameters, **table.properties},
    )


def _type(of: Type, opencsv: bool) -> str:
    """OpenCSVSerde turns text into these types only (Athena user guide, 'Open CSV SerDe'): everything else it hands out as string."""
    name = hive(of)
    return name if not opencsv or name in ("string", "boolean", "bigint", "int", "double") else "string"


def _csv_serde(csv: CsvFormat) -> dict[str, str]:
    if not csv.quote:
        escape = {"escape.delim": csv.escape} if csv.escape else {}
        return {"field.delim": csv.delimiter, "serialization.format": csv.delimiter, "serialization.null.format": csv.null_text, **escape}
    return {"separatorChar": csv.delimiter, "quoteChar": csv.quote, "escapeChar": csv.escape}


def _csv_parameters(csv: CsvFormat) -> dict[str, str]:
    """What readers beside the SerDe need: Athena skips the header by it, Spark's reader takes encoding and null text."""
    return {
        "skip.header.line.count": "1" if csv.header else "",
        "serialization.encoding": csv.encoding,
        "meshplane.csv.null_text": csv.null_text,
        "meshplane.csv.date_format": csv.date_format,
        "meshplane.csv.timestamp_format": csv.timestamp_format,
    }


def _projection(table: Table, location: str) -> dict[str, str]:
    """Partition projection (Athena user guide, 'Supported types for partition projection')."""
    if not table.projection:
        return {}
    out = {"projection.enabled": "true"}
    for column, how in table.projection.items():
        out |= {f"projection.{column}.{key}": value for key, value in _projected(how).items() if value}
    path = "/".join(f"{name}=${{{name}}}" for name in table.hive_partition)
    return {**out, "storage.location.template": f"{location}{path}/"}


def _projected(how: Projection) -> dict[str, str]:
    if how.kind == "enum":
        return {"type": "enum", "values": ",".join(how.range)}
    interval = str(how.interval) if how.interval != 1 or how.unit else ""
    return {"type": how.kind, "range": ",".join(how.range), "format": how.format, "interval": interval, "interval.unit": how.unit.upper()}


def _columns(want: tuple[HiveColumn, ...], seen: tuple[HiveColumn, ...]) -> list[Difference]:
    if want == seen:
        return []
    old, new = {c.name: c for c in seen}, {c.name: c for c in want}
    out = [Difference(f"columns.{c.name}", c.type, "", note="files keep it, readers no longer see it") for c in seen if c.name not in new]
    for column in want:
        was = old.get(column.name)
        if was is None:
            out.append(Difference(f"columns.{column.name}", "", column.type, Effect.ADDITIVE))
        elif was.type != column.type:
            out.append(Difference(f"columns.{column.name}", was.type, column.type, note="files that stand are read as the new type"))
        elif was.comment != column.comment:
            out.append(Difference(f"columns.{column.name}.doc", was.comment, column.comment))
    kept = [[c.name for c in columns if c.name in other] for columns, other in ((want, old), (seen, new))]
    if kept[0] != kept[1] or not out:
        out.append(Difference("columns.order", ", ".join(kept[1]), ", ".join(kept[0])))
    return out


def _changed(name: str, want: Mapping[str, str], seen: Mapping[str, str]) -> list[Difference]:
    return [Difference(f"{name}.{key}", seen.get(key, ""), value) for key, value in want.items() if seen.get(key, "") != value]
