"""Stable digests of values: a want's fingerprint, a plan's name. Pure; the same in every process and Python version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from enum import Enum
from typing import Any


def plain(value: object) -> Any:
    """Any frozen value as JSON-ready data with a defined order: dataclasses by field name, mappings and sets sorted."""
    if is_dataclass(value) and not isinstance(value, type):
        return {"": type(value).__name__, **{field.name: plain(getattr(value, field.name)) for field in fields(value)}}
    if isinstance(value, Mapping):
        return {str(key): plain(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value if isinstance(value, (str, int, float, bool)) or value is None else repr(value)


def digest(value: object, length: int = 12) -> str:
    """The first `length` hex digits of the value's sha256."""
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:length]
