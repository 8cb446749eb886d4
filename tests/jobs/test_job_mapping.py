"""Which values a cast would change, by the types it is between: what breaks `types` or `precision`, and what is not looked at."""

from __future__ import annotations

from typing import Any

import pytest

from dp_foundation.builtin import mapping
from dp_foundation.errors import DataError, SchemaMismatchError

pytestmark = pytest.mark.spark
FLOAT, BIG = "cast({} as float)", "cast('{}' as decimal(38,{}))"
# target type → the value that comes, as SQL → what of the contract it breaks
LANDS: dict[str, dict[str, str]] = {
    "int": {
        "12.7D": "precision",
        "12D": "",
        "3e9D": "types",
        "double('NaN')": "types",
        FLOAT.format(1.5): "precision",
        "12.70": "precision",
        "12.00": "",
        BIG.format("1.000000000000000000000000000001", 30): "precision",
        "3000000000.5": "types",
        "3000000000L": "types",
        "'12.7'": "types",
        "' 12 '": "",
        "double(null)": "",
    },
    "smallint": {"-0.5D": "precision", "7": "", "40000": "types"},
    "bigint": {
        "9223372036854775808D": "types",
        "9223372036854774784D": "",
        "timestamp'2026-01-01 12:00:00.000001'": "precision",
        "timestamp'2026-01-01 12:00:00'": "",
    },
    "decimal(10,2)": {
        "12.34D": "",
        "0.1D + 0.2D": "",
        "19.99D * 3": "",
        "12.345D": "precision",
        "9999999.995D": "precision",
        "1e-7D": "precision",
        "1e30D": "types",
        "double('NaN')": "types",
        "double(null)": "",
        FLOAT.format(12.34): "",
        FLOAT.format(12.345): "precision",
        "1.005": "precision",
        "1.500": "",
        "'1.005'": "precision",
        "'1.5000'": "",
        "' -5 '": "",
        "'12.345e1'": "",
        "'12.3456e1'": "precision",
        "'1e-30'": "precision",
        "'123456789.005'": "types",
        "'twelve.005'": "types",
        "timestamp'1970-01-01 00:00:00.001'": "precision",
    },
    "decimal(18,2)": {"123456789012.345D": "precision"},
    "decimal(38,2)": {
        "'100000000000000000000.123'": "precision",
        "'100000000000000000000.120'": "",
        BIG.format("100000000000000000000.123", 3): "precision",
        BIG.format("100000000000000000000.120", 3): "",
        BIG.format("99999999999999999999.999", 18): "precision",
        "1152921504606846976D": "",
    },
    "decimal(38,18)": {"'0.1234567890123456789'": "precision", "'0.123456789012345678'": ""},
    "decimal(38,20)": {"'0.12345678901234567891'": ""},
    "float": {
        "16777217": "precision",
        "2147483647": "precision",
        "0.1D": "",
        "double(float(0.1))": "",
        "0.123456789D": "precision",
        "1e-50D": "precision",
        "1e300D": "types",
        "double('Infinity')": "",
        "double('NaN')": "",
        "1234567890.12": "precision",
        "'0.1'": "",
        "'0.123456789'": "precision",
        "'9007199254740993'": "precision",
        "'1e300'": "types",
        "'-inf'": "",
        "timestamp'2026-01-01 12:00:01'": "precision",
    },
    "double": {
        "2147483647": "",
        "9007199254740993L": "precision",
        "9007199254740992L": "",
        "9223372036854775807L": "precision",
        BIG.format("0.1", 18): "",
        BIG.format("0.123456789012345678", 18): "precision",
        BIG.format("1152921504606846976", 0): "",
        BIG.format("9007199254740993", 0): "precision",
        "'0.10000000000000001'": "",
        "'9007199254740993'": "precision",
        "'12345678901234567890'": "precision",
        "'1152921504606846976'": "",
        "'1e300'": "",
        "'1e999'": "types",
        "'Infinity'": "",
        "timestamp'2026-01-01 12:00:00.123456'": "",
    },
    "boolean": {"'yes'": "", "'2'": "types", "2": "types", "1": "", "0.5D": "types", "double(null)": ""},
    "date": {
        "timestamp'2026-01-01 12:00:00'": "precision",
        "timestamp'2026-01-01 00:00:00'": "",
        "timestamp_ntz'2026-01-01 00:00:00.000001'": "precision",
        "' 2026-01-01 '": "",
        "'2026-01-01T12:30:00'": "precision",
        "'2026-01-01T00:00:00.000+02:00'": "",
        "'2026-01-01 garbage'": "types",
        "timestamp(null)": "",
    },
    "timestamp": {
        "'2026-01-01T12:00:00.123456000Z'": "",
        "'2026-01-01T12:00:00.123456789Z'": "precision",
        "'2026-01-01 1:30'": "",
        "'12:30'": "types",
        "10000000000000000L": "types",
        "1700000000.123D": "",
        "1.0000001D": "precision",
        "1.1234567": "precision",
    },
    "timestamp_ntz": {
        "'2026-01-01T12:00:00+02:00'": "types",
        "'2026-01-01T12:00:00Z'": "",
        "'2026-01-01T12:00:00.1234567'": "precision",
    },
    "string": {"12.345D": "", "timestamp'2026-01-01 12:00:00.5'": ""},
    "array<int>": {"array('1', 'x')": "types", "array('1', null)": "", "array(1D, 1.5D)": "precision"},
    "map<string,array<int>>": {"map('a', array(1.5))": "precision", "map('a', array('x'))": "types"},
    "struct<`a`:int,`b`:array<decimal(12,2)>>": {
        "named_struct('a', '1', 'b', array('1.005'))": "precision",
        "named_struct('a', '1', 'b', array('1.00'))": "",
        "named_struct('a', 'x', 'b', array('1.00'))": "types",
    },
}


