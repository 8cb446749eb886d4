"""The projects under examples/: one for each shape of source, valid in every environment, and each with the way through its gate."""

from __future__ import annotations

import re

import pytest

from meshplane.model.domain import ENVIRONMENTS
from meshplane.model.project import IngestStep, JobStep, Project
from meshplane_cli.manifests import problems, project_of
from meshplane_cli.surroundings import Checkout
from tests.unit.docs.pages import ROOT

EXAMPLES = Checkout(ROOT / "examples")
# What the five are about: the words of their sources that no other has.
SHAPES = {
    "restorders": ("rest", "paginate", "incremental"),
    "fxrates": ("rest", "dates"),
    "vendorcsv": ("files",),
    "jdbccontacts": ("jdbc", "incrementalBy", "deletes"),
    "kafkastock": ("kafka",),
}


def manifest(name: str) -> str:
    return (EXAMPLES.folder(name) / "project.yaml").read_text(encoding="utf-8")


def test_each_shape_has_its_example() -> None:
    assert set(EXAMPLES.projects) == set(SHAPES)
    for name, words in SHAPES.items():
        sources = re.search(r"^sources:\n(.*?)^tables:", manifest(name), re.MULTILINE | re.DOTALL)
        assert sources, name
        assert [word for word in words if f" {word}:" not in sources[1]] == [], name


@pytest.mark.parametrize("name", SHAPES)
def test_validate_accepts_it(name: str) -> None:
    assert [str(problem) for problem in problems(EXAMPLES, name)] == []


@pytest.mark.parametrize("env", ENVIRONMENTS)
@pytest.mark.parametrize("name", SHAPES)
def test_its_pipeline_leads_from_the_source_through_contract_and_gate(name: str, env: str) -> None:
    project = project_of(EXAMPLES, name, env)
    (pipeline,) = project.pipelines.values()
    first, load = pipeline.steps
    (raw,), (refined,) = ([table for table in project.tables.values() if table.layer == layer] for layer in ("raw", "refined"))
    assert ingested(project, first) == raw.name
    assert isinstance(load, JobStep)
    job = project.jobs[load.job]
    assert ([read.table for read in job.reads], [write.table for write in job.writes]) == ([raw.name], [refined.name])
    assert refined.key
    assert refined.has_contract
    assert [rule.name for rule in refined.rules if rule.severity == "block"]
    assert [trigger.enabled for trigger in pipeline.triggers] == [env != "dev"], "in dev nothing begins by itself"


def ingested(project: Project, step: object) -> str:
    """The raw table that the pipeline's first step fills."""
    if isinstance(step, IngestStep):
        return step.source.into
    assert isinstance(step, JobStep)
    return str(project.jobs[step.job].writes[0].table)


@pytest.mark.parametrize("name", SHAPES)
def test_it_says_what_it_shows_and_what_to_change(name: str) -> None:
    schema, *head = [line for line in manifest(name).partition("apiVersion:")[0].splitlines() if line]
    editor = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", schema)
    assert editor
    assert (EXAMPLES.folder(name) / editor[1]).resolve() == ROOT / "docs/manifest.schema.json"
    assert [line for line in head if not line.startswith("# ")] == []
    assert head[0].startswith("# Shows: ")
    assert [line for line in head if line.startswith("# Change: ")]


def test_some_promise_by_a_file_of_the_standard() -> None:
    named = {f"{name}/{table.contract_file}" for name in SHAPES for table in project_of(EXAMPLES, name, "prod").tables.values()}
    there = {path.relative_to(EXAMPLES.root / "projects").as_posix() for path in (EXAMPLES.root / "projects").rglob("*.odcs.yaml")}
    assert there
    assert there <= named


def test_the_page_names_each() -> None:
    page = (EXAMPLES.root / "README.md").read_text(encoding="utf-8")
    assert [name for name in SHAPES if f"projects/{name}/" not in page] == []
