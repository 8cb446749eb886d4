"""Reading the checkout's manifests, for the verbs that need them. The rules are `meshplane.model.manifest`'s."""

from __future__ import annotations

from pathlib import Path

from meshplane.errors import ManifestInvalid, Problem
from meshplane.model.manifest import check, joined, load
from meshplane.model.problems import Findings
from meshplane.model.project import Project
from meshplane.model.reading import read
from meshplane_cli.fixtures import cases
from meshplane_cli.output import CliError
from meshplane_cli.own_files import problems_of
from meshplane_cli.rule_sql import not_a_condition, not_a_query
from meshplane_cli.surroundings import Checkout


def text_of(checkout: Checkout, project: str) -> str:
    """The manifest as it stands."""
    path = checkout.folder(project) / "project.yaml"
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CliError(f"{checkout.file(project)} is not UTF-8", found=str(error), mend="save it as UTF-8") from error


def problems(checkout: Checkout, project: str) -> tuple[Problem, ...]:
    """Everything wrong with a project, in every environment, files that are not there and tests of jobs included."""
    folder = checkout.folder(project)
    found = check(
        text_of(checkout, project),
        file=checkout.file(project),
        project=project,
        domain=checkout.domain,
        exists=lambda path: _is(folder, path),
        contracts=lambda path: _contract(folder, path),
    )
    if found:
        return found
    made = _joined(checkout, project, "prod")
    files = problems_of(folder, checkout.file(project), made, checkout.domain)
    return (*_of_sql(checkout, project, made), *cases(folder, made)[1], *files)


def _of_sql(checkout: Checkout, project: str, made: Project) -> tuple[Problem, ...]:
    """What the parsed tree of a rule's (or a deletion's) SQL says; the functions, which have no parser, judge it by form only."""
    text, file = text_of(checkout, project), checkout.file(project)
    findings = Findings(file, read(text, file)[0])
    for job in made.jobs.values():
        deletes = job.options.get("deletes") if job.use == "merge" else None  # a database's are a key and a mark, without SQL
        if isinstance(deletes, dict) and (why := not_a_condition(deletes["when"])):
            when = ("jobs", job.name, "with", "deletes", "when")
            findings.add("rule-sql", when, why, found=deletes["when"], allowed="a condition on the source's columns")
    for table in made.tables.values():
        for rule in table.rules:
            at = ("tables", table.name, "rules", rule.name)
            if rule.kind == "sql" and (why := not_a_query(str(rule.params["query"]))):
                findings.add("rule-sql", (*at, "sql"), why, found=str(rule.params["query"]), allowed="one SELECT that changes nothing")
            if rule.filter and (why := not_a_condition(rule.filter)):
                findings.add("rule-sql", (*at, "filter"), why, found=rule.filter, allowed="a condition on columns")
    return tuple(findings.problems)


def project_of(checkout: Checkout, project: str, env: str) -> Project:
    """The valid project in one environment. Raises ManifestInvalid with every problem."""
    found = problems(checkout, project)
    if found:
        raise ManifestInvalid(found)
    return _joined(checkout, project, env)


def _joined(checkout: Checkout, project: str, env: str) -> Project:
    made = load(text_of(checkout, project), file=checkout.file(project), env=env, project=project, domain=checkout.domain)
    folder = checkout.folder(project)
    texts = {table.contract_file: _contract(folder, table.contract_file) for table in made.tables.values() if table.contract_file}
    return joined(made, {path: text for path, text in texts.items() if text is not None})


def _contract(folder: Path, path: str) -> str | None:
    return (folder / path).read_text(encoding="utf-8") if (folder / path).is_file() else None


def _is(folder: Path, path: str) -> bool:
    return (folder / path).is_dir() if path.endswith("/") else (folder / path).is_file()
