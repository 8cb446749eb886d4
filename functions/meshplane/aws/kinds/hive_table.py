"""Raw tables in Glue: seen whole in the shared listing, written by CreateTable and by UpdateTable on the version that was seen."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from meshplane.aws.faults import translated
from meshplane.aws.iceberg import catalog
from meshplane.aws.kinds.opening import Opening, prove
from meshplane.errors import Conflict, NotFound, Rejected
from meshplane.kinds.hive_table import NAME, HiveColumn, HiveTableSpec
from meshplane.kinds.iceberg_table import TOMBSTONE, owner_of, ownership_properties
from meshplane.model.resource import Difference, Done, Id, Owner, Seen, Want


class HiveTableAdapter:
    """`Seen.mark` is Glue's version id."""

    def __init__(self, opening: Opening) -> None:
        self._clients, self._listings, self._naming = opening.clients, opening.listings, opening.naming

    def observe(self, ids: Collection[Id], owner: Owner, known: Mapping[Id, str]) -> Sequence[Seen[HiveTableSpec]]:
        """Nothing to save by marks: the listing shows every table whole."""
        wanted = {one: one for one in ids if one.kind == NAME}
        out = []
        for entry in catalog.entries(self._clients, self._listings, self._naming, owner.project, wanted):
            this = Id(NAME, catalog.name_of(entry))
            whose = owner_of(catalog.parameters(entry))
            if this in wanted or (whose == owner and not catalog.is_iceberg(entry)):
                out.append(_seen(wanted.get(this, this), entry))
        return out

    def create(self, want: Want[HiveTableSpec], owner: Owner) -> Done:
        """One request. Raises AlreadyExists."""
        database, name = catalog.split(want.id)
        with translated("glue:CreateTable", want.id.name):
            self._clients("glue").create_table(DatabaseName=database, TableInput=_input({"Name": name}, want.spec, owner))
        return Done()

    def update(self, seen: Seen[HiveTableSpec], to: HiveTableSpec, diff: tuple[Difference, ...], owner: Owner) -> Done:
        """On the version that was seen: somebody else's later change is Conflict, and is looked at before it is changed."""
        prove(seen.owner, owner, seen.id)
        entry = _entry(seen)
        body = _tombstone(entry) if to.tombstone else _input(catalog.as_input(entry), to, owner)
        return self._update(entry, body)

    def claim(self, seen: Seen[HiveTableSpec], owner: Owner) -> Done:
        """Our ownership among the parameters, nothing else."""
        prove(seen.owner or owner, owner, seen.id)
        entry = _entry(seen)
        body = catalog.as_input(entry)
        return self._update(entry, {**body, "Parameters": {**catalog.parameters(entry), **ownership_properties(owner)}})

    def delete(self, seen: Seen[HiveTableSpec], owner: Owner) -> Done:
        """Never: an undeclared table rests."""
        prove(seen.owner, owner, seen.id)
        raise Rejected(f"{seen.id} is not deleted: an undeclared table keeps its files and rests")

    def _update(self, entry: catalog.Entry, body: Mapping[str, Any]) -> Done:
        asked: dict[str, Any] = {"DatabaseName": entry["DatabaseName"], "TableInput": body, "SkipArchive": True}
        if entry.get("VersionId"):
            asked["VersionId"] = entry["VersionId"]
        try:
            with translated("glue:UpdateTable", catalog.name_of(entry)):
                self._clients("glue").update_table(**asked)
        except NotFound as error:
            raise Conflict(f"{catalog.name_of(entry)} went while it was changed") from error
        return Done()


def adapter(opening: Opening) -> HiveTableAdapter:
    """Opened for one reconcile."""
    return HiveTableAdapter(opening)


def _entry(seen: Seen[HiveTableSpec]) -> catalog.Entry:
    """What `observe` saw: its version id makes the write conditional."""
    if not isinstance(seen.detail, Mapping):
        raise ValueError(f"{seen.id} was not seen by this adapter")
    return seen.detail


def _seen(this: Id, entry: catalog.Entry) -> Seen[HiveTableSpec]:
    spec = read(entry)
    owner = owner_of(catalog.parameters(entry))
    return Seen(this, spec, entry.get("VersionId", ""), owner, resting=spec.tombstone, detail=entry)


def read(entry: catalog.Entry) -> HiveTableSpec:
    """The entry as a spec; what Glue leaves out is empty."""
    storage = entry.get("StorageDescriptor") or {}
    serde = storage.get("SerdeInfo") or {}
    parameters = catalog.parameters(entry)
    return HiveTableSpec(
        location=storage.get("Location", ""),
        columns=_columns(storage.get("Columns") or ()),
        partition=_columns(entry.get("PartitionKeys") or ()),
        description=entry.get("Description", ""),
        input_format=storage.get("InputFormat", ""),
        output_format=storage.get("OutputFormat", ""),
        serde=serde.get("SerializationLibrary", ""),
        serde_parameters=serde.get("Parameters") or {},
        parameters=parameters,
        tombstone=TOMBSTONE in parameters,
        table_format="iceberg" if catalog.is_iceberg(entry) else "hive",
    )


def _columns(of: Sequence[Mapping[str, Any]]) -> tuple[HiveColumn, ...]:
    return tuple(HiveColumn(one["Name"], one.get("Type", ""), one.get("Comment", "")) for one in of)


def _input(now: Mapping[str, Any], to: HiveTableSpec, owner: Owner) -> dict[str, Any]:
    """The whole TableInput: `now` with every managed field replaced, so that what somebody else added stays."""
    storage = now.get("StorageDescriptor") or {}
    parameters = {key: value for key, value in (now.get("Parameters") or {}).items() if not _managed(key)}
    body = {
        **now,
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": _sent(to.partition),
        "Parameters": _filled({**parameters, **to.parameters, **ownership_properties(owner)}),
        "StorageDescriptor": {
            **storage,
            "Columns": _sent(to.columns),
            "Location": to.location,
            "InputFormat": to.input_format,
            "OutputFormat": to.output_format,
            "SerdeInfo": {
                **(storage.get("SerdeInfo") or {}),
                "SerializationLibrary": to.serde,
                "Parameters": _filled(to.serde_parameters),
            },
        },
    }
    body.pop("Description", None)
    return {**body, "Description": to.description} if to.description else body


def _managed(parameter: str) -> bool:
    """What leaves when the wanted parameters no longer say it."""
    return parameter == TOMBSTONE or parameter == "storage.location.template" or parameter.startswith("projection.")


def _tombstone(entry: catalog.Entry) -> dict[str, Any]:
    return {**catalog.as_input(entry), "Parameters": {**catalog.parameters(entry), TOMBSTONE: "true"}}


def _sent(columns: Sequence[HiveColumn]) -> list[dict[str, str]]:
    return [_filled({"Name": c.name, "Type": c.type, "Comment": c.comment}) for c in columns]


def _filled(of: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in of.items() if value}
