"""The authoring models of `tables:`. Read by `document`; made plain by `normalise`, judged by `check_tables`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import PlainValidator, Strict, StringConstraints, ValidationError, WithJsonSchema
from pydantic_core import InitErrorDetails, PydanticCustomError

from meshplane.model.manifest.parts import (
    Description,
    Doc,
    Flag,
    JsonSchema,
    Names,
    OneOrList,
    Part,
    Setting,
    Text,
    Whole,
    duration,
    field,
    named,
    refuse,
)
from meshplane.model.manifest.rules import ContractPart, DeprecatedPart, RuleName, RulePart
from meshplane.model.project import PartitionField, SortField
from meshplane.model.reading import shown
from meshplane.model.type_reading import NotATypeError
from meshplane.model.types import PRIMITIVES, Type, parse

TableName = Annotated[str, named("table", "[a-z][a-z0-9_]*", "lower-case letters, digits and _, beginning with a letter")]
ColumnName = Annotated[str, named("column", "[A-Za-z_][A-Za-z0-9_]*", "letters, digits and _, not beginning with a digit", 128)]
ProjectName = Annotated[str, named("project", "[a-z][a-z0-9]{1,19}", "2 to 20 lower-case letters and digits, beginning with a letter")]
ProjectNames = Annotated[tuple[ProjectName, ...], OneOrList()]
Rate = Annotated[timedelta, duration("3h", "7d", "1h")]

# `schema` turns x-ref into a $ref: pydantic follows only references that it made itself.
TYPE: JsonSchema = {"x-ref": "Type"}
TYPE_SCHEMA: JsonSchema = {
    "description": "A type: Iceberg's names.",
    "anyOf": [
        {"enum": list(PRIMITIVES)},
        {"type": "string", "pattern": r"^(decimal\(\d+, ?\d+\)|list<.+>|map<.+>|struct<.+>)$"},
        {"type": "object", "required": ["list"], "properties": {"list": TYPE}, "additionalProperties": False},
        {
            "type": "object",
            "required": ["map"],
            "properties": {
                "map": {
                    "type": "object",
                    "required": ["key", "value"],
                    "properties": {"key": TYPE, "value": TYPE},
                    "additionalProperties": False,
                }
            },
            "additionalProperties": False,
        },
        {
            "type": "object",
            "required": ["struct"],
            "properties": {"struct": {"type": "object", "additionalProperties": {"x-ref": "Column"}}},
            "additionalProperties": False,
        },
    ],
}


def _type(value: object) -> Type:
    """A type, or every fault in it as pydantic's line errors, so that each keeps its own place inside the long form."""
    try:
        return parse(value)
    except NotATypeError as refused:
        lines: list[InitErrorDetails] = []
        for fault in refused.faults:
            context = {"text": fault.message, "found": fault.found, "allowed": fault.allowed, "mend": fault.mend}
            kind = PydanticCustomError(fault.code, "{text}", context)
            lines.append({"type": kind, "loc": fault.path, "input": value})
        raise ValidationError.from_exception_data("type", lines) from refused


ColumnType = Annotated[Type, PlainValidator(_type), WithJsonSchema(TYPE)]


class Column(Part):
    """A column: `name: type`, or the long form."""

    short = (TYPE,)

    type: ColumnType = field("The type: Iceberg's names.")
    required: Flag = field("May it never be null? Default false; a column of the key is required anyway.", default=False)
    doc: Doc = field("What it means, for people; at most 255 characters.", default="")
    renamed_from: Annotated[str, Strict()] = field(
        "The name it had: a rename keeps the data. May go once every environment applied it.", default=""
    )

    @classmethod
    def expand(cls, value: object) -> object:
        """`amount: long` and `items: { list: … }` are types."""
        keys = {info.alias or name for name, info in cls.model_fields.items()}
        if isinstance(value, dict) and (keys & set(value) or not value):
            return value
        return {"type": value}


