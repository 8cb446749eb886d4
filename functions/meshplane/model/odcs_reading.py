"""An ODCS 3.x file read into promises: what has a rule of ours is mapped, all else is listed. Pure.

Called by `manifest.joining` and the command line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, get_args

from meshplane.errors import ManifestInvalid, Problem
from meshplane.model.odcs import ENGINE, MODES, SEVERITIES, Promised
from meshplane.model.odcs_types import flag, left, type_of
from meshplane.model.problems import Loc
from meshplane.model.reading import Node, dotted, read
from meshplane.model.rules import Contract, Mode, Rule, RuleKind
from meshplane.model.types import Field

_WEIGHTS = {**{word: ours for ours, word in SEVERITIES.items()}, "warn": "warn", "critical": "block", "blocker": "block"}
_OPTIONS = {"minLength": ("length", "min"), "maxLength": ("length", "max"), "minimum": ("range", "min"), "maximum": ("range", "max")}

_FORM = "is not in the form that the standard has for it"
_OURS = re.compile(r"[a-z][a-z0-9_]*")  # what a manifest allows as a rule's name; kept to the letter


@dataclass(frozen=True, slots=True)
class Unmapped:
    """Something that is not kept. `promise`: it would be judged, so a table that relies on the file must not lose it."""

    path: Loc
    why: str
    promise: bool = False

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.why}"


@dataclass(frozen=True, slots=True)
class Imported:
    """All tables of a file, and what could not be kept. `root`: the tree, for places of problems."""

    tables: tuple[Promised, ...]
    unmapped: tuple[Unmapped, ...]
    root: Node


def import_odcs(text: str, file: str) -> Imported:
    """Raises ManifestInvalid when the text is no YAML or no data contract of version 3."""
    root, found = read(text, file)
    data, problems = plain(root), list(found)
    if not problems and not (isinstance(data, dict) and data.get("kind") == "DataContract"):
        problems = [Problem("contract-form", "this is no data contract", "kind", file, 1, 1, allowed="kind: DataContract")]
    elif not problems and not str(data.get("apiVersion", "")).startswith("v3."):
        told = str(data.get("apiVersion", ""))
        problems = [Problem("contract-form", "this version of the standard is not read", "apiVersion", file, 1, 1, told, "v3.x")]
    if problems:
        raise ManifestInvalid(problems)
    reader = _Reader()
    tables = reader.contract(dict(data))
    return Imported(tables, tuple(reader.unmapped), root)


def plain(node: Node) -> Any:
    """The tree without places; numbers without the memory of how they were written."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    if isinstance(node.value, bool) or not isinstance(node.value, int | float):
        return node.value
    return int(node.value) if isinstance(node.value, int) else float(node.value)


