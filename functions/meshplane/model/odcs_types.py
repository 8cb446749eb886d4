"""Columns as ODCS properties, and back. Called by `odcs` and `odcs_reading`. Pure.

`physicalType` holds our own spelling, which says what logical types cannot (precision, zone, width); nested fields stand in `properties`,
`items` and `map` with their docs. Foreign words are taken where they mean one type of ours only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from meshplane.model import types
from meshplane.model.problems import Loc
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

Lost = Callable[[Loc, str, bool], None]
"""Hears where something stands that is not kept, why, and whether it is a promise."""
# What a rule would judge, or may hold such words itself.
_JUDGED = frozenset({"required", "unique", "primaryKey", "enum", "logicalTypeOptions", "quality", "properties", "items", "map"})
_INSIDE = "rules look at whole columns, none inside of one"


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


def type_of(data: dict[str, Any], at: Loc = (), lost: Lost = lambda at, why, promise: None) -> Type | None:
    """The type of a property, an item, a map's key or value; takes from `data` what it used. None: no type of ours, for sure.

    `lost` hears of what is said of the values inside and cannot be kept; what is left of `data` itself is the caller's.
    """
    logical, physical = data.pop("logicalType", None), data.pop("physicalType", None)
    properties, items, entries = data.get("properties"), data.get("items"), data.get("map")
    if isinstance(properties, list) and logical in (None, "object"):
        del data["properties"]
        fields = [_field(dict(each), (*at, "properties", n), lost) for n, each in enumerate(properties) if isinstance(each, dict)]
        known = [field for field in fields if field is not None]
        return StructType(tuple(known)) if known and len(known) == len(properties) else None
    if isinstance(items, dict):
        del data["items"]
        element = _inner(dict(items), (*at, "items"), lost)
        return ListType(element) if element else None
    if isinstance(entries, dict) and isinstance(entries.get("key"), dict) and isinstance(entries.get("value"), dict):
        rest, place = dict(data.pop("map")), (*at, "map")
        # A map's keys are never null: to say so promises nothing that would have to be judged.
        told = {word: said for word, said in rest.pop("key").items() if word != "required"}
        key, value = _inner(told, (*place, "key"), lost), _inner(dict(rest.pop("value")), (*place, "value"), lost)
        left(rest, place, lost, _INSIDE)
        return MapType(key, value) if key and value else None
    if isinstance(physical, str):
        return _physical(physical)
    return Primitive(UNSPECIFIC[logical]) if logical in UNSPECIFIC else None


def _field(data: dict[str, Any], at: Loc, lost: Lost) -> Field | None:
    name, required, doc = data.pop("name", None), flag(data, "required"), str(data.pop("description", ""))
    of = _inner(data, at, lost)
    return Field(name, of, required, doc) if of is not None and isinstance(name, str) else None


def _inner(data: dict[str, Any], at: Loc, lost: Lost) -> Type | None:
    of = type_of(data, at, lost)
    data.pop("primaryKeyPosition", None)  # says nothing that `primaryKey` does not
    left({key: value for key, value in data.items() if value is not False}, at, lost, _INSIDE)
    return of


def flag(data: dict[str, Any], key: str) -> bool:
    """Take a yes or no from `data`; what is neither stays there, and is not kept."""
    if data.get(key) is None or isinstance(data[key], bool):
        return data.pop(key, None) is True
    return False


def left(data: Mapping[str, Any], at: Loc, lost: Lost, why: str) -> None:
    """Tell of what nobody has used. `why` it is not kept where it would have been judged."""
    for key, value in data.items():
        if key not in _JUDGED:
            lost((*at, key), "has no place in a manifest", False)
        elif value:
            lost((*at, key), why, True)


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
