"""Replay: rows of a quarantine run again through the job that lands them, in a run that says so (parameter `meshplane.replay`).

`merge` and `files` ask here before they read; then they read these rows in place of new files, and everything after is as in any run: the
contract of today, branch, verdict, publication. Rows are claimed before they are read, for this step of the run: the same job as another
step leaves them alone. A claim of a step that was never published is void.
docs/decisions/0008 says why there is no job of its own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dp_foundation import storage
from dp_foundation.builtin.declared import job
from dp_foundation.config.arguments import Column, Table
from dp_foundation.contracts import arriving, landing, quarantine
from dp_foundation.errors import ConfigError
from dp_foundation.io import texts
from dp_foundation.io.tables import Target
from dp_foundation.run.current import Current, begin

PARAMETER = "meshplane.replay"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run is to replay: of a table's quarantine the rows with a reason (an entity, a column or a rule), or those of one run."""

    reason: str = ""
    run: str = ""


def asked(target: Table) -> Asked | None:
    """What this run is to replay into the table; None where it is an ordinary run. Raises ConfigError for a request that says nothing."""
    current = begin()
    text = str(current.run.params.get(PARAMETER) or "") if current else ""
    if not text:
        return None
    try:
        told = dict(json.loads(text))
        table, reason, run = (str(told.get(word) or "") for word in ("table", "reason", "run"))
    except (TypeError, ValueError) as unreadable:
        raise ConfigError(f'parameter {PARAMETER}: found {text!r}; allowed: {{"table": …, "reason": …, "run": …}}') from unreadable
    return Asked(reason, run) if table == target.logical else None


def rows(spark: Any, source: Table, target: Table, wanted: Asked) -> Any:
    """The rows that wait in the target's quarantine and came from this source, with the source's columns; claimed for this step.

    Raises ConfigError where the table has no quarantine.
    """
    place, current = quarantine.of(target), begin()
    if place is None or current is None:
        raise ConfigError(f"{target.logical} has no quarantine to replay; mend: give it a contract that keeps rows aside, and publish")
    spark.catalog.refreshTable(place.identifier)
    # Before the claim: a claim without any record could not be told from that of another job in this run.
    current.intend()
    own = quarantine.claimed_as(current.run.run_id, current.step)
    quarantine.claim(spark, place, _waiting(spark, current, place, source, target, wanted), own)
    spark.catalog.refreshTable(place.identifier)
    # At one snapshot: landing writes to the quarantine while these rows are in use.
    found = spark.sql(f"SELECT snapshot_id FROM {place.identifier}.refs WHERE name = 'main'").first()  # noqa: S608  our own table
    held = spark.read.option("snapshot-id", str(found[0])).table(place.identifier) if found else spark.table(place.identifier)
    current.saw(f"{target.logical}{quarantine.ENDING}", found[0] if found else None)
    waiting = held.where(held["replayed_by"] == own).where(_came(source))
    return _parsed(waiting, source, _undeclared(waiting, source) if arriving.asked(target) else ())


def _waiting(spark: Any, current: Current, place: Target, source: Table, target: Table, wanted: Asked) -> str:
    """The rows to claim, as a condition: unclaimed or claimed in vain, from this source, as asked for."""
    own, came = quarantine.claimed_as(current.run.run_id, current.step), _came(source)
    claims = spark.sql(f"SELECT DISTINCT replayed_by FROM {place.identifier} WHERE replayed_by NOT IN ('', '{own}') AND {came}")  # noqa: S608
    void = [row[0] for row in claims.collect() if not current.stands(row[0], target)]
    free = ", ".join(texts.literal(claim) for claim in ("", own, *void))
    parts = [f"replayed_by IN ({free})", came, f"NOT {_LINES}"]
    if wanted.reason:
        what = texts.literal(wanted.reason)
        parts.append(f"exists(reasons, r -> {what} IN (r.entity, r.column, r.rule))")
    if wanted.run:
        parts.append(f"run_id = {texts.literal(wanted.run)}")
    if next(write.mode for write in job().writes if write.table == target.logical) != "merge":
        # A row that landed without some values would land twice, where nothing merges it by its key.
        parts.append("exists(reasons, r -> r.mode <> 'discard_value')")
    return " AND ".join(parts)


_LINES = f"""startswith(row, '{{"{landing.LINE}":')"""


def _came(source: Table) -> str:
    """The rows that came from this source, as a condition."""
    if source.is_iceberg:
        return f"source_object = {texts.literal(f'{source.database}.{source.name}')}"
    bucket, prefix = storage.split(source.location)
    return f"startswith(regexp_replace(source_object, '^s3[an]?://', ''), {texts.literal(f'{bucket}/{prefix}')})"


def _undeclared(held: Any, source: Table) -> list[str]:
    """What the rows have beyond the source's columns, as they were when the rows came."""
    known = {name.lower() for name in (*(column.name for column in source.columns), *source.hive_partition)}
    keys = held.selectExpr("explode(json_object_keys(row)) AS name").distinct().collect()
    return sorted({row["name"].lower(): row["name"] for row in keys if row["name"].lower() not in known}.values())


def _parsed(held: Any, source: Table, more: Sequence[str]) -> Any:
    """A row's text as the source's columns, and `more` as text. One that does not parse any more, and one with a value that its column
    cannot hold, stay where they are."""
    from pyspark.sql import functions as F

    columns = [*source.columns, *(Column(name, "string") for name in (*source.hive_partition, *more, landing.LINE))]
    schema = texts.schema(held.sparkSession, columns, "json")
    read = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": landing.LINE, **landing.JSON}
    frame = held.select(
        F.from_json("row", schema, read).alias("__given"),
        F.col("row").alias(landing.ROW),
        F.col("source_object").alias(landing.SOURCE),
        F.col("source_position").alias(landing.POSITION),
    ).select("__given.*", landing.ROW, landing.SOURCE, landing.POSITION)
    return texts.typed(frame, source, "given", keep=True)