class _Reader:
    """Takes apart what it knows; what is left over is listed."""

    def __init__(self) -> None:
        self.unmapped: list[Unmapped] = []

    def lost(self, at: Loc, why: str = "has no place in a manifest", promise: bool = False) -> None:
        self.unmapped.append(Unmapped(at, why, promise))

    def rest(self, data: Mapping[str, Any], at: Loc) -> None:
        for key in data:
            self.lost((*at, key))

    def contract(self, data: dict[str, Any]) -> tuple[Promised, ...]:
        identity, version = str(data.pop("id", "")), str(data.pop("version", ""))
        for key in ("apiVersion", "kind", "status"):
            data.pop(key, None)
        schema = data.pop("schema", None)
        self.rest(data, ())
        tables = schema if isinstance(schema, list) else []
        return tuple(self.table(dict(each), ("schema", n), identity, version) for n, each in enumerate(tables) if isinstance(each, dict))

    def table(self, data: dict[str, Any], at: Loc, identity: str, version: str) -> Promised:
        name, text = str(data.pop("name", "")), str(data.pop("description", ""))
        for key in ("logicalType", "physicalType"):
            data.pop(key, None)
        custom = self.custom(data, at, ("changes", "allowEmpty"))
        keys: dict[str, int] = {}
        rules: list[tuple[float, Rule]] = []
        columns = []
        for place, each in self.listed(data, "properties", at):
            if column := self.column(each, place, keys, rules):
                columns.append(column)
        for place, each in self.listed(data, "quality", at):
            self.quality(each, place, "", rules)
        left(data, at, self.lost, _FORM)
        changes = custom.get("changes")
        modes = {
            key: value for key, value in (changes if isinstance(changes, dict) else {}).items() if key in MODES and value in get_args(Mode)
        }
        rules.sort(key=lambda pair: pair[0])
        contract = Contract(**modes, id=identity, version=version)
        ordered = tuple(sorted(keys, key=lambda column: keys[column]))
        return Promised(name, tuple(columns), ordered, text, self.unique_names(rules), contract, custom.get("allowEmpty") is True)

    def unique_names(self, rules: list[tuple[float, Rule]]) -> tuple[Rule, ...]:
        """Names as ours are, each once."""
        seen: dict[str, Rule] = {}
        for _, rule in rules:
            base = rule.name
            if not _OURS.fullmatch(base):
                base = re.sub(r"[^a-z0-9_]+", "_", base.lower()).strip("_") or rule.kind
            base = base if base[0].isalpha() and not base.startswith("implied_") else f"rule_{base}"
            name, count = base[:64], 1
            while name in seen:
                count += 1
                name = f"{base[:60]}_{count}"
            seen[name] = Rule(**{**{each.name: getattr(rule, each.name) for each in fields(rule)}, "name": name})
        return tuple(seen.values())

    def column(self, data: dict[str, Any], at: Loc, keys: dict[str, int], rules: list[tuple[float, Rule]]) -> Field | None:
        name = str(data.pop("name", ""))
        told = data.get("physicalType") or data.get("logicalType") or "nothing"
        of = type_of(data, at, self.lost)
        if flag(data, "primaryKey"):
            keys[name] = int(data.pop("primaryKeyPosition", 0) or 0) if data.get("primaryKeyPosition", -1) != -1 else 1000 + len(keys)
        data.pop("primaryKeyPosition", None)
        required, doc = flag(data, "required"), str(data.pop("description", ""))
        if flag(data, "unique"):
            rules.append((len(rules), Rule(f"{name}_unique", "unique", (name,))))
        if values := self.values(data, at):
            rules.append((len(rules), Rule(f"{name}_enum", "in_set", (name,), {"values": values})))
        if isinstance(data.get("logicalTypeOptions"), dict):
            self.options(data.pop("logicalTypeOptions"), (*at, "logicalTypeOptions"), name, rules)
        for place, each in self.listed(data, "quality", at):
            self.quality(each, place, name, rules)
        left(data, at, self.lost, _FORM)
        if of is None:
            self.lost(at, f"column '{name}' is of no type that is sure here: {told}", promise=True)
            return None
        return Field(name, of, required, doc)

    def values(self, data: dict[str, Any], at: Loc) -> list[Any]:
        """Of an `enum`; one that holds anything but values is left where it is, since a part of it would refuse good rows."""
        given = data.get("enum")
        if not isinstance(given, list) or not all(isinstance(each, dict) and "value" in each for each in given):
            return []
        for n, each in enumerate(data.pop("enum")):
            self.rest({key: each[key] for key in each if key != "value"}, (*at, "enum", n))
        return [each["value"] for each in given]

    def options(self, data: Mapping[str, Any], at: Loc, column: str, rules: list[tuple[float, Rule]]) -> None:
        bounds: dict[str, dict[str, Any]] = {}
        for key, value in data.items():
            if key in _OPTIONS:
                kind, word = _OPTIONS[key]
                bounds.setdefault(kind, {})[word] = value
            elif key == "pattern":
                rules.append((len(rules), Rule(f"{column}_pattern", "pattern", (column,), {"pattern": value})))
            else:
                self.lost((*at, key), "no rule of ours says this", promise=True)
        for kind, params in bounds.items():
            rules.append((len(rules), Rule(f"{column}_{kind}", kind, (column,), params)))  # type: ignore[arg-type]  # length or range

    def custom(self, data: dict[str, Any], at: Loc, known: tuple[str, ...]) -> dict[str, Any]:
        found = {}
        for n, each in enumerate(data.pop("customProperties", None) or []):
            if isinstance(each, dict) and each.get("property") in known:
                found[str(each["property"])] = each.get("value")
            else:
                self.lost((*at, "customProperties", n))
        return found

    def listed(self, data: dict[str, Any], key: str, at: Loc) -> list[tuple[Loc, dict[str, Any]]]:
        """The maps of a list, each with its place. What is no list stays in `data`."""
        given = data.pop(key) if isinstance(data.get(key), list) else []
        for n, each in enumerate(given):
            if not isinstance(each, dict):
                self.lost((*at, key, n), _FORM, promise=True)
        return [((*at, key, n), dict(each)) for n, each in enumerate(given) if isinstance(each, dict)]

    def quality(self, data: dict[str, Any], at: Loc, column: str, rules: list[tuple[float, Rule]]) -> None:
        """One check becomes one rule, or one line of what is not kept."""
        custom = self.custom(data, at, ("filter", "position", "thresholdRows"))
        word = str(data.pop("severity", "error")).lower()
        severity = _WEIGHTS.get(word, "block")
        metric, kind = str(data.pop("metric", data.pop("rule", ""))), data.pop("type", "library")
        name = str(data.pop("name", "") or f"{column + '_' if column else ''}{metric or kind}")
        for key in ("unit", "description", "dimension"):
            if key != "unit" and key in data:
                self.lost((*at, key))
                del data[key]
        made = (
            self.own(data)
            if kind == "custom" and data.get("engine") == ENGINE
            else self.library(data, metric, column)
            if kind == "library"
            else None
        )
        if made is None:
            self.lost(at, f"no rule of ours says this check ({metric or kind})", promise=True)
            return
        rest = {key for key in data if not key.startswith("mustBe") and key not in ("unit", "arguments", "engine", "implementation")}
        self.rest(dict.fromkeys(rest), at)
        rows = int(custom.get("thresholdRows", made.get("threshold_rows", 0)))
        rule = Rule(**{**made, "name": name, "severity": severity, "threshold_rows": rows, "filter": str(custom.get("filter", ""))})
        rules.append((float(custom.get("position", 1e6 + len(rules))), rule))

    def own(self, data: Mapping[str, Any]) -> dict[str, Any] | None:
        told = data.get("implementation")
        if not isinstance(told, dict) or told.get("kind") not in get_args(RuleKind):
            return None
        share = str(told.get("thresholdPercent", ""))
        return {"kind": told["kind"], "columns": tuple(told.get("columns", ())), "params": told.get("params", {}),
                "threshold_rows": told.get("thresholdRows", 0), "threshold_percent": share}  # fmt: skip

    def library(self, data: Mapping[str, Any], metric: str, column: str) -> dict[str, Any] | None:
        if metric == "rowCount":
            params = _counted(data)
            return {"kind": "row_count", "params": params} if params and data.get("unit", "rows") == "rows" else None
        limit = _limited(data)
        arguments = data.get("arguments", {})
        if limit is None or not isinstance(arguments, dict):
            return None
        if metric == "nullValues" and column and not arguments:
            return {"kind": "not_null", "columns": (column,), **limit}
        if metric == "duplicateValues" and set(arguments) <= {"properties"}:
            names = tuple(arguments.get("properties", ())) or ((column,) if column else ())
            return {"kind": "unique", "columns": names, **limit} if names else None
        if metric == "invalidValues" and column and set(arguments) == {"validValues"}:
            return {"kind": "in_set", "columns": (column,), "params": {"values": arguments["validValues"]}, **limit}
        if metric == "invalidValues" and column and set(arguments) == {"pattern"}:
            return {"kind": "pattern", "columns": (column,), "params": {"pattern": arguments["pattern"]}, **limit}
        return None


