"""One pure module per resource kind. `KINDS` lists them in reading order; the order of work comes from `Want.needs`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

from meshplane.model.context import Context
from meshplane.model.project import Project
from meshplane.model.resource import Difference, Seen, Want

S = TypeVar("S")


class Kind(Protocol[S]):
    """What a kind of resource is: pure, no I/O, no clock. One instance per module, called `KIND`."""

    name: str

    def desired(self, project: Project, context: Context) -> Iterable[Want[S]]:
        """Every resource of this kind that the project asks for, with its ownership-free spec and what it needs."""
        ...

    def compare(self, want: S, seen: S) -> tuple[Difference, ...]:
        """What differs, each with its effect. Equal specs give an empty tuple: server defaults are filled on both sides."""
        ...

    def resting(self, seen: Seen[S]) -> S | None:
        """What an undeclared one becomes (a disabled optimizer, a tombstoned table); None means it is deleted."""
        ...


def all_kinds() -> tuple[Kind[Any], ...]:
    """The kinds, in reading order. Imported late so that a kind may import this module's protocol."""
    from meshplane.kinds import (
        alarm,
        dashboard,
        event_rule,
        glue_job,
        hive_table,
        iceberg_table,
        log_group,
        role,
        schedule,
        schedule_group,
        state_machine,
        table_optimizer,
    )

    data = (role, hive_table, iceberg_table, table_optimizer)
    work = (glue_job, log_group, state_machine, event_rule, schedule_group, schedule)
    return tuple(module.KIND for module in (*data, *work, alarm, dashboard))
