"""Short column lists of the tests, `id bigint!, amount decimal(12,2)` (`!` is required), as pyiceberg schemas and as declarations."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pyiceberg import types as t
from pyiceberg.schema import Schema

_TYPES = {
    "boolean": t.BooleanType(),
    "int": t.IntegerType(),
    "bigint": t.LongType(),
    "float": t.FloatType(),
    "double": t.DoubleType(),
    "date": t.DateType(),
    "timestamp": t.TimestamptzType(),
    "timestamp_ntz": t.TimestampType(),
    "string": t.StringType(),
    "binary": t.BinaryType(),
    "array<int>": t.ListType(91, t.IntegerType(), element_required=False),
    "map<string,int>": t.MapType(92, t.StringType(), 93, t.IntegerType(), value_required=False),
    "struct<a:int,b:string>": t.StructType(t.NestedField(94, "a", t.IntegerType()), t.NestedField(95, "b", t.StringType())),
}


def fields(columns: str) -> list[tuple[str, str, bool]]:
    """(name, Spark type, required)."""
    found = re.findall(r"(\w+) ([\w<>:]+(?:\([^)]*\))?(?:,\w+>)?(?:,\w+:\w+>)?)(!?)(?:, |$)", columns)
    return [(name, kind, bang == "!") for name, kind, bang in found]


def schema(columns: str, key: Sequence[str] = ()) -> Schema:
    return Schema(*(t.NestedField(at, n, _type(k), required=r or n in key) for at, (n, k, r) in enumerate(fields(columns), 1)))


def _type(kind: str) -> t.IcebergType:
    if kind.startswith("decimal"):
        precision, scale = kind[8:-1].split(",")
        return t.DecimalType(int(precision), int(scale))
    return _TYPES[kind]