def _operators(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key.startswith("must")}


def _limited(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """How many rows, or which share of them, may break a rule; None where the check says something else."""
    told = _operators(data)
    number = next(iter(told.values())) if len(told) == 1 else None
    if isinstance(number, bool) or not isinstance(number, int | float) or number < 0:
        return None
    if data.get("unit") == "percent":
        if "mustBeLessOrEqualTo" in told and number <= 100:
            return {"threshold_percent": format(Decimal(str(number)).normalize(), "f") if number else ""}
        return {} if told == {"mustBe": 0} else None
    if told == {"mustBe": 0}:
        return {}
    if "mustBeLessOrEqualTo" in told and number == int(number):
        return {"threshold_rows": int(number)}
    if "mustBeLessThan" in told and number == int(number) and number >= 1:
        return {"threshold_rows": int(number) - 1}
    return None


def _counted(data: Mapping[str, Any]) -> dict[str, int] | None:
    told = _operators(data)
    (operator, value), *more = [*told.items(), ("", None)]
    pair = value if isinstance(value, list) else [value, value]
    if len(more) != 1 or len(pair) != 2 or not all(isinstance(each, int) and not isinstance(each, bool) and each >= 0 for each in pair):
        return None
    match operator:
        case "mustBe":
            return {"min": pair[0], "max": pair[0]} if not isinstance(value, list) else None
        case "mustBeBetween":
            return {"min": pair[0], "max": pair[1]} if isinstance(value, list) else None
        case "mustBeGreaterThan":
            return {"min": pair[0] + 1}
        case "mustBeGreaterOrEqualTo":
            return {"min": pair[0]}
        case "mustBeLessThan":
            return {"max": pair[0] - 1} if pair[0] else None
        case "mustBeLessOrEqualTo":
            return {"max": pair[0]}
    return None
