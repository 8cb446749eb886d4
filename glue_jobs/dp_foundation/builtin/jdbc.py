"""What a source of the shape `jdbc` runs: rows of a database's table, new since the last run, land as files in a raw table.

    what this run took? ── no: bounds → rows as text → less what the last run took → contract → files, all noted in one object
                        └─ yes ─→ files copied to their places → the next run goes on from here

A step that is repeated lands the same files under the same names. `with:` holds the source's own words (docs/sources.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from dp_foundation import storage
from dp_foundation.builtin import mapping
from dp_foundation.builtin.declared import connection, job, one_write, options, recorded
from dp_foundation.config.arguments import Table, invocation
from dp_foundation.config.secrets import get_secret
from dp_foundation.contracts import landing
from dp_foundation.errors import SchemaMismatchError
from dp_foundation.io.placing import copy_once, register
from dp_foundation.logging.logger import get_logger
from dp_foundation.run.current import begin, now
from dp_foundation.sources.extracts import Extract, Extracts, next_moment
from dp_foundation.sources.postgresql import Database, ends, is_time, later, since, split_by
from dp_foundation.spark.session import get_spark

WORDS = ("source", "connection", "table", "incrementalBy", "initial", "lookback", "splitBy", "parts", "deletes", "fetchedAt")
_AHEAD = "__ahead"  # of a known key: a value that landed although it was later than the database's time


@recorded()
def run() -> None:
    """The whole job. Nothing new: nothing is written."""
    given, target, call = options(*WORDS), one_write(), invocation()
    extracts = Extracts(job().project, given["source"])
    run_id = call.run.run_id if call.run else f"alone-{uuid4().hex[:12]}"
    extract = extracts.of(run_id) or _taken(extracts, given, target, run_id)
    current = begin()
    if current is not None:
        name = f"{given['connection']}:{given['table']}"
        current.files[name], current.rows[name] = (), extract.rows
        if extract.files:
            current.intend()
    _place(extracts, extract, given["source"], target)
    extracts.landed(extract)


def _taken(extracts: Extracts, given: Mapping[str, Any], target: Table, run_id: str) -> Extract:
    """Ask the database, keep what it answered and what of it is to land; the extract says so, once for this run."""
    spark = get_spark(app_name=f"jdbc {given['table']}")
    database = Database(spark, connection(given["connection"]), get_secret("source"), f"meshplane {job().project}.{job().name}")
    before, at, folder = extracts.last(), now(), extracts.begin(run_id)
    kinds, by = database.columns(given["table"]), given["incrementalBy"]
    _shape(kinds, given, target)
    limits = database.bounds(given["table"], by, kinds.get(by, ""), given["splitBy"], before.newest if before else "")
    lower = before.cursor if before and before.cursor else given["initial"]
    condition = since(by, kinds[by], lower, limits.upper, given["lookback"]) if by else ""
    parts = split_by(limits.low, limits.high, given["parts"]) if given["splitBy"] else []
    asked = database.rows(given["table"], list(kinds), condition, given["splitBy"], parts)
    fetched = looked = next_moment(before.looked if before else "")
    asked.write.parquet(extracts.uri(folder, "rows"))
    rows = spark.read.schema(asked.schema).parquet(extracts.uri(folder, "rows"))
    fresh = _without(rows, before, extracts) if before else rows
    if given["deletes"]:
        looked = next_moment(fetched)
        fresh = _with_deleted(fresh, rows, database, given, (extracts, before, folder, limits.newest, kinds.get(by, "")))
    fresh = _stamped(fresh, given, fetched, looked)
    given_map = {c.name: f"unhex(substring(`{c.name}`, 3))" for c in target.columns if c.type == "binary" and kinds.get(c.name) == "bytea"}
    mapped = mapping.plan(fresh.columns, target.columns, given_map)
    told = fresh.selectExpr("*", f"'{given['connection']}:{given['table']}' AS `{landing.SOURCE}`")
    with landing.landed(told, mapped, target, f"{given['table']} into {target.logical}") as (landed, count):
        if count:
            landed.write.format(target.format).save(extracts.uri(folder, "landed"))
    files = [key for key in storage.keys_under(extracts.bucket, f"{folder}landed/") if "/part-" in key] if count else []
    cursor = limits.upper or (before.cursor if before else "")
    return extracts.keep(Extract(run_id, at, cursor, folder, count, tuple(kinds), tuple(files), limits.newest, looked))


def _shape(kinds: Mapping[str, str], given: Mapping[str, Any], target: Table) -> None:
    """The source's columns against the declared ones. Raises SchemaMismatchError for what the contract does not let in."""
    ours = {name.lower() for name in (_stamp(given), given["deletes"]["mark"] if given["deletes"] else "")}
    declared = {column.name.lower(): column.name for column in target.columns if column.name.lower() not in ours}
    extra = [name for name in kinds if name.lower() not in declared]
    missing = [name for folded, name in declared.items() if folded not in {kind.lower() for kind in kinds}]
    used = [given["incrementalBy"], given["splitBy"], *(given["deletes"]["key"] if given["deletes"] else ())]
    lost = [name for name in used if name and name not in kinds]
    mode = (target.gate.contract if target.gate else {}).get("columns", "freeze")
    if lost or ((extra or missing) and mode != "discard_value"):
        changes = [f"it has {', '.join(extra)}"] if extra else []
        changes += [f"it lacks {', '.join(dict.fromkeys([*lost, *missing]))}"] if lost or missing else []
        raise SchemaMismatchError(
            f"{given['table']} is not what {target.logical} declares: {' and '.join(changes)} (contract.columns: {mode}); "
            f"mend: declare the columns as they are, with renamedFrom in refined, or contract: {{ columns: discard_value }}"
        )
    if extra or missing:
        get_logger(__name__).warning("%s: not landed: %s; null: %s", given["table"], ", ".join(extra) or "-", ", ".join(missing) or "-")


