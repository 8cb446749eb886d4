"""Declared columns that a contract lets arriving data change: `types`, `precision` and `nullability` at `evolve`. `landing` asks.

A column grows only as Iceberg lets every older file be read: int to bigint, float to double, a decimal to more digits of the same scale
(18, then 38), required to optional. It does when a row that lands needs it, before the batch is written, in commits of the schema alone
that may be repeated. What no such step makes room for is kept out, and the key stays as it is declared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from dp_foundation.builtin.mapping import Mapped
from dp_foundation.config.arguments import Table
from dp_foundation.io.align import quoted
from dp_foundation.io.commits import aside
from dp_foundation.io.merge import DELETED
from dp_foundation.io.tables import Target
from dp_foundation.logging.logger import get_logger

_WIDER = {"int": ("bigint",), "float": ("double",)}
_DIGITS = (18, 38)


@dataclass(frozen=True, slots=True)
class Growing:
    """One column: the type that the table has, then those that it may become; `optional`: it is required and need not stay so."""

    name: str
    kinds: tuple[str, ...]
    optional: bool = False

    def asked(self, deletes: bool) -> dict[str, str]:
        """What is to be counted of the rows that land: a name → the condition of a value that a type has no room for, or of a null."""
        column = quoted(self.name)
        told = {f"{kind} {self.name}": f"{column} IS NOT NULL AND {_beyond(column, kind)}" for kind in self.kinds[:-1]}
        # A row that asks for a deletion need not be whole.
        null = f"{column} IS NULL" + (f" AND NOT {quoted(DELETED)}" if deletes else "")
        return {**told, **({f"null {self.name}": null} if self.optional else {})}

    def kind(self, count: Mapping[str, int]) -> str:
        """The type that holds every value that lands."""
        return next((kind for kind in self.kinds[:-1] if not count[f"{kind} {self.name}"]), self.kinds[-1])


def _beyond(column: str, kind: str) -> str:
    if kind == "float":
        return f"CAST(CAST({column} AS float) AS string) <> CAST({column} AS string)"  # it would read otherwise
    return f"try_cast({column} AS {kind}) IS NULL"


def plan(spark: Any, table: Table, mapped: Sequence[Mapped]) -> tuple[Growing, ...]:
    """The columns that the batch may change; none where the contract lets it change nothing."""
    modes = table.gate.contract if table.gate else {}
    types, precision, nullability = (modes.get(entity) == "evolve" for entity in ("types", "precision", "nullability"))
    if not (types or precision or nullability):
        return ()
    have = {field.name.lower(): field for field in spark.table(Target(table.database, table.name).identifier).schema.fields}
    found = []
    for m in (m for m in mapped if m.name.lower() in have and m.name not in table.key):
        field = have[m.name.lower()]
        kind = field.dataType.simpleString()
        wider = _wider(kind, types, precision)
        grew = kind in _wider(m.type, types, precision)  # the manifest may go on declaring what the column was
        if wider or grew or (nullability and not field.nullable):
            found.append(Growing(field.name, (kind, *wider), nullability and not field.nullable))
    return tuple(found)


def _wider(kind: str, types: bool, precision: bool) -> tuple[str, ...]:
    if kind.startswith("decimal"):
        return _decimals(kind) if precision else ()
    return _WIDER.get(kind, ()) if types else ()


def _decimals(kind: str) -> tuple[str, ...]:
    digits, scale = map(int, kind.removeprefix("decimal(").removesuffix(")").split(","))
    return tuple(f"decimal({more},{scale})" for more in _DIGITS if more > digits)


def widened(mapped: Sequence[Mapped], growing: Sequence[Growing]) -> tuple[Mapped, ...]:
    """The columns cast to the widest type that each may become, so that what it needs can be counted."""
    kinds = {one.name.lower(): one.kinds[-1] for one in growing}
    return tuple(replace(m, type=kinds.get(m.name.lower(), m.type)) for m in mapped)


def grow(spark: Any, table: Table, growing: Sequence[Growing], count: Mapping[str, int]) -> dict[str, str]:
    """Change the table as the rows that land need it. Column → the type that it is written in."""
    target = Target(table.database, table.name)
    for one in growing:
        kind = one.kind(count)
        if kind != one.kinds[0]:
            aside(spark, target, partial(_retype, spark, target, one, kind))
        if one.optional and count[f"null {one.name}"]:
            aside(spark, target, partial(_free, spark, target, one))
    return {one.name: one.kind(count) for one in growing}


def _retype(spark: Any, target: Target, one: Growing, kind: str) -> None:
    now = _column(spark, target, one).dataType.simpleString()
    if now in one.kinds and one.kinds.index(now) < one.kinds.index(kind):
        _alter(spark, target, one, f"TYPE {kind}", f"{now} becomes {kind}")


def _free(spark: Any, target: Target, one: Growing) -> None:
    if not _column(spark, target, one).nullable:
        _alter(spark, target, one, "DROP NOT NULL", "may be null from now on")


def _alter(spark: Any, target: Target, one: Growing, change: str, told: str) -> None:
    spark.sql(f"ALTER TABLE {target.identifier} ALTER COLUMN {quoted(one.name)} {change}")
    get_logger(__name__).warning("%s: %s %s, as the data need it", target.identifier, one.name, told)


def _column(spark: Any, target: Target, one: Growing) -> Any:
    return next(field for field in spark.table(target.identifier).schema.fields if field.name.lower() == one.name.lower())
