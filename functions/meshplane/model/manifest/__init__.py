"""The manifest: from the author's YAML to a validated `model.project.Project`, or to every reason why not.

Reading order: `document` (what may be written; `tables`, `jobs`, `pipelines` beside it, made of `parts`), `overlay`, `judging` with the
`check_*` modules, `normalise`, `schema`. The strict reader is `model.reading`; pydantic's errors become Problems in `model.shape`.
Called by the reconcile, the planner, the command line and CI. Pure: no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from meshplane.errors import ManifestInvalid, Problem
from meshplane.model.domain import ENVIRONMENTS, Domain
from meshplane.model.manifest import normalise
from meshplane.model.manifest.document import Document
from meshplane.model.manifest.joining import joined
from meshplane.model.manifest.judging import Question, judge
from meshplane.model.manifest.schema import schema
from meshplane.model.problems import in_order
from meshplane.model.project import Project

__all__ = ["ALL_ENVIRONMENTS", "check", "joined", "load", "needed_files", "packages", "schema"]

ALL_ENVIRONMENTS = ("local", *ENVIRONMENTS)


def load(text: str, *, file: str, env: str, project: str, domain: Domain | None = None) -> Project:
    """The project in `env`, overlay applied; `project` is the folder's name. Raises ManifestInvalid with every problem, also those of
    the other environments' forms. With a `domain`, lengths of physical names are judged exactly."""
    environments = (*ALL_ENVIRONMENTS, env) if env not in ALL_ENVIRONMENTS else ALL_ENVIRONMENTS
    documents, problems = judge(text, Question(file, project, environments, domain=domain))
    if problems or env not in documents:
        raise ManifestInvalid(in_order(problems))
    return normalise.project(documents[env], domain.rule_defaults if domain else {})


def check(
    text: str,
    *,
    file: str,
    project: str,
    environments: Iterable[str] = ALL_ENVIRONMENTS,
    exists: Callable[[str], bool] | None = None,
    domain: Domain | None = None,
    contracts: Callable[[str], str | None] | None = None,
) -> tuple[Problem, ...]:
    """Every problem of the base and of each environment's merged form, by place; empty when it is valid. `exists` tells whether a
    relative path is in the project's folder (None: not known, files are not judged); `contracts` gives the text of a contract file."""
    try:
        documents, problems = judge(text, Question(file, project, tuple(environments), exists, domain))
        if not problems and contracts:
            problems = _of_contracts(documents.values(), contracts, domain)
    except ManifestInvalid as invalid:
        problems = list(invalid.problems)
    return in_order(problems)


def _of_contracts(documents: Iterable[Document], contracts: Callable[[str], str | None], domain: Domain | None) -> list[Problem]:
    """What is wrong with the contract files in any environment."""
    found: list[Problem] = []
    for document in documents:
        made = normalise.project(document, domain.rule_defaults if domain else {})
        texts = {table.contract_file: contracts(table.contract_file) for table in made.tables.values() if table.contract_file}
        try:
            joined(made, {path: text for path, text in texts.items() if text is not None})
        except ManifestInvalid as invalid:
            found += invalid.problems
    return found


def needed_files(project: Project) -> tuple[str, ...]:
    """Relative paths that a release must hold, each once, in the manifest's order; folders of modules end in `/`."""
    paths: list[str] = []
    for job in project.jobs.values():
        paths += [path for path in (job.script, job.sql, *job.modules, *job.jars) if path]
    paths += [table.contract_file for table in project.tables.values() if table.contract_file]
    paths += [pipeline.asl.file for pipeline in project.pipelines.values() if pipeline.asl]
    paths += [source.rest.script for source in project.sources.values() if source.rest.script]
    return tuple(dict.fromkeys(paths))


def packages(project: Project) -> tuple[str, ...]:
    """Requirements (`name==version`) that a release must have resolved to wheels, each once, sorted."""
    return tuple(sorted({package for job in project.jobs.values() for package in job.packages}))
