"""The README's feature table: every row names requirement ids that exist, and tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (?P<ids>[A-Z]\d+(?:, [A-Z]\d+)*) \| (?P<what>[^|]+) \| (?P<tests>[^|]+) \|$", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def rows() -> list[tuple[str, str]]:
    return [(row["ids"], row["tests"]) for row in ROW.finditer((ROOT / "README.md").read_text(encoding="utf-8"))]


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


def test_the_table_is_there() -> None:
    assert len(rows()) > 15


@pytest.mark.parametrize(("ids", "tests"), rows())
def test_each_feature_names_tests_that_exist(ids: str, tests: str) -> None:
    named = TEST.findall(tests)
    assert named, f"{ids}: no test named"
    for path, name in named:
        assert (ROOT / path).is_file(), f"{ids}: {path} is not there"
        assert not name or name in names_in(path), f"{ids}: {path} has no {name}"
