"""The authoring models of a table's `rules`, `contract` and `deprecate`. Read by `tables`; judged by `check_rules`, made plain by
`promises`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import PlainValidator, WithJsonSchema

from meshplane.model.manifest.parts import (
    JsonSchema,
    Names,
    OneOrList,
    Part,
    Text,
    Whole,
    duration,
    field,
    named,
    refuse,
    relative,
)
from meshplane.model.reading import shown

RuleName = Annotated[str, named("rule", "[a-z][a-z0-9_]*", "lower-case letters, digits and _, beginning with a letter", 64)]
CONTRACT_ENDING = ".odcs.yaml"
AGGREGATES = ("count_distinct", "count", "sum", "avg", "min", "max")
Mode = Literal["evolve", "freeze", "quarantine_row", "discard_value"]

# Kind of rule → the options that it takes; the first tuple are those that it cannot do without.
OPTIONS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "columns": ((), ()),
    "not_null": ((), ()),
    "unique": ((), ()),
    "in_set": (("values",), ()),
    "range": ((), ("min", "max")),
    "pattern": (("regex",), ()),
    "length": ((), ("min", "max")),
    "row_count": ((), ()),
    "freshness": (("within",), ()),
    "referential": (("table",), ("column",)),
    "reconciliation": (("table",), ("measure", "tolerance")),
    "change": (("tolerance",), ("against",)),
    "sql": ((), ()),
}
# Judged as a whole, not row by row: a threshold says nothing of them.
OF_ALL_ROWS = ("columns", "row_count", "freshness", "reconciliation", "change")


def percent(value: object, code: str = "threshold-form") -> str:
    """`0.1` of `0.1%`, without needless zeros."""
    match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,6})?)\s*%", shown(value))
    if not match or (code == "threshold-form" and Decimal(match[1]) > 100):
        refuse(code, "this is no percentage", shown(value), "0% to 100%" if code == "threshold-form" else "a number with %", "0.1%")
    return format(Decimal(match[1]).normalize(), "f")


def threshold(value: object) -> tuple[int, str]:
    """(rows, percent) of `10 rows` or `0.1%`; percent is empty where rows count."""
    text = shown(value)
    if text == "0":
        return 0, ""
    if match := re.fullmatch(r"(\d{1,12})\s*rows?", text):
        return int(match[1]), ""
    if not text.endswith("%"):
        mend = f"{text}% or {text} rows"
        refuse("threshold-form", "a threshold is a share of the rows, or a number of them", text, "0.1%, 10 rows", mend)
    return 0, percent(value)


def _plain(value: object) -> object:
    """A number without the memory of how it was written."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return int(value) if isinstance(value, int) else float(value)


