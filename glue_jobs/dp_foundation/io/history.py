"""Versions of rows (SCD2): from the time in `latest_by` on a row holds, until the next one of its key or a deletion. `io.merge` calls it.

A key's versions are a function of what is known to have happened to it: its versions, the ends that no other version explains
(deletions), and what arrives. So a late row finds its place, and windows may run in any order. The columns' names are fixed, as dbt's
snapshots and their readers expect three of the kind: VALID_FROM inclusive, VALID_TO exclusive and null while it holds, IS_CURRENT.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dp_foundation.errors import TableRefusedError
from dp_foundation.io.tables import Target
from dp_foundation.logging.logger import get_logger

FROM, TO, CURRENT = "valid_from", "valid_to", "is_current"
LATE = ("rewrite", "ignore")
_DELETED, _NEW, _NEXT = "__deleted", "__new", "__next"


def opened(frame: Any, latest: Sequence[str], target: Target) -> Any:
    """The frame with each row as a version that nothing has ended yet. Raises TableRefusedError where its time is not one column."""
    from pyspark.sql import functions as F

    if len(latest) != 1:
        raise TableRefusedError(f"versions in {target.identifier} begin at one time; found latest_by: {', '.join(latest) or 'none'}")
    time = F.col(f"`{latest[0]}`")
    open_end = F.lit(None).cast(frame.select(time).schema.fields[0].dataType)
    return frame.withColumns({FROM: time, TO: open_end, CURRENT: F.lit(True)})


def rebuilt(source: Any, table: Any, key: Sequence[str], late: str) -> Any:
    """The versions of every key in the source as they shall stand, `__deleted` on those that shall not: `source` holds what arrives,
    `table` what stands. Of two events at one time the one that arrives counts."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    have = table.join(source.select(*key).distinct(), list(key), "left_semi")
    if late == "ignore":
        source = _in_time(source, have, key)
    line = Window.partitionBy(*(f"`{name}`" for name in key)).orderBy(FROM)
    followed = have.withColumn(_NEXT, F.lead(FROM).over(line))
    ends = followed.where(f"{TO} IS NOT NULL AND NOT ({TO} <=> {_NEXT})").select(*key, F.col(TO).alias(FROM))
    events = have.withColumns({_DELETED: F.lit(False), _NEW: F.lit(0)})
    events = events.unionByName(ends.withColumns({_DELETED: F.lit(True), _NEW: F.lit(0)}), allowMissingColumns=True)
    events = events.unionByName(source.withColumn(_NEW, F.lit(1)), allowMissingColumns=True)
    same = Window.partitionBy(*(f"`{name}`" for name in key), FROM).orderBy(F.col(_NEW).desc())
    events = events.withColumn(_NEXT, F.row_number().over(same)).where(f"{_NEXT} = 1").withColumn(_NEXT, F.lead(FROM).over(line))
    return events.withColumns({TO: F.col(_NEXT), CURRENT: F.col(_NEXT).isNull()}).drop(_NEW, _NEXT)


def _in_time(source: Any, have: Any, key: Sequence[str]) -> Any:
    """Without the rows that are older than the newest that is known of their key."""
    from pyspark.sql import functions as F

    known = have.groupBy(*key).agg(F.max(F.greatest(FROM, TO)).alias(_NEXT))
    marked = source.join(known, list(key), "left").withColumn(_NEW, F.coalesce(F.col(FROM) < F.col(_NEXT), F.lit(False)))
    count = marked.where(_NEW).count()
    if count:
        get_logger(__name__).warning("%d late row(s) are ignored, as `late: ignore` says", count)
    return marked.where(f"NOT {_NEW}").select(*source.columns)
