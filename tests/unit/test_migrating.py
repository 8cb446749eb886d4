"""docs/migrating.md against the Makefile: every target of the earlier templates is there and does what the table says."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Both generations' targets, as their users know them.
EARLIER = [
    "help",
    "test",
    "lint",
    "typecheck",
    "format",
    "build",
    "run-local",
    "docker-build",
    "docker-run",
    "bootstrap-docker",
    "upload-wheel",
    "upload-jobs",
    "terraform-init-dev",
    "terraform-plan-dev",
    "terraform-plan-int",
    "terraform-plan-prod",
    "terraform-apply",
    "terraform-validate",
    "install",
    "download-foundation-wheel",
    "upload-foundation-wheel",
    "terraform-init-int",
    "terraform-init-prod",
    "new-project",
    "clean",
]


def _rows() -> dict[str, tuple[str, str]]:
    """Target → (its arguments, the new command)."""
    text = (ROOT / "docs/migrating.md").read_text(encoding="utf-8").split("## Files")[0]
    found = re.findall(r"^\| `make ([a-z-]+)([^`]*)` \| (?:`([^`]*)`|\(nothing\)) \|", text, re.MULTILINE)
    return {target: (arguments.strip(), new) for target, arguments, new in found}


def _does(target: str, arguments: str = "") -> str:
    assert shutil.which("make"), "make is not installed"
    done = subprocess.run(["make", "-n", target, *arguments.split()], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("target", EARLIER)
def test_make_knows_every_target_of_the_earlier_templates(target: str) -> None:
    assert _does(target, "JOB=sales.daily_revenue NAME=orders").strip()


@pytest.mark.parametrize("target", sorted({re.sub(r"-(int|prod)$", "-dev", target) for target in EARLIER}))
def test_the_table_says_what_the_target_does(target: str) -> None:
    arguments, new = _rows()[target]
    assert target == "help" or new in _does(target, arguments)


def test_the_table_names_nothing_else() -> None:
    assert set(_rows()) <= set(EARLIER)
