"""The job library: what every Glue job of the domain imports.

The five calls of the medallion platform are here as well; each is imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_CALLS = {
    "load_schema_contract": "dp_foundation.quality.contracts",
    "validate_schema": "dp_foundation.quality.contracts",
    "generate_run_id": "dp_foundation.lineage.events",
    "emit_lineage_event": "dp_foundation.lineage.events",
    "emit_metric": "dp_foundation.lineage.metrics",
}
__all__ = list(_CALLS)


def __getattr__(name: str) -> Any:
    if name not in _CALLS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_CALLS[name]), name)
