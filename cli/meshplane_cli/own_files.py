"""A project's own scripts, SQL files and state machines, read here as the runtime will read them. Called by `manifests.problems`.

Scripts are parsed as Glue's Python, SQL by sqlglot, state machines by `model.own_asl`, which the plane asks too. Nothing is run but the
top level of a source's Starlark, in its sandbox.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import sqlglot
from sqlglot.errors import ParseError, SqlglotError

from meshplane.errors import Problem, ScriptFailed
from meshplane.model import own_asl
from meshplane.model.domain import Domain
from meshplane.model.gating import gated_writes
from meshplane.model.own_gate import Gates
from meshplane.model.project import Job, Project
from meshplane.model.source_script import wrong_functions
from meshplane.sandbox.process import interpreting
from meshplane_cli.rule_sql import not_a_query

PYTHON = (3, 11)  # Glue 5.1's
_ENVIRONMENT = re.compile(r"-(dev|int|prod)\b")


def problems_of(folder: Path, file: str, project: Project, domain: Domain) -> tuple[Problem, ...]:
    """Every fault of the files that a valid manifest names. `file` is the manifest as messages name it; the others lie beside it."""
    beside = file.rpartition("/")[0]
    found: list[Problem] = []
    for path, job in _scripts(folder, project).items():
        found += _script(_text(folder, path), f"{beside}/{path}", job, domain)
    for job in project.jobs.values():
        if job.sql:
            found += _sql(_text(folder, job.sql), f"{beside}/{job.sql}", job)
    for pipeline in project.pipelines.values():
        if pipeline.asl:
            names, targets = project.jobs, pipeline.asl.targets
            gates = Gates(gated_writes(project))
            found += own_asl.fill(_text(folder, pipeline.asl.file), f"{beside}/{pipeline.asl.file}", names, targets, str, gates).problems
    for source in project.sources.values():
        if source.rest.script:
            found += _starlark(_text(folder, source.rest.script), f"{beside}/{source.rest.script}", f"sources.{source.name}.rest.script")
    return tuple(found)


def _starlark(text: str, file: str, at: str) -> Iterator[Problem]:
    """A source's own script, in the sandbox that it will run in: its top level is all that runs here."""
    allowed = "Starlark: functions of values, without import, load and while"
    try:
        with interpreting(file, text):
            pass
    except ScriptFailed as error:
        told = f"the sandbox refuses it: {error.said or error}"
        yield Problem("source-script", told, at, file, error.line, error.column, allowed=allowed, mend="docs/sources.md, rest, script")
        return
    for one in wrong_functions(text):
        told = f"`{one.name}` takes other arguments" if one.line else f"there is no function `{one.name}`"
        yield Problem("source-script", told, at, file, one.line, 1 if one.line else 0, found=one.found, allowed=one.allowed)


def _scripts(folder: Path, project: Project) -> dict[str, Job]:
    """Every Python file, by path, with the job that names it first."""
    found: dict[str, Job] = {}
    for job in project.jobs.values():
        named = [job.script, *(module for module in job.modules if module.endswith(".py"))]
        for module in (module for module in job.modules if module.endswith("/")):
            named += [path.relative_to(folder).as_posix() for path in sorted((folder / module).rglob("*.py"))]
        for path in filter(None, named):
            found.setdefault(path, job)
    return found


def _text(folder: Path, path: str) -> str:
    return (folder / path).read_text(encoding="utf-8", errors="replace")


def _script(text: str, file: str, job: Job, domain: Domain) -> Iterator[Problem]:
    at = f"jobs.{job.name}"
    try:
        tree = ast.parse(text, feature_version=PYTHON)
    except (SyntaxError, ValueError) as error:  # ValueError: a null byte
        line, column = getattr(error, "lineno", 0) or 0, getattr(error, "offset", 0) or 0
        yield Problem("script-syntax", f"is not Python {PYTHON[0]}.{PYTHON[1]}: {getattr(error, 'msg', error)}", at, file, line, column)
        return
    for node in ast.walk(tree):
        yield from _statement(node, file, at, domain)


def _statement(node: ast.AST, file: str, at: str, domain: Domain) -> Iterator[Problem]:
    """What a job may not say (REQUIREMENTS J1, D3)."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        if any(name.split(".")[0] == "awsglue" for name in names):
            mend = 'spark = dp_foundation.spark.session.get_spark(app_name="…")'
            yield Problem(
                "script-awsglue", "imports awsglue, which is nowhere but in Glue", at, file, node.lineno, node.col_offset + 1, mend=mend
            )
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        accounts = [account for account in domain.accounts.values() if account and account in node.value]
        ours = node.value.startswith(f"{domain.domain_abbr}-") or f"//{domain.domain_abbr}-" in node.value
        if accounts or (ours and _ENVIRONMENT.search(node.value)):
            mend = "take it from dp_foundation.config.settings.get_config()"
            found, place = node.value[:80], (file, node.lineno, node.col_offset + 1)
            yield Problem("script-environment", "names what is another in each environment", at, *place, found=found, mend=mend)


def _sql(text: str, file: str, job: Job) -> Iterator[Problem]:
    at, allowed = f"jobs.{job.name}.sql", "one SELECT that changes nothing"
    try:
        sqlglot.parse(text, read="spark")
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        told = f"this is no SQL: {first.get('description') or str(error).splitlines()[0]}"
        yield Problem("sql-syntax", told, at, file, first.get("line") or 0, first.get("col") or 0, allowed=allowed)
        return
    except SqlglotError as error:
        yield Problem("sql-syntax", f"this is no SQL: {str(error).splitlines()[0]}", at, file, allowed=allowed)
        return
    if why := not_a_query(text):
        yield Problem("sql-syntax", why, at, file, allowed=allowed)
