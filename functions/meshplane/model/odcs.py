"""A table's promises as a contract of the Open Data Contract Standard 3.x; `odcs_reading` is the way back. Pure; called by the CLI.

What ODCS can say is said in its own words (nullValues, duplicateValues, invalidValues, rowCount, severity, unit); what it cannot goes to
`customProperties` and to quality of type custom with the engine `meshplane`. What we cannot keep is listed as `Unmapped`, never dropped in
silence and never guessed: a number without precision is no decimal (reference data B4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.representer import SafeRepresenter

from meshplane.model.odcs_types import property_of
from meshplane.model.project import Table
from meshplane.model.rules import Contract, Rule
from meshplane.model.types import Field

API_VERSION = "v3.2.0"
ENGINE = "meshplane"
SEVERITIES = {"observe": "info", "warn": "warning", "block": "error"}
MODES = ("table", "columns", "types", "nullability", "precision", "enum")


@dataclass(frozen=True, slots=True)
class Promised:
    """What a contract says of one table."""

    name: str
    columns: tuple[Field, ...] = ()
    key: tuple[str, ...] = ()
    description: str = ""
    rules: tuple[Rule, ...] = ()
    contract: Contract = field(default_factory=Contract)
    allow_empty: bool = False


def promised(table: Table) -> Promised:
    """The part of a table that a contract holds; renames and layout are the manifest's own."""
    columns = tuple(replace(column, renamed_from="", id=0) for column in table.columns)
    return Promised(table.name, columns, table.key, table.description, table.rules, table.contract, table.allow_empty)


def export(project: str, table: Promised) -> str:
    """The contract as YAML text. Equal promises give equal bytes."""
    quality = [(rule, _place(rule, table), _quality(rule, table)) for rule in table.rules]
    natural = [rule for column in table.columns for rule, place, _ in quality if place == column.name]
    natural += [rule for rule, place, _ in quality if not place]
    if tuple(natural) != table.rules:  # the gate's digest holds their order
        for position, (_, _, item) in enumerate(quality):
            item.setdefault("customProperties", []).append(_custom("position", position))
    properties = []
    for column in table.columns:
        made = property_of(column)
        if column.name in table.key:
            made |= {"primaryKey": True, "primaryKeyPosition": table.key.index(column.name) + 1}
        if own := [item for _, place, item in quality if place == column.name]:
            made["quality"] = own
        properties.append(made)
    schema: dict[str, Any] = {"name": table.name, "logicalType": "object", "physicalType": "table"}
    schema |= {"description": table.description} if table.description else {}
    schema |= {"properties": properties} if properties else {}
    if whole := [item for _, place, item in quality if not place]:
        schema["quality"] = whole
    modes = {mode: getattr(table.contract, mode) for mode in MODES}
    schema["customProperties"] = [_custom("changes", modes)] + ([_custom("allowEmpty", True)] if table.allow_empty else [])
    return to_yaml(
        {
            "apiVersion": API_VERSION,
            "kind": "DataContract",
            "id": table.contract.id or f"{project}.{table.name}",
            "version": table.contract.version or "1.0.0",
            "status": "active",
            "schema": [schema],
        }
    )


# What readers of YAML 1.1, most tools among them, take for something else than a text when it is not quoted: NO, 12:30, 1_000, 2026-01-01.
_OTHERWISE = re.compile(r"(?i)y|n|yes|no|on|off|=|<<|[-+.\d][-+.:_\d]*(e[-+]?\d*)?|[-+]?0[xob][\d_a-f]*|\d{4}-\d\d?-\d\d?([t\s].*)?")


