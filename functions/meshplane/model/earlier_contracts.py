"""Contracts of the medallion platform as promises: JSON schema definitions, global thresholds, expectation suites. Called by the CLI. Pure.

Their shapes vary (reference earlier-templates §3): what has a rule of ours is mapped, all else is listed, with its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from meshplane.model.odcs import Promised
from meshplane.model.odcs_reading import Unmapped
from meshplane.model.odcs_types import type_of
from meshplane.model.rules import Rule
from meshplane.model.types import Field

Read = tuple[Promised, tuple[Unmapped, ...]]
# Keys of a thresholds file → the domain's default that says the same.
_SHARES = {"max_null_rate": "not_null", "null_rate": "not_null", "null_threshold": "not_null", "max_duplicate_rate": "unique",
           "duplicate_rate": "unique", "duplicate_threshold": "unique", "max_invalid_rate": "in_set"}  # fmt: skip
_ROWS = {"min_row_count": "min", "min_rows": "min", "max_row_count": "max", "max_rows": "max"}


def import_schema(data: Mapping[str, Any], table: str) -> Read:
    """`columns: [{name, type, nullable|required}]`, or a JSON Schema of one row."""
    lost: list[Unmapped] = []
    columns: list[Field] = []
    required = set(data.get("required", ())) if isinstance(data.get("required"), list) else set()
    if isinstance(data.get("properties"), Mapping):
        given = [(("properties", name), {"name": name, **form}) for name, form in data["properties"].items() if isinstance(form, Mapping)]
    else:
        given = [(("columns", index), dict(form)) for index, form in enumerate(data.get("columns", ())) if isinstance(form, Mapping)]
    for at, form in given:
        name, word = str(form.pop("name", "")), form.pop("type", None)
        words = [each for each in word if each != "null"] if isinstance(word, list) else [word]
        stamp = {"date": "date", "date-time": "timestamptz"}.get(str(form.pop("format", "")), "")
        of = (
            type_of({"physicalType": stamp or words[0], "logicalType": words[0]}) if len(words) == 1 and isinstance(words[0], str) else None
        )
        needed = form.pop("required", False) is True or form.pop("nullable", True) is False or name in required
        form.pop("nullable", None)
        doc = str(form.pop("description", ""))
        if of is None:
            lost.append(Unmapped(at, f"column '{name}' is of no type that is sure here: {word}", promise=True))
        else:
            columns.append(Field(name, of, needed, doc))
        lost += [Unmapped((*at, key), "has no place in a manifest") for key in form]
    used = {"columns", "properties", "required", "description", "$schema", "type", "title", "name"}
    lost += [Unmapped((key,), "has no place in a manifest") for key in data if key not in used]
    return Promised(table, tuple(columns), (), str(data.get("description", ""))), tuple(lost)


def import_thresholds(data: Mapping[str, Any]) -> tuple[dict[str, float], tuple[Unmapped, ...]]:
    """What `rule_defaults` of domain.json would say of a global thresholds file: kind of rule → share of rows that may break it."""
    defaults, lost = {}, []
    for key, value in data.items():
        if key in _SHARES and isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
            defaults[_SHARES[key]] = float(value)
        elif key in _ROWS:
            lost.append(Unmapped((key,), f"is a table's own: row_count: {{ {_ROWS[key]}: {value} }} in its rules", promise=True))
        else:
            lost.append(Unmapped((key,), "no default of ours says this", promise=True))
    return defaults, tuple(lost)


def import_expectations(data: Mapping[str, Any], table: str) -> Read:
    """A suite of Great Expectations, `expectation_type` or `type`, with `kwargs`."""
    rules: list[Rule] = []
    lost: list[Unmapped] = []
    for index, each in enumerate(data.get("expectations", ())):
        kind = str(each.get("expectation_type", each.get("type", "")))
        arguments = dict(each.get("kwargs", {}))
        rule = _expected(kind, arguments, len(rules))
        if rule is None:
            lost.append(Unmapped(("expectations", index), f"no rule of ours says {kind}", promise=True))
        else:
            rules.append(rule)
            left = set(arguments) - {"result_format", "catch_exceptions", "include_config", "batch_id"}
            lost += [Unmapped(("expectations", index, "kwargs", key), "has no place in a rule") for key in sorted(left)]
    lost += [
        Unmapped((key,), "has no place in a manifest") for key in data if key not in ("expectations", "expectation_suite_name", "name")
    ]
    return Promised(table, rules=tuple(rules)), tuple(lost)


def _expected(kind: str, arguments: dict[str, Any], number: int) -> Rule | None:
    column, mostly = str(arguments.pop("column", "")), arguments.pop("mostly", 1)
    share = format((Decimal(100) - Decimal(str(mostly)) * 100).normalize(), "f")
    name = f"{column or 'table'}_{number}".lower()
    bounds = {ours: arguments.pop(key) for key, ours in (("min_value", "min"), ("max_value", "max")) if arguments.get(key) is not None}
    limit: dict[str, Any] = {"threshold_percent": share if share != "0" else ""}
    match kind.removeprefix("expect_"):
        case "column_values_to_not_be_null" if column:
            return Rule(name, "not_null", (column,), **limit)
        case "column_values_to_be_unique" if column:
            return Rule(name, "unique", (column,), **limit)
        case "compound_columns_to_be_unique":
            return Rule(name, "unique", tuple(arguments.pop("column_list", ())), **limit)
        case "column_values_to_be_in_set" if column and arguments.get("value_set"):
            return Rule(name, "in_set", (column,), {"values": list(arguments.pop("value_set"))}, **limit)
        case "column_values_to_be_between" if column and bounds and not arguments.get("strict_min") and not arguments.get("strict_max"):
            return Rule(name, "range", (column,), bounds, **limit)
        case "column_value_lengths_to_be_between" if column and bounds:
            return Rule(name, "length", (column,), bounds, **limit)
        case "table_row_count_to_be_between" if bounds:
            return Rule(name, "row_count", (), bounds)
        case "table_row_count_to_equal" if "value" in arguments:
            count = arguments.pop("value")
            return Rule(name, "row_count", (), {"min": count, "max": count})
        case "column_to_exist" if column:
            return Rule(name, "columns", (column,))
    return None
