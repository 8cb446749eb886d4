"""A project and its surroundings become the graph of everything that shall exist. Pure; called by the flows that reconcile and plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any

from meshplane.kinds import Kind, all_kinds
from meshplane.model.context import Context
from meshplane.model.project import Project
from meshplane.model.resource import Id, Want


class GraphError(Exception):
    """Two kinds disagree about what needs what: a fault of Meshplane itself, never of a manifest."""


@dataclass(frozen=True)
class Desired:
    """All wants of one project, every need before what needs it."""

    project: str
    wants: tuple[Want[Any], ...] = field(default_factory=tuple)

    @cached_property
    def by_id(self) -> Mapping[Id, Want[Any]]:
        """The wants by their id."""
        return {want.id: want for want in self.wants}


def compile(project: Project, context: Context, kinds: Sequence[Kind[Any]] | None = None) -> Desired:  # noqa: A001 - the design's word
    """Everything the project asks for. Raises GraphError when an id is wanted twice, a need is missing or needs form a circle."""
    wants = [want for kind in kinds or all_kinds() for want in kind.desired(project, context)]
    return Desired(project.name, tuple(_sorted(wants)))


def _sorted(wants: Sequence[Want[Any]]) -> Iterable[Want[Any]]:
    by_id = {want.id: want for want in wants}
    if len(by_id) < len(wants):
        twice = sorted({str(want.id) for want in wants if by_id[want.id] is not want})
        raise GraphError(f"wanted twice: {', '.join(twice)}")
    missing = sorted(f"{want.id} needs {need}" for want in wants for need in want.needs if need not in by_id)
    if missing:
        raise GraphError(f"needed, but wanted by nobody: {'; '.join(missing)}")
    try:
        order = TopologicalSorter({want.id: sorted(want.needs) for want in wants}).static_order()
        return [by_id[key] for key in order]
    except CycleError as circle:
        raise GraphError(f"needs form a circle: {' → '.join(map(str, circle.args[1]))}") from circle
