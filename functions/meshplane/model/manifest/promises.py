"""A table's promises made plain: rules with the domain's defaults filled in, the contract, deprecations. Called by `normalise`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from meshplane.model.domain import RuleDefaults
from meshplane.model.manifest.rules import OF_ALL_ROWS, ContractPart, RulePart, columns_of, kinds_of, percent, threshold
from meshplane.model.rules import Contract, Rule

NO_DEFAULTS: RuleDefaults = {}


def contract(part: ContractPart) -> Contract:
    """The modes; `id` and `version` come with a file (`joining`)."""
    return Contract(**part.model_dump(exclude={"file"}))


def rule(name: str, part: RulePart, defaults: RuleDefaults = NO_DEFAULTS) -> Rule:
    """A rule in its long form. What it does not say is the domain's default for its kind, else the domain's, else ours."""
    (kind,) = kinds_of(part)

    def told(word: str) -> Any:
        value = getattr(part, word)
        if word in part.model_fields_set and value is not None:
            return value
        if word == "threshold" and kind in defaults:
            return _as_share(defaults[kind])
        return defaults.get(f"{kind}.{word}", defaults.get(word, value))

    limit = told("threshold") if kind not in OF_ALL_ROWS else "0"
    rows, share = limit if isinstance(limit, tuple) else threshold(limit)
    return Rule(name, kind, columns_of(part, kind), _params(kind, part, told), told("severity"), rows, share, part.filter)  # type: ignore[arg-type]


def _params(kind: str, part: RulePart, told: Any) -> Mapping[str, Any]:
    match kind:
        case "in_set":
            return {"values": list(part.values or ())}
        case "range" | "length":
            return {word: value for word, value in (("min", part.min), ("max", part.max)) if value is not None}
        case "row_count":
            given = part.row_count
            return {word: value for word, value in (("min", given.min), ("max", given.max)) if value is not None} if given else {}
        case "pattern":
            return {"pattern": part.regex}
        case "freshness":
            return {"within": int(part.within.total_seconds()) if part.within else 0}
        case "referential":
            return {"table": part.table, "columns": list(part.column or part.referential or ())}
        case "reconciliation":
            tolerance = told("tolerance") or "0"
            measure = part.measure or part.reconciliation
            return {"table": part.table, "measure": measure, "own_measure": part.reconciliation, "tolerance_percent": _share(tolerance)}
        case "change":
            return {"measure": part.change, "max_percent": _share(told("tolerance")), "against": part.against or 1}
        case "sql":
            return {"query": part.sql}
    return {}


def _share(value: str) -> str:
    return percent(value, "tolerance-form") if value.endswith("%") else value


def _as_share(value: object) -> object:
    """`not_null: 0.001` in domain.json is 0.1%."""
    return f"{Decimal(str(value)) * 100:f}%" if isinstance(value, int | float) else value
