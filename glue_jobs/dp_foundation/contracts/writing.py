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
from dp_foundation.contracts import arriving, landing, quarantine
from dp_foundation.io import align
from dp_foundation.io.merge import DELETED
from dp_foundation.io.tables import Target


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
    fields = [field for field in frame.schema.fields if field.name not in (*landing.OURS, deleted)]
    if arriving.mode(table) != "freeze":  # columns that it freezes stay, and the alignment refuses them
        fields = [field for field in fields if field.name.lower() in {column.name.lower() for column in table.columns}]
    mapped = [_mapped(field, table) for field in fields]
    if deleted:
        mapped.append(Mapped(DELETED, f"coalesce(CAST(`{deleted}` AS boolean), false)", "boolean"))
    with landing.landed(frame, mapped, table, f"writing to {table.logical}", known=(deleted,)) as (kept, _):
        yield kept, DELETED if deleted else ""


def _mapped(field: Any, table: Table) -> Mapped:
    """The column as the table names it, to be cast only where a cast tells a bad value from a good one."""
    column = next((c for c in table.columns if c.name.lower() == field.name.lower()), None)
    got = field.dataType.simpleString()
    if column is None:
        return Mapped(field.name, f"`{field.name}`", got)
    nested = column.type.startswith(("struct", "array", "map"))
    may_break = not nested and (got == "string" or align.atomic(got, column.type) == "checked")
    return Mapped(column.name, f"`{field.name}`", column.type if may_break else got)
