"""Reading the checkout's manifests, for the verbs that need them. The rules are `meshplane.model.manifest`'s."""

from __future__ import annotations

from pathlib import Path

from meshplane.errors import ManifestInvalid, Problem
from meshplane.model.manifest import check, joined, load
from meshplane.model.project import Project
from meshplane_cli.output import CliError
from meshplane_cli.surroundings import Checkout


def text_of(checkout: Checkout, project: str) -> str:
    """The manifest as it stands."""
    path = checkout.folder(project) / "project.yaml"
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CliError(f"{checkout.file(project)} is not UTF-8", found=str(error), mend="save it as UTF-8") from error


def problems(checkout: Checkout, project: str) -> tuple[Problem, ...]:
    """Everything wrong with a project, in every environment, files that are not there included."""
    folder = checkout.folder(project)
    return tuple(
        check(
            text_of(checkout, project),
            file=checkout.file(project),
            project=project,
            domain=checkout.domain,
            exists=lambda path: _is(folder, path),
            contracts=lambda path: _contract(folder, path),
        )
    )


def project_of(checkout: Checkout, project: str, env: str) -> Project:
    """The valid project in one environment. Raises ManifestInvalid with every problem."""
    found = problems(checkout, project)
    if found:
        raise ManifestInvalid(found)
    made = load(text_of(checkout, project), file=checkout.file(project), env=env, project=project, domain=checkout.domain)
    folder = checkout.folder(project)
    texts = {table.contract_file: _contract(folder, table.contract_file) for table in made.tables.values() if table.contract_file}
    return joined(made, {path: text for path, text in texts.items() if text is not None})


def _contract(folder: Path, path: str) -> str | None:
    return (folder / path).read_text(encoding="utf-8") if (folder / path).is_file() else None


def _is(folder: Path, path: str) -> bool:
    return (folder / path).is_dir() if path.endswith("/") else (folder / path).is_file()
