"""The rules of a gate in plain Python, written from DESIGN §7 without a look at the compiler: what the Spark engine is compared with."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

Row = Mapping[str, Any]


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
