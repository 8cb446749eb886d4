"""The manifest: from the author's YAML to a validated `model.project.Project`, or to every reason why not.

Reading order: `document` (what may be written; `tables`, `jobs`, `pipelines` beside it, made of `parts`), `overlay`, `checks`,
`normalise`. The strict reader is `model.reading`, pydantic's errors become Problems in `model.shape`. Called by the reconcile, the
planner, the command line and CI. Pure: no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from meshplane.errors import ManifestInvalid, Problem
from meshplane.model.domain import ENVIRONMENTS, Domain
from meshplane.model.manifest import normalise
from meshplane.model.manifest.document import Document
from meshplane.model.problems import Findings, Loc, in_order
from meshplane.model.project import Project
from meshplane.model.reading import Node, read
from meshplane.model.shape import understand

__all__ = ["check", "load"]

Exists = Callable[[str], bool]


def load(text: str, *, file: str, env: str, project: str) -> Project:
    """The project in `env`, overlay applied. Raises ManifestInvalid with every problem, also of the other environments' forms."""
    root, problems = read(text, file)
    document, found = _judge(root, file, project)
    if problems or found or document is None:
        raise ManifestInvalid(in_order((*problems, *found)))
    return normalise.project(document)


def _judge(root: Node, file: str, project: str) -> tuple[Document | None, list[Problem]]:
    findings = Findings(file, root)
    stand_ins: dict[Loc, object] = {
        ("apiVersion",): "meshplane/v1",
        ("kind",): "Project",
        ("metadata",): {"name": project},
        ("metadata", "name"): project,
    }
    document = understand(Document, findings, stand_ins)
    return document, findings.problems