def _without(rows: Any, before: Extract, extracts: Extracts) -> Any:
    """Rows that the last run did not take as they are now; all of them when the columns have changed since."""
    if set(rows.columns) != set(before.columns):
        return rows
    known = rows.sparkSession.read.schema(rows.schema).parquet(extracts.uri(before.folder, "rows"))
    return rows.join(known, _same(rows, known, rows.columns), "left_anti")


def _with_deleted(fresh: Any, rows: Any, database: Database, given: Mapping[str, Any], look: tuple[Any, ...]) -> Any:
    """A row for each key that the source had at the last run and has no more: its key, the mark, and in the incremental column the
    database's time (or the greatest value that ever was), so that it is not older than what it ends."""
    from pyspark.sql import functions as F

    extracts, before, folder, newest, kind = look
    key, mark, by = list(given["deletes"]["key"]), given["deletes"]["mark"], given["incrementalBy"]
    here, spark = database.rows(given["table"], key), rows.sparkSession
    here.write.parquet(extracts.uri(folder, "keys"))
    here = spark.read.schema(here.schema).parquet(extracts.uri(folder, "keys"))
    # What was taken and is gone already when the keys are read is missed next time.
    held = here.unionByName(rows.select(*key)).distinct()
    form = held.withColumn(_AHEAD, F.lit(None).cast("string"))
    was = spark.read.schema(form.schema).parquet(extracts.uri(before.folder, "known")) if before else None
    dated = is_time(kind) and by not in key
    known = form.unionByName(_ahead(rows.withColumn(_AHEAD, F.col(f"`{by}`")), held, was, key, newest)) if dated else form
    known.distinct().write.parquet(extracts.uri(folder, "known"))
    fresh = fresh.withColumn(mark, F.lit("false"))
    if was is None:
        return fresh
    gone = was.join(here, _same(was, here, key), "left_anti")
    gone = gone.groupBy(*(f"`{name}`" for name in key)).agg(F.collect_set(_AHEAD).alias(_AHEAD))
    last = F.explode(F.expr(ends(_AHEAD, newest, kind))) if dated else F.lit(newest or None).cast("string")
    told = gone.withColumns({**({by: last} if by and by not in key else {}), mark: F.lit("true")}).drop(_AHEAD)
    return fresh.unionByName(told, allowMissingColumns=True)


def _stamp(given: Mapping[str, Any]) -> str:
    """The column that says when a row was taken; empty for none, as in a job that an earlier release declared."""
    return str(given.get("fetchedAt") or "")


def _stamped(fresh: Any, given: Mapping[str, Any], fetched: str, looked: str) -> Any:
    """With the moment at which each row was taken, of a deletion the later one at which the keys were read. It is no column of the source:
    nothing that a row is compared by."""
    from pyspark.sql import functions as F

    if not _stamp(given):
        return fresh
    gone = F.col(f"`{given['deletes']['mark']}`") == "true" if given["deletes"] else F.lit(False)
    return fresh.withColumn(_stamp(given), F.when(gone, looked).otherwise(fetched))


def _ahead(rows: Any, held: Any, was: Any, key: list[str], newest: str) -> Any:
    """Keys with each value that landed and is still later than the database's time, which would not end it; also where the source has
    corrected it since."""
    rows = rows.select(*key, _AHEAD).where(later(_AHEAD, newest))
    if was is None:
        return rows
    old = was.where(later(_AHEAD, newest))
    if old.isEmpty():  # nearly always; the join would shuffle every key
        return rows
    return rows.unionByName(old.join(held, _same(old, held, key), "left_semi"))


def _same(one: Any, other: Any, names: list[str]) -> Any:
    from functools import reduce

    return reduce(lambda a, b: a & b, (one[f"`{name}`"].eqNullSafe(other[f"`{name}`"]) for name in names))


def _place(extracts: Extracts, extract: Extract, source: str, target: Table) -> None:
    bucket, location = storage.split(target.location)
    folder = f"{target.hive_partition[0]}={extract.at[:10]}/" if target.hive_partition else ""
    ending = target.format
    moves = [(key, f"{location}{folder}{source}-{extract.run_id}-{at:05}.{ending}") for at, key in enumerate(extract.files, 1)]
    storage.client("s3")
    with ThreadPoolExecutor(storage.PARALLEL) as pool:
        landed = sum(pool.map(lambda move: copy_once(extracts.bucket, move[0], bucket, move[1]), moves))
    register(target, [folder] if folder and moves else [])
    get_logger(__name__).info("%s: %d rows, %d of %d files landed", target.logical, extract.rows, landed, len(moves))
