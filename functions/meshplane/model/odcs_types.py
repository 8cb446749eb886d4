"""Columns as ODCS properties, and back. Called by `odcs` and `odcs_reading`. Pure.

`physicalType` holds our own spelling, which says what logical types cannot (precision, zone, width); nested fields stand in `properties`,
`items` and `map` with their docs. Foreign words are taken where they mean one type of ours only.
"""

from __future__ import annotations

import re
from typing import Any

from meshplane.model import types
from meshplane.model.type_reading import NotATypeError
from meshplane.model.types import Decimal, Field, ListType, MapType, Primitive, StructType, Type

LOGICAL = {
    "boolean": "boolean", "int": "integer", "long": "integer", "float": "number", "double": "number", "date": "date",
    "timestamp": "timestamp", "timestamptz": "timestamp", "string": "string",
    "binary": "string",  # there is no nearer word, and the standard's schema wants one
}  # fmt: skip
# Words of databases and engines that mean one type only.
PHYSICAL = {
    "bigint": "long", "int8": "long", "integer": "int", "int4": "int", "smallint": "int", "tinyint": "int", "short": "int", "byte": "int",
    "varchar": "string", "char": "string", "character varying": "string", "text": "string", "nvarchar": "string", "uuid": "string",
    "real": "float", "double precision": "double", "float8": "double", "bool": "boolean", "bytea": "binary", "bytes": "binary",
    "timestamp with time zone": "timestamptz", "timestamp without time zone": "timestamp", "timestamp_ntz": "timestamp",
}  # fmt: skip
# Logical types alone: what is sure. `number` says no precision, so it is no type of ours.
UNSPECIFIC = {"string": "string", "integer": "long", "boolean": "boolean", "date": "date", "timestamp": "timestamptz"}


def property_of(field: Field) -> dict[str, Any]:
    """A column, or a field of a struct, as a property."""
    made: dict[str, Any] = {"name": field.name, **_element(field.type)}
    made |= {"required": True} if field.required else {}
    return {**made, "description": field.doc} if field.doc else made


def _element(of: Type) -> dict[str, Any]:
    text = {"physicalType": types.text(of)}
    match of:
        case StructType(fields):
            return {"logicalType": "object", **text, "properties": [property_of(field) for field in fields]}
        case ListType(element):
            return {"logicalType": "array", **text, "items": _element(element)}
        case MapType(key, value):
            return {"logicalType": "map", **text, "map": {"key": _element(key), "value": _element(value)}}
        case Decimal():
            return {"logicalType": "number", **text}
        case Primitive(name):
            return {"logicalType": LOGICAL[name], **text}


def type_of(data: dict[str, Any]) -> Type | None:
    """The type of a property, an item, a map's key or value; takes from `data` what it used. None: no type of ours, for sure."""
    logical, physical = data.pop("logicalType", None), data.pop("physicalType", None)
    properties, items, entries = data.pop("properties", None), data.pop("items", None), data.pop("map", None)
    if isinstance(properties, list) and logical in (None, "object"):
        fields = [_field(dict(each)) for each in properties if isinstance(each, dict)]
        known = [field for field in fields if field is not None]
        return StructType(tuple(known)) if known and len(known) == len(properties) else None
    if isinstance(items, dict):
        element = type_of(dict(items))
        return ListType(element) if element else None
    if isinstance(entries, dict) and isinstance(entries.get("key"), dict) and isinstance(entries.get("value"), dict):
        key, value = type_of(dict(entries["key"])), type_of(dict(entries["value"]))
        return MapType(key, value) if key and value else None
    if isinstance(physical, str):
        return _physical(physical)
    return Primitive(UNSPECIFIC[logical]) if logical in UNSPECIFIC else None


def _field(data: dict[str, Any]) -> Field | None:
    of = type_of(data)
    name = data.pop("name", None)
    if of is None or not isinstance(name, str):
        return None
    return Field(name, of, data.pop("required", False) is True, str(data.pop("description", "")))


def _physical(word: str) -> Type | None:
    text = word.strip().lower()
    if number := re.fullmatch(r"(?:numeric|number|dec)\((\d+)(?:, ?(\d+))?\)", text):
        text = f"decimal({number[1]},{number[2] or 0})"
    bare = re.sub(r"\(\d+\)$", "", text)
    for spelling in (word, text, PHYSICAL.get(text, ""), PHYSICAL.get(bare, "")):
        try:
            return types.parse(spelling)
        except NotATypeError:
            continue
    return None
