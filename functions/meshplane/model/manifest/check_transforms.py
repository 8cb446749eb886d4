"""The options of built-in transforms judged: deletions and versions of `merge`, and the jobs `check` and `maintain`. Called by `judging`.
Pure.

The names of the columns that a merge keeps by itself are fixed; the job library knows the same (`dp_foundation.io.history`,
`dp_foundation.builtin.merge`), and a test compares both.
"""

from __future__ import annotations

from meshplane.model.manifest.check_rules import not_a_condition
from meshplane.model.manifest.jobs import JobPart, Options
from meshplane.model.manifest.normalise import format_of
from meshplane.model.manifest.scope import Scope
from meshplane.model.manifest.tables import TablePart
from meshplane.model.problems import Loc
from meshplane.model.types import Primitive, text

VERSION_COLUMNS = ("valid_from", "valid_to", "is_current")
SOFT_COLUMN = "is_deleted"
_TIMES = tuple(map(Primitive, ("timestamptz", "timestamp", "date")))


def check(scope: Scope) -> None:
    """Notes every fault of every accepted job that is such a built-in."""
    judges = {"merge": _merge, "check": _check, "maintain": _maintain}
    for name, part in scope.document.jobs.items():
        if judge := judges.get(part.use or ""):
            judge(scope, ("jobs", name), part)


def _merge(scope: Scope, loc: Loc, part: JobPart) -> None:
    """Deletions, versions and late rows of a `use: merge` with one target."""
    table = scope.table(part.writes[0].table) if len(part.writes) == 1 else None
    given = part.with_
    if given is None or table is None:
        return
    versions = given.mode == "scd2"
    if given.late is not None and not versions:
        message = "a late row is older than what stands and changes nothing, unless versions are kept"
        scope.findings.add("merge-late", (*loc, "with", "late"), message, found=given.late, allowed="late with mode: scd2", at_key=True)
    if given.deletes is not None:
        _deletes(scope, loc, part, table, versions)
    if versions:
        _versions(scope, loc, part, given, table)
        _all_writers(scope, loc, part)


def _deletes(scope: Scope, loc: Loc, part: JobPart, table: TablePart, versions: bool) -> None:
    deletes, at = part.with_.deletes if part.with_ else None, (*loc, "with", "deletes")
    if deletes is None or scope.findings.is_lost(at):
        return
    allowed = ("close", "soft") if versions else ("hard", "soft")
    if deletes.as_ not in allowed:
        reasons = {"hard": "versions are kept, deletions among them", "close": "there is no version to close without mode: scd2"}
        scope.findings.add("merge-deletes", (*at, "as"), reasons[deletes.as_], found=deletes.as_, allowed=", ".join(allowed))
    if deletes.as_ == "soft":
        _column(scope, "merge-deletes", (*at, "as"), part, SOFT_COLUMN, (Primitive("boolean"),))
    if why := not_a_condition(deletes.when):
        scope.findings.add("rule-sql", (*at, "when"), why, found=deletes.when, allowed="a condition on the source, status = 'deleted'")


def _versions(scope: Scope, loc: Loc, part: JobPart, given: Options, table: TablePart) -> None:
    at = (*loc, "with", "mode")
    columns = scope.columns(part.writes[0].table)
    if len(given.latest_by) != 1:
        found = ", ".join(given.latest_by) or "none"
        scope.findings.add("merge-versions", at, "versions begin at one time", found=found, allowed="latestBy: one column", at_key=True)
        times = _TIMES
    else:
        time = columns.get(given.latest_by[0])
        times = (time,) if isinstance(time, Primitive) and time in _TIMES else _TIMES
        column = table.columns.get(given.latest_by[0])
        if time is not None and time not in _TIMES:
            message = f"versions begin at the time in '{given.latest_by[0]}', which is no time"
            allowed = ", ".join(map(text, _TIMES))
            scope.findings.add("merge-versions", (*loc, "with", "latestBy"), message, found=text(time), allowed=allowed)
        elif column is not None and not column.required:
            message = f"a row without '{given.latest_by[0]}' has no place among versions"
            mend = f"{given.latest_by[0]}: {{ type: {text(column.type)}, required: true }}"
            scope.findings.add("merge-versions", (*loc, "with", "latestBy"), message, found="may be null", mend=mend)
    start, end, current = VERSION_COLUMNS
    for name in (start, end):
        _column(scope, "merge-versions", at, part, name, times)
    _column(scope, "merge-versions", at, part, current, (Primitive("boolean"),))
    if end in table.columns and table.columns[end].required:
        where: Loc = ("tables", part.writes[0].table, "columns", end)
        scope.findings.add("merge-versions", where, f"'{end}' is null while a version holds", found="required: true", mend="leave it out")


