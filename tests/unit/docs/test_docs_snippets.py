"""Every snippet on a page is a file that the tests run, or is run by a test. A block says which, in the line above it:

    <!-- file: tests/snippets/… -->    the block stands in that file, line by line
    <!-- run: tests/…::test_… -->      that test reads the page and runs the block
    <!-- as: tests/…::test_… -->       that test gives the same commands, against an embedded AWS: those of an account
    <!-- not run: why -->              listed below, with its reason

Blocks of `text` are what is printed or drawn. The steps of a runbook are run by the test that names the page.
"""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from meshplane.model.domain import ENVIRONMENTS, Domain
from meshplane.model.manifest import load
from meshplane_cli.main import USED, app
from tests.baseline.hcl import blocks as hcl_blocks
from tests.unit.docs.pages import ROOT, Block, blocks, commands, pages, read

NOT_RUN = {
    ("docs/functions.md", "needs Docker and the SAM CLI"),
    ("docs/terraform.md", "Terraform by itself; the files it names are those of `meshplane baseline init`"),
}
# README says nothing about its tests in comments.
README = {
    "bash": ("run", "tests/e2e/test_demo.py::test_the_rows_are_those_of_plain_python"),
    "yaml": ("file", "tests/snippets/projects/minimal/project.yaml"),
}
RUN_BY_TESTS = ("tests/snippets/", "projects/", "examples/", "events/", "domain.json")
PROJECTS = sorted((ROOT / "tests/snippets/projects").glob("*/project.yaml"))


def marked(block: Block) -> tuple[str, str]:
    return README.get(block.language, ("", "")) if block.page == "README.md" else (block.how, block.what)


def faults(block: Block) -> str:
    """Why nothing proves this block; empty when something does."""
    how, what = marked(block)
    if block.language == "text":
        return ""
    if not block.language:
        return "a fence names its language; `text` is what is printed or drawn"
    if block.page.startswith("docs/runbooks/") and block.language == "bash":
        return "" if run_by_its_test(block) else "no test runs the steps of this page, or the block is under no numbered step"
    if how == "file":
        return not_in_file(block, what)
    if how in ("run", "as"):
        return not_in_test(block, how, what)
    if how == "not run":
        return "" if (block.page, what) in NOT_RUN else f"{what} is no listed reason"
    return "no mark says which file or test it is"


def not_in_file(block: Block, name: str) -> str:
    if not name.startswith(RUN_BY_TESTS):
        return f"{name} is no file that tests run: {', '.join(RUN_BY_TESTS)}"
    found = (ROOT / name).read_text(encoding="utf-8") if (ROOT / name).is_file() else ""
    return "" if f"\n{block.text}" in f"\n{found}" else f"{name} holds other lines"


def not_in_test(block: Block, how: str, name: str) -> str:
    path, _, test = name.partition("::")
    if test not in named_in(path):
        return f"there is no {name}"
    text = (ROOT / path).read_text(encoding="utf-8")
    if how == "run":
        stem = block.page.removeprefix("docs/").removesuffix(".md")
        return "" if block.page == "README.md" or stem in text else f"{path} does not read this page"
    workflows = (
        "".join(file.read_text(encoding="utf-8") for file in (ROOT / ".github/workflows").glob("*.yml")) if "workflows" in path else ""
    )
    for words in commands(block.text):
        verb = tuple(words[: 2 if is_group(words[0]) and len(words) > 1 and not words[1].startswith("-") else 1])
        quoted = ", ".join(f'"{word}"' for word in verb)
        if quoted not in text and f"meshplane {' '.join(verb)}" not in workflows and not run_on_a_page(verb):
            return f"{path} does not give `meshplane {' '.join(verb)}`"
    return ""


@cache
def named_in(path: str) -> frozenset[str]:
    if not (ROOT / path).is_file():
        return frozenset()
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


def run_by_its_test(block: Block) -> bool:
    page = Path(block.page)
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()[: block.line]
    heading = next((line for line in reversed(lines) if line.startswith("## ")), "")
    tests = (ROOT / "tests/e2e").glob("test_*.py")
    named = any(f'"{page.stem}"' in text and "runbook_pages" in text for text in (test.read_text(encoding="utf-8") for test in tests))
    return bool(re.match(r"## \d+\. ", heading)) and named


@cache
def run_on_a_page(verb: tuple[str, ...]) -> bool:
    return any(
        tuple(words[: len(verb)]) == verb for page in pages() for one in blocks(page) if one.how == "run" for words in commands(one.text)
    )


def command_line() -> Any:
    return typer.main.get_command(app)


@cache
def is_group(verb: str) -> bool:
    group = command_line()
    context = group.context_class(group, info_name="meshplane")
    context.meta[USED] = True
    return hasattr(group.get_command(context, verb), "commands")


