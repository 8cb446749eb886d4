"""Upsert into an Iceberg table, or versions of rows (`io.history`). `writers.merge_iceberg` calls it with the target found and the keys
chosen.

Spark alone inserts duplicate keys of the source in silence and fails only where they meet a row that is there (spark-local §3), so the
source is brought to one row per key first, and refused where that is not possible.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dp_foundation.errors import DataError, SchemaMismatchError
from dp_foundation.iceberg import metadata
from dp_foundation.io import align, history, keys
from dp_foundation.io.commits import commit, translated
from dp_foundation.io.rereading import replayable
from dp_foundation.io.tables import Target
from dp_foundation.quality.tally import told
from dp_foundation.run import gates
from dp_foundation.run.current import begin

_SAMPLE = 5
_SAME = "__same"
AMBIGUOUS = "rows that a key does not tell apart"
DELETED = "__deleted"


@dataclass(frozen=True, slots=True)
class How:
    """How rows meet the table. `key`: what tells them apart; `latest`: what tells the newest; `deleted`: the frame's boolean column that
    marks deletions, "" for none; `late`: `rewrite` or `ignore` keeps versions (`io.history`), "" keeps the newest row only."""

    key: tuple[str, ...]
    latest: tuple[str, ...] = ()
    deleted: str = ""
    late: str = ""

    @property
    def on(self) -> tuple[str, ...]:
        """What a row of the table is matched by."""
        return (*self.key, history.FROM) if self.late else self.key


def merge(df: Any, target: Target, how: How) -> None:
    """One MERGE of the frame. Raises DataError and SchemaMismatchError as `merge_iceberg` says."""
    spark = df.sparkSession
    spark.catalog.refreshTable(target.identifier)
    frame, how = _named(df, target, how)
    with _source(frame, target, how, df) as (source, whole):
        begins = not how.late and _begins(target)
        snapshot, current = commit(spark, target, lambda: _merge(source, target, how, begins), how.on), begin()
        if snapshot is None or current is None:
            return
        if begins and whole and not how.deleted and snapshot.count("added-records") != whole:
            raise DataError(
                f"{target.identifier}: {whole} rows were looked at and {snapshot.count('added-records')} written: what the batch is read "
                "from has changed meanwhile; mend: run again"
            )
        counted = told(df, target.table.gate) if whole and target.table and target.table.gate else None
        stays, goes = (source.where(f"NOT {DELETED}").drop(DELETED), source.where(DELETED)) if how.deleted else (source, None)
        gates.wrote(current, target, "merge", snapshot, stays, goes, counted)


@contextmanager
def _source(frame: Any, target: Target, how: How, given: Any) -> Iterator[tuple[Any, int]]:
    """What is merged, one row per key. A batch that has only one row per key, and may be read again, is taken as it is, with the number of
    its rows: where the run has a branch of its own, on which nobody reads should the batch have changed in between. Else it is brought to
    one row per key and kept; 0 then."""
    once = keys.once(frame, how.on, given) if target.branch and not how.late and replayable(frame) else 0
    if once:
        yield frame, once
        return
    source = newest(frame, how.on, () if how.late else how.latest).persist()
    try:
        _held(source, frame, target, how)
        yield source, 0
    finally:
        source.unpersist()


def _held(source: Any, frame: Any, target: Target, how: How) -> None:
    """Read the source into memory. What is refused there is worth another look at the frame, to say which rows it was."""
    try:
        source.count()
    except Exception as error:
        known = translated(error)
        raise (_ambiguous(frame, target, how) if str(known) == AMBIGUOUS else known) from error


def _named(df: Any, target: Target, how: How) -> tuple[Any, How]:
    """The frame's columns as the table names them, deletions as DELETED; the table's spelling in `how`. Null keys stay, to be counted."""
    from pyspark.sql import functions as F

    have = {name.lower() for name in df.columns}
    lacking = [name for name in (*how.key, *how.latest, *([how.deleted] if how.deleted else [])) if name.lower() not in have]
    if lacking:
        raise SchemaMismatchError(
            f"merge into {target.identifier}: no {', '.join(lacking)} in the frame, which has {', '.join(df.columns)}"
        )
    frame = history.opened(df, how.latest, target) if how.late else df
    rows = frame.drop(how.deleted) if how.deleted else frame
    steps = align.plan(rows.schema, df.sparkSession.table(target.ref).schema, partial=True)
    names = {step.name.lower(): step.name for step in steps}
    key, latest = (tuple(names[name.lower()] for name in given) for given in (how.key, how.latest))
    loose = [align.Step(s.name, s.type, s.source, s.cast, s.required and s.name not in (*key, history.FROM)) for s in steps]
    if not how.deleted:
        return rows.select(*align.columns(loose, rows.schema)), How(key, latest, "", how.late)
    gone = F.coalesce(F.col(_q(how.deleted)).cast("boolean"), F.lit(False))
    # What is deleted need not be whole.
    return frame.select(*align.columns(loose, rows.schema, gone), gone.alias(DELETED)), How(key, latest, DELETED, how.late)


def newest(frame: Any, key: Sequence[str], latest: Sequence[str]) -> Any:
    """The newest row of each key, identical ones as one; nulls are oldest. A null in the key, and different rows of one key and age, fail
    whoever reads the frame: one shuffle and one sort by the key, which the MERGE needs anyway, do all of it."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    ages = [F.col(_q(name)).desc_nulls_last() for name in latest]
    line = Window.partitionBy(*map(_q, key)).orderBy(*ages, _SAME)
    age = F.struct(*map(_q, latest)) if latest else F.lit(True)
    other = F.lag(_SAME).over(line) != F.col(_SAME)  # rows of one age stand side by side, equal ones first
    tied = other & age.eqNullSafe(F.first(age).over(line))
    unfit = F.coalesce(tied, F.lit(False))
    for name in key:
        unfit = unfit | F.col(_q(name)).isNull()
    marked = frame.withColumn(_SAME, _fingerprint(frame)).withColumns({"__at": F.row_number().over(line), "__unfit": unfit})
    sure = F.when(F.col("__unfit"), F.raise_error(F.lit(f"meshplane: {AMBIGUOUS}")).cast("boolean")).otherwise(F.col("__at") == 1)
    return marked.where(sure).drop(_SAME, "__at", "__unfit")


