"""Entries of the Glue catalog, one shared listing per database: read by the adapters of Hive tables, Iceberg tables and optimizers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from meshplane.aws.clients import Clients
from meshplane.aws.faults import translated
from meshplane.aws.listings import Listings, pages
from meshplane.errors import NotFound
from meshplane.model.naming import LAYERS, Naming
from meshplane.model.resource import Id

Entry = Mapping[str, Any]
"""One table as GetTable answers it."""

AT_ONCE = 20  # names in one expression: Glue takes 2,048 characters, and a name has up to 80

# What GetTable answers and UpdateTable takes (botocore, TableInput): everything else of an entry is Glue's own.
_INPUT = ("Name", "Description", "Owner", "LastAccessTime", "LastAnalyzedTime", "Retention", "StorageDescriptor", "PartitionKeys")
_INPUT_TOO = ("ViewOriginalText", "ViewExpandedText", "TableType", "Parameters", "TargetTable")


def entries(clients: Clients, listings: Listings, naming: Naming, project: str, ids: Collection[Id]) -> Sequence[Entry]:
    """The project's tables in every layer by their prefix, and those of `ids` that have a name of their own (adoption).

    A project's name holds no underscore, so the prefix is the project's alone (REQUIREMENTS D2). Raises `meshplane.errors`.
    """
    found = [entry for layer in LAYERS for entry in _listed(clients, listings, naming.database(layer), f"{project}_")]
    known = {name_of(entry) for entry in found}
    elsewhere = sorted({split(one)[:2] for one in ids if not split(one)[1].startswith(f"{project}_")})
    for database, name in elsewhere:
        if f"{database}.{name}" not in known:
            entry = listings.once(("table", database, name), partial(get, clients, database, name))
            found += [entry] if entry is not None else []
    return found


def namesakes(clients: Clients, listings: Listings, database: str, ids: Collection[Id]) -> Sequence[Entry]:
    """Tables of any project in a database that are called as these are: one listing for every AT_ONCE names."""
    names = sorted(one.label for one in ids if one.label and split(one)[0] == database)
    expressions = [f"[a-z0-9]+_({'|'.join(names[at : at + AT_ONCE])})" for at in range(0, len(names), AT_ONCE)]
    return [row for expression in expressions for row in _rows(clients, listings, database, expression)]


def get(clients: Clients, database: str, name: str) -> Entry | None:
    """One entry as it is now, or None."""
    try:
        with translated("glue:GetTable", f"{database}.{name}"):
            entry: Entry = clients("glue").get_table(DatabaseName=database, Name=name)["Table"]
    except NotFound:
        return None
    return entry


def split(of: Id) -> tuple[str, str]:
    """`database.table` and `database.table/compaction` → database, table."""
    database, _, rest = of.name.partition(".")
    return database, rest.partition("/")[0]


def name_of(entry: Entry) -> str:
    """`database.table`."""
    return f"{entry['DatabaseName']}.{entry['Name']}"


def is_iceberg(entry: Entry) -> bool:
    """Glue's parameter `table_type`; engines differ in its case."""
    return str(parameters(entry).get("table_type", "")).lower() == "iceberg"


def parameters(entry: Entry) -> Mapping[str, str]:
    """Never None."""
    return entry.get("Parameters") or {}


def as_input(entry: Entry) -> dict[str, Any]:
    """The entry in the form in which it is sent back, nothing lost: UpdateTable replaces all of it."""
    return {key: entry[key] for key in (*_INPUT, *_INPUT_TOO) if entry.get(key) is not None}


def _listed(clients: Clients, listings: Listings, database: str, prefix: str) -> Sequence[Entry]:
    return [row for row in _rows(clients, listings, database, f"{prefix}.*") if row["Name"].startswith(prefix)]


def _rows(clients: Clients, listings: Listings, database: str, expression: str) -> Sequence[Entry]:
    def make() -> list[Entry]:
        try:
            rows = pages(clients, "glue", "get_tables", "TableList", DatabaseName=database, Expression=expression)
        except NotFound:  # no such database: the baseline stands not yet, and nothing is in it
            return []
        return list(rows)

    return listings.once(("tables", database, expression), make)
