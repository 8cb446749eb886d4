"""Which table a name means. Readers, writers and DDL ask here.

A declared table answers to its logical name (`orders`, `customers.contacts`) and to its physical one, each with or without database and
catalog. Everything else is an undeclared table: a name in the Glue catalog of which the manifest says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dp_foundation.config.arguments import Table, invocation
from dp_foundation.errors import TableRefusedError

CATALOG = "glue_catalog"
_PART = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Target:
    """A table in the Glue catalog; `table` is its declaration, None when the manifest does not declare it."""

    database: str
    name: str
    table: Table | None = None
    branch: str = ""  # empty: `main`

    @property
    def identifier(self) -> str:
        """`glue_catalog.f01_de_refined.sales_orders`, as Spark takes it."""
        return f"{CATALOG}.{self.database}.{self.name}"

    @property
    def ref(self) -> str:
        """The identifier with its branch: what is read and written. One that does not exist fails; a session's setting could be ignored."""
        return f"{self.identifier}.branch_{self.branch}" if self.branch else self.identifier


def find(name: str, catalog_db: str = "", declared: Mapping[str, Table] | None = None) -> Target:
    """The table that a job means by `name`. Raises TableRefusedError when the name has no database and the manifest does not know it."""
    tables = declared if declared is not None else _declared()
    parts = name.replace("`", "").lower().split(".")
    if len(parts) == 3 and parts[0] == CATALOG:
        parts = parts[1:]
    bare, database = parts[-1], (parts[0] if len(parts) == 2 else catalog_db.lower())
    logical = tables.get(".".join(parts))
    if logical is not None and catalog_db.lower() in ("", logical.database):
        return Target(logical.database, logical.name, logical)
    for table in tables.values():
        if bare in (table.name, table.logical.rpartition(".")[2]) and database in ("", table.database):
            if not database and bare != table.name and "." in table.logical:
                continue  # another project's table needs its project's name, or its physical one
            return Target(table.database, table.name, table)
    if not database or len(parts) > 2 or not all(_PART.match(part) for part in (database, bare)):
        known = ", ".join(tables) or "none"
        raise TableRefusedError(
            f"no table {name!r}: declared for this job are {known}; mend: add it to the job's reads or writes, or name a database"
        )
    return Target(database, bare)


def refuse_ddl(target: Target, what: str, field: str) -> None:
    """Declared tables are shaped by their manifest. Raises TableRefusedError that names the manifest's field."""
    if target.table is not None:
        where = target.table.logical.rpartition(".")[2]
        raise TableRefusedError(
            f"{what} of {target.identifier} is refused: the manifest of project {target.table.project} declares it; "
            f"mend: change tables.{where}.{field} in projects/{target.table.project}/project.yaml and publish"
        )


def writable(target: Target) -> Target:
    """The target, when this job may write it. Raises TableRefusedError for tables that the manifest does not let it write."""
    job = invocation().job
    table = target.table
    if table is None or job is None:
        return target
    if table.project != job.project:
        raise TableRefusedError(f"{table.logical} belongs to project {table.project}; a job of {job.project} may only read it")
    if table.logical not in {write.table for write in job.writes}:
        raise TableRefusedError(f"jobs.{job.name}.writes does not name {table.logical}; mend: add it there")
    if not table.is_iceberg:
        raise TableRefusedError(f"{table.logical} holds {table.format} files; these writers write Iceberg tables only")
    return target


def _declared() -> Mapping[str, Table]:
    job = invocation().job
    return job.tables if job else {}
