"""Columns that arriving data bring and nobody declared: what the contract's `columns` makes of them. `landing` and the built-ins ask.

Unknown is what neither the table declares nor the one that was read: a column that the owner declared there and not here was left out by
the owner. A row brings a column where it has a value in it. `evolve` makes it a column of the table, optional, of the type that the data
have (what is nested as JSON text), before the batch is written; a column that the table has got so before keeps its type. A name that no
manifest could declare cannot be taken: such rows are kept out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dp_foundation.builtin.mapping import Mapped
from dp_foundation.config.arguments import Table
from dp_foundation.contracts import quarantine
from dp_foundation.errors import SchemaMismatchError
from dp_foundation.io.align import quoted
from dp_foundation.io.commits import aside
from dp_foundation.io.tables import Target
from dp_foundation.logging.logger import get_logger

BROUGHT = "Brought by the data; the manifest does not declare it"  # the column's doc, by which the plane knows it (`model.evolution`)
HAS = "has "  # before a column's name: the count of rows that land with a value in it
MOST = 100  # columns in one batch: data whose keys are values would make ever more of them
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}\Z")
_SAME = ("boolean", "int", "bigint", "float", "double", "date", "timestamp", "timestamp_ntz", "string", "binary")
_NESTED = ("struct", "array", "map")


@dataclass(frozen=True, slots=True)
class Brought:
    """One such column. `mapped`: how it comes to the table's type; `mode`: what becomes of it; `stands`: the table has it already."""

    mapped: Mapped
    mode: str
    stands: bool = False


def mode(table: Table) -> str:
    """What the contract says of columns that nobody declared."""
    return str((table.gate.contract if table.gate else {}).get("columns", "freeze"))


def asked(table: Table) -> bool:
    """Whether whoever reads for this table is to hand on columns that nobody declared."""
    return mode(table) != "freeze" and quarantine.of(table) is not None


def plan(frame: Any, known: Sequence[str], table: Table) -> tuple[Brought, ...]:
    """The columns of a frame that are not among the known names; none where the contract freezes them.

    Raises SchemaMismatchError for more than MOST that are to become columns.
    """
    names = {name.lower() for name in (*known, *(column.name for column in table.columns))}
    fields = [f for f in frame.schema.fields if f.name.lower() not in names and f.dataType.simpleString() != "void"]
    how = mode(table)
    if not fields:
        return ()
    if how == "freeze":
        get_logger(__name__).warning("%s: columns that nobody declared are left out: %s", table.logical, ", ".join(f.name for f in fields))
        return ()
    if how != "evolve":
        return tuple(Brought(Mapped(_alias(f.name), quoted(f.name), f.dataType.simpleString()), how) for f in fields)
    if len(fields) > MOST:
        raise SchemaMismatchError(
            f"{table.logical}: {len(fields)} columns that nobody declared, among them {fields[0].name}; allowed: {MOST} in a batch; "
            "mend: take what has values for names as one column, or contract: { columns: quarantine_row }"
        )
    have = frame.sparkSession.table(Target(table.database, table.name).identifier).schema.fields
    stand = {field.name.lower(): field for field in have}
    return tuple(_evolving(field, stand.get(field.name.lower())) for field in fields)


def _evolving(field: Any, stands: Any) -> Brought:
    kind = field.dataType.simpleString()
    as_text = f"to_json({quoted(field.name)})" if kind.startswith(_NESTED) else f"CAST({quoted(field.name)} AS string)"
    own = kind if kind in _SAME or kind.startswith("decimal") else "int" if kind in ("tinyint", "smallint") else "string"
    if stands is None and not _NAME.match(field.name):
        return Brought(Mapped(_alias(field.name), as_text, "string"), "quarantine_row")
    if stands is None or stands.dataType.simpleString() == own:
        expression = quoted(field.name) if kind == own else as_text if own == "string" else f"CAST({quoted(field.name)} AS {own})"
        return Brought(Mapped(stands.name if stands else field.name, expression, own), "evolve", stands is not None)
    # By way of text, so that a value that the column cannot hold is told apart, whatever the two types are.
    wanted = stands.dataType.simpleString()
    if wanted in ("int", "bigint") and kind.startswith(("float", "double", "decimal")):
        whole = f"try_cast({quoted(field.name)} AS bigint)"  # a batch with one fraction in it makes fractions of all
        as_text = f"if({whole} = {quoted(field.name)}, CAST({whole} AS string), {as_text})"
    return Brought(Mapped(stands.name, as_text, wanted), "evolve", stands=True)


def taken(spark: Any, table: Table, brought: Sequence[Brought], landing: Mapping[str, int]) -> tuple[Mapped, ...]:
    """What of them is written: the columns that the table has, and those that it gets now because rows that land have a value in them
    (`landing`: HAS and its name → how many). One commit of the table's schema, for all its branches; two writers may bring the same."""
    used = [one for one in brought if one.mode == "evolve" and (one.stands or landing[HAS + one.mapped.name])]
    new = [one.mapped for one in used if not one.stands]
    if new:
        target = Target(table.database, table.name)
        aside(spark, target, lambda: _add(spark, target, new))
        told = ", ".join(f"{column.name} {column.type}" for column in new)
        get_logger(__name__).warning("%s: new columns, which the data brought: %s", target.identifier, told)
    return tuple(one.mapped for one in used)


def _add(spark: Any, target: Target, new: Sequence[Mapped]) -> None:
    have = {name.lower() for name in spark.table(target.identifier).columns}
    lacking = [column for column in new if column.name.lower() not in have]
    if lacking:
        columns = ", ".join(f"{quoted(column.name)} {column.type} COMMENT '{BROUGHT}'" for column in lacking)
        spark.sql(f"ALTER TABLE {target.identifier} ADD COLUMNS ({columns})")


def _alias(name: str) -> str:
    """A name that stands between backticks as it is."""
    return name.replace("`", "'")