class Csv(Part):
    """How the files of a raw csv table are written."""

    delimiter: Annotated[str, Strict(), StringConstraints(min_length=1, max_length=1)] = field('One character. Default ",".', default=",")
    header: Flag = field("Does the first line of each file name the columns? Default true.", default=True)
    quote: Annotated[str, Strict(), StringConstraints(max_length=1)] = field('The character around texts. Default ".', default='"')
    escape: Annotated[str, Strict(), StringConstraints(max_length=1)] = field("The character before a quote. Default \\.", default="\\")
    encoding: Literal["UTF-8", "UTF-16", "UTF-16LE", "UTF-16BE", "ISO-8859-1", "US-ASCII", "windows-1252"] = field(
        "Default UTF-8.", default="UTF-8"
    )
    null_text: Text = field("The text that means null. Default: the empty text.", default="")
    date_format: Text = field("Spark's pattern of dates. Default: ISO, yyyy-MM-dd.", default="")
    timestamp_format: Text = field("Spark's pattern of times. Default: ISO.", default="")


class Projected(Part):
    """Partition projection of one path column: Athena computes its partitions instead of looking them up."""

    type: Literal["date", "integer", "enum"] = field("What the values are. Default date.", default="date")
    range: tuple[Setting, ...] = field("First and last value, `[2024-01-01, NOW]`; for enum every value.")
    format: Text = field("Java's pattern of a date. Default yyyy-MM-dd.", default="")
    interval: Annotated[int, Strict()] = field("Step between two values. Default 1.", default=1, ge=1)
    unit: Literal["", "MINUTES", "HOURS", "DAYS", "WEEKS", "MONTHS", "YEARS"] = field(
        "Unit of a date's interval. Default: the format's.", default=""
    )

    @classmethod
    def expand(cls, value: object) -> object:
        """`dt: [2024-01-01, NOW]` is a range of dates."""
        return {"range": value} if isinstance(value, list) else value

    short = ({"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},)


OFF: JsonSchema = {"enum": ["on", "off"], "description": "off: exists, disabled."}


class _Optimizer(Part):
    short: ClassVar[tuple[JsonSchema, ...]] = (OFF,)

    enabled: Flag = field("Does it run? Default true; `off` is the short form of false.", default=True)

    @classmethod
    def expand(cls, value: object) -> object:
        return {"enabled": value == "on"} if value in ("on", "off") else value


class CompactionPart(_Optimizer):
    """Glue's compaction: AWS runs it when enough small files stand; it has no rate."""

    strategy: Literal["binpack", "sort", "z-order"] = field("Default binpack; sort and z-order need the table's `sort`.", default="binpack")
    min_input_files: Whole = field("Least number of files that it rewrites together. Default 100.", default=100, ge=1, le=1_000_000)
    delete_file_threshold: Whole = field("Rewrites a file with this many delete files. Default 1.", default=1, ge=1, le=1_000_000)


class RetentionPart(_Optimizer):
    """Glue's snapshot retention."""

    days: Whole = field("Days that snapshots are kept. Default 7.", default=7, ge=1, le=3650)
    keep: Whole = field("Least number of snapshots kept. Default 3.", default=3, ge=1, le=1_000_000)
    every: Rate = field("Time between two runs, 3h to 7d. Default 24h.", default="24h")
    clean_expired_files: Flag = field("Delete the files of expired snapshots? Default true.", default=True)


class OrphansPart(_Optimizer):
    """Glue's deletion of files that no snapshot knows."""

    days: Whole = field("Days that a file must be unknown. Default 3.", default=3, ge=1, le=3650)
    every: Rate = field("Time between two runs, 3h to 7d. Default 7d.", default="7d")


class OptimizersPart(Part):
    """The three optimizers that every Iceberg table gets without asking."""

    compaction: CompactionPart = field("Merges small files.", default_factory=dict)
    retention: RetentionPart = field("Expires old snapshots.", default_factory=dict)
    orphans: OrphansPart = field("Deletes files that no snapshot knows.", default_factory=dict)


def _partition(value: object) -> PartitionField:
    """`dt`, `day(ordered_at)`, `bucket(16, customer_id)`."""
    text = shown(value)
    if re.fullmatch(r"[A-Za-z_]\w*", text):
        return PartitionField("identity", text)
    match = re.fullmatch(r"([a-z]+)\(\s*(?:(\d{1,6})\s*,\s*)?([A-Za-z_]\w*)\s*\)", text)
    allowed = "column, bucket(16, column), truncate(4, column), year(column), month(column), day(column), hour(column)"
    if not match or match[1] not in ("identity", "bucket", "truncate", "year", "month", "day", "hour"):
        refuse("partition-form", "this is no way to partition", text, allowed)
    if (match[1] in ("bucket", "truncate")) != bool(match[2]) or (match[2] and int(match[2]) < 1):
        refuse(
            "partition-width",
            "bucket and truncate take a number, the others do not",
            text,
            allowed,
            f"{match[1]}(16, {match[3]})" if not match[2] else "",
        )
    return PartitionField(match[1], match[3], int(match[2] or 0))  # type: ignore[arg-type]  # one of the seven, by the test above


def _sort(value: object) -> SortField:
    """`ordered_at`, `ordered_at desc`."""
    match = re.fullmatch(r"([A-Za-z_]\w*)(?:\s+(asc|desc))?", shown(value))
    if not match:
        refuse("sort-form", "this is no order", shown(value), "column, column asc, column desc")
    return SortField(match[1], match[2] == "desc")


Partition = Annotated[PartitionField, PlainValidator(_partition), WithJsonSchema({"type": "string"})]
Partitions = Annotated[tuple[Partition, ...], OneOrList()]
Sort = Annotated[SortField, PlainValidator(_sort), WithJsonSchema({"type": "string", "pattern": r"^\w+( +(asc|desc))?$"})]
Sorts = Annotated[tuple[Sort, ...], OneOrList()]


class TablePart(Part):
    """A table: raw as Hive (or Iceberg, if declared), refined and curated as Iceberg with three optimizers."""

    later: ClassVar[Mapping[str, str]] = {"onDelete": "operate", "formatVersion": "operate", "name": "operate"}

    layer: Literal["raw", "refined", "curated"] = field("raw: as it arrives; refined: cleaned; curated: made for readers.")
    format: Literal["iceberg", "csv", "json", "parquet"] | None = field(
        "Required for raw; refined and curated are always iceberg.", default=None
    )
    description: Description = field("What a row is, for people; at most 2,048 characters.", default="")
    csv: Csv | None = field("How the csv files are written.", default=None)
    columns: dict[ColumnName, Column] = field(
        "Columns in their order, `name: type`; without the path columns of a Hive table.", min_length=1
    )
    dropped: Names = field("Columns that leave: a column leaves only when it is named here.", default=())
    key: Names = field("Columns that merge matches on; they imply not null.", default=())
    partition: Partitions = field("How files are laid out: path columns of a Hive table, transforms of an Iceberg table.", default=())
    projection: dict[str, Projected] = field("Ranges of a Hive table's path columns, for Athena.", default_factory=dict)
    sort: Sorts = field("Order of rows inside files, `column desc`.", default=())
    optimizers: OptimizersPart = field("Compaction, retention and orphan deletion; all on by default.", overlay=True, default_factory=dict)
    readers: ProjectNames = field("Projects that may read it; they must declare it under `reads` too.", default=())
    properties: dict[str, Setting] = field("Further Iceberg table properties; sizes in bytes carry a unit, `512MB`.", default_factory=dict)
    rules: dict[RuleName, RulePart] = field("What is judged before readers see the rows, by name.", default_factory=dict)
    contract: ContractPart = field("What arriving data may change; or a path, contracts/orders.odcs.yaml.", default_factory=dict)
    allow_empty: Flag = field("May an empty batch pass the gate? Default false.", default=False)
    deprecate: dict[ColumnName, DeprecatedPart] = field("Columns that leave or change, and until when consumers have time.",
                                                        default_factory=dict)  # fmt: skip
    allow_breaking: ProjectNames = field("Projects that may be broken by a change of this table, without waiting.", default=())
