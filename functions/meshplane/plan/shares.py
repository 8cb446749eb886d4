"""What a project tells its neighbours, and whom it names itself. Pure; stored in the state item, read by `states.neighbours`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from typing import Any

from meshplane.model import types
from meshplane.model.context import Neighbour, SharedRead, SharedTable
from meshplane.model.naming import Naming
from meshplane.model.project import CsvFormat, PipelineTrigger, Project, Table, TableTrigger
from meshplane.model.rules import Contract, Rule
from meshplane.model.types import Field


def references(project: Project) -> frozenset[str]:
    """The other projects whose tables or pipelines this one names."""
    tables = {read.project for job in project.jobs.values() for read in job.reads}
    triggers = {t.project for p in project.pipelines.values() for t in p.triggers if isinstance(t, PipelineTrigger | TableTrigger)}
    return frozenset((tables | triggers) - {project.name, ""})


def shares(project: Project, naming: Naming, standing: Collection[str], before: Mapping[str, Any]) -> dict[str, Any]:
    """The tables (columns and key only for those with readers) and pipelines as JSON data. `standing`: physical names of tables that are
    as declared; another one stays shared as it was before."""
    old = before.get("tables", {})
    tables = {}
    for table in project.tables.values():
        name = table.physical_name or naming.table(project.name, table.name)
        if f"{naming.database(table.layer)}.{name}" in standing:
            tables[table.name] = table_shares(table, project.name, name, naming)
        elif table.name in old:
            tables[table.name] = old[table.name]
    return {
        "tables": tables,
        "pipelines": list(project.pipelines),
        "reads": _reads(project),
        "own": _own(project, naming, standing, before),
    }


def to_neighbours(shared: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of what is stored the part that neighbours read."""
    return {key: value for key, value in shared.items() if key != "own"}


def _own(project: Project, naming: Naming, standing: Collection[str], before: Mapping[str, Any]) -> dict[str, Any]:
    """What the project's own jobs were promised of its tables, as another project would be."""
    old = before.get("own", {})
    found: dict[str, Any] = {}
    for name in sorted({read.table for job in project.jobs.values() for read in job.reads if read.project == project.name}):
        if (table := project.tables.get(name)) is not None:
            physical = table.physical_name or naming.table(project.name, name)
            stands = f"{naming.database(table.layer)}.{physical}" in standing
            now = own_share(table, project.name, physical, naming) if stands else old.get(name)
            found |= {name: now} if now else {}
    return found


def own_share(table: Table, project: str, name: str, naming: Naming) -> dict[str, Any]:
    """One table as the project's own jobs see it; `name` is the physical one."""
    return table_shares(replace(table, readers=(project,)), project, name, naming)


def consulted(project: Project, before: Mapping[str, Any]) -> frozenset[str]:
    """The projects to ask for: those that this one names, and those that may read its tables, or might until now."""
    now = {reader for table in project.tables.values() for reader in table.readers}
    then = {reader for row in before.get("tables", {}).values() for reader in row.get("readers", ())}
    return references(project) | frozenset((now | then) - {project.name})


def _reads(project: Project) -> list[dict[str, Any]]:
    """What its jobs read of others: their owners judge a change by it."""
    return [
        {"job": job.name, "project": read.project, "table": read.table, "columns": list(read.columns)}
        for job in project.jobs.values()
        for read in job.reads
        if read.project != project.name
    ]


def table_shares(table: Table, project: str, name: str, naming: Naming) -> dict[str, Any]:
    """One table as its neighbours see it; `name` is the physical one. Promises are shared with readers only."""
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
    if table.readers and (table.rules or table.deprecate or table.contract != Contract()):
        shared["rules"] = [{**asdict(rule), "columns": list(rule.columns)} for rule in table.rules]
        shared["contract"] = asdict(table.contract)
        shared |= {"allow_empty": True} if table.allow_empty else {}
        shared["deprecate"] = {column: until.isoformat() for column, until in table.deprecate.items()}
    return shared


def neighbour(name: str, shared: Mapping[str, Any] | None, published: bool) -> Neighbour:
    """What is known of another project, from its stored shares."""
    tables = (shared or {}).get("tables", {})
    reads = tuple(SharedRead(**{**row, "columns": tuple(row["columns"])}) for row in (shared or {}).get("reads", ()))
    return Neighbour(name, published, {key: _shared(row) for key, row in tables.items()}, tuple((shared or {}).get("pipelines", ())), reads)


def _shared(row: Mapping[str, Any]) -> SharedTable:
    plain = {key: row[key] for key in ("database", "name", "location", "layer", "format")}
    return SharedTable(
        **plain,
        readers=tuple(row["readers"]),
        columns=columns_of(row),
        key=tuple(row.get("key", ())),
        csv=CsvFormat(**row.get("csv", {})),
        hive_partition=tuple(row.get("hive_partition", ())),
        deprecated=row.get("deprecate", {}),
        rules=tuple(Rule(**{**rule, "columns": tuple(rule["columns"])}) for rule in row.get("rules", ())),
        allow_empty=bool(row.get("allow_empty")),
    )


def columns_of(row: Mapping[str, Any]) -> tuple[Field, ...]:
    """The columns of a shared table, from its stored form."""
    return tuple(Field(name, types.parse(of), bool(required)) for name, of, required in row.get("columns", ()))
