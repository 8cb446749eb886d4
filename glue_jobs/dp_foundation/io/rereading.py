"""Whether a frame may be read several times instead of being kept: landing and merge look at a batch before they write it.

Keeping a wide batch costs more than writing it does. Columnar files that nobody changes (parquet, a snapshot of Iceberg, what is cached
already), of which rows are only filtered and projected, give the same rows each time for the price of the columns that are asked for.
Everything else is kept: what is not deterministic, what another system answers, text that has to be parsed, joins and whatever a job's own
code does.

A raw file can be overwritten while a run reads it. So files are read again only where the run took them by their versions and writes to a
branch of its own, and each commit looks whether those that it read again are still the same (`unchanged`): where they are not, the run is
never published.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dp_foundation import storage
from dp_foundation.errors import DataError
from dp_foundation.run.current import begin
from dp_foundation.run.ledger import listed

_NARROW = frozenset({"Project", "Filter", "Union", "SubqueryAlias", "View"})
_LEAVES = frozenset({"LocalRelation", "OneRowRelation", "Range"})
# Own code, the clock and subqueries: what they answer may cost anything, or be another thing the next time.
_OTHER = ("PYTHON_UDF", "SCALA_UDF", "CURRENT_LIKE", "PLAN_EXPRESSION")


@contextmanager
def held(frame: Any) -> Iterator[Any]:
    """The frame, to be read as often as one likes while the context lasts: as it is, or kept in memory (and on disk what does not fit)."""
    if replayable(frame):
        yield frame
        return
    kept = frame.persist()
    try:
        yield kept
    finally:
        kept.unpersist()


def replayable(frame: Any) -> bool:
    """Whether reading the frame again is cheap and gives the same rows. A plan that Spark does not show is not."""
    try:
        plan = frame._jdf.queryExecution().withCachedData()
        patterns = frame.sparkSession._jvm.org.apache.spark.sql.catalyst.trees.TreePattern
        if not plan.deterministic() or any(plan.containsPattern(getattr(patterns, name)()) for name in _OTHER):
            return False
        files: set[str] = set()
        if not _narrow(plan, files):
            return False
    except Exception:  # noqa: BLE001  plans are no public interface, and are hidden under fine-grained access
        return False
    return _taken_again(files)


def unchanged() -> None:
    """Raises DataError where a file that this run reads again has another version by now."""
    current = begin()
    if current is None:
        return
    for name in sorted(current.again):
        bucket, prefix = storage.split(current.job.tables[name].location)
        newest = {item["Key"]: listed(item) for item in storage.versions_under(bucket, prefix)}
        changed = [file.key for file in current.files[name] if newest.get(file.key, file) != file]
        if changed:
            raise DataError(f"{name}: {', '.join(changed[:3])} changed while the run read it; nothing is published; mend: run again")


def _taken_again(files: set[str]) -> bool:
    """Whether the run took all of these files (named without a scheme) by their versions and writes a branch: `unchanged` looks then."""
    if not files:
        return True
    current = begin()
    if current is None or not current.audit:
        return False
    tables: set[str] = set()
    for name, taken in current.files.items():
        bucket, _ = storage.split(current.job.tables[name].location)
        if mine := files & {f"{bucket}/{file.key}" for file in taken}:
            files, tables = files - mine, tables | {name}
    if not files:
        current.again |= tables
    return not files


def _narrow(plan: Any, files: set[str]) -> bool:
    """Whether rows are only filtered and projected, of what stays as it is; the files that are read are added to `files`."""
    name = plan.getClass().getSimpleName()
    if name == "InMemoryRelation":
        return bool(plan.cacheBuilder().storageLevel().useDisk())  # else what does not fit is computed anew
    if name in _LEAVES:
        return True
    if name == "LogicalRelation":
        relation = plan.relation()
        if relation.getClass().getSimpleName() != "HadoopFsRelation":
            return False
        files |= {path.partition("://")[2] for path in relation.location().rootPaths().mkString("\n").split("\n")}
        return bool(relation.fileFormat().getClass().getSimpleName() == "ParquetFileFormat")
    if name == "DataSourceV2Relation":
        # One that names no snapshot may be read at another one the next time.
        iceberg = str(plan.table().getClass().getName()).startswith("org.apache.iceberg.spark.")
        return iceberg and bool(plan.options().containsKey("snapshot-id"))
    children = plan.children()
    return name in _NARROW and all(_narrow(children.apply(at), files) for at in range(children.size()))
