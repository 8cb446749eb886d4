"""What a job's own frame brings to a table with a written contract, judged at the write: `write_iceberg` and `merge_iceberg` ask.

The same contract as at landing, and the same quarantine. Frames that `landing` gave are not judged again. Which types go into which is left
to the alignment (`io.align`): only text, and numbers that may be too large for their column, are values that a row can break it by.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dp_foundation.builtin.mapping import Mapped
from dp_foundation.config.arguments import Table
from dp_foundation.contracts import landing, quarantine
from dp_foundation.io import align
from dp_foundation.io.merge import DELETED
from dp_foundation.io.tables import Target
from dp_foundation.logging.logger import get_logger


@contextmanager
def judged(frame: Any, target: Target, deleted: str = "") -> Iterator[tuple[Any, str]]:
    """The rows that may be written, and what their column of deletions is called then. As they are for a table without a quarantine.

    Raises DataError for what the contract freezes, and when no row at all keeps it.
    """
    table = target.table
    names = [name.lower() for name in frame.columns]
    twice = len(names) != len(set(names))  # the alignment says so
    if table is None or twice or landing.is_landed(frame, table) or quarantine.of(table) is None:
        yield frame, deleted
        return
    rows = _without_extra(frame, table, deleted)
    mapped = [_mapped(field, table) for field in rows.schema.fields if field.name not in (*landing.OURS, deleted)]
    if deleted:
        mapped.append(Mapped(DELETED, f"coalesce(CAST(`{deleted}` AS boolean), false)", "boolean"))
    with landing.landed(rows, mapped, table, f"writing to {table.logical}") as (kept, _):
        yield kept, DELETED if deleted else ""


def _without_extra(frame: Any, table: Table, deleted: str) -> Any:
    """Without the columns that the contract discards; those that it freezes stay, and the alignment refuses them."""
    have = {column.name.lower() for column in table.columns} | {deleted.lower(), *landing.OURS}
    extra = [name for name in frame.columns if name.lower() not in have]
    if not extra or table.gate is None or table.gate.contract.get("columns") != "discard_value":
        return frame
    get_logger(__name__).warning("%s: columns that are not declared are left out: %s", table.logical, ", ".join(extra))
    return frame.drop(*extra)


def _mapped(field: Any, table: Table) -> Mapped:
    """The column as the table names it, to be cast only where a cast tells a bad value from a good one."""
    column = next((c for c in table.columns if c.name.lower() == field.name.lower()), None)
    got = field.dataType.simpleString()
    if column is None:
        return Mapped(field.name, f"`{field.name}`", got)
    nested = column.type.startswith(("struct", "array", "map"))
    may_break = not nested and (got == "string" or align.atomic(got, column.type) == "checked")
    return Mapped(column.name, f"`{field.name}`", column.type if may_break else got)
