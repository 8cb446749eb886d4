"""An Iceberg table: schema, partition spec, sort order and managed properties, evolved in place (DESIGN §6).

What a table is comes from the metadata file that its `metadata_location` names, never from Glue's columns. Nobody's code path deletes
or recreates a table: an undeclared one rests with a tombstone, its data and its ids kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from meshplane.model import quarantine
from meshplane.model.context import Context
from meshplane.model.evolution import Evolution, evolve, impossible
from meshplane.model.project import PartitionField, Project, SortField, Table
from meshplane.model.resource import Difference, Effect, Id, Owner, Seen, Want
from meshplane.model.types import Field

NAME = "iceberg_table"
TOMBSTONE = "meshplane.tombstone"
DECLARED = "meshplane.declared-properties"  # the keys that the manifest's `properties` set, so that one that leaves it can go
OWNERSHIP = ("meshplane.domain", "meshplane.env", "meshplane.project")
PUBLISHED = "meshplane.published"  # what `model.publishing` writes there
COMMENT = "comment"  # what Java's GlueCatalog shows as the table's description

# Written out so that every engine does the same. Metadata files are dropped by the engine that commits, a hundred are kept.
WRITE_DEFAULTS: Mapping[str, str] = {
    "write.format.default": "parquet",
    "write.parquet.compression-codec": "zstd",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "100",
    "commit.retry.num-retries": "10",  # Iceberg's 4 are few when several runs and the optimizers commit (spark-local §3)
}
_CHANGING = ("types", "precision", "nullability")
# What engines write by themselves: nobody's addition, and no news.
_ENGINES = ("created-at", "owner", "schema.name-mapping.default", "current-schema", "numFiles", "totalSize")


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a partition spec or sort order, in the metadata file's words: `day`, `bucket[16]`; order `asc nulls-first` or empty."""

    column: str
    transform: str = "identity"
    order: str = ""

    def __str__(self) -> str:
        name = self.column if self.transform == "identity" else f"{self.transform}({self.column})"
        return f"{name} {self.order}" if self.order else name


