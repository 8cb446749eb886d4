"""Fitting a frame to its table, decided without Spark: which columns, in which order, by which cast. Every writer goes through here.

A cast is *safe* when it can lose nothing (int → bigint), *checked* when it is done only where the value survives it (decimal(22,2) →
decimal(18,2): a value that does not fit fails the write), and refused otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dp_foundation.errors import SchemaMismatchError

_INTEGERS = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 19}
_FLOATS = ("float", "double")
_TO_TEXT = {*_INTEGERS, *_FLOATS, "boolean", "date"}


@dataclass(frozen=True, slots=True)
class Step:
    """How one column comes about. `source` None: a typed null. `cast`: same | safe | checked | nested."""

    name: str
    type: Any
    source: str | None
    cast: str
    required: bool


def plan(frame: Any, table: Any, partial: bool = False) -> tuple[Step, ...]:
    """The steps from a frame's schema to a table's (both pyspark StructTypes), in the table's order.

    `partial`: leave out the table's columns that the frame lacks instead of filling them with nulls (an upsert keeps what they hold).
    Raises SchemaMismatchError with every fault at once.
    """
    faults: list[str] = []
    have = _by_name(frame, faults)
    steps = []
    for want in table.fields:
        got = have.pop(want.name.lower(), None)
        if got is None:
            if not want.nullable:
                faults.append(f"{want.name}: the table requires it and the frame does not have it")
            elif not partial:
                steps.append(Step(want.name, want.dataType, None, "same", False))
            continue
        cast = _cast(got.dataType, want.dataType, want.name, faults)
        steps.append(Step(want.name, want.dataType, got.name, cast, not want.nullable))
    faults += [f"{extra.name}: the table has no such column (it has {', '.join(table.fieldNames())})" for extra in have.values()]
    if faults:
        raise SchemaMismatchError("the frame does not fit the table:\n  " + "\n  ".join(faults))
    return tuple(steps)


def _by_name(frame: Any, faults: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in frame.fields:
        if field.name.lower() in found:
            faults.append(f"{field.name}: the frame has this column twice (names are compared without case)")
        found[field.name.lower()] = field
    return found


def _cast(got: Any, want: Any, path: str, faults: list[str]) -> str:
    """The word for one cast; faults are added for one that is not possible."""
    if got == want:
        return "same"
    kinds = (got.typeName(), want.typeName())
    if kinds == ("struct", "struct"):
        _structs(got, want, path, faults)
        return "nested"
    if kinds == ("array", "array"):
        _cast(got.elementType, want.elementType, f"{path}[]", faults)
        return "nested"
    if kinds == ("map", "map"):
        _cast(got.keyType, want.keyType, f"{path}.key", faults)
        _cast(got.valueType, want.valueType, f"{path}.value", faults)
        return "nested"
    word = atomic(got.simpleString(), want.simpleString())
    if not word:
        a, b = got.simpleString(), want.simpleString()
        faults.append(f"{path}: {a} does not go into {b} without loss; mend: cast it in the job, where its meaning is known")
    return word or "same"


def misfits(got: Any, want: Any, path: str) -> list[str]:
    """Why a value of one type does not go into a column of another without loss; empty when it does. Both are pyspark types."""
    faults: list[str] = []
    _cast(got, want, path, faults)
    return faults


def _structs(got: Any, want: Any, path: str, faults: list[str]) -> None:
    have = _by_name(got, faults)
    for field in want.fields:
        inner = have.pop(field.name.lower(), None)
        if inner is not None:
            _cast(inner.dataType, field.dataType, f"{path}.{field.name}", faults)
        elif not field.nullable:
            faults.append(f"{path}.{field.name}: the table requires it and the frame does not have it")
    faults += [f"{path}.{extra.name}: the table has no such field" for extra in have.values()]


def atomic(got: str, want: str) -> str:
    """`same`, `safe`, `checked`, or empty when values could be lost in silence. Types as Spark spells them: `decimal(12,2)`."""
    if got == want:
        return "same"
    if got == "void" or (want == "string" and (got in _TO_TEXT or got.startswith("decimal"))):
        return "safe"
    if got in _INTEGERS and want in _INTEGERS:
        return "safe" if _INTEGERS[got] < _INTEGERS[want] else "checked"
    if want.startswith("decimal("):
        return _to_decimal(got, want)
    if (got, want) == ("float", "double") or (got in ("tinyint", "smallint", "int") and want == "double"):
        return "safe"
    if got.startswith(("varchar", "char")) and want == "string":
        return "safe"
    return ""


def _to_decimal(got: str, want: str) -> str:
    precision, scale = decimal(want)
    if got in _INTEGERS:
        return "safe" if precision - scale >= _INTEGERS[got] else "checked"
    if not got.startswith("decimal("):
        return ""
    p, s = decimal(got)
    if s > scale:
        return ""  # digits after the point would be rounded away
    return "safe" if precision - scale >= p - s else "checked"


def decimal(text: str) -> tuple[int, int]:
    """Digits and scale of a `decimal(12,2)`."""
    precision, _, scale = text[len("decimal(") : -1].partition(",")
    return int(precision), int(scale)


def columns(steps: Sequence[Step], schema: Any, unless: Any = None) -> list[Any]:
    """The steps as Spark columns, each named as the table names it; `schema` is the frame's. Nulls in a required column fail the write,
    except in rows where `unless` (a Spark column) is true."""
    from pyspark.sql import functions as F

    types: Mapping[str, Any] = {field.name: field.dataType for field in schema.fields}
    made = []
    for step in steps:
        if step.source is None:
            made.append(F.lit(None).cast(step.type).alias(step.name))
            continue
        column = _fitted(F.col(quoted(step.source)), types[step.source], step.type, step.name)
        if step.required:
            sure = F.coalesce(column, _fail(f"{step.name}: null in a required column", step.type))
            column = sure if unless is None else F.when(unless, column).otherwise(sure)
        made.append(column.alias(step.name))
    return made


def _fitted(column: Any, got: Any, want: Any, path: str) -> Any:
    from pyspark.sql import functions as F

    if got == want:
        return column
    kind = want.typeName()
    if kind == "struct" and got.typeName() == "struct":
        return F.when(column.isNotNull(), _fitted_struct(column, got, want, path))
    if kind == "array":
        return F.transform(column, lambda item: _fitted(item, got.elementType, want.elementType, f"{path}[]"))
    if kind == "map":
        keyed = F.transform_keys(column, lambda k, _: _fitted(k, got.keyType, want.keyType, f"{path}.key"))
        return F.transform_values(keyed, lambda _, v: _fitted(v, got.valueType, want.valueType, f"{path}.value"))
    cast = column.cast(want)
    if atomic(got.simpleString(), want.simpleString()) == "checked":
        fits = column.isNull() | (cast.cast(got) == column)
        return F.when(fits, cast).otherwise(_fail(f"{path}: a value does not fit {want.simpleString()}", want))
    return cast


def _fitted_struct(column: Any, got: Any, want: Any, path: str) -> Any:
    from pyspark.sql import functions as F

    have = {field.name.lower(): field for field in got.fields}
    made = []
    for field in want.fields:
        inner = have.get(field.name.lower())
        if inner is None:
            made.append(F.lit(None).cast(field.dataType).alias(field.name))
        else:
            value = _fitted(column.getField(inner.name), inner.dataType, field.dataType, f"{path}.{field.name}")
            made.append(value.alias(field.name))
    return F.struct(*made)


def _fail(message: str, to: Any) -> Any:
    from pyspark.sql import functions as F

    return F.raise_error(F.lit(f"meshplane: {message}")).cast(to)


def quoted(name: str) -> str:
    """The name as Spark's SQL takes it."""
    return "`" + name.replace("`", "``") + "`"
