"""Every commit of the library goes through `commit`: it carries the run in its snapshot summary, happens at most once per run, step and
number, and survives another writer or the plane changing the table meanwhile."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dp_foundation.errors import DataError, FoundationError, SchemaMismatchError, TableRefusedError
from dp_foundation.iceberg import metadata
from dp_foundation.io import rereading
from dp_foundation.io.tables import Target
from dp_foundation.logging.logger import get_logger
from dp_foundation.run.branches import audited
from dp_foundation.run.current import Current, begin

TRIES = 12
_CONFLICTS = frozenset(
    "org.apache.iceberg.exceptions." + name for name in ("CommitFailedException", "ValidationException", "CommitStateUnknownException")
)
# The table gained a column between the look at it and the analysis of the write: look again.
_STALE = ("INCOMPATIBLE_DATA_FOR_TABLE", "UNRESOLVED_COLUMN", "INSERT_COLUMN_ARITY_MISMATCH")


def commit(spark: Any, target: Target, write: Callable[[], None], keys: Sequence[str] = ()) -> metadata.Snapshot | None:
    """Run `write`, which makes one commit to the table's branch (or none). It is called again, from its look at the table on, after a
    conflict. `keys`: it is a merge on them whose source holds each once. Returns the commit, None without a run or where nothing changed.

    Raises what the write raises; rows that the library itself refused surface as DataError. TableRefusedError: the step was published
    before, and this is a write that it did not make then.
    """
    current = begin()
    if current is None:
        _tries(spark, target, write, lambda: False)
        return None
    properties = current.next_write(target.database, target.name)
    if (mine := _own(target, properties)) is not None:
        get_logger(__name__).info("%s: this run's commit %s stands already; nothing is written again", target.identifier, mine.snapshot_id)
        current.intend()
        current.committed(_output(target, mine))
        return mine
    if audited(target.table) and not target.branch:
        error = _unjudged(target, current, properties)
        _failed(current, error)
        raise error
    current.intend()
    known = metadata.load(target.database, target.name) if keys else None
    properties |= known.promise(keys, target.branch) if known else {}
    try:
        _tries(spark, target, lambda: _with_summary(spark, properties, write), lambda: _own(target, properties) is not None)
    except Exception as error:
        _failed(current, error)
        raise
    if (mine := _own(target, properties)) is not None:
        current.committed(_output(target, mine))
        rereading.unchanged()
    return mine


def _unjudged(target: Target, current: Current, properties: Mapping[str, str]) -> TableRefusedError:
    step, number = f"step {current.step} of run {current.run.run_id}", properties["meshplane.write"]
    return TableRefusedError(
        f"{target.identifier}: {step} was published before, and write {number} is none of what it wrote then; on main no gate would "
        "judge it; mend: start a new run; where this comes again, let the job write as often whatever it reads"
    )


def once(spark: Any, target: Target, write: Callable[[], None], told: Mapping[str, str]) -> metadata.Snapshot | None:
    """A commit that stands at most once by what `told` puts into its summary, whichever run made it: a stream's batch, which another run
    may play again. Returns the commit; None where it stood already, or nothing changed."""

    def standing() -> metadata.Snapshot | None:
        table = metadata.load(target.database, target.name)
        return table.find(told, target.branch) if table is not None else None

    if (stands := standing()) is not None:
        get_logger(__name__).info("%s: commit %s brought this already; nothing is written again", target.identifier, stands.snapshot_id)
        return None
    current = begin()
    if current is not None:
        current.intend()
    _tries(spark, target, lambda: _with_summary(spark, {**_run(), **told}, write), lambda: standing() is not None)
    made = standing()
    if current is not None and made is not None:
        current.committed(_output(target, made))
    return made


def _run() -> dict[str, str]:
    current = begin()
    if current is None:
        return {}
    told = {"run_id": current.run.run_id, "meshplane.project": current.job.project, "meshplane.job": current.job.name}
    return {**told, "meshplane.step": current.step}


def aside(spark: Any, target: Target, write: Callable[[], None]) -> None:
    """A commit that is no output of the run (its quarantine): it carries the run all the same. `write` has to bear being repeated."""
    current = begin()
    told = {"run_id": current.run.run_id, "meshplane.job": current.job.name, "meshplane.step": current.step} if current else {}
    _tries(spark, target, lambda: _with_summary(spark, told, write), lambda: False)


def _tries(spark: Any, target: Target, write: Callable[[], None], done: Callable[[], bool]) -> None:
    for attempt in range(1, TRIES + 1):
        spark.catalog.refreshTable(target.identifier)
        try:
            write()
            return
        except Exception as error:
            if done():  # the commit went through and only its answer was lost
                return
            if attempt == TRIES or not _passing(error):
                raise translated(error) from error
            get_logger(__name__).info("%s changed during the write; trying again (%d)", target.identifier, attempt)
            time.sleep(min(5.0, 0.1 * 2**attempt) * random.uniform(0.5, 1.0))  # noqa: S311  spreads writers, guards nothing


def _with_summary(spark: Any, properties: Mapping[str, str], write: Callable[[], None]) -> None:
    """Iceberg's own way to put properties into every commit made inside a call; MERGE and DELETE take no other (spark-local §3)."""
    from pyspark.java_gateway import ensure_callback_server_started

    call = _Callable(write)
    jvm = spark._jvm
    ensure_callback_server_started(spark.sparkContext._gateway)
    entries = jvm.java.util.HashMap()
    for key, value in properties.items():
        entries.put(key, value)
    runtime_exception = jvm.java.lang.Class.forName("java.lang.RuntimeException")
    jvm.org.apache.iceberg.spark.CommitMetadata.withCommitProperties(entries, call, runtime_exception)
    if call.error is not None:
        raise call.error


