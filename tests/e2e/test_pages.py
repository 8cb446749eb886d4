"""docs/creating-a-project.md and docs/adding-a-job.md as a person follows them: each `bash` block as it stands, by bash, in a checkout.

The checkout is this one by links, but for its projects and its `.meshplane`; what a page says to write is a file of tests/snippets.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.docs.pages import ROOT, blocks

pytestmark = [pytest.mark.spark, pytest.mark.local, pytest.mark.timeout(600)]
OWN = ("projects", ".meshplane", ".git")


@dataclass(frozen=True)
class Person:
    """At a shell, in the checkout."""

    root: Path

    def follows(self, page: str) -> dict[int, str]:
        """Every bash block of a page, in order; what each printed, by its line. Fails the test at the first command that fails."""
        told = {}
        for block in blocks(f"docs/{page}.md"):
            if block.language == "bash":
                told[block.line] = self.shell(block.text, block.place)
        assert told, f"{page} has no commands"
        return told

    def shell(self, text: str, place: str = "") -> str:
        known = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MESHPLANE_", "PYTHONPATH"))}
        env = {**known, "MESHPLANE_LOCAL_PORT": "0", "COLUMNS": "200"}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.root,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == 0, f"{place}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    root = tmp_path_factory.mktemp("person") / "checkout"
    (root / "projects").mkdir(parents=True)
    for entry in ROOT.iterdir():
        if entry.name not in OWN:
            (root / entry.name).symlink_to(entry)
    shutil.copytree(ROOT / "projects/_template", root / "projects/_template")
    (root / ".meshplane").mkdir()
    for kept in (ROOT / ".meshplane").glob("jars*"):
        (root / ".meshplane" / kept.name).symlink_to(kept)
    shutil.copy(ROOT / "tests/snippets/items.csv", root)
    found = Person(root)
    yield found
    found.shell("./dev meshplane local down")


def test_a_project_is_made_by_the_commands_of_its_page(person: Person) -> None:
    told = list(person.follows("creating-a-project").values())
    minimal = (ROOT / "tests/snippets/projects/minimal/project.yaml").read_text(encoding="utf-8").partition("jobs:")[2]
    assert minimal.splitlines()[1] in (person.root / "projects/orders/project.yaml").read_text(encoding="utf-8")
    assert "orders: no problems." in told[1]
    assert "Synced True" in told[2]
    assert "SUCCEEDED" in told[-1]
    assert "standing desk" in told[-1]


def test_jobs_are_added_by_the_commands_of_their_page(person: Person) -> None:
    """After the other page, as a person comes to this one."""
    shutil.copytree(ROOT / "tests/snippets/projects/orders", person.root / "projects/orders", dirs_exist_ok=True)
    told = list(person.follows("adding-a-job").values())
    assert "3 passed" in told[0]
    assert "SUCCEEDED" in told[1]
    rows = [line.split() for line in told[1].splitlines()[-4:]]
    assert ["L", "1"] in rows
    assert ["S", "1"] in rows
