"""`./dev test` runs each test once: no folder, and no marked test, is in none of its loops."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEV = (ROOT / "dev").read_text(encoding="utf-8")
PARTS = ("run_tests", "patient", "untimed", "heavy")
RUN, PATIENT, UNTIMED, HEAVIER = (DEV[(at := DEV.index(f"\n{name}() {{")) : DEV.index("\n}\n", at)] for name in PARTS)
LOOPS = [(set(names.split()), what) for names, what in re.findall(r"for folder in ([a-z0-9 ]+); do (plain|heavy) ", f"{RUN}\n{UNTIMED}")]
PLAIN = set[str]().union(*(names for names, what in LOOPS if what == "plain"))
PLAIN |= set(re.findall(r'pytest -q -n 4 tests/(\w+) -m "not spark"', RUN)) | set(re.findall(r"^  plain (\w+) \d$", UNTIMED, re.MULTILINE))
HEAVY = set[str]().union(*(names for names, what in LOOPS if what == "heavy")) | set(re.findall(r"^  heavy (\w+)$", PATIENT, re.MULTILINE))
WHOLE = {name for names in re.findall(r"^ +([a-z0-9 |]+)\) ", HEAVIER, re.MULTILINE) for name in names.split(" | ")}
FOLDERS = sorted({path.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").rglob("test_*.py")})
MARK = re.compile(r"pytest\.mark\.(spark|local)\b")


@pytest.mark.parametrize("folder", [name for name in FOLDERS if name != "unit"])
def test_a_folders_tests_are_run_with_their_marks_and_without(folder: str) -> None:
    files = sorted((ROOT / "tests" / folder).rglob("test_*.py"))
    assert files
    marked = {path for path in files if MARK.search(path.read_text(encoding="utf-8"))}
    assert not marked or folder in HEAVY, f"{folder}: {sorted(path.name for path in marked)} would never run"
    assert folder in PLAIN | WHOLE, f"{folder} has tests without a mark, which would never run"
    assert folder not in PLAIN & WHOLE, f"{folder} would run twice"


def test_unit_tests_run_with_the_slow_ones_and_carry_no_mark_of_the_heavy_loops() -> None:
    assert 'pytest -q -n 2 tests/unit -m "not slow"' in DEV
    assert "pytest -q -n 1 tests/unit -m slow" in UNTIMED
    marked = [
        path.name
        for path in (ROOT / "tests/unit").rglob("test_*.py")
        if re.search(
            r"^@?.*= *pytest\.mark\.(spark|local)\b|^@pytest\.mark\.(spark|local)\b", path.read_text(encoding="utf-8"), re.MULTILINE
        )
    ]
    assert marked == []


def test_every_lane_is_begun_and_waited_for() -> None:
    assert "\n  beside patient patient\n" in RUN
    assert RUN.rstrip().endswith("joined patient")
    assert "\n    untimed\n" in PATIENT


def test_a_folder_in_a_loop_exists() -> None:
    assert PLAIN | HEAVY | WHOLE - {"*"} <= set(FOLDERS)
