"""Raw files whose table declares types: the same value is held against the same type, whether the raw table or the target declares it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dp_foundation.builtin import merge
from dp_foundation.config.arguments import Column, CsvFormat, Table
from dp_foundation.errors import DataError
from dp_foundation.io import texts
from dp_foundation.io.readers import read_table
from meshplane.model.quarantine import REPLAY
from tests.jobs.job_world import World
from tests.jobs.landing_world import JOB, kept, landing

pytestmark = pytest.mark.spark
# type → what stands between two delimiters of a csv → the value as text, or what it breaks
CSV: dict[str, dict[str, str]] = {
    "int": {"7": "7", "x": "types", "12.7": "types", "3000000000": "types", "": "None"},
    "bigint": {"9223372036854775807": "9223372036854775807", "9223372036854775808": "types"},
    "boolean": {"true": "True", "maybe": "types"},
    "decimal(10,2)": {
        "12.34": "12.34",
        "12.345": "precision",
        "12.3400": "12.34",
        "1,234.50": "1234.50",
        "1,234,567": "1234567.00",
        "12,5": "types",
        "1,23,456": "types",
        "123456789": "types",
        "1e30": "types",
    },
    "decimal(38,18)": {"0.123456789012345678": "0.123456789012345678", "0.1234567890123456789": "precision"},
    "float": {"0.123456789": "0.12345679104328156", "1e300": "types", "9007199254740993": "precision"},
    "double": {"0.1": "0.1", "9007199254740993": "precision", "1e999": "types", "Infinity": "inf", "NaN": "nan"},
    "date": {"2026-01-02": "2026-01-02", "2026-01-02T00:00:00": "2026-01-02", "2026-01-02T10:11:12": "precision", "2026-01-02 x": "types"},
    "timestamp": {
        "2026-01-02T10:11:12.123456Z": "2026-01-02 10:11:12.123456",
        "2026-01-02T10:11:12.1234567Z": "precision",
        "12:30": "types",
    },
    "timestamp_ntz": {"2026-01-02 10:11:12": "2026-01-02 10:11:12", "2026-01-02T10:11:12+02:00": "types"},
}
# type → a value of json
JSON: dict[str, dict[str, str]] = {
    "int": {"7": "7", '"x"': "types", "12.7": "types", "null": "None"},
    "bigint": {"9007199254740993": "9007199254740993", "9223372036854775808": "types"},
    "boolean": {"true": "True", '"maybe"': "types"},
    "decimal(10,2)": {
        "12.34": "12.34",
        "12.345": "precision",
        '"12.345"': "precision",
        "1e2": "100.00",
        "123456789": "line",
        '"12,5"': "line",
    },
    "decimal(20,10)": {"1234567890.0123456789": "1234567890.0123456789", "0.00000000001": "precision"},
    "double": {"0.1": "0.1", "9007199254740993": "precision", "1e999": "types", '"NaN"': "nan"},
    "date": {'"2026-01-02"': "2026-01-02", '"2026-01-02T10:11:12"': "precision", "20260102": "types"},
    "timestamp": {
        '"2026-01-02T10:11:12.1234567Z"': "precision",
        '"2026-01-02T10:11:12Z"': "2026-01-02 10:11:12",
        "1700000000": "2023-11-14 22:13:20",
    },
    "struct<a:decimal(10,2)>": {'{"a": 1.25}': "Row(a=Decimal('1.25'))", '{"a": 1.255}': "precision", "null": "None"},
    "array<timestamp>": {'["2026-01-02T10:11:12.1234567Z"]': "precision", '["x"]': "types"},
    "map<string,decimal(4,1)>": {'{"a": 1.5}': "{'a': Decimal('1.5')}", '{"a": 1.55}': "precision"},
}
Told = dict[str, dict[str, str]]


def _lines(form: str, cases: Told) -> list[str]:
    """A record for each value, which has it in the column of its type and nothing in the others."""
    at = [(column, value) for column, values in enumerate(cases.values()) for value in values]
    if form == "json":
        return [f'{{"n": {n}, "v{column}": {value}}}' for n, (column, value) in enumerate(at)]
    header = ";".join(["n", *(f"v{column}" for column in range(len(cases)))])
    return [header, *(f"{n}{';' * (column + 1)}{value}{';' * (len(cases) - column - 1)}" for n, (column, value) in enumerate(at))]


def _found(row: dict[str, Any], column: str) -> str:
    unfit = [name for name, is_so in row[texts.UNFIT].asDict().items() if is_so]
    if row["line"] is not None or not unfit:
        return "line" if row["line"] is not None else str(row[column])
    assert [name.partition(":")[2] for name in unfit] == [column]
    return unfit[0].partition(":")[0]


@pytest.mark.parametrize(("form", "cases"), [("csv", CSV), ("json", JSON)], ids=["csv", "json"])
def test_a_value_is_what_stands_in_the_file_or_is_told(world: World, spark: Any, form: str, cases: Told) -> None:
    prefix = world.raw("raw", "n int", form, **({"delimiter": ";"} if form == "csv" else {}))
    world.tables["raw"]["columns"] += [{"name": f"v{at}", "type": kind, "required": False} for at, kind in enumerate(cases)]
    lines = _lines(form, cases)
    world.put(f"{prefix}a.{form}", "\n".join(lines) + "\n")
    world.start({}, run_id="")
    rows = {row["line"] or lines[row["n"] + (form == "csv")]: row.asDict() for row in read_table(spark, "raw", malformed="line").collect()}
    lines = lines[form == "csv" :]
    at = [(f"v{column}", kind, value) for column, (kind, values) in enumerate(cases.items()) for value in values]
    found: Told = {}
    for line, (column, kind, value) in zip(lines, at, strict=True):
        found.setdefault(kind, {})[value] = _found(rows[line], column)
        if form == "csv" and found[kind][value] in ("types", "precision"):
            assert rows[line][texts.TEXTS][column] == value, "as it stood"
    assert found == cases


@pytest.mark.parametrize(
    ("form", "kind"), [("csv", "decimal(10,2)"), ("csv", "int"), ("json", "struct<a:decimal(10,2)>"), ("json", "date")]
)
def test_who_keeps_nothing_aside_fails_at_the_value(world: World, spark: Any, form: str, kind: str) -> None:
    cases = {kind: {"csv": CSV, "json": JSON}[form][kind]}
    prefix = world.raw("raw", "n int", form, **({"delimiter": ";"} if form == "csv" else {}))
    world.tables["raw"]["columns"].append({"name": "v0", "type": kind, "required": False})
    world.put(f"{prefix}a.{form}", "\n".join(_lines(form, cases)) + "\n")
    world.start({}, run_id="")
    frame = read_table(spark, "raw")
    for at, told in enumerate(cases[kind].values()):
        if told in ("types", "precision"):
            with pytest.raises(Exception, match=r"raw\.v0: .* does not fit .*; mend: declare it as string"):
                frame.where(f"n = {at}").collect()
        else:
            assert str(frame.where(f"n = {at}").first()["v0"]) == told
    assert frame.select("n").count() == len(cases[kind]), "who does not look at it reads on"


def test_a_pattern_of_the_owners_reads_whole_values(spark: Any) -> None:
    dialect = CsvFormat(date_format="dd.MM.yyyy", timestamp_format="dd.MM.yyyy HH:mm:ss.SSSSSSS")
    columns = (Column("d", "date"), Column("t", "timestamp"), Column("l", "timestamp_ntz"))
    table = Table("raw", "sales", "raw", "db", "raw", "", "csv", columns=columns, csv=dialect)
    rows = [
        ("02.01.2026", "02.01.2026 10:11:12.1234560", "02.01.2026 10:11:12.1234560"),
        ("2026-01-02", "02.01.2026 10:11:12.1234567", None),
        ("02.01.2026 x", "2026-01-02", "02.01.2026 10:11:12.0000001"),
    ]
    frame = texts.typed(spark.createDataFrame(rows, "d string, t string, l string"), table, "csv", keep=True)
    found = [([str(row[name]) for name in "dtl"], sorted(k for k, v in row[texts.UNFIT].asDict().items() if v)) for row in frame.collect()]
    moment = "2026-01-02 10:11:12.123456"
    assert found == [
        (["2026-01-02", moment, moment], []),
        (["None", moment, "None"], ["precision:t", "types:d"]),
        (["None", "None", "2026-01-02 10:11:12"], ["precision:l", "types:d", "types:t"]),
    ]


SOLD = (
    "id;amount;currency;at\n1;12.34;EUR;2026-01-02\n2;12.345;EUR;2026-01-02\n3;12,5;EUR;2026-01-02\n4;1;EUR;2026-01-02T10:30:00\nx;1;EUR;\n"
)


def test_the_contract_says_what_becomes_of_it_and_a_replay_lands_it(world: World, spark: Any) -> None:
    raw = "id bigint, amount decimal(10,2), currency string, at date"
    prefix, orders, quarantine = landing(world, raw=raw, precision="quarantine_row", types="discard_value")
    world.put(f"{prefix}a.csv", SOLD)
    world.start(JOB)
    merge.run()
    world.ends()
    landed = {row[0]: (str(row[1]), str(row[3])) for row in world.rows(orders)}
    assert landed == {1: ("12.34", "2026-01-02"), 3: ("None", "2026-01-02")}
    told = [(row["row"]["id"], row["reasons"], row["columns"], row["modes"], row["source_position"]) for row in kept(world, quarantine)]
    assert told == [
        ("2", ["precision"], ["amount"], ["quarantine_row"], 2),
        ("3", ["types"], ["amount"], ["discard_value"], 3),
        ("4", ["precision"], ["at"], ["quarantine_row"], 4),
        ("x", ["types"], ["id"], ["quarantine_row"], 5),  # the key has no null to fall back to
    ]
    assert [row["row"]["amount"] for row in kept(world, quarantine)][:2] == ["12.345", "12,5"]

    for column, kind in (("amount", "decimal(10,3)"), ("at", "timestamp")):
        next(one for one in world.tables["raw"]["columns"] if one["name"] == column)["type"] = kind
    meant = {"amount": "cast(round(amount, 2) as decimal(12,2))", "at": "cast(at as date)"}
    world.start({**JOB, "with": {"map": meant}}, "r2", params={REPLAY: json.dumps({"table": "orders"})})
    merge.run()
    world.ends()
    landed = {row[0]: (str(row[1]), str(row[3])) for row in world.rows(orders)}
    day = "2026-01-02"
    assert landed == {1: ("12.34", day), 2: ("12.35", day), 3: ("None", day), 4: ("1.00", day)}
    waiting = [(row["row"]["id"], row["reasons"]) for row in kept(world, quarantine) if not row["replayed_by"]]
    assert waiting == [("3", ["line"]), ("x", ["types"])]


def test_a_replay_rounds_nothing_where_the_raw_table_is_declared_narrower_since(world: World, spark: Any) -> None:
    prefix, orders, quarantine = landing(world, raw="id bigint, amount decimal(10,3), currency string, at timestamp")
    world.put(f"{prefix}a.csv", "id;amount;currency;at\n1;1;EUR;\n2;1.005;EUR;\n3;1;EUR;2026-01-02T10:30:00Z\n")
    world.start(JOB)
    merge.run()
    world.ends()
    for column, kind in (("amount", "decimal(10,2)"), ("at", "date")):
        next(one for one in world.tables["raw"]["columns"] if one["name"] == column)["type"] = kind
    world.start(JOB, "r2", params={REPLAY: json.dumps({"table": "orders"})})
    with pytest.raises(DataError, match="each of 2 rows breaks the contract"):
        merge.run()
    assert [row[0] for row in world.rows(orders)] == [1]
    assert [(row["reasons"], row["columns"]) for row in kept(world, quarantine)] == [(["precision"], ["amount"]), (["precision"], ["at"])]


def test_a_value_that_an_expression_uses_keeps_its_row_out(world: World, spark: Any) -> None:
    """Discarded, it would be made something else of: coalesce(null, 0)."""
    raw = "id bigint, amount decimal(10,2), currency string, at date"
    prefix, orders, quarantine = landing(world, raw=raw, precision="discard_value")
    world.put(f"{prefix}a.csv", SOLD.rpartition("3;")[0])
    world.start({**JOB, "with": {"map": {"amount": "coalesce(amount, 0)"}}})
    merge.run()
    assert [(row[0], str(row[1])) for row in world.rows(orders)] == [(1, "12.34")]
    [row] = kept(world, quarantine)
    assert (row["row"]["amount"], row["reasons"], row["modes"]) == ("12.345", ["precision"], ["quarantine_row"])