def _column(scope: Scope, code: str, at: Loc, part: JobPart, name: str, types: tuple[Primitive, ...]) -> None:
    """A column that the merge fills: declared, of one of these types, and in no `map`."""
    table = part.writes[0].table
    columns, allowed = scope.columns(table), " or ".join(map(text, types))
    kind = columns.get(name)
    if name not in columns:
        message = f"the merge fills the column '{name}', which table '{table}' does not declare"
        mend = f"tables.{table}.columns.{name}: {text(types[0])}"
        scope.findings.add(code, at, message, allowed=allowed, mend=mend, at_key=True)
    elif kind is not None and kind not in types:
        message = f"the merge fills '{name}', and its type does not fit"
        scope.findings.add(code, ("tables", table, "columns", name), message, found=text(kind), allowed=allowed)
    if part.with_ is not None and name in part.with_.map:
        loc = (*at[: at.index("with")], "with", "map", name)
        scope.findings.add(code, loc, f"the merge fills '{name}' itself", found=name, mend="leave it out of the map", at_key=True)


def _all_writers(scope: Scope, loc: Loc, part: JobPart) -> None:
    """Whoever else merges into a table of versions keeps versions too, or its key would match several rows."""
    table = part.writes[0].table
    for name, other in scope.document.jobs.items():
        merges = any(w.table == table and (other.use == "merge" or w.mode == "merge") for w in other.writes)
        if merges and not (other.use == "merge" and other.with_ is not None and other.with_.mode == "scd2"):
            message = f"'{table}' holds versions by job '{loc[1]}': a merge by its key alone would change all of them"
            scope.findings.add(
                "versions-writer", ("jobs", name, "writes"), message, found=name, mend="with: { mode: scd2 }, or mode: append"
            )


def _check(scope: Scope, loc: Loc, part: JobPart) -> None:
    """`use: check` reads tables that have a gate, and writes none."""
    if not _lost(scope, loc) and (not part.reads or part.writes):
        found = f"{len(part.reads)} and {len(part.writes)}"
        mend = "reads: [table], without writes"
        message = "use: check reads tables and writes none"
        scope.findings.add("built-in-tables", loc, message, found=found, allowed="reads: one or more, writes: none", mend=mend)
    for index, read in enumerate(part.reads):
        table = scope.table(read.table)
        if "." in read.table or (table is not None and format_of(table) != "iceberg"):
            other = "another project judges it" if "." in read.table else "its batches are judged when a job reads them"
            message = f"'{read.table}' cannot be judged here: {other}"
            scope.findings.add("check-table", (*loc, "reads", index), message, found=read.table, allowed="own Iceberg tables")


def _maintain(scope: Scope, loc: Loc, part: JobPart) -> None:
    """`use: maintain` reads no table and names those that it tends under `writes`."""
    if not _lost(scope, loc) and (part.reads or not part.writes):
        found = f"{len(part.reads)} and {len(part.writes)}"
        message = "use: maintain reads no table and tends those that it writes"
        scope.findings.add("built-in-tables", loc, message, found=found, allowed="reads: none, writes: one or more", mend="writes: [table]")
    for index, write in enumerate(part.writes):
        if write.mode is not None:
            at = (*loc, "writes", index, "mode")
            scope.findings.add(
                "built-in-mode", at, "use: maintain changes no row", found=write.mode, allowed="none", mend="leave `mode` out"
            )
    if part.with_ is not None:
        scope.once((*loc, "with", "tasks"), part.with_.tasks, "task")


def _lost(scope: Scope, loc: Loc) -> bool:
    return any(scope.findings.refused((*loc, key)) for key in ("reads", "writes"))