def _breaks(frame: Any, *kinds: str) -> dict[str, dict[str, str]]:
    """What the frame's columns, cast to these types, could break."""
    return mapping.breaks(frame, [mapping.Mapped(name, name, kind) for name, kind in zip(frame.columns, kinds, strict=True)])


@pytest.mark.parametrize("want", LANDS)
def test_a_value_that_does_not_come_back_from_its_cast_breaks_the_contract(spark: Any, want: str) -> None:
    cases = LANDS[want]
    # Kept in memory, so that Spark does not work out the literals beforehand, in another way.
    frame = spark.range(1).selectExpr(*(f"{value} AS c{at}" for at, value in enumerate(cases))).persist()
    broken = _breaks(frame, *[want] * len(cases))
    asked = [f"coalesce({text}, false) AS `{name} {entity}`" for name, texts in broken.items() for entity, text in texts.items()]
    flags = frame.selectExpr("1", *asked).first().asDict()
    found = [" ".join(e for e in ("types", "precision") if flags.get(f"c{at} {e}")) for at in range(len(cases))]
    frame.unpersist()
    assert dict(zip(cases, found, strict=True)) == cases


def test_what_the_types_prove_safe_is_not_looked_at(spark: Any) -> None:
    safe = {
        "int": ("1S", "bigint"),
        "flt": ("1F", "double"),
        "txt": ("1.5D", "string"),
        "dec": ("1.5", "decimal(12,2)"),
        "non": ("null", "date"),
    }
    frame = spark.range(1).selectExpr(*(f"{value} AS {name}" for name, (value, _) in safe.items()))
    assert _breaks(frame, *(kind for _, kind in safe.values())) == {name: {} for name in safe}
    same = spark.sql("select 1L id, 'a' v, named_struct('a', 1) s")
    assert _breaks(same, "bigint", "string", "struct<`a`:int>") == {}
    fits = spark.sql("select 1 id, 1.5 amount, 1L half")
    assert {name: list(told) for name, told in _breaks(fits, "smallint", "decimal(1,1)", "decimal(3,1)").items()} == {
        "id": ["types"],
        "amount": ["types"],
        "half": ["types"],
    }


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ("named_struct('b', 1, 'a', 2)", "struct<`a`:bigint,`b`:bigint>"),
        ("array(named_struct('a', 1, 'b', 2))", "array<struct<`a`:int>>"),
        ("array('a, b')", "string"),
        ("'[1]'", "array<int>"),
    ],
)
def test_nested_values_are_not_cast_into_another_shape(spark: Any, value: str, want: str) -> None:
    with pytest.raises(SchemaMismatchError, match=r"x.*: .* does not go into .*; mend: make it in `map`"):
        _breaks(spark.sql(f"select {value} x"), want)


def test_without_a_quarantine_a_value_that_would_change_fails_the_job(spark: Any) -> None:
    frame = spark.sql("select 12.7D n, timestamp'2026-01-01 12:00:00' at union all select 1, null")
    mapped = [mapping.Mapped("n", "n", "int"), mapping.Mapped("at", "at", "date")]
    with (
        pytest.raises(DataError, match=r"n: 1 value\(s\).* '12\.7'\n.*at: 1 value\(s\).* '2026-01-01 12:00:00'"),
        mapping.apply(frame, mapped, "x"),
    ):
        pass
    meant = [mapping.Mapped("n", "cast(n as int)", "int"), mapping.Mapped("at", "cast(at as date)", "date")]
    with mapping.apply(frame, meant, "x") as (rows, count):
        assert (sorted(row[0] for row in rows.collect()), count) == ([1, 12], 2)
