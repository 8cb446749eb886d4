"""The plan as a gate: deliberate faults that no single file shows turn its promises red; and int and prod keep the promises as dev does.

The table of faults, and what the quick gates say of each, is `tests/contract`'s.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from meshplane.model.domain import Domain
from meshplane.model.naming import Naming
from meshplane.model.resource import Provenance
from meshplane_cli.baseline import variables
from tests.baseline.conftest import Plan, Work, offline
from tests.baseline.hcl import blocks
from tests.baseline.test_baseline_plan import ROWS
from tests.contract.faults import FAULTS, PLAN, PLANNED, Fault


@dataclass(frozen=True)
class Watched(Plan):
    """A plan that notes which types a promise looks at."""

    types_asked: set[str] = field(default_factory=set)

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        self.types_asked.add(kind)
        return super().of(kind)

    def refers(self, address: str, *path: str) -> set[str]:
        self.types_asked.add(address.partition(".")[0])
        return super().refers(address, *path)


def broken_promises(plan: Plan, naming: Naming, source: Path) -> list[str]:
    """One line for each: the files and types that it is about, its name, what was found."""
    homes = {(block.labels[0], path.name) for path, block in blocks(source) if block.kind == "resource"}
    found = []
    for name, _, check in ROWS:
        watched = Watched(plan.document)
        try:
            check(watched, naming)
        except (AssertionError, KeyError, StopIteration, ValueError) as broken:
            places = sorted(f"{file} {kind}" for kind, file in homes if kind in watched.types_asked)
            found.append(f"{', '.join(places)}: {name}: {broken}")
    return found


@pytest.fixture(scope="module")
def place(initialised: Work) -> Iterator[Work]:
    with offline(initialised) as work:
        yield work


def put_in(source: Path, faults: tuple[Fault, ...]) -> dict[Path, str]:
    """What the files were before."""
    before: dict[Path, str] = {}
    for fault in faults:
        path = source.parent / fault.file
        text = path.read_text(encoding="utf-8")
        before.setdefault(path, text)
        assert fault.old in text, f"{fault.file} has no {fault.old!r} to break"
        path.write_text(text.replace(fault.old, fault.new, 1), encoding="utf-8")
    return before


def broken_by(place: Work, naming: Naming, *faults: Fault) -> list[str]:
    before = put_in(place.source, faults)
    try:
        return broken_promises(place.plan("domain.tfvars.json", "environments/dev.tfvars"), naming, place.source)
    finally:
        for path, text in before.items():
            path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("fault", PLANNED, ids=[fault.what for fault in PLANNED])
def test_its_promise_is_broken_and_no_other(place: Work, naming: Naming, fault: Fault) -> None:
    (line,) = broken_by(place, naming, fault)
    assert Path(fault.file).name in line
    assert fault.told in line, line


def test_the_faults_of_the_other_gates_break_no_promise_but_where_it_is_said(place: Work, naming: Naming) -> None:
    """All at once: a plan that is green with every one of them is green with each."""
    others = tuple(fault for fault in FAULTS if fault.file.startswith("baseline_tf/") and PLAN not in fault.also)
    assert others
    assert broken_by(place, naming, *others) == []


@pytest.mark.parametrize("env", ["int", "prod"])
def test_the_promises_hold_where_dev_is_promoted_to(place: Work, domain: Domain, env: str) -> None:
    naming = domain.naming(env)
    given = variables(domain, naming, domain.repository, Provenance())
    (place.source / f"{env}.tfvars.json").write_text(json.dumps(given), encoding="utf-8")
    assert broken_promises(place.plan(f"{env}.tfvars.json", f"environments/{env}.tfvars"), naming, place.source) == []