def _fingerprint(frame: Any) -> Any:
    """Equal for equal rows. Spark compares no maps; their JSON stands for them."""
    from pyspark.sql import functions as F

    parts = [F.to_json(_q(f.name)) if "map<" in f.dataType.simpleString() else F.col(_q(f.name)) for f in frame.schema.fields]
    return F.struct(F.xxhash64(*parts), F.hash(*parts))


def _ambiguous(frame: Any, target: Target, how: How) -> DataError:
    """Which keys are null, or held by different rows of one age, with samples."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    key = how.on
    rows = frame.withColumn(_SAME, _fingerprint(frame))
    if how.latest and not how.late:
        order = Window.partitionBy(*map(_q, key)).orderBy(*(F.col(_q(name)).desc_nulls_last() for name in how.latest))
        rows = rows.withColumn("__rank", F.rank().over(order)).where("__rank = 1")
    null = " OR ".join(f"{_q(name)} IS NULL" for name in key)
    groups = rows.groupBy(*map(_q, key)).agg(F.countDistinct(_SAME).alias("__rows"))
    bad = groups.where(f"__rows > 1 OR {null}").orderBy(F.expr(null).desc()).limit(_SAMPLE).collect()
    shown = "; ".join(", ".join(f"{name}={row[name]}" for name in key) + f" ({row['__rows']} rows)" for row in bad)
    if any(row[name] is None for row in bad for name in key):
        return DataError(f"merge into {target.identifier}: null in the key ({', '.join(key)}); found: {shown}")
    return DataError(
        f"merge into {target.identifier}: different rows with the same key ({', '.join(key)}); found: {shown}; "
        "mend: name in latest_by (latestBy) what makes one of them the newest, or make the rows one in the job"
    )


def _merge(source: Any, target: Target, how: How, begins: bool) -> None:
    from pyspark.sql import functions as F

    spark = source.sparkSession
    table = spark.table(target.ref)
    rows = source.drop(DELETED)
    # The plane may have added or widened columns since: fit again. A column that is not in the frame keeps what it holds.
    fitted = align.columns(align.plan(rows.schema, table.schema, partial=True), rows.schema, F.col(DELETED) if how.deleted else None)
    frame = source.select(*fitted, *([DELETED] if how.deleted else []))
    if begins:
        rows = frame.where(f"NOT {DELETED}").drop(DELETED) if how.deleted else frame
        rows.writeTo(target.ref).option("check-nullability", "false").append()
        return
    if how.late:
        frame = history.rebuilt(frame if how.deleted else frame.withColumn(DELETED, F.lit(False)), table, how.key, how.late)
    frame.createOrReplaceTempView("__meshplane_source")
    spark.sql(statement(target.ref, frame.schema, how.on, () if how.late else how.latest))


def _begins(target: Target) -> bool:
    """Whether the branch is still without rows: then there is nothing to match, and what is left of a MERGE is an INSERT. Only of a branch,
    which is this run's alone; into `main` somebody else may write meanwhile, and the same key would come in twice."""
    known = metadata.load(target.database, target.name) if target.branch else None
    tip = known.tip(target.branch) if known else None
    return known is not None and tip is not None and known.snapshots[tip].empty


def statement(identifier: str, schema: Any, key: Sequence[str], latest: Sequence[str]) -> str:
    """The MERGE of the view `__meshplane_source`: only rows that differ and are not older are updated, those that DELETED marks go.
    `schema` is the source's."""
    on = " AND ".join(f"t.{_q(name)} = s.{_q(name)}" for name in key)
    deletes = DELETED in schema.fieldNames()
    fields = [field for field in schema.fields if field.name != DELETED]
    others = [field for field in fields if field.name not in key]
    differs = " OR ".join(_differs(field) for field in others)
    # Structs compare field by field, and null as the smallest: exactly "newest by the first, then by the second".
    newer = f"struct({_list('s', latest)}) >= struct({_list('t', latest)})" if latest else "true"
    update = ", ".join(f"t.{_q(field.name)} = s.{_q(field.name)}" for field in others)
    names = [field.name for field in fields]
    gone = f"WHEN MATCHED AND {newer} AND s.{DELETED} THEN DELETE " if deletes else ""
    matched = (
        f"WHEN MATCHED AND {newer} AND ({differs}){f' AND NOT s.{DELETED}' if deletes else ''} THEN UPDATE SET {update} " if others else ""
    )
    new = f"WHEN NOT MATCHED{f' AND NOT s.{DELETED}' if deletes else ''}"
    insert = f"{new} THEN INSERT ({', '.join(map(_q, names))}) VALUES ({_list('s', names)})"  # noqa: S608  names are quoted
    return f"MERGE INTO {identifier} t USING __meshplane_source s ON {on} {gone}{matched}{insert}"


def _differs(field: Any) -> str:
    left, right = f"t.{_q(field.name)}", f"s.{_q(field.name)}"
    if "map<" in field.dataType.simpleString():
        left, right = f"to_json({left})", f"to_json({right})"
    return f"NOT ({left} <=> {right})"


def _list(alias: str, names: Sequence[str]) -> str:
    return ", ".join(f"{alias}.{_q(name)}" for name in names)


def _q(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