class _Plain(SafeRepresenter):
    """No anchors: the same list at two places is written twice. What is written reads the same by YAML 1.1 and 1.2."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_str(self, data: Any) -> Any:
        return self.represent_scalar("tag:yaml.org,2002:str", data, '"' if _OTHERWISE.fullmatch(data) else None)

    def represent_float(self, data: Any) -> Any:
        text = format(Decimal(repr(data)), "f")  # 1.1 wants a dot in every number with an exponent
        return self.represent_scalar("tag:yaml.org,2002:float", text if "." in text else f"{text}.0")


_Plain.add_representer(str, _Plain.represent_str)
_Plain.add_representer(float, _Plain.represent_float)


def to_yaml(data: Mapping[str, Any]) -> str:
    """Plain data as YAML in the given order, without anchors."""
    yaml: Any = YAML(typ="safe", pure=True)  # its own hints say None for what takes False
    yaml.width, yaml.allow_unicode = 4096, True
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    yaml.Representer = _Plain
    out = StringIO()
    yaml.dump(data, out)
    return out.getvalue()


def _custom(key: str, value: object) -> dict[str, Any]:
    return {"property": key, "value": value}


def _place(rule: Rule, table: Promised) -> str:
    """The column under which a rule stands; empty for the table."""
    own = rule.kind in ("not_null", "unique", "in_set", "pattern") and len(rule.columns) == 1
    return rule.columns[0] if own and rule.columns[0] in {column.name for column in table.columns} else ""


def _quality(rule: Rule, table: Promised) -> dict[str, Any]:
    """One quality check. Library metrics count rows that break it, so a threshold is an upper limit."""
    place = _place(rule, table)
    named = {"name": rule.name, "severity": SEVERITIES[rule.severity]}
    if rule.kind == "not_null" and place:
        made = {**named, "type": "library", "metric": "nullValues", **_limit(rule)}
    elif rule.kind == "unique" and not rule.threshold_percent:  # ODCS counts duplicates in rows only (datacontract lint)
        arguments = {} if place else {"arguments": {"properties": list(rule.columns)}}
        made = {**named, "type": "library", "metric": "duplicateValues", **arguments, **_limit(rule)}
    elif rule.kind == "in_set" and place:
        made = {**named, "type": "library", "metric": "invalidValues", "arguments": {"validValues": rule.params["values"]}, **_limit(rule)}
    elif rule.kind == "pattern" and place:
        made = {**named, "type": "library", "metric": "invalidValues", "arguments": {"pattern": rule.params["pattern"]}, **_limit(rule)}
    elif rule.kind == "row_count" and rule.params and not (rule.threshold_rows or rule.threshold_percent):
        made = {**named, "type": "library", "metric": "rowCount", **_count(rule)}
    else:
        whole: dict[str, Any] = {"kind": rule.kind, "columns": list(rule.columns), "params": dict(rule.params)}
        whole |= {"thresholdRows": rule.threshold_rows} if rule.threshold_rows else {}
        whole |= {"thresholdPercent": rule.threshold_percent} if rule.threshold_percent else {}
        made = {**named, "type": "custom", "engine": ENGINE, "implementation": whole}
    custom = [_custom("filter", rule.filter)] if rule.filter else []
    if made["type"] == "library" and rule.threshold_rows and rule.threshold_percent:
        custom.append(_custom("thresholdRows", rule.threshold_rows))
    return {**made, "customProperties": custom} if custom else made


def _limit(rule: Rule) -> dict[str, Any]:
    if rule.threshold_percent:
        return {"mustBeLessOrEqualTo": float(rule.threshold_percent), "unit": "percent"}
    return {"mustBeLessOrEqualTo": rule.threshold_rows, "unit": "rows"} if rule.threshold_rows else {"mustBe": 0, "unit": "rows"}


def _count(rule: Rule) -> dict[str, Any]:
    low, high = rule.params.get("min"), rule.params.get("max")
    if low is None:
        return {"mustBeLessOrEqualTo": high}
    if high is None:
        return {"mustBeGreaterOrEqualTo": low}
    return {"mustBe": low} if low == high else {"mustBeBetween": [low, high]}


def modes(contract: Contract) -> dict[str, str]:
    """The six modes of a contract."""
    return {key: value for key, value in asdict(contract).items() if key in MODES}
