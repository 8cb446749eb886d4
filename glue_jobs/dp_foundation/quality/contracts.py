"""`load_schema_contract` and `validate_schema`, as the jobs of the medallion platform call them (J1): a JSON file of columns, held against
a frame. The manifest's tables and contracts are the better place for new projects."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dp_foundation.errors import ConfigError, SchemaMismatchError
from dp_foundation.quality.checks import assert_not_null

FOLDER_VARIABLE = "SCHEMA_CONTRACTS_PATH"
FOLDERS = ("schemas", "contracts", "config/schemas")
_TYPES = {
    "integer": "int",
    "long": "bigint",
    "number": "double",
    "bool": "boolean",
    "str": "string",
    "text": "string",
    "datetime": "timestamp",
    "byte": "tinyint",
    "short": "smallint",
}


@dataclass(frozen=True, slots=True)
class SchemaContract:
    """What a file promises: Spark types by column, and which may not be null."""

    name: str
    columns: Mapping[str, str]
    required: tuple[str, ...]


def load_schema_contract(name: str) -> SchemaContract:
    """Read `contacts.json`: a path, or a file's name under SCHEMA_CONTRACTS_PATH, `schemas/`, `contracts/`, beside the job or its modules.

    Its columns are `{"columns" | "fields": [{"name", "type", "nullable" | "required"}]}`, or JSON Schema's `properties` and `required`.
    Raises ConfigError for a file that is not there or holds no columns.
    """
    path = _found(name)
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON ({error})") from error
    columns, required = _columns(raw if isinstance(raw, Mapping) else {"columns": raw})
    if not columns:
        raise ConfigError(f"{path}: no columns found; allowed: columns or fields (a list of name and type), or properties")
    return SchemaContract(str(raw.get("name", path.stem)) if isinstance(raw, Mapping) else path.stem, columns, required)


def validate_schema(df: Any, contract: SchemaContract) -> Any:
    """The frame has the contract's columns with their types, and no null in a required one; further columns are allowed. Gives it back.

    Raises SchemaMismatchError for columns and types, all at once, and DataError for nulls.
    """
    have = {field.name.lower(): field.dataType.simpleString() for field in df.schema.fields}
    faults = [f"{name}: missing" for name in contract.columns if name.lower() not in have]
    faults += [
        f"{name}: found {have[name.lower()]}, allowed {kind}"
        for name, kind in contract.columns.items()
        if name.lower() in have and not _is(have[name.lower()], kind)
    ]
    if faults:
        raise SchemaMismatchError(f"{contract.name}: the frame does not keep the contract:\n  " + "\n  ".join(faults))
    return assert_not_null(df, contract.required) if contract.required else df


def _found(name: str) -> Path:
    folders = [Path(os.environ[FOLDER_VARIABLE])] if os.environ.get(FOLDER_VARIABLE) else []
    tried = [Path(name), *(folder / name for folder in [*folders, *map(Path, FOLDERS)])]
    for path in tried:
        if path.is_file():
            return path
    raise ConfigError(f"no schema contract {name}; looked for {', '.join(map(str, tried))}; mend: set {FOLDER_VARIABLE}")


def _columns(raw: Mapping[str, Any]) -> tuple[dict[str, str], tuple[str, ...]]:
    given = raw.get("columns") or raw.get("fields") or []
    if raw.get("properties"):
        listed = set(raw.get("required", ()))
        given = [{"name": name, **told, "required": name in listed} for name, told in raw["properties"].items()]
    elif isinstance(given, Mapping):
        given = [{"name": name, **(told if isinstance(told, Mapping) else {"type": told})} for name, told in given.items()]
    try:
        columns = {str(c["name"]): _type(c.get("type", "string"), c.get("format", "")) for c in given}
        needed = tuple(str(c["name"]) for c in given if c.get("required") is True or c.get("nullable") is False)
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"a column of the contract cannot be read ({error}); allowed: name, type, nullable or required") from error
    return columns, needed


def _type(told: Any, form: str) -> str:
    kinds = [str(kind).lower() for kind in (told if isinstance(told, list) else [told])]
    kind = next((k for k in kinds if k != "null"), "string").replace(" ", "")
    if kind == "string" and form in ("date", "date-time"):
        return {"date": "date", "date-time": "timestamp"}[form]
    return _TYPES.get(kind, kind)


def _is(found: str, told: str) -> bool:
    """Whole numbers may be wider or narrower than JSON's `integer` says; a bare `decimal`, `array`, `struct` or `map` has any inside."""
    whole = {"tinyint", "smallint", "int", "bigint"}
    return found == told or {found, told} <= whole or (told in ("decimal", "array", "struct", "map") and found.startswith(told))
