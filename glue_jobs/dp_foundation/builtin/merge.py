"""`use: merge`: reads one table, maps and casts to the target's columns, upserts by the target's key; what
breaks the target's contract goes to its quarantine."""

from __future__ import annotations

from dp_foundation.builtin import mapping
from dp_foundation.builtin.declared import one_read, one_write, options, recorded
from dp_foundation.contracts import landing
from dp_foundation.io.readers import read_table
from dp_foundation.io.writers import merge_iceberg
from dp_foundation.run.current import begin
from dp_foundation.spark.session import get_spark


@recorded()
def run() -> None:
    """The whole job. `with:` takes `map` (column: SQL expression) and `latestBy` (columns). Nothing new to read: nothing is written."""
    given = options("map", "latestBy")
    source, target = one_read(), one_write()
    spark = get_spark(app_name=f"merge {target.logical}")
    frame = read_table(spark, source.logical, source_file=landing.SOURCE)
    mapped = mapping.plan([name for name in frame.columns if name != landing.SOURCE], target.columns, given.get("map") or {})
    with landing.landed(frame, mapped, target, f"merge into {target.logical}") as (rows, count):
        current = begin()
        if current is not None:
            current.rows[source.logical] = count
        if count:
            merge_iceberg(rows, target.logical, latest_by=given.get("latestBy") or ())
