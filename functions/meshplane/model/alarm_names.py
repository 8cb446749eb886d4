"""What the alarms are called that a project has without asking: `kinds/alarm` makes them, a manifest can do without one by name. Pure."""

from __future__ import annotations

from collections.abc import Iterable

STALLED, GATE, QUARANTINE = "stalled", "gate", "quarantine"


def failed(pipeline: str) -> str:
    """The last run of this pipeline failed."""
    return f"failed_{pipeline}"


def fresh(table: str) -> str:
    """The table was not published within what its freshness rule allows."""
    return f"fresh_{table}"


def default_names(pipelines: Iterable[str], tables: Iterable[str]) -> tuple[str, ...]:
    """Every name that a default alarm of such a project can have."""
    return (STALLED, GATE, QUARANTINE, *map(failed, pipelines), *map(fresh, tables))
