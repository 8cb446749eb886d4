"""Contracts in ODCS 3.x: the same model there and back, the second export byte-equal, the standard's own JSON Schema, foreign files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from meshplane.errors import ManifestInvalid
from meshplane.model import manifest
from meshplane.model.odcs import Promised, export, promised
from meshplane.model.odcs_reading import Imported, import_odcs
from meshplane.model.rules import Contract, Rule
from meshplane.model.types import Decimal, Field, ListType, MapType, Primitive, StructType, Type

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "tests/standards/odcs-json-schema-v3.2.0.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft201909Validator(SCHEMA)
EXAMPLES = sorted(path for folder in ("projects", "examples/projects") for path in (ROOT / folder).glob("*/project.yaml"))
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=20).map(str.strip)
WHOLE = st.integers(1 - 10**38, 10**38 - 1)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
LEAVES: st.SearchStrategy[Type] = st.sampled_from(
    ["boolean", "int", "long", "float", "double", "date", "timestamp", "timestamptz", "string", "binary"]
).map(Primitive) | st.integers(1, 38).flatmap(lambda p: st.integers(0, p).map(lambda s: Decimal(p, s)))


def fields(types: st.SearchStrategy[Type], most: int) -> st.SearchStrategy[tuple[Field, ...]]:
    one = st.builds(Field, NAMES, types, st.booleans(), WORDS)
    return st.lists(one, min_size=1, max_size=most, unique_by=lambda field: field.name).map(tuple)


TYPES: st.SearchStrategy[Type] = st.recursive(
    LEAVES,
    lambda inner: inner.map(ListType) | st.builds(MapType, st.just(Primitive("string")), inner) | fields(inner, 3).map(StructType),
    max_leaves=4,
)


@st.composite
def rules(draw: st.DrawFn, names: list[str]) -> tuple[Rule, ...]:
    made = []
    for name in draw(st.lists(NAMES.filter(lambda name: not name.startswith("implied_")), max_size=5, unique=True)):
        column = draw(st.sampled_from(names))
        some = tuple(draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)))
        bounds = draw(st.sampled_from([{"min": 1}, {"max": 9}, {"min": 0, "max": 0}, {"min": 2, "max": 7}]))
        rows = draw(st.sampled_from([0, 0, 7]))
        share = draw(st.sampled_from(["", "0.1", "0.000001", "50", "100"]))
        form = draw(
            st.sampled_from(
                [
                    ("columns", some, {}), ("not_null", some, {}), ("unique", some, {}),
                    ("range", (column,), {"min": "2020-01-01", "max": 0.5}),
                    ("in_set", (column,), {"values": draw(st.lists(WORDS | WHOLE | st.booleans(), min_size=1, max_size=3))}),
                    ("pattern", (column,), {"pattern": draw(WORDS)}), ("length", (column,), bounds), ("row_count", (), bounds),
                    ("freshness", (column,), {"within": 93600}), ("referential", some, {"table": "a.b", "columns": list(some)}),
                    ("reconciliation", (), {"table": "b", "measure": "sum(x)", "own_measure": "count(*)", "tolerance_percent": "0.5"}),
                    ("change", (), {"measure": "count(*)", "max_percent": "50", "against": 7}), ("sql", (), {"query": draw(WORDS)}),
                ]
            )
        )  # fmt: skip
        severity = draw(st.sampled_from(["observe", "warn", "block"]))
        made.append(Rule(name, *form, severity, rows, share, draw(st.sampled_from(["", "status <> 'x'"]))))
    return tuple(made)


@st.composite
def tables(draw: st.DrawFn) -> Promised:
    columns = draw(fields(TYPES, 5))
    names = [column.name for column in columns]
    key = tuple(draw(st.lists(st.sampled_from(names), max_size=2, unique=True)))
    mode = st.sampled_from(["evolve", "freeze", "quarantine_row", "discard_value"])
    contract = draw(st.builds(Contract, mode, mode, mode, mode, mode, mode, NAMES, st.sampled_from(["1.0", "2.3.4", "7"])))
    return Promised(draw(NAMES), columns, key, draw(WORDS), draw(rules(names)), contract, draw(st.booleans()))


def read(text: str) -> Imported:
    return import_odcs(text, "contracts/orders.odcs.yaml")


def plain(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
@given(tables())
def test_a_generated_contract_comes_back_whole_and_its_second_export_is_equal_to_the_byte(table: Promised) -> None:
    first = export("sales", table)
    imported = read(first)
    assert imported.unmapped == ()
    assert imported.tables == (table,)
    assert export("sales", imported.tables[0]) == first


def test_a_rules_name_that_a_manifest_allows_is_kept_to_the_letter() -> None:
    names = ("ends_", "a__b", "x")
    table = Promised("orders", (Field("id", Primitive("long")),), rules=tuple(Rule(name, "row_count", (), {"min": 1}) for name in names))
    assert tuple(rule.name for rule in read(export("sales", table)).tables[0].rules) == names


@pytest.mark.slow
@settings(max_examples=20, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
@given(tables())
def test_what_is_exported_passes_the_standards_own_schema(table: Promised) -> None:
    text = export("sales", table)
    VALIDATOR.validate(plain(text))
    assert yaml.safe_load(text) == plain(text), "YAML 1.1 reads it otherwise"


@pytest.mark.parametrize(
    "word", ["NO", "on", "y", "12:30", "1_000", "010", "0x1F", "2026-01-01", "1e5", "~", "null", "=", ".5", "+1", "0o7"]
)
def test_a_text_that_yaml_would_take_for_something_else_is_quoted(word: str) -> None:
    rule = Rule("words", "in_set", ("a",), {"values": [word, 0.0000001, 1e30]})
    text = export("sales", Promised("orders", (Field("a", Primitive("string")),), rules=(rule,)))
    assert yaml.safe_load(text) == plain(text)
    assert read(text).tables[0].rules == (rule,)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_every_table_of_the_examples_comes_back(path: Path) -> None:
    name = path.parent.name
    for table in manifest.load(path.read_text(encoding="utf-8"), file=str(path), env="dev", project=name).tables.values():
        first = export(name, promised(table))
        VALIDATOR.validate(plain(first))
        (back,) = read(first).tables
        assert replace(back, contract=replace(back.contract, id="", version="")) == promised(table)
        assert export(name, back) == first


@pytest.mark.parametrize("path", sorted(path for one in EXAMPLES for path in one.parent.rglob("*.odcs.yaml")), ids=lambda path: path.name)
def test_the_files_of_the_examples_are_the_standards_and_as_they_are_exported(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    VALIDATOR.validate(plain(text))
    (table,) = read(text).tables
    assert export(plain(text)["id"].partition(".")[0], table) == text


FOREIGN = """\
apiVersion: v3.0.2
kind: DataContract
id: 53581432-6c55-4ba2-a65f-72344a91553a
version: 1.2.0
status: active
team: [{ username: ceastwood }]
slaProperties: [{ property: latency, value: 4, unit: d }]
schema:
  - name: orders
    tags: [finance]
    properties:
      - { name: id, logicalType: integer, physicalType: BIGINT, primaryKey: true, required: true, unique: true }
      - name: code
        logicalType: string
        physicalType: VARCHAR(3)
        logicalTypeOptions: { minLength: 3, maxLength: 3, pattern: "[A-Z]+", format: email }
        enum: [{ value: EUR }, { value: USD }]
        quality:
          - { metric: nullValues, mustBeLessThan: 5, unit: rows, severity: warning, dimension: completeness }
          - { metric: missingValues, arguments: { missingValues: ["", "N/A"] }, mustBe: 0 }
          - { metric: nullValues, mustBeGreaterThan: 5 }
      - { name: amount, logicalType: number }
      - { name: paid, logicalType: timestamp }
    quality:
      - { metric: rowCount, mustBeGreaterThan: 10 }
      - { type: sql, query: SELECT COUNT(*) FROM orders, mustBe: 3 }
      - { type: text, description: It should look good }
      - { type: custom, engine: soda, implementation: "checks" }
