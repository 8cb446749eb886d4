"""Links of the pages lead somewhere: every file, every symbol of life-of-a-manifest, every page from the index."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.unit.docs.pages import ROOT, pages

LINK = re.compile(r"\[[^\]]*\]\((?P<path>[^)#\s]*)(?:#(?P<anchor>[^)]*))?\)")
SYMBOL = re.compile(r"\[`(?P<symbol>[\w.]+)`\]\(\.\./(?P<path>[\w/.]+)\)")
LIFE = "docs/life-of-a-manifest.md"


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@cache
def symbols(path: str) -> frozenset[str]:
    """Functions, classes and methods of a module (`Class.method`); of the template its resources."""
    if path.endswith(".yaml"):
        return frozenset(re.findall(r"^  (\w+):$", text_of(path), re.MULTILINE))
    found = set()
    for node in ast.parse(text_of(path)).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return frozenset(found)


def anchors(page: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w-]", "", title.lower().replace(" ", "-")) for title in titles} | set(
        re.findall(r'<a id="([^"]+)">', text_of(page))
    )


@pytest.mark.parametrize("page", pages())
def test_every_link_leads_to_a_file_and_a_heading(page: str) -> None:
    broken = []
    for link in LINK.finditer(re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL)):
        path, anchor = link["path"], link["anchor"]
        if re.match(r"\w+:", path):
            continue
        place = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        if not place.exists() or (anchor and place.suffix == ".md" and anchor not in anchors(place.relative_to(ROOT).as_posix())):
            broken.append(link[0])
    assert broken == []


def test_every_step_of_a_manifests_life_is_a_function() -> None:
    named = [(found["path"], found["symbol"]) for found in SYMBOL.finditer(text_of(LIFE))]
    assert len(named) > 30
    assert [each for each in named if each[1] not in symbols(each[0])] == []


def test_every_row_of_a_manifests_life_names_who_does_it() -> None:
    rows = [line for line in text_of(LIFE).splitlines() if line.startswith("| ") and not line.startswith("| step")]
    assert [row for row in rows if not SYMBOL.search(row)] == []


def test_the_index_names_every_page() -> None:
    named = {found["path"] for found in LINK.finditer(text_of("docs/README.md"))}
    folders = tuple(f"docs/{path}" for path in named if path.endswith("/"))
    wanted = {page.removeprefix("docs/") for page in pages() if page.startswith("docs/") and not page.startswith(folders)} - {"README.md"}
    assert wanted <= named


PLACE = re.compile(
    r"`(?P<path>(?:functions|cli|glue_jobs|tests|baseline_tf|docs|events|schemas|layer|benchmarks|\.github)/[\w./-]+)(?:::(?P<name>\w+))?`"
)


@pytest.mark.parametrize("page", pages())
def test_every_file_and_test_that_a_page_names_is_there(page: str) -> None:
    lost = []
    for found in PLACE.finditer(text_of(page)):
        place = ROOT / found["path"]
        text = place.read_text(encoding="utf-8") if place.is_file() else ""
        named = not found["name"] or re.search(rf"(def|class) {found['name']}\b", text)
        if not place.exists() or not named:
            lost.append(found[0])
    assert lost == []
