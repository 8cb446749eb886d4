"""Every form of a manifest judged: the base, and each environment's overlay laid over it. Called by `manifest` only. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from meshplane.errors import Problem
from meshplane.model.domain import Domain
from meshplane.model.manifest import (
    check_jobs,
    check_monitoring,
    check_names,
    check_pipelines,
    check_rules,
    check_sources,
    check_tables,
    check_transforms,
    overlay,
)
from meshplane.model.manifest.document import Document
from meshplane.model.manifest.scope import Scope
from meshplane.model.problems import Findings, Loc
from meshplane.model.reading import Node, read
from meshplane.model.shape import understand

Exists = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a text: which project it should be, in which environments, with which files beside it (None: not known)."""

    file: str
    project: str
    environments: tuple[str, ...]
    exists: Exists | None = None
    domain: Domain | None = None


def judge(text: str, question: Question) -> tuple[dict[str, Document], list[Problem]]:
    """The accepted document per environment (those without an overlay have the base's), and every problem of every form."""
    root, problems = read(text, question.file)
    merged, found = overlay.overlays(root, question.file, question.environments)
    base, faults = _form(overlay.base(root), question)
    found = [*problems, *found, *faults]
    known = set(found)
    documents = {} if base is None else dict.fromkeys(question.environments, base)
    for env, node in merged.items():
        document, faults = _form(node, question)
        if document is not None:
            documents[env] = document
        for problem in faults:
            if problem not in known:
                # What the overlay brings about elsewhere: the line is the base's, so the message names the environment.
                own = problem.path.startswith("environments.")
                found.append(problem if own else replace(problem, message=f"in {env}: {problem.message}"))
    return documents, found


def _form(root: Node, question: Question) -> tuple[Document | None, list[Problem]]:
    findings = Findings(question.file, root)
    document = understand(Document, findings, partial(_stand_in, question, root))
    if document is not None:
        scope = Scope(question.project, question.environments, document, findings, question.domain)
        data, work = (check_names, check_tables, check_rules, check_sources), (check_jobs, check_transforms, check_pipelines)
        for part in (*data, *work, check_monitoring):
            part.check(scope)
        _policy(scope)
        if question.exists:
            _files(scope, question.exists)
    return document, findings.problems


def _stand_in(question: Question, root: Node, loc: Loc) -> object:
    """What to go on with where a required value is missing or wrong, so that the rest can be judged."""
    match loc:
        case ("apiVersion",):
            return "meshplane/v1"
        case ("kind",):
            return "Project"
        case ("metadata",):
            return {"name": question.project}
        case ("metadata", "name"):
            return question.project
        case ("tables", str(table), "layer"):
            tables = root.child("tables")
            node = tables.child(table) if tables else None
            form = node.child("format") if node else None
            return "refined" if form is None or form.value == "iceberg" else "raw"
        case ("tables", str(), "columns"):
            return {"_": "string"}  # the written names stay known: Scope.columns takes them from the tree
    return None


def _policy(scope: Scope) -> None:
    manage = scope.document.policy.manage
    scope.once(("policy", "manage"), manage, "verb")
    if manage and "observe" not in manage:
        message = "nothing can be changed that is not looked at"
        scope.findings.add(
            "policy-observe", ("policy", "manage"), message, found=", ".join(manage), mend="add observe, or write [] to pause"
        )


def _files(scope: Scope, exists: Exists) -> None:
    places: list[tuple[Loc, str]] = []
    for name, job in scope.document.jobs.items():
        places += [(("jobs", name, key), path) for key, path in (("script", job.script), ("sql", job.sql)) if path]
        for key, paths in (("modules", job.modules), ("jars", job.jars)):
            places += [(("jobs", name, key, index), path) for index, path in enumerate(paths)]
    places += [(("pipelines", name, "asl", "file"), part.asl.file) for name, part in scope.document.pipelines.items() if part.asl]
    called = {name: part.rest for name, part in scope.document.sources.items() if part.rest}
    places += [(("sources", name, "rest", "script"), part.script) for name, part in called.items() if part.script]
    places += [(("tables", name, "contract"), part.contract.file) for name, part in scope.document.tables.items() if part.contract.file]
    for loc, path in places:
        if not exists(path):
            scope.findings.add(
                "file-missing", loc, f"there is no '{path}' in the project's folder", found=path, mend="create it, or mend the path"
            )