"""


def test_a_foreign_file_is_mapped_as_far_as_it_is_sure_and_the_rest_is_listed() -> None:
    imported = read(FOREIGN)
    (table,) = imported.tables
    assert [(column.name, column.type) for column in table.columns] == [
        ("id", Primitive("long")), ("code", Primitive("string")), ("paid", Primitive("timestamptz")),
    ]  # fmt: skip
    assert (table.key, table.contract.id, table.contract.version) == (("id",), "53581432-6c55-4ba2-a65f-72344a91553a", "1.2.0")
    assert table.rules == (
        Rule("id_unique", "unique", ("id",)),
        Rule("code_enum", "in_set", ("code",), {"values": ["EUR", "USD"]}),
        Rule("code_pattern", "pattern", ("code",), {"pattern": "[A-Z]+"}),
        Rule("code_length", "length", ("code",), {"min": 3, "max": 3}),
        Rule("code_nullvalues", "not_null", ("code",), {}, "warn", 4),
        Rule("rowcount", "row_count", (), {"min": 11}),
    )
    listed = {str(lost).partition(":")[0]: lost.promise for lost in imported.unmapped}
    assert listed == {
        "team": False,
        "slaProperties": False,
        "schema[0].tags": False,
        "schema[0].properties[1].logicalTypeOptions.format": True,
        "schema[0].properties[1].quality[0].dimension": False,
        "schema[0].properties[1].quality[1]": True,
        "schema[0].properties[1].quality[2]": True,
        "schema[0].properties[2]": True,
        "schema[0].quality[1]": True,
        "schema[0].quality[2].description": False,
        "schema[0].quality[2]": True,
        "schema[0].quality[3]": True,
    }
    first = export("sales", table)
    assert export("sales", read(first).tables[0]) == first


@pytest.mark.parametrize("text", ["a: 1\n", "kind: DataContract\napiVersion: v2.2.0\n", "- 1\n", "kind: [\n"])
def test_what_is_no_contract_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(ManifestInvalid) as caught:
        read(text)
    assert caught.value.problems[0].file == "contracts/orders.odcs.yaml"


NESTED = """\
apiVersion: v3.2.0
kind: DataContract
id: sales.orders
version: 1.0.0
schema:
  - name: orders
    properties:
      - { name: id, logicalType: integer }
      - name: ship
        logicalType: object
        properties:
          - name: country
            logicalType: string
            required: true
            unique: true
            primaryKey: true
            primaryKeyPosition: 1
            classification: confidential
            description: where it goes
            logicalTypeOptions: { pattern: "[A-Z]{2}" }
            enum: [{ value: DE }]
            quality: [{ metric: nullValues, mustBe: 0 }]
          - { name: plain, logicalType: string, required: false, unique: false, enum: [], quality: [], logicalTypeOptions: {} }
      - name: tags
        logicalType: array
        items: { logicalType: string, required: true, quality: [{ metric: nullValues, mustBe: 0 }], examples: [a] }
      - name: prices
        logicalType: map
        map:
          key: { logicalType: string, required: true, logicalTypeOptions: { maxLength: 3 } }
          value:
            logicalType: array
            items: { logicalType: object, properties: [{ name: amount, logicalType: integer, logicalTypeOptions: { minimum: 0 } }] }
          order: any
      - { name: odd, logicalType: string, properties: [{ name: inner, logicalType: string, unique: true }] }
