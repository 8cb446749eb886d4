"""Run events held against OpenLineage's own JSON Schemas, which lie beside this file. Used by the tests of lineage."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped, unused-ignore]
from referencing import Registry, Resource

SCHEMAS = {
    schema["$id"]: schema for path in (Path(__file__).parent / "openlineage").glob("*.json") for schema in [json.loads(path.read_text())]
}
REGISTRY: Registry[Any] = Registry().with_resources((address, Resource.from_contents(schema)) for address, schema in SCHEMAS.items())


def faults(event: Mapping[str, Any]) -> list[str]:
    """What the standard has against a run event: the event by its `schemaURL`, and each facet, under its name, by its `_schemaURL`."""
    found = list(_against({"$ref": event["schemaURL"]}, event, "event"))
    for place, name, facet in _facets(event, "event"):
        schema = SCHEMAS.get(facet["_schemaURL"].partition("#")[0])
        if schema is None or name not in schema.get("properties", {}):
            found.append(f"{place}: {facet['_schemaURL']} describes no facet '{name}'")
        else:
            found += _against({"$ref": schema["$id"]}, {name: facet}, place)
            found += _against({"$ref": facet["_schemaURL"]}, facet, place)
    return found


def _against(schema: Mapping[str, Any], value: Any, place: str) -> Iterator[str]:
    validator = Draft202012Validator(schema, registry=REGISTRY, format_checker=FormatChecker())
    return (f"{place}: {error.json_path}: {error.message}" for error in validator.iter_errors(value))


def _facets(found: Any, place: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Where, under which name, what: every facet of an event, wherever it is."""
    for key, value in found.items() if isinstance(found, Mapping) else enumerate(found) if isinstance(found, list) else ():
        if str(key).lower().endswith("facets"):
            yield from ((f"{place}.{key}", name, facet) for name, facet in value.items())
        else:
            yield from _facets(value, f"{place}.{key}")
