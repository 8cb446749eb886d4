"""The one vocabulary of column types: Iceberg's names. Parsing and the maps to Hive and Spark live here; `aws-facts` C13 is the source.

A type is a frozen tree: `Primitive`, `Decimal`, `ListType`, `MapType`, `StructType`. `timestamptz` is an instant, `timestamp` has no zone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PRIMITIVES = ("boolean", "int", "long", "float", "double", "date", "timestamp", "timestamptz", "string", "binary")


@dataclass(frozen=True, slots=True)
class Primitive:
    """One of PRIMITIVES."""

    name: str


@dataclass(frozen=True, slots=True)
class Decimal:
    """decimal(precision, scale): 1 <= precision <= 38, 0 <= scale <= precision."""

    precision: int
    scale: int


@dataclass(frozen=True, slots=True)
class ListType:
    """A list; elements may be null."""

    element: Type


@dataclass(frozen=True, slots=True)
class MapType:
    """A map; keys are never null, values may be."""

    key: Type
    value: Type


@dataclass(frozen=True, slots=True)
class Field:
    """A column, or a field of a struct. `renamed_from` is the name it had.

    `id` is the Iceberg field id where it was read from a table, 0 where somebody wrote it: ids are never typed, nor compared.
    """

    name: str
    type: Type
    required: bool = False
    doc: str = ""
    renamed_from: str = ""
    id: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class StructType:
    """Fields in the order of the file."""

    fields: tuple[Field, ...]


Type = Primitive | Decimal | ListType | MapType | StructType


def text(of: Type) -> str:
    """The canonical spelling, as errors and plans show it: `decimal(12,2)`, `list<int>`, `map<string, int>`, `struct<a: int>`."""
    match of:
        case Primitive(name):
            return name
        case Decimal(precision, scale):
            return f"decimal({precision},{scale})"
        case ListType(element):
            return f"list<{text(element)}>"
        case MapType(key, value):
            return f"map<{text(key)}, {text(value)}>"
        case StructType(fields):
            return "struct<" + ", ".join(f"{f.name}: {text(f.type)}" for f in fields) + ">"


_HIVE = {"long": "bigint", "timestamptz": "timestamp"}


def hive(of: Type) -> str:
    """The Glue (Hive) column type; `timestamp` and `timestamptz` are one there."""
    match of:
        case Primitive(name):
            return _HIVE.get(name, name)
        case Decimal(precision, scale):
            return f"decimal({precision},{scale})"
        case ListType(element):
            return f"array<{hive(element)}>"
        case MapType(key, value):
            return f"map<{hive(key)},{hive(value)}>"
        case StructType(fields):
            return "struct<" + ",".join(f"{f.name}:{hive(f.type)}" for f in fields) + ">"


_SPARK = {"long": "bigint", "timestamptz": "timestamp", "timestamp": "timestamp_ntz"}


def spark(of: Type) -> str:
    """The Spark 3.5 DDL type: what job arguments carry and `StructType.fromDDL` reads."""
    match of:
        case Primitive(name):
            return _SPARK.get(name, name)
        case Decimal(precision, scale):
            return f"decimal({precision},{scale})"
        case ListType(element):
            return f"array<{spark(element)}>"
        case MapType(key, value):
            return f"map<{spark(key)},{spark(value)}>"
        case StructType(fields):
            return "struct<" + ",".join(f"`{f.name}`:{spark(f.type)}" for f in fields) + ">"


def parse(of: object) -> Type:
    """The type that a text (`decimal(12,2)`, `list<int>`) or a long form (`{list: int}`) means: the inverse of `text`.

    Raises `type_reading.NotATypeError`, a ValueError, with every fault. Imported late: the reader builds the values above.
    """
    from meshplane.model import type_reading

    return type_reading.parse(of)
