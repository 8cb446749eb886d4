"""The JSON Schema of the manifest, from the authoring models: what editors complete. Committed as docs/manifest.schema.json. Pure."""

from __future__ import annotations

from typing import Any

from meshplane.model.manifest.document import Document
from meshplane.model.manifest.overlay import may_differ
from meshplane.model.manifest.tables import TYPE_SCHEMA


def schema() -> dict[str, Any]:
    """Draft 2020-12; short forms stand beside the long ones as `anyOf`, fields that may differ per environment carry `x-overlay`."""
    made = Document.model_json_schema(by_alias=True, mode="validation")
    made["$defs"]["Type"] = TYPE_SCHEMA
    made["properties"]["environments"] = _environments()
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Meshplane project"}
    return {**head, **_plain(made)}


def _environments() -> dict[str, Any]:
    paths = sorted(may_differ())
    patterns = {
        "^" + path.replace(".", r"\.").replace("*", r"[a-z0-9_-]+") + r"(\..+)?$": {"description": f"Changes {path}."} for path in paths
    }
    nested = {"tables": {"type": "object"}, "jobs": {"type": "object"}, "pipelines": {"type": "object"}}
    overlay = {"type": "object", "patternProperties": patterns, "properties": nested, "additionalProperties": False}
    return {
        "type": "object",
        "description": "What differs per environment, by dotted path or nested: " + ", ".join(paths) + ".",
        "additionalProperties": overlay,
    }


def _plain(node: Any) -> Any:
    """Without pydantic's titles, which only repeat the keys; `x-ref` becomes a reference."""
    if isinstance(node, dict):
        if "x-ref" in node:
            return {"$ref": f"#/$defs/{node['x-ref']}"}
        if "patternProperties" in node:  # maps whose keys are names of a pattern
            node = {"additionalProperties": False, **node}
        return {key: _plain(value) for key, value in node.items() if not (key == "title" and isinstance(value, str))}
    return [_plain(value) for value in node] if isinstance(node, list) else node
