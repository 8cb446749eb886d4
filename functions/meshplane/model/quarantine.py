"""The quarantine of a table: where landing puts rows that break its contract (docs/contracts.md §9). Pure.

The kinds `iceberg_table`, `table_optimizer` and `glue_job` make it like a declared table. It is not gated, no other project may read
it, and its columns are those of `dp_foundation.contracts.quarantine`. A replay is a run of the pipeline that fills the table, with one
parameter more (docs/decisions/0008).
"""

from __future__ import annotations

from collections.abc import Mapping

from meshplane.model.project import Project, Table
from meshplane.model.types import Field, ListType, Primitive, StructType

ENDING = "_quarantine"
REPLAY = "meshplane.replay"  # the run's parameter that says what is to be replayed; no declared one can be called so

_TEXT = Primitive("string")
_REASON = StructType(tuple(Field(name, _TEXT) for name in ("entity", "column", "rule", "mode")))
_COLUMNS = (
    Field("reasons", ListType(_REASON), doc="Why: what it breaks, in which column, by which rule, and what the contract does then"),
    Field("rule_fingerprint", _TEXT, doc="The digest of the rules that it was held against"),
    Field("contract_version", _TEXT, doc="The contract's version; empty where it has none"),
    Field("source_object", _TEXT, doc="The file that it came in"),
    Field("source_position", Primitive("long"), doc="Which record of the file it is, from 1; a header is none"),
    Field("run_id", _TEXT, doc="The run that put it here"),
    Field("row", _TEXT, doc="The row as it came, as JSON"),
    Field("replayed_by", _TEXT, doc="The run and step that took it up again, r1~load; empty while it waits"),
)


def quarantines(project: Project) -> Mapping[str, Table]:
    """Table → its quarantine: for each own Iceberg table that a job writes and whose written contract keeps rows or values aside."""
    written = {write.table for job in project.jobs.values() for write in job.writes}
    return {name: _of(table) for name, table in project.tables.items() if name in written and needed(table)}


def needed(table: Table) -> bool:
    """Whether landing in this table can put something aside. `evolve` does where the data bring what no table can become."""
    of = table.contract
    modes = (of.columns, of.types, of.nullability, of.precision, of.enum)
    return table.is_iceberg and table.has_contract and any(mode != "freeze" for mode in modes)


def tables(project: Project) -> tuple[Table, ...]:
    """All tables that the project has: the declared ones, then their quarantines."""
    return (*project.tables.values(), *quarantines(project).values())


def _of(table: Table) -> Table:
    described = f"Rows that break the contract of {table.name}, each with its reasons"
    return Table(f"{table.name}{ENDING}", table.layer, "iceberg", _COLUMNS, described)
