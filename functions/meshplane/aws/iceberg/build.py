"""From a wanted table to Iceberg's own words: first metadata, and the updates of one commit, in pyiceberg's classes. Called by `commit`.

Schemas are built whole, with the ids that `model/evolution` kept, and not by UpdateSchema (see there). pyiceberg is imported inside.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from meshplane.aws.iceberg import metadata as files
from meshplane.kinds.iceberg_table import DECLARED, TOMBSTONE, IcebergTableSpec, Term
from meshplane.model.evolution import evolve

if TYPE_CHECKING:
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.update import TableUpdate

_FIRST_PARTITION_ID = 1000  # Iceberg specification, "Partition field ids"


def first(want: IcebergTableSpec, ownership: Mapping[str, str]) -> TableMetadata:
    """The metadata of a new, empty table. Ids begin at 1; the uuid is drawn by pyiceberg."""
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.table.metadata import new_table_metadata
    from pyiceberg.table.sorting import SortOrder

    fields = files.fields_json(want.columns, [], itertools.count(1).__next__)
    schema = {"type": "struct", "schema-id": 0, "fields": fields}
    ids = files.paths(schema)
    partition = [
        {"source-id": ids[term.column], "field-id": _FIRST_PARTITION_ID + at, "name": _name(term, ids), "transform": term.transform}
        for at, term in enumerate(want.partition)
    ]
    properties = {**{key: value for key, value in want.properties.items() if value}, **ownership}
    return new_table_metadata(
        schema=Schema.model_validate(schema),
        partition_spec=PartitionSpec.model_validate({"spec-id": 0, "fields": partition}),
        sort_order=SortOrder.model_validate(_order(want.sort, ids, 1 if want.sort else 0)),
        location=want.location.rstrip("/"),
        properties={**properties, "format-version": str(want.format_version)},
    )


def updates(want: IcebergTableSpec, raw: Mapping[str, Any]) -> tuple[TableUpdate, ...]:
    """What turns the table of a metadata file into the wanted one; nothing when it is that already.

    The caller has compared and found nothing refused. A wanted tombstone is the only change then made.
    """
    from pyiceberg.table.update import RemovePropertiesUpdate, SetPropertiesUpdate, UpgradeFormatVersionUpdate

    seen = files.spec(raw)
    have: Mapping[str, str] = raw.get("properties") or {}
    if want.tombstone:
        return () if seen.tombstone else (SetPropertiesUpdate(updates={TOMBSTONE: "true"}),)
    out: list[TableUpdate] = []
    if want.format_version > seen.format_version:
        out.append(UpgradeFormatVersionUpdate(format_version=want.format_version))
    out += _shape(want, seen, raw)
    setting = {key: value for key, value in want.properties.items() if value and have.get(key) != value}
    declared_before = {key for key in have.get(DECLARED, "").split(",") if key}
    unwanted = {key for key, value in want.properties.items() if not value} | (declared_before - set(want.properties)) | {TOMBSTONE}
    removing = sorted(unwanted & set(have))
    out += [SetPropertiesUpdate(updates=setting)] if setting else []
    out += [RemovePropertiesUpdate(removals=removing)] if removing else []
    return tuple(out)


def _shape(want: IcebergTableSpec, seen: IcebergTableSpec, raw: Mapping[str, Any]) -> list[TableUpdate]:
    """Schema, partition spec and sort order. A form that the table had before is taken up again by its number, as Java does."""
    now = files.schema(raw)
    columns = evolve(want.columns, seen.columns, want.dropped, seen.sources, seen.empty, want.changed).columns
    fields = files.fields_json(columns, now["fields"], itertools.count(raw["last-column-id"] + 1).__next__)
    schema = {"type": "struct", "fields": fields}
    ids = files.paths(schema)
    return [*_schema(schema, now, raw), *_partition(want.partition, ids, raw), *_sort(want.sort, ids, raw)]


def _schema(schema: dict[str, Any], now: Mapping[str, Any], raw: Mapping[str, Any]) -> list[TableUpdate]:
    from pyiceberg.schema import Schema
    from pyiceberg.table.update import AddSchemaUpdate, SetCurrentSchemaUpdate

    required = {one["id"] for one in schema["fields"] if one["required"]}
    keys = [number for number in now.get("identifier-field-ids", []) if number in required]
    built = Schema.model_validate({**schema, "identifier-field-ids": keys})
    known = [Schema.model_validate(one) for one in raw.get("schemas") or [raw["schema"]]]
    same = next((one for one in known if one == built and one.identifier_field_ids == built.identifier_field_ids), None)
    if same is None:
        number = max(one.schema_id for one in known) + 1
        return [AddSchemaUpdate(schema_=built.model_copy(update={"schema_id": number})), SetCurrentSchemaUpdate(schema_id=number)]
    return [] if same.schema_id == now.get("schema-id", 0) else [SetCurrentSchemaUpdate(schema_id=same.schema_id)]


def _partition(want: tuple[Term, ...], ids: Mapping[str, int], raw: Mapping[str, Any]) -> list[TableUpdate]:
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.table.update import AddPartitionSpecUpdate, SetDefaultSpecUpdate

    specs = raw["partition-specs"]
    before = {(one["source-id"], one["transform"]): one for spec in specs for one in spec["fields"]}
    fresh = itertools.count((raw.get("last-partition-id") or _FIRST_PARTITION_ID - 1) + 1)
    fields = []
    for term in want:
        source = ids[term.column]
        old = before.get((source, term.transform))
        named = {"field-id": old["field-id"], "name": old["name"]} if old else {"field-id": next(fresh), "name": _name(term, ids)}
        fields.append({"source-id": source, "transform": term.transform, **named})
    same = next((spec["spec-id"] for spec in specs if spec["fields"] == fields), None)
    if same is None:
        number = max(spec["spec-id"] for spec in specs) + 1
        built = PartitionSpec.model_validate({"spec-id": number, "fields": fields})
        return [AddPartitionSpecUpdate(spec=built), SetDefaultSpecUpdate(spec_id=number)]
    return [] if same == raw["default-spec-id"] else [SetDefaultSpecUpdate(spec_id=same)]


def _sort(want: tuple[Term, ...], ids: Mapping[str, int], raw: Mapping[str, Any]) -> list[TableUpdate]:
    from pyiceberg.table.sorting import SortOrder
    from pyiceberg.table.update import AddSortOrderUpdate, SetDefaultSortOrderUpdate

    orders = raw.get("sort-orders") or []
    wanted = _order(want, ids, 0)["fields"]
    same = next((order["order-id"] for order in orders if order["fields"] == wanted), None)
    if same is None:
        number = max((order["order-id"] for order in orders), default=0) + 1 if want else 0
        built = SortOrder.model_validate(_order(want, ids, number))
        return [AddSortOrderUpdate(sort_order=built), SetDefaultSortOrderUpdate(sort_order_id=number)]
    return [] if same == raw.get("default-sort-order-id", 0) else [SetDefaultSortOrderUpdate(sort_order_id=same)]


def _order(terms: tuple[Term, ...], ids: Mapping[str, int], number: int) -> dict[str, Any]:
    fields = [
        {"transform": term.transform, "source-id": ids[term.column], "direction": direction, "null-order": nulls}
        for term in terms
        for direction, nulls in (term.order.split(" "),)
    ]
    return {"order-id": number, "fields": fields}


def _name(term: Term, ids: Mapping[str, int]) -> str:
    """Java's names (PartitionNameGenerator), made free where a column has that name: `ordered_at_day`, `customer_id_bucket_16`."""
    kind, _, width = term.transform.rstrip("]").partition("[")
    if kind == "identity":
        return term.column
    name = f"{term.column}_{'trunc' if kind == 'truncate' else kind}{'_' + width if width else ''}"
    while name.lower() in {path.lower() for path in ids}:
        name += "_partition"
    return name
