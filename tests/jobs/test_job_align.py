"""Fitting a frame to a table, decided without Spark."""

from __future__ import annotations

import pytest
from pyspark.sql import types as t

from dp_foundation.errors import SchemaMismatchError
from dp_foundation.io.align import atomic, plan


@pytest.mark.parametrize(
    ("got", "want", "word"),
    [
        ("int", "int", "same"),
        ("int", "bigint", "safe"),
        ("bigint", "int", "checked"),
        ("float", "double", "safe"),
        ("double", "float", ""),
        ("int", "double", "safe"),
        ("bigint", "double", ""),
        ("int", "decimal(10,0)", "safe"),
        ("bigint", "decimal(12,2)", "checked"),
        ("decimal(12,2)", "decimal(18,2)", "safe"),
        ("decimal(22,2)", "decimal(18,2)", "checked"),
        ("decimal(12,4)", "decimal(12,2)", ""),
        ("double", "decimal(12,2)", ""),
        ("string", "int", ""),
        ("string", "date", ""),
        ("int", "string", "safe"),
        ("date", "string", "safe"),
        ("timestamp", "string", ""),
        ("timestamp", "timestamp_ntz", ""),
        ("timestamp", "date", ""),
        ("boolean", "int", ""),
        ("void", "date", "safe"),
        ("varchar(3)", "string", "safe"),
        ("binary", "string", ""),
    ],
)
def test_casts(got: str, want: str, word: str) -> None:
    assert atomic(got, want) == word


TABLE = t.StructType(
    [
        t.StructField("id", t.LongType(), nullable=False),
        t.StructField("v", t.StringType()),
        t.StructField("s", t.StructType([t.StructField("a", t.IntegerType()), t.StructField("b", t.StringType())])),
        t.StructField("l", t.ArrayType(t.LongType())),
    ]
)


def test_order_case_and_missing_columns() -> None:
    steps = plan(t.StructType([t.StructField("V", t.StringType()), t.StructField("ID", t.IntegerType())]), TABLE)
    assert [(s.name, s.source, s.cast, s.required) for s in steps] == [
        ("id", "ID", "safe", True),
        ("v", "V", "same", False),
        ("s", None, "same", False),
        ("l", None, "same", False),
    ]
    assert [s.name for s in plan(t.StructType([t.StructField("id", t.LongType())]), TABLE, partial=True)] == ["id"]


def test_every_fault_is_named_at_once() -> None:
    inner = t.StructType([t.StructField("A", t.StringType()), t.StructField("zz", t.StringType())])
    frame = t.StructType(
        [
            t.StructField("v", t.DoubleType()),
            t.StructField("V", t.StringType()),
            t.StructField("s", inner),
            t.StructField("l", t.ArrayType(t.StringType())),
            t.StructField("extra", t.StringType()),
        ]
    )
    with pytest.raises(SchemaMismatchError) as caught:
        plan(frame, TABLE)
    lines = str(caught.value).splitlines()[1:]
    assert [line.strip().split(":")[0] for line in lines] == ["V", "id", "s.a", "s.zz", "l[]", "extra"]
    assert "extra: the table has no such column (it has id, v, s, l)" in lines[-1]
