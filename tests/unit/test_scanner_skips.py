"""What bandit is told to leave out is judged by ruff line by line, and argued in docs/delivery.md."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
SCANNED = ("functions", "cli", "glue_jobs")


@pytest.mark.parametrize("skip", SETTINGS["bandit"]["skips"])
def test_its_twin_is_on_in_every_folder_and_the_docs_say_why(skip: str) -> None:
    twin, lint = skip.replace("B", "S"), SETTINGS["ruff"]["lint"]
    off = [*lint["ignore"], *(code for place, codes in lint["per-file-ignores"].items() if place.startswith(SCANNED) for code in codes)]
    assert "S" in lint["select"]
    assert [code for code in off if twin.startswith(code)] == []
    assert f"| {skip} | {twin} |" in (ROOT / "docs/delivery.md").read_text(encoding="utf-8")
