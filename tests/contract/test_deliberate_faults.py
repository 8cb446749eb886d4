"""Faults put into a copy that was green: the gate that each names turns red, tells file and resource, and no other one does.

Beside a fault stand the gates that may also see it. What only a plan shows is put in by `tests/baseline/test_plan_faults.py`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.faults import FAULTS, OWN, OWN_FILES, PLAN, PLANNED, Fault
from tests.contract.gates import GATES, ROOT

COPIED = (
    "projects",
    "baseline_tf",
    ".github",
    "functions/meshplane/naming.json",
    "statemachines",
    "template.yaml",
    "template.checkov.yaml",
    "domain.json",
    "Dockerfile",
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("faults")
    for name in COPIED:
        source, there = ROOT / name, root / name
        there.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, there, ignore=shutil.ignore_patterns("__pycache__", ".terraform*"))
        else:
            shutil.copy(source, there)
    (root / "projects/sales/own.asl.json").write_text(OWN, encoding="utf-8")
    (root / "projects/sales/own.sql").write_text("select day, sum( from orders\n", encoding="utf-8")
    (root / "projects/sales/own.odcs.yaml").write_text("kind: Nothing\n", encoding="utf-8")
    return root


@pytest.fixture
def broken(checkout: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    fault: Fault = request.param
    path = checkout / fault.file
    text = path.read_text(encoding="utf-8")
    assert fault.old in text, f"{fault.file} has no {fault.old!r} to break"
    path.write_text(text.replace(fault.old, fault.new, 1), encoding="utf-8")
    yield checkout
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("gate", GATES)
def test_the_copy_is_green(checkout: Path, gate: str) -> None:
    assert GATES[gate].find(checkout) == []


@pytest.mark.parametrize(
    ("broken", "fault"), [(fault, fault) for fault in FAULTS], indirect=["broken"], ids=[fault.what for fault in FAULTS]
)
def test_its_gate_turns_red_and_no_other(broken: Path, fault: Fault) -> None:
    red = {name: gate.find(broken) for name, gate in GATES.items() if gate.looks_at(fault.file)}
    found = red.pop(fault.gate)
    named = (Path(fault.file).name, *OWN_FILES)
    assert any(fault.told in line and any(name in line for name in named) for line in found), found
    assert {name for name, lines in red.items() if lines} <= set(fault.also), red


def test_what_only_the_plan_shows_is_seen_by_no_other_gate(checkout: Path) -> None:
    """All at once: a gate that is green with every one of them is green with each."""
    before = {fault.file: (checkout / fault.file).read_text(encoding="utf-8") for fault in PLANNED}
    try:
        for fault in PLANNED:
            path = checkout / fault.file
            text = path.read_text(encoding="utf-8")
            assert fault.old in text, f"{fault.file} has no {fault.old!r} to break"
            path.write_text(text.replace(fault.old, fault.new, 1), encoding="utf-8")
        asked = [gate for gate in GATES.values() if any(gate.looks_at(file) for file in before)]
        assert [line for gate in asked for line in gate.find(checkout)] == []
    finally:
        for file, text in before.items():
            (checkout / file).write_text(text, encoding="utf-8")


def test_there_are_forty_and_every_gate_has_one() -> None:
    assert len(FAULTS) >= 40
    assert {fault.gate for fault in FAULTS} == set(GATES)
    assert {fault.gate for fault in PLANNED} == {PLAN}