"""
PROMISED_INSIDE = {
    *(f"[1].properties[0].{key}" for key in ("unique", "primaryKey", "logicalTypeOptions", "enum", "quality")),
    *("[2].items.required", "[2].items.quality", "[3].map.key.logicalTypeOptions"),
    *("[3].map.value.items.properties[0].logicalTypeOptions", "[4].properties"),
}


def test_what_is_said_of_values_inside_of_a_column_is_listed_with_its_place() -> None:
    imported = read(NESTED)
    (table,) = imported.tables
    country, amount = Field("country", Primitive("string"), True, "where it goes"), Field("amount", Primitive("long"))
    assert [column.type for column in table.columns[1:4]] == [
        StructType((country, Field("plain", Primitive("string")))),
        ListType(Primitive("string")),
        MapType(Primitive("string"), ListType(StructType((amount,)))),
    ]
    assert table.rules == ()
    listed = {str(lost).partition(":")[0].removeprefix("schema[0].properties"): lost.promise for lost in imported.unmapped}
    told = {"[1].properties[0].classification", "[2].items.examples", "[3].map.order"}
    assert listed == dict.fromkeys(PROMISED_INSIDE, True) | dict.fromkeys(told, False)
    first = export("sales", table)
    assert (export("sales", read(first).tables[0]), read(first).unmapped) == (first, ())


def test_a_table_whose_contract_promises_something_inside_of_a_column_is_refused() -> None:
    columns = "{ id: long, ship: 'struct<country: string, plain: string>', tags: list<string> }"
    table = f"  orders: {{ layer: refined, columns: {columns}, contract: contracts/orders.odcs.yaml }}\n"
    text = f"apiVersion: meshplane/v1\nkind: Project\nmetadata: {{ name: sales }}\ntables:\n{table}"
    found = manifest.check(text, file="project.yaml", project="sales", environments=("dev",), contracts=lambda path: NESTED)
    refused = {problem.path.removeprefix("schema[0].properties") for problem in found if problem.code == "contract-unsupported"}
    assert refused == PROMISED_INSIDE
    (unique,) = [problem for problem in found if problem.path.endswith("[0].unique")]
    assert str(unique) == (
        "contracts/orders.odcs.yaml:15:21  schema[0].properties[1].properties[0].unique: "
        "what nobody would judge cannot be promised: rules look at whole columns, none inside of one\n"
        "    mend     say it as a rule of the manifest, or take it out"
    )


MISWRITTEN = """\
apiVersion: v3.2.0
kind: DataContract
schema:
  - name: orders
    properties:
      - { name: a, logicalType: string, enum: [A, B] }
      - { name: b, logicalType: string, enum: [{ value: A, label: first }, { label: other }] }
      - { name: c, logicalType: string, enum: [{ value: A, label: first }], required: "yes", unique: "true", primaryKey: 1 }
      - { name: d, logicalType: string, logicalTypeOptions: [maxLength], quality: { metric: nullValues, mustBe: 0 } }
      - e
    quality: [rowCount]
"""


def test_a_promise_in_another_form_than_the_standards_is_listed_too() -> None:
    imported = read(MISWRITTEN)
    (table,) = imported.tables
    assert table.rules == (Rule("c_enum", "in_set", ("c",), {"values": ["A"]}),)
    assert {str(lost).partition(":")[0].removeprefix("schema[0].properties"): lost.promise for lost in imported.unmapped} == {
        "[0].enum": True,
        "[1].enum": True,
        "[2].enum[0].label": False,
        "[2].required": True,
        "[2].unique": True,
        "[2].primaryKey": True,
        "[3].logicalTypeOptions": True,
        "[3].quality": True,
        "[4]": True,
        "schema[0].quality[0]": True,
    }
