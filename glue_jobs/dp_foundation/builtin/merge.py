"""`use: merge`: reads one table, maps and casts to the target's columns, and upserts by the target's key, deletions included, or keeps
versions (`mode: scd2`); what breaks the target's contract goes to its quarantine. docs/transforms.md says what becomes of every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dp_foundation.builtin import mapping, replay
from dp_foundation.builtin.declared import one_read, one_write, options, recorded
from dp_foundation.config.arguments import Table
from dp_foundation.contracts import arriving, landing
from dp_foundation.io import history
from dp_foundation.io.merge import DELETED
from dp_foundation.io.readers import read_table
from dp_foundation.io.writers import merge_iceberg
from dp_foundation.run.current import begin
from dp_foundation.spark.session import get_spark

SOFT = "is_deleted"  # the target's column of a soft deletion


@recorded()
def run() -> None:
    """The whole job. `with:` takes `map` (column: SQL expression), `latestBy` (columns), `deletes` (`when`, `as`), `mode` and `late`.
    Nothing new to read: nothing is written."""
    given = options("map", "latestBy", "deletes", "mode", "late")
    source, target = one_read(), one_write()
    spark = get_spark(app_name=f"merge {target.logical}")
    asked = replay.asked(target)
    if asked is not None:
        frame = replay.rows(spark, source, target, asked)
    else:
        frame = read_table(
            spark, source.logical, source_file=landing.SOURCE, malformed=landing.line(target), undeclared=arriving.asked(target)
        )
    mapped = _mapped(landing.columns(frame), target, given)
    with landing.landed(frame, mapped, target, f"merge into {target.logical}", source) as (rows, count):
        current = begin()
        if current is not None:
            current.rows[source.logical] = count
        if count:
            late = str(given.get("late") or "rewrite") if given.get("mode") == "scd2" else ""
            deleted = DELETED if DELETED in rows.columns else ""
            merge_iceberg(rows, target.logical, latest_by=given.get("latestBy") or (), deleted=deleted, late=late)


def _mapped(source: Sequence[str], target: Table, given: Mapping[str, Any]) -> tuple[mapping.Mapped, ...]:
    """What each target column is made of; the columns of versions are the merge's own, a deletion is a column beside or in the target."""
    ours = {history.FROM, history.TO, history.CURRENT} if given.get("mode") == "scd2" else set()
    expressions, deletes = dict(given.get("map") or {}), given.get("deletes") or {}
    when = f"coalesce(({deletes.get('when')}), false)"
    if deletes.get("as") == "soft":
        expressions[SOFT] = when
    made = mapping.plan(source, [column for column in target.columns if column.name.lower() not in ours], expressions)
    return (*made, mapping.Mapped(DELETED, when, "boolean")) if deletes and deletes["as"] != "soft" else made
