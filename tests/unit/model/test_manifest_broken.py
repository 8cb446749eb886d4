"""tests/broken: one tiny invalid manifest per message id, its exact text, and a mended twin that validates."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from meshplane.errors import ManifestInvalid, Problem
from meshplane.model import manifest
from meshplane.model.message_ids import CODES

ROOT = Path(__file__).parents[3]
BROKEN = sorted(path for path in (ROOT / "tests/broken").glob("*.yaml") if not path.name.endswith(".fixed.yaml"))
ENVIRONMENTS = ("local", "dev", "int", "prod")


def written(path: Path) -> str:
    """The text; `# test: append N of 'x'` in its first line stands for a file too large to commit."""
    text = path.read_text(encoding="utf-8")
    more = re.match(r"# test: append (\d+) of '(.*)'\n", text)
    return text + more[2] * int(more[1]) + "\n" if more else text


def problems_of(text: str) -> tuple[Problem, ...]:
    return manifest.check(
        text,
        file="project.yaml",
        project="sales",
        environments=ENVIRONMENTS,
        exists=lambda path: "missing" not in path,
        contracts=lambda path: (ROOT / "tests/broken" / path).read_text(encoding="utf-8"),
    )


def code_of(path: Path) -> str:
    return path.stem.partition("-")[2]


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_a_broken_manifest_gives_its_golden_text(path: Path) -> None:
    problems = problems_of(written(path))
    assert [problem.code for problem in problems] == [code_of(path)]
    assert "\n".join(map(str, problems)) + "\n" == path.with_suffix(".txt").read_text(encoding="utf-8")
    assert all(problem.line and problem.column and problem.file for problem in problems)


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_the_mended_twin_validates_and_loads(path: Path) -> None:
    text = written(path.with_suffix(".fixed.yaml"))
    assert problems_of(text) == ()
    assert manifest.load(text, file="project.yaml", env="prod", project="sales").name == "sales"


def test_every_message_id_has_one_broken_file_and_no_other_exists() -> None:
    codes = [code_of(path) for path in BROKEN]
    assert len(codes) == len(set(codes)) >= 60
    assert set(codes) == set(CODES)


def test_every_message_id_in_the_code_is_in_the_catalogue() -> None:
    """Ids are literals: the first argument of what notes a problem (the second of the overlay's `fail`)."""
    model = ROOT / "functions/meshplane/model"
    used: set[str] = set()
    for path in [
        *(model / "manifest").glob("*.py"),
        *(model / f"{name}.py" for name in ("reading", "yaml_traps", "shape", "type_reading", "odcs_reading")),
    ]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and node.value in CODES:
                used.add(node.value)
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in ("add", "refuse", "stop", "report", "problem", "TypeFault") and node.args:
                    first = node.args[0]
                    if isinstance(first, ast.Constant) and isinstance(first.value, str):
                        assert first.value in CODES, f"{path.name}:{node.lineno} uses an id that the catalogue does not list"
    assert used == set(CODES)


TEN = """\
apiVersion: meshplane/v1
kind: Project
metadata: { name: sales, ownr: me }
tables:
  orders:
    layer: refind
    columns: { id: bigint, amount: "decimal(40,2)" }
    key: ident
    partition: hour(id)
    sort: amount descending
jobs:
  load: { script: jobs/load.py, reads: order, timeout: 30, workers: 2 x Z.2X }
pipelines:
  daily: { steps: [lode] }
"""


def test_ten_faults_give_ten_messages_in_order_of_place() -> None:
    problems = problems_of(TEN)
    assert [(p.code, p.line) for p in problems] == [
        ("unknown-key", 3),
        ("not-one-of", 6),
        ("type-other-word", 7),
        ("type-decimal", 7),
        ("ref-column", 8),
        ("sort-form", 10),
        ("ref-table", 12),
        ("duration-unit", 12),
        ("worker-type", 12),
        ("ref-job", 14),
    ]
    places = [(p.line, p.column) for p in problems]
    assert places == sorted(places)
    with pytest.raises(ManifestInvalid) as caught:
        manifest.load(TEN, file="project.yaml", env="dev", project="sales")
    assert caught.value.problems == problems
    assert str(caught.value) == "\n".join(map(str, problems))