def _bound(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        refuse("rule-value", "a bound is a number, a date or a time", shown(value), "10, 0.5, 2027-01-31, 2027-01-31T00:00:00Z")
    return _plain(value)


def _value(value: object) -> object:
    if not isinstance(value, bool | int | float | str):
        refuse("rule-value", "a value is a text, a number, true or false", shown(value), "EUR, 10, true")
    return _plain(value)


def measure(value: object) -> str:
    """`count(*)`, `sum(amount)`: one Spark aggregate over one column. `count` alone is `count(*)`."""
    text = shown(value).replace(" ", "")
    if text == "count":
        return "count(*)"
    match = re.fullmatch(rf"({'|'.join(AGGREGATES)})\(([A-Za-z_]\w*|\*)\)", text)
    if not match or (match[2] == "*" and match[1] != "count"):
        allowed = "count, " + ", ".join(f"{name}(column)" for name in AGGREGATES)
        refuse("rule-measure", f"'{shown(value)}' is no measure", shown(value), allowed)
    return text


def _until(value: object) -> date:
    try:
        return date.fromisoformat(shown(value))
    except ValueError:
        refuse("date-form", "this is no date", shown(value), "a date, 2027-01-31")


def _tolerance(value: object) -> str:
    return percent(value, "tolerance-form")


_NUMBER_OR_TEXT: JsonSchema = {"type": ["number", "string"]}
Bound = Annotated[Any, PlainValidator(_bound), WithJsonSchema(_NUMBER_OR_TEXT)]
Value = Annotated[Any, PlainValidator(_value), WithJsonSchema({"type": ["string", "number", "boolean"]})]
Values = Annotated[tuple[Value, ...], OneOrList()]
Measure = Annotated[str, PlainValidator(measure), WithJsonSchema({"type": "string", "pattern": r"^(count|[a-z_]+\((\w+|\*)\))$"})]
Percent = Annotated[str, PlainValidator(_tolerance), WithJsonSchema({"type": "string", "pattern": r"^\d{1,3}(\.\d{1,6})?\s*%$"})]
Threshold = Annotated[
    tuple[int, str], PlainValidator(threshold), WithJsonSchema({"type": ["string", "number"], "pattern": r"^\d+(\.\d+)?\s*(%|rows?)$"})
]
Until = Annotated[date, PlainValidator(_until), WithJsonSchema({"type": "string", "format": "date"})]
Within = Annotated[timedelta, duration("1m", "3650d")]


class RowCount(Part):
    """How many rows a batch or table has; a bare number is the least."""

    short = ({"type": "integer", "minimum": 0},)

    min: Whole | None = field("Least number of rows.", default=None, ge=0)
    max: Whole | None = field("Most rows.", default=None, ge=0)

    @classmethod
    def expand(cls, value: object) -> object:
        """`row_count: 1`."""
        return {"min": value} if isinstance(value, int) and not isinstance(value, bool) else value


def _kind(description: str, word: str) -> Any:
    return field(description, default=None, alias=word)


class RulePart(Part):
    """One rule: its kind with what it looks at, `not_null: customer_id`, its options, and how much it weighs."""

    columns: Names | None = field("These columns are there, with their types.", default=None)
    not_null: Names | None = _kind("These columns are never null.", "not_null")
    unique: Names | None = field("No two rows are equal in these columns; rows where all are null do not count.", default=None)
    in_set: Text | None = _kind("This column holds only `values`; null is ignored.", "in_set")
    range: Text | None = field("This column lies between `min` and `max`, both included; NaN breaks it, null is ignored.", default=None)
    pattern: Text | None = field("This text column matches `regex` as a whole; null is ignored.", default=None)
    length: Text | None = field("The length of this text column, in characters, lies between `min` and `max`.", default=None)
    row_count: RowCount | None = _kind("How many rows there are: the least, or { min, max }.", "row_count")
    freshness: Text | None = field("The newest value of this time column is not older than `within`.", default=None)
    referential: Names | None = field("These columns are found in `table` (its `column`); null is ignored.", default=None)
    reconciliation: Measure | None = field("This measure, count or sum(amount), equals `measure` of `table`, give or take `tolerance`.",
                                           default=None)  # fmt: skip
    change: Measure | None = field("This measure differs from the published history by no more than `tolerance`.", default=None)
    sql: Text | None = field("A read-only SELECT: the rows that it returns break the rule. The table goes by its name.", default=None)
    values: Values | None = field("in_set: the values that are allowed.", default=None, min_length=1)
    min: Bound | None = field("range, length: the least, included.", default=None)
    max: Bound | None = field("range, length: the most, included.", default=None)
    regex: Text | None = field("pattern: a regular expression in Java's syntax; it has to match the whole text.", default=None)
    within: Within | None = field("freshness: how old, 26h; against the run's start, or its window's end.", default=None)
    table: Text | None = field("referential, reconciliation: the other table, also `project.table`; a job that writes this one reads it.",
                               default=None)  # fmt: skip
    column: Names | None = field("referential: its columns. Default: those of the same name.", default=None)
    measure: Measure | None = field("reconciliation: the other table's measure. Default: the same.", default=None)
    tolerance: Percent | None = field("reconciliation, change: how far apart, 1%. Default 0% for reconciliation.", default=None)
    against: Whole | None = field("change: how many earlier publications its mean is taken of. Default 1.", default=None, ge=1, le=100)
    severity: Literal["observe", "warn", "block"] = field("block: nothing is published. Default block.", overlay=True, default="block")
    threshold: Threshold = field("How much may break it: 0.1%, or 10 rows. Default 0.", overlay=True, default="0")
    filter: Text = field("A SQL condition: only rows that meet it are looked at.", default="")


class ContractPart(Part):
    """What arriving data may change, per entity: evolve, freeze, quarantine_row or discard_value."""

    short = ({"type": "string", "pattern": r"\.odcs\.yaml$"},)

    table: Mode = field("A table that is not declared. Default freeze.", default="freeze")
    columns: Mode = field("A column that is not declared. Default freeze.", default="freeze")
    types: Mode = field("A value of another type. Default quarantine_row.", default="quarantine_row")
    nullability: Mode = field("A null in a required column. Default quarantine_row.", default="quarantine_row")
    precision: Mode = field("A number with more digits than declared. Default quarantine_row.", default="quarantine_row")
    enum: Mode = field("A value outside of a declared set. Default quarantine_row.", default="quarantine_row")
    file: Annotated[str, relative("contract", CONTRACT_ENDING)] | None = field(
        "A file in the Open Data Contract Standard: its rules join those of the manifest.", default=None
    )

    @classmethod
    def expand(cls, value: object) -> object:
        """`contracts/orders.odcs.yaml`."""
        return {"file": value} if isinstance(value, str) else value


class DeprecatedPart(Part):
    """A column that leaves: consumers have until this day."""

    until: Until = field("The last day on which consumers may rely on it, 2027-01-31.")


def kinds_of(form: RulePart) -> list[str]:
    """The kind words that a rule has; exactly one is right."""
    return [kind for kind in OPTIONS if getattr(form, kind) is not None]


def columns_of(form: RulePart, kind: str) -> tuple[str, ...]:
    """The columns of its own table that a rule looks at."""
    value = getattr(form, kind)
    if kind in ("reconciliation", "change"):
        inner = value[value.index("(") + 1 : -1]
        return () if inner == "*" else (inner,)
    if kind in ("row_count", "sql"):
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
