"""A row rule as a Spark column that is true where a row breaks it, false elsewhere, never null. `quality.engine` and the landing ask.

Semantics (DESIGN §7): null breaks only `not_null`; NaN breaks a range and is in no set that does not name it; patterns are matched against
the whole text (`\\A…\\z`: a trailing newline does not slip through); a bound or value takes the column's own type, decimals exactly; a time
without zone is UTC. A rule that does not fit its column raises RuleError.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import reduce
from typing import Any

from dp_foundation.errors import FoundationError
from dp_foundation.quality.rules import Rule

_WHOLE = ("tinyint", "smallint", "int", "bigint")


class RuleError(FoundationError):
    """A rule that cannot be judged: a column that is not there, a value that its column cannot hold."""


def broken(rule: Rule, frame: Any) -> Any:
    """True where a row breaks this row rule in any of its columns. The rule's filter is not in it. Raises RuleError."""
    from pyspark.sql import functions as F

    if not rule.columns:
        raise RuleError(f"{rule.kind} names no column")
    judge = _BREAKS[rule.kind]
    parts = [F.coalesce(judge(*column(frame, name), rule.params), F.lit(False)) for name in rule.columns]
    return reduce(lambda a, b: a | b, parts)


def column(frame: Any, name: str) -> tuple[Any, str]:
    """The frame's column and its type as Spark spells it; a dot reaches into a struct. Raises RuleError for one that is not there."""
    from pyspark.errors import AnalysisException
    from pyspark.sql import functions as F

    whole = F.col("`" + name.replace("`", "``") + "`")
    for found in (whole, F.col(".".join(f"`{part}`" for part in name.split(".")))):
        try:
            return found, frame.select(found).schema.fields[0].dataType.simpleString()
        except AnalysisException:
            continue
    raise RuleError(f"no column {name}; there are {', '.join(frame.columns)}")


def looked_at(rule: Rule, frame: Any) -> Any:
    """True for the rows that the rule looks at; None: all. Raises RuleError for a filter that Spark cannot read."""
    from pyspark.errors import PySparkException
    from pyspark.sql import functions as F

    if not rule.filter:
        return None
    condition = F.coalesce(F.expr(rule.filter).cast("boolean"), F.lit(False))
    try:
        frame.select(condition)
    except PySparkException as error:
        raise RuleError(f"filter {rule.filter!r}: {str(error).splitlines()[0]}") from error
    return condition


def literal(value: object, kind: str) -> Any:
    """A manifest's value as a Spark literal that compares with a column of this type. Raises RuleError."""
    from pyspark.sql import functions as F

    plain = typed(value, kind)
    if kind in ("float", "double") or kind == "boolean":
        return F.lit(plain).cast(kind)
    if isinstance(plain, datetime):
        text = plain.isoformat() if kind == "timestamp_ntz" else plain.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
        return F.lit(text).cast(kind)
    return F.lit(plain.isoformat()).cast("date") if isinstance(plain, date) else F.lit(plain)


def typed(value: object, kind: str) -> Any:
    """A manifest's value as Python's: Decimal for whole numbers and decimals, aware datetime for a timestamp. Raises RuleError."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    try:
        if kind in _WHOLE or kind.startswith("decimal"):
            number = Decimal(text)
            if not number.is_finite():
                raise ValueError("not finite")
            return number
        if kind in ("float", "double"):
            return float(text)
        if kind == "boolean":
            return {"true": True, "false": False}[text.lower()]
        if kind == "date":
            return date.fromisoformat(text)
        if kind in ("timestamp", "timestamp_ntz"):
            return _time(datetime.fromisoformat(text), kind)
    except (ValueError, KeyError, InvalidOperation) as error:
        raise RuleError(f"{text!r} is no value of a column of type {kind}") from error
    if kind == "string" or kind.startswith(("varchar", "char")):
        return text
    raise RuleError(f"a column of type {kind} cannot be compared")


def _time(found: datetime, kind: str) -> datetime:
    if kind == "timestamp_ntz":
        return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _null(column: Any, kind: str, params: Mapping[str, Any]) -> Any:
    return column.isNull()


def _outside_set(column: Any, kind: str, params: Mapping[str, Any]) -> Any:
    return column.isNotNull() & ~column.isin(*(literal(value, kind) for value in params["values"]))


def _outside_range(column: Any, kind: str, params: Mapping[str, Any]) -> Any:
    from pyspark.sql import functions as F

    low, high = params.get("min"), params.get("max")
    if low is None and high is None:
        raise RuleError("a range needs min or max")
    parts = [column < literal(low, kind)] if low is not None else []
    parts += [column > literal(high, kind)] if high is not None else []
    parts += [F.isnan(column)] if kind in ("float", "double") else []
    if any(isinstance(b, float) and math.isnan(b) for b in (low, high)):
        raise RuleError("NaN is no bound")
    return reduce(lambda a, b: a | b, parts)


def _no_match(column: Any, kind: str, params: Mapping[str, Any]) -> Any:
    if kind != "string" and not kind.startswith(("varchar", "char")):
        raise RuleError(f"a pattern judges text, and this column is {kind}")
    return ~column.rlike(rf"\A(?:{params['pattern']})\z")


def _wrong_length(column: Any, kind: str, params: Mapping[str, Any]) -> Any:
    from pyspark.sql import functions as F

    if kind not in ("string", "binary") and not kind.startswith(("varchar", "char")):
        raise RuleError(f"a length is that of text, and this column is {kind}")
    low, high = params.get("min"), params.get("max")
    if low is None and high is None:
        raise RuleError("a length needs min or max")
    parts = [F.length(column) < int(low)] if low is not None else []
    parts += [F.length(column) > int(high)] if high is not None else []
    return reduce(lambda a, b: a | b, parts)


_BREAKS: Mapping[str, Callable[[Any, str, Mapping[str, Any]], Any]] = {
    "not_null": _null,
    "in_set": _outside_set,
    "range": _outside_range,
    "pattern": _no_match,
    "length": _wrong_length,
}
