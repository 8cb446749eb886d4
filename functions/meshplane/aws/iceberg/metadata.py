"""What an Iceberg table is: the metadata file that `metadata_location` names, read as plain JSON into the spec of `kinds/iceberg_table`.

No pyiceberg here: this runs in every reconcile. The form is Iceberg's specification, "Table metadata" and appendix C.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from meshplane.aws.clients import Clients
from meshplane.aws.faults import translated
from meshplane.kinds.iceberg_table import TOMBSTONE, IcebergTableSpec, Term
from meshplane.model.publishing import unjudged
from meshplane.model.types import Decimal, Field, ListType, MapType, Primitive, StructType, Type

Json = dict[str, Any]
_DECIMAL = re.compile(r"decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)")


def bucket_and_key(location: str) -> tuple[str, str]:
    """`s3://bucket/key` (s3a and s3n too) → bucket, key."""
    parts = urlsplit(location)
    return parts.netloc, location.split("://", 1)[1].partition("/")[2]


def read(clients: Clients, location: str) -> Json:
    """The metadata file. Raises NotFound when it is gone, and `meshplane.errors` otherwise."""
    bucket, key = bucket_and_key(location)
    with translated("s3:GetObject", location):
        body: bytes = clients("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return dict(json.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body))


def spec(of: Mapping[str, Any]) -> IcebergTableSpec:
    """The table that a metadata file describes. Names in partition and sort are the current schema's."""
    fields = schema(of)["fields"]
    names = dict(_paths(fields, ""))
    partition = _by_id(of["partition-specs"], "spec-id", of["default-spec-id"]) if of.get("partition-specs") else []
    order = _by_id(of.get("sort-orders", []), "order-id", of.get("default-sort-order-id", 0))
    everything = [one for many in (*of.get("partition-specs", []), *of.get("sort-orders", [])) for one in many["fields"]]
    properties = of.get("properties") or {}
    return IcebergTableSpec(
        location=of["location"],
        columns=tuple(_field(one) for one in fields),
        partition=tuple(Term(_source(one, names), one["transform"]) for one in partition if one["transform"] != "void"),
        sort=tuple(Term(_source(one, names), one["transform"], f"{one['direction']} {one['null-order']}") for one in order),
        properties=properties,
        format_version=of["format-version"],
        tombstone=TOMBSTONE in properties,
        sources=frozenset(_source(one, names) for one in everything if one["transform"] != "void"),
        empty=not of.get("snapshots"),
        unjudged=unjudged(of),
    )


def schema(of: Mapping[str, Any]) -> Json:
    """The current schema. A version 1 file may have it alone, under `schema`."""
    if of.get("schemas"):
        return next(dict(one) for one in of["schemas"] if one["schema-id"] == of["current-schema-id"])
    return dict(of["schema"])


def fields_json(columns: tuple[Field, ...], now: list[Json], fresh: Callable[[], int]) -> list[Json]:
    """`columns` in the file's form: what has an id keeps it, with whatever else `now` says of it; the rest gets `fresh` ones."""
    before = {one["id"]: one for one in now}
    return [_field_json(column, before.get(column.id, {}), fresh) for column in columns]


def _field_json(of: Field, now: Json, fresh: Callable[[], int]) -> Json:
    number = now["id"] if now else fresh()
    out = {**now, "id": number, "name": of.name, "required": of.required, "type": _type_json(of.type, now.get("type"), fresh)}
    out.pop("doc", None)
    return {**out, "doc": of.doc} if of.doc else out


def _type_json(of: Type, now: Any, fresh: Callable[[], int]) -> Any:
    same = now if isinstance(now, dict) else {}
    match of:
        case Primitive(name):
            return name
        case Decimal(precision, scale):
            return f"decimal({precision}, {scale})"
        case StructType(fields):
            return {"type": "struct", "fields": fields_json(fields, same.get("fields", []), fresh)}
        case ListType(element):
            ids = {key: same[key] for key in ("element-id", "element-required") if key in same} or {
                "element-id": fresh(),
                "element-required": False,
            }
            return {"type": "list", **ids, "element": _type_json(element, same.get("element"), fresh)}
        case MapType(key, value):
            kept = {name: same[name] for name in ("key-id", "value-id", "value-required") if name in same}
            ids = kept or {"key-id": fresh(), "value-id": fresh(), "value-required": False}
            inner = {"key": _type_json(key, same.get("key"), fresh), "value": _type_json(value, same.get("value"), fresh)}
            return {"type": "map", **ids, **inner}


def _field(of: Mapping[str, Any]) -> Field:
    return Field(of["name"], _type(of["type"]), of["required"], of.get("doc", ""), id=of["id"])


def _type(of: Any) -> Type:
    if isinstance(of, str):
        decimal = _DECIMAL.fullmatch(of)
        return Decimal(int(decimal[1]), int(decimal[2])) if decimal else Primitive(of)
    if of["type"] == "struct":
        return StructType(tuple(_field(one) for one in of["fields"]))
    if of["type"] == "list":
        return ListType(_type(of["element"]))
    return MapType(_type(of["key"]), _type(of["value"]))


def _paths(fields: list[Json], path: str) -> Iterator[tuple[int, str]]:
    """Id → dotted path of every field, those inside lists and maps too."""
    for one in fields:
        here = f"{path}.{one['name']}" if path else one["name"]
        yield one["id"], here
        yield from _paths_in(one["type"], here)


def _paths_in(of: Any, path: str) -> Iterator[tuple[int, str]]:
    if isinstance(of, str):
        return
    if of["type"] == "struct":
        yield from _paths(of["fields"], path)
    for part in ("element", "key", "value"):
        if f"{part}-id" in of:
            yield of[f"{part}-id"], f"{path}.{part}"
            yield from _paths_in(of[part], f"{path}.{part}")


def paths(of: Mapping[str, Any]) -> Mapping[str, int]:
    """Dotted path → id in a schema (`schema(…)`)."""
    return {path: number for number, path in _paths(of["fields"], "")}


def _source(of: Mapping[str, Any], names: Mapping[int, str]) -> str:
    number = of["source-id"] if "source-id" in of else of["source-ids"][0]
    return names.get(number, f"field {number}")


def _by_id(many: list[Json], key: str, wanted: int) -> list[Json]:
    return next((one["fields"] for one in many if one[key] == wanted), [])