@dataclass(frozen=True, slots=True)
class IcebergTableSpec:
    """A table as wanted or as its metadata says. The last five fields are only read: `sources` are the columns that any spec or order
    ever named, `empty` says that it has no snapshot, `table_format` what stands under the name (`iceberg`, or a Hive table's format),
    `unjudged` why `main` is at no published snapshot."""

    location: str
    columns: tuple[Field, ...]
    partition: tuple[Term, ...] = ()
    sort: tuple[Term, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    format_version: int = 2
    changed: tuple[str, ...] = ()  # what of its columns arriving data may change, by the contract
    tombstone: bool = False
    sources: frozenset[str] = frozenset()
    empty: bool = False
    table_format: str = "iceberg"
    unjudged: str = ""


def table_id(project: Project, table: Table, context: Context) -> Id:
    """The id of an Iceberg table: `database.table`, labelled as the author calls it."""
    name = table.physical_name or context.naming.table(project.name, table.name)
    return Id(NAME, f"{context.naming.database(table.layer)}.{name}", table.name)


def ownership_properties(owner: Owner) -> Mapping[str, str]:
    """The properties that prove ownership; the creating call carries them."""
    return dict(zip(OWNERSHIP, (owner.domain, owner.env, owner.project), strict=True))


def owner_of(properties: Mapping[str, str]) -> Owner | None:
    """Whose table it is; None when nobody of ours claimed it."""
    domain, env, project = (properties.get(key, "") for key in OWNERSHIP)
    return Owner(domain, env, project) if project else None


class IcebergTable:
    """The kind."""

    name = NAME
    holds_data = True

    def desired(self, project: Project, context: Context) -> Iterable[Want[IcebergTableSpec]]:
        """One per declared Iceberg table of any layer, and its quarantine where its contract needs one. A table needs nothing: its database
        is the baseline's."""
        for table in quarantine.tables(project):
            if table.is_iceberg:
                yield Want(table_id(project, table, context), _spec(project, table, context), refused=_refused(table))

    def compare(self, want: IcebergTableSpec, seen: IcebergTableSpec) -> tuple[Difference, ...]:
        """What differs, in the order in which it is done. What cannot be done in place carries `refused`."""
        if want.tombstone:
            return () if seen.tombstone else (Difference("tombstone", "in use", "resting", note="its data is kept"),)
        if seen.table_format != want.table_format:
            refused = f"a {seen.table_format} table has this name, and files cannot become Iceberg in place: give this one another name"
            return (Difference("format", seen.table_format, want.table_format, refused=refused),)
        evolution = _evolution(want, seen)
        out = [Difference("tombstone", "resting", "in use", note="taken up again with its ids and data")] if seen.tombstone else []
        out += _whole_table(want, seen)
        out += evolution.differences
        out += _layout("partition", want.partition, seen.partition, evolution.names)
        out += _layout("sort", want.sort, seen.sort, evolution.names)
        out += _properties(want.properties, seen.properties)
        return tuple(out)

    def extra(self, want: IcebergTableSpec, seen: IcebergTableSpec) -> tuple[str, ...]:
        """What somebody else added: columns and properties that the manifest does not declare. Reported, never removed."""
        if want.tombstone or seen.table_format != want.table_format:
            return ()
        managed = {*want.properties, *_declared(seen.properties), *OWNERSHIP, TOMBSTONE, DECLARED, PUBLISHED, *_ENGINES}
        columns = [f"column {path}" for path in _evolution(want, seen).extra]
        return (*columns, *(f"property {key}" for key in sorted(set(seen.properties) - managed)))

    def brought(self, want: IcebergTableSpec, seen: IcebergTableSpec) -> tuple[str, ...]:
        """What the data brought or changed of the columns, as the contract allows it (`evolve`): told, and as good as declared."""
        if want.tombstone or seen.table_format != want.table_format:
            return ()
        return tuple(f"column {column}" for column in _evolution(want, seen).brought)

    def resting(self, seen: Seen[IcebergTableSpec]) -> IcebergTableSpec:
        """Itself with a tombstone, everything else as it is."""
        return replace(seen.spec, tombstone=True) if seen.spec else IcebergTableSpec(location="", columns=(), tombstone=True)


KIND = IcebergTable()


def _spec(project: Project, table: Table, context: Context) -> IcebergTableSpec:
    declared = dict(table.properties)
    properties = {
        **WRITE_DEFAULTS,
        **declared,
        "meshplane.table": table.name,
        COMMENT: table.description,
        DECLARED: ",".join(sorted(declared)),
    }
    return IcebergTableSpec(
        location=context.naming.table_location(project.name, table.name, table.layer, iceberg=True),
        columns=table.columns,
        partition=tuple(_partition_term(p) for p in table.partition),
        sort=tuple(_sort_term(s) for s in table.sort),
        properties=properties,
        dropped=table.dropped,
        format_version=table.format_version,
        changed=tuple(entity for entity in _CHANGING if getattr(table.contract, entity) == "evolve"),
    )


def _refused(table: Table) -> str:
    if table.format_version != 2:
        return f"format version {table.format_version} cannot be written yet (pyiceberg 0.12 knows version 2): leave formatVersion at 2"
    return impossible(table.columns, table.dropped)


def _partition_term(part: PartitionField) -> Term:
    return Term(part.column, f"{part.transform}[{part.width}]" if part.width else part.transform)


def _sort_term(part: SortField) -> Term:
    return Term(part.column, order="desc nulls-last" if part.descending else "asc nulls-first")


def _evolution(want: IcebergTableSpec, seen: IcebergTableSpec) -> Evolution:
    return evolve(want.columns, seen.columns, want.dropped, seen.sources, seen.empty, want.changed)


def _whole_table(want: IcebergTableSpec, seen: IcebergTableSpec) -> list[Difference]:
    out = []
    if want.location.rstrip("/") != seen.location.rstrip("/"):
        refused = "a table is never moved: its files name their place. Copy its rows into a table of another name"
        out.append(Difference("location", seen.location, want.location, refused=refused))
    if want.format_version != seen.format_version:
        down = f"format version {seen.format_version} cannot be taken back: declare formatVersion: {seen.format_version}"
        refused = down if want.format_version < seen.format_version else ""
        out.append(Difference("format_version", str(seen.format_version), str(want.format_version), refused=refused))
    return out


def _layout(name: str, want: tuple[Term, ...], seen: tuple[Term, ...], names: Mapping[str, str]) -> list[Difference]:
    """Terms of the table as it is are read under their new names: a renamed source is no change of the layout."""
    now = tuple(replace(term, column=names.get(term.column, term.column)) for term in seen)
    if now == want:
        return []
    was, wanted = (", ".join(map(str, terms)) or "none" for terms in (seen, want))
    return [Difference(name, was, wanted, note="files written from now on; those that stand stay as they are")]


def _declared(properties: Mapping[str, str]) -> set[str]:
    return {key for key in properties.get(DECLARED, "").split(",") if key}


def _properties(want: Mapping[str, str], seen: Mapping[str, str]) -> list[Difference]:
    """An empty wanted value means that there is to be no such property."""
    wanted = {**dict.fromkeys(_declared(seen) - set(want), ""), **want}
    return [
        Difference(f"properties.{key}", seen.get(key, ""), value, Effect.SAFE)
        for key, value in wanted.items()
        if seen.get(key, "") != value
    ]