@pytest.mark.parametrize("page", pages())
def test_each_block_is_a_file_or_is_run(page: str) -> None:
    assert {one.place: why for one in blocks(page) if (why := faults(one))} == {}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("```yaml\na: 1\n```", "no mark says"),
        ("```\nmeshplane plan x\n```", "names its language"),
        ("<!-- file: domain.json -->\n```json\n{}\n```", "holds other lines"),
        ("<!-- file: README.md -->\n```text\nx\n```\n<!-- file: README.md -->\n```yaml\nx\n```", "no file that tests run"),
        ("<!-- run: tests/unit/docs/test_docs_snippets.py::test_nothing -->\n```bash\nls\n```", "there is no"),
        ("<!-- run: tests/unit/test_readme.py::test_the_table_is_there -->\n```bash\nls\n```", "does not read this page"),
        ("<!-- as: tests/unit/test_readme.py::test_the_table_is_there -->\n```bash\nmeshplane deploy digest\n```", "does not give"),
        ("<!-- not run: no time -->\n```bash\nls\n```", "no listed reason"),
    ],
)
def test_a_block_that_nothing_proves_is_found(text: str, why: str) -> None:
    found = [fault for one in read("docs/new-page.md", text) if (fault := faults(one))]
    assert len(found) == 1
    assert why in found[0]


def test_a_runbook_without_a_test_is_found() -> None:
    (one,) = read("docs/runbooks/restore-refined-from-raw.md", "```bash\nls\n```")
    assert "numbered step" in faults(one), "line 1 is under no step"


def test_each_reason_not_to_run_a_block_is_used() -> None:
    assert {(one.page, one.what) for page in pages() for one in blocks(page) if one.how == "not run"} == NOT_RUN


@pytest.mark.parametrize("page", pages())
def test_each_command_of_a_page_is_understood(page: str) -> None:
    """Verbs, options and the number of arguments, as the command line itself reads them; what is in `code` as well as in blocks."""
    asked = {" ".join(words): fault_of(words) for one in blocks(page) if one.language == "bash" for words in commands(one.text)}
    spoken = re.findall(r"`((?:\./dev )?meshplane [^`]+)`", (ROOT / page).read_text(encoding="utf-8"))
    plain = [words for code in spoken for words in commands(code) if not re.search(r"[…|\[]", code) and not words[0].startswith("-")]
    asked |= {
        " ".join(words): fault_of(words).removeprefix("MissingParameter") for words in plain
    }  # what speaks of a verb may leave them out
    assert {command: why for command, why in asked.items() if why} == {}


def fault_of(words: list[str]) -> str:
    """Why the command line would not take these words; empty when it would."""
    group, context = command_line(), None
    while hasattr(group, "commands"):
        context = group.context_class(group, info_name=words[0] if words else "", parent=context)
        context.meta[USED] = True
        if not words or words[0].startswith("-"):
            break  # a group that does something by itself, like deploy
        found = group.get_command(context, words[0])
        if found is None:
            return f"there is no '{words[0]}'"
        group, words = found, words[1:]
    try:
        group.make_context("meshplane", list(words), parent=context)
    except Exception as error:  # noqa: BLE001  typer's own click keeps its errors private
        return (
            "MissingParameter" if type(error).__name__ in ("MissingParameter", "NoArgsIsHelpError") else f"{type(error).__name__}: {error}"
        )
    return ""


@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: path.parent.name)
@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_manifests_of_snippets_are_valid(path: Path, env: str) -> None:
    text = path.read_text(encoding="utf-8")
    name = re.search(r"name: (\w+)", text)
    assert name
    domain = Domain.read((ROOT / "tests/snippets/domain.json").read_text(encoding="utf-8"))
    assert load(text, file=str(path), env=env, project=name[1], domain=domain).tables


def test_the_settings_of_the_baseline_are_variables_of_it() -> None:
    known = {block.labels[0] for _, block in hcl_blocks(ROOT / "baseline_tf") if block.kind == "variable"}
    given = re.findall(r"^(\w+)\s+=", (ROOT / "tests/snippets/baseline.tfvars").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(given) == 3
    assert set(given) <= known


def test_the_new_project_of_the_page_is_the_template() -> None:
    template = (ROOT / "projects/_template/project.yaml.template").read_text(encoding="utf-8")
    minimal = (ROOT / "tests/snippets/projects/minimal/project.yaml").read_text(encoding="utf-8")
    assert minimal.partition("jobs:")[2].splitlines()[1] in template.splitlines()
    assert json.loads((ROOT / "tests/snippets/domain.json").read_text(encoding="utf-8"))["repository"]
