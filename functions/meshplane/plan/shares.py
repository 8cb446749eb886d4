"""What a project tells its neighbours, and whom it names itself. Pure; stored in the state item, read by `states.neighbours`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from meshplane.model import types
from meshplane.model.context import Neighbour, SharedTable
from meshplane.model.naming import Naming
from meshplane.model.project import CsvFormat, PipelineTrigger, Project, Table
from meshplane.model.types import Field


def references(project: Project) -> frozenset[str]:
    """The other projects whose tables or pipelines this one names."""
    tables = {read.project for job in project.jobs.values() for read in job.reads}
    pipelines = {t.project for p in project.pipelines.values() for t in p.triggers if isinstance(t, PipelineTrigger)}
    return frozenset((tables | pipelines) - {project.name, ""})


def shares(project: Project, naming: Naming, standing: Collection[str], before: Mapping[str, Any]) -> dict[str, Any]:
    """The tables (columns and key only for those with readers) and pipelines as JSON data. `standing`: physical names of tables that are
    as declared; another one stays shared as it was before."""
    old = before.get("tables", {})
    tables = {}
    for table in project.tables.values():
        name = table.physical_name or naming.table(project.name, table.name)
        if f"{naming.database(table.layer)}.{name}" in standing:
            tables[table.name] = _table(table, project.name, name, naming)
        elif table.name in old:
            tables[table.name] = old[table.name]
    return {"tables": tables, "pipelines": list(project.pipelines)}


def _table(table: Table, project: str, name: str, naming: Naming) -> dict[str, Any]:
    columns = [(f.name, types.text(f.type), f.required) for f in table.columns] if table.readers else []
    shared: dict[str, Any] = {
        "database": naming.database(table.layer),
        "name": name,
        "location": naming.table_location(project, table.name, table.layer, table.is_iceberg),
        "layer": table.layer,
        "format": table.format,
        "readers": list(table.readers),
        "columns": [list(column) for column in columns],
        "key": list(table.key) if table.readers else [],
    }
    if table.readers and table.format == "csv":
        shared["csv"] = {key: getattr(table.csv, key) for key in type(table.csv).__slots__}
    if table.readers and table.hive_partition:
        shared["hive_partition"] = list(table.hive_partition)
    return shared


def neighbour(name: str, shared: Mapping[str, Any] | None, published: bool) -> Neighbour:
    """What is known of another project, from its stored shares."""
    tables = (shared or {}).get("tables", {})
    return Neighbour(name, published, {key: _shared(row) for key, row in tables.items()}, tuple((shared or {}).get("pipelines", ())))


def _shared(row: Mapping[str, Any]) -> SharedTable:
    plain = {key: row[key] for key in ("database", "name", "location", "layer", "format")}
    return SharedTable(
        **plain,
        readers=tuple(row["readers"]),
        columns=tuple(_columns(row.get("columns", ()))),
        key=tuple(row.get("key", ())),
        csv=CsvFormat(**row.get("csv", {})),
        hive_partition=tuple(row.get("hive_partition", ())),
    )


def _columns(rows: Iterable[Any]) -> Iterable[Field]:
    for name, of, required in rows:
        yield Field(name, types.parse(of), bool(required))
