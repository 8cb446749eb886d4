"""The rules of a gate in plain Python, written from DESIGN §7 without a look at the compiler: what the Spark engine is compared with."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

Row = Mapping[str, Any]
Keep = Callable[[Row], bool]


@dataclass(frozen=True)
class Beside:
    """What a rule looks at beside its own rows: another table's, those of earlier states (newest first), and what freshness counts from."""

    others: Sequence[Row] = ()
    past: Sequence[Sequence[Row]] = ()
    reference: datetime = datetime(2026, 1, 1, tzinfo=UTC)


def judged(
    kind: str,
    columns: Sequence[str],
    params: Mapping[str, Any],
    rows: Sequence[Row],
    keep: Keep = lambda _: True,
    beside: Beside = Beside(),
) -> tuple[str, int]:
    """(passed | failed | error, rows that it looks at) of a rule on the whole; of `referential` what breaks it says `dangling`."""
    kept = [row for row in rows if keep(row)]
    if kind == "row_count":
        low, high = params.get("min", 0), params.get("max", math.inf)
        return _said(low <= len(kept) <= high), len(kept)
    if kind == "freshness":
        times = [at for row in kept if (at := _moment(row[columns[0]])) is not None]
        return _said(bool(times) and beside.reference - max(times) <= timedelta(seconds=params["within"])), len(kept)
    try:
        if kind == "reconciliation":
            own, other = _measure(params.get("own_measure", params["measure"]), kept), _measure(params["measure"], beside.others)
            return _said(abs(own - other) * 100 <= Fraction(params.get("tolerance_percent", "0")) * abs(other)), len(rows)
        assert kind == "change", kind
        own = _measure(params["measure"], kept)
        before = [_measure(params["measure"], [row for row in state if keep(row)]) for state in beside.past[: params.get("against", 1)]]
    except ArithmeticError:
        return "error", 0
    if not before:
        return "passed", len(rows)
    mean = sum(before, Fraction(0)) / len(before)
    return _said(abs(own - mean) * 100 <= Fraction(params["max_percent"]) * abs(mean)), len(rows)


def dangling(columns: Sequence[str], theirs: Sequence[str], rows: Sequence[Row], keep: Keep, others: Sequence[Row]) -> tuple[int, int]:
    """(rows that refer to nothing, rows that refer to something at all)."""
    there = {tuple(_key(row[c]) for c in theirs) for row in others if all(row[c] is not None for c in theirs)}
    keys = [tuple(_key(row[c]) for c in columns) for row in rows if keep(row) and all(row[c] is not None for c in columns)]
    return sum(key not in there for key in keys), len(keys)


def _said(holds: bool) -> str:
    return "passed" if holds else "failed"


def _moment(value: Any) -> datetime | None:
    """A moment in UTC: a day begins one, what has no zone is in UTC, and a text is one where it is ISO 8601."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _measure(text: str, rows: Sequence[Row]) -> Fraction:
    """An aggregate, exactly; of no value 0. Raises ArithmeticError for one that is no finite number."""
    name, _, inner = text[:-1].partition("(")
    values = [row[inner] for row in rows if row[inner] is not None] if inner != "*" else list(rows)
    if name == "count":
        return Fraction(len(values))
    if name == "count_distinct":
        return Fraction(len({_key(value) for value in values}))
    if not values:
        return Fraction(0)
    if name in ("min", "max"):
        ordered = sorted(values, key=lambda v: (1, 0) if isinstance(v, float) and math.isnan(v) else (0, v))  # NaN is above all
        return _exact(ordered[0 if name == "min" else -1])
    total: Any = 0
    for value in values:
        total += value
    if name == "avg" and isinstance(total, Decimal):
        fine = Fraction(total) / len(values)  # Spark keeps four digits more than the column has
        return Fraction((Decimal(fine.numerator) / fine.denominator).quantize(Decimal("0.000001"), ROUND_HALF_UP))
    return _exact(total if name == "sum" else float(total) / len(values))


def _exact(value: Any) -> Fraction:
    if isinstance(value, float) and not math.isfinite(value):
        raise ArithmeticError(value)
    return Fraction(str(value))


def violations(
    kind: str, columns: Sequence[str], params: Mapping[str, Any], rows: Sequence[Row], keep: Callable[[Row], bool] = lambda _: True
) -> tuple[int, int]:
    """(rows that break the rule, rows that it looks at)."""
    kept = [row for row in rows if keep(row)]
    if kind == "unique":
        keys = [tuple(_key(row[c]) for c in columns) for row in kept if any(row[c] is not None for c in columns)]
        return sum(count - 1 for count in Counter(keys).values()), len(keys)
    return sum(any(_breaks(kind, row[c], params) for c in columns) for row in kept), len(kept)


def _key(value: Any) -> Any:
    """NaN equals NaN, and zero has no sign."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else value + 0.0
    return value


def _breaks(kind: str, value: Any, params: Mapping[str, Any]) -> bool:
    if kind == "not_null":
        return value is None
    if value is None:
        return False
    if kind == "in_set":
        return not any(_equal(value, _like(value, allowed)) for allowed in params["values"])
    if kind == "range":
        low, high = params.get("min"), params.get("max")
        if isinstance(value, float) and math.isnan(value):
            return True
        return bool((low is not None and value < _like(value, low)) or (high is not None and value > _like(value, high)))
    if kind == "pattern":
        return re.fullmatch(params["pattern"], value) is None
    if kind == "length":
        return bool(len(value) < params.get("min", 0) or len(value) > params.get("max", math.inf))
    raise AssertionError(kind)


def _equal(a: Any, b: Any) -> bool:
    return bool(a == b) or (isinstance(a, float) and math.isnan(a) and math.isnan(b))


def _like(value: Any, told: Any) -> Any:
    """A manifest's value as the column's."""
    if isinstance(value, bool):
        return {"true": True, "false": False}[str(told).lower()]
    if isinstance(value, int | Decimal):
        return Decimal(str(told))
    if isinstance(value, float):
        return float(told)
    if isinstance(value, datetime):
        at = datetime.fromisoformat(str(told))
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return at if value.tzinfo else at.astimezone(UTC).replace(tzinfo=None)
    return date.fromisoformat(str(told)) if isinstance(value, date) else str(told)