class _Callable:
    """A java.util.concurrent.Callable. It keeps the Python exception: through the JVM it would come back as a bare Py4JJavaError."""

    def __init__(self, write: Callable[[], None]) -> None:
        self._write = write
        self.error: Exception | None = None

    def call(self) -> None:
        """Called by the JVM."""
        try:
            self._write()
        except Exception as error:  # noqa: BLE001  raised again by _with_summary
            self.error = error

    class Java:
        """What py4j asks a callback for."""

        implements = ("java.util.concurrent.Callable",)


def _passing(error: Exception) -> bool:
    """Whether another try, with a new look at the table, may succeed."""
    condition = getattr(error, "getErrorClass", lambda: None)() or ""
    return str(condition).startswith(_STALE) or any(kind in _CONFLICTS for kind, _ in _causes(error))


def translated(error: Exception) -> Exception:
    """Rows that the alignment refused, as DataError; anything else as it is."""
    for _, message in _causes(error):
        _, marker, rest = message.partition("meshplane: ")
        if marker:
            return DataError(rest.splitlines()[0])
    return error


def _causes(error: Exception) -> Iterator[tuple[str, str]]:
    """(class, message) of the Java exceptions behind a Python one."""
    if isinstance(error, FoundationError):
        return
    java = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    seen = 0
    while java is not None and seen < 20:
        yield str(java.getClass().getName()), str(java.getMessage())
        java, seen = java.getCause(), seen + 1


def _own(target: Target, properties: Mapping[str, str]) -> metadata.Snapshot | None:
    table = metadata.load(target.database, target.name)
    return table.own(properties, target.branch) if table is not None else None


def _output(target: Target, snapshot: metadata.Snapshot) -> dict[str, Any]:
    return {
        "table": target.table.logical if target.table else f"{target.database}.{target.name}",
        "snapshot": snapshot.snapshot_id,
        "parent": snapshot.parent_id,
        "branch": target.branch or "main",
        "rows_added": snapshot.count("added-records"),
        "rows_total": snapshot.count("total-records"),
    }


def _failed(current: Current, error: Exception) -> None:
    current.finish(f"{type(error).__name__}: {error}"[:2000])
    # Such a frame is refused before anything is written, and a script may know another one.
    current.may_mend = isinstance(error, SchemaMismatchError)
