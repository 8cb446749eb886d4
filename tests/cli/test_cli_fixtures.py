"""Tests of jobs as files: what is accepted, every fault at once with its line, and how differences are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshplane.model import manifest
from meshplane.model.project import Project
from meshplane_cli.fixtures import cases, text_of
from meshplane_cli.row_differences import differences

ROOT = Path(__file__).parents[2]


def _project(name: str) -> Project:
    path = ROOT / "projects" / name / "project.yaml"
    return manifest.load(path.read_text(encoding="utf-8"), file=str(path), env="prod", project=name)


@pytest.mark.parametrize("name", ["sales", "customers"])
def test_the_example_projects_have_tests_that_can_be_read(name: str) -> None:
    found, problems = cases(ROOT / "projects" / name, _project(name))
    assert problems == ()
    assert found


def _written(tmp_path: Path, text: str) -> list[tuple[str, int, str]]:
    folder = tmp_path / "projects" / "sales"
    (folder / "tests").mkdir(parents=True)
    (folder / "tests" / "x.yaml").write_text(text, encoding="utf-8")
    return [(problem.code, problem.line, problem.path) for problem in cases(folder, _project("sales"))[1]]


def test_every_fault_has_its_line(tmp_path: Path) -> None:
    text = """\
job: load_orders
cases:
  one:
    given:
      orders_raw: [{ order_id: 1, amuont: 2 }]
      contacts: []
    then: [{ given: { orders: [{ order: 1 }] } }]
    window: { start: 2026-01-01T00:00:00Z }
    expect:
      rows: { orders_raw: [] }
      quarantine: { daily_revenue: [] }
      verdicts: { orders: [implied_columns, colour] }
  two:
    expect: { rows: { orders: [{ order_id: 1, dt: 2026 }] } }
    givn: {}
"""
    assert _written(tmp_path, text) == [
        ("fixture-column", 5, "cases.one.given.orders_raw[0].amuont"),
        ("fixture-table", 6, "cases.one.given.contacts"),
        ("fixture-column", 7, "cases.one.then[0].given.orders[0].order"),
        ("missing-key", 8, "cases.one.window"),
        ("fixture-table", 10, "cases.one.expect.rows.orders_raw"),
        ("fixture-table", 11, "cases.one.expect.quarantine.daily_revenue"),
        ("fixture-rule", 12, "cases.one.expect.verdicts.orders"),
        ("fixture-column", 14, "cases.two.expect.rows.orders[0].dt"),
        ("unknown-key", 15, "cases.two.givn"),
    ]


def test_a_job_that_is_not_there_and_a_file_that_is_no_yaml(tmp_path: Path) -> None:
    assert _written(tmp_path / "a", "job: load_order\ncases: {}\n") == [("fixture-job", 1, "job")]
    assert [code for code, _, _ in _written(tmp_path / "b", "job: [\n")] == ["yaml-syntax"]


def test_a_cell_is_text_as_it_was_written(tmp_path: Path) -> None:
    folder = tmp_path / "projects" / "sales"
    (folder / "tests").mkdir(parents=True)
    row = "{ order_id: 007, amount: 1.50, status: true, currency: null }"
    text = f"job: load_orders\ncases:\n  a: {{ expect: {{}}, given: {{ orders_raw: [{row}] }} }}\n"
    (folder / "tests" / "x.yaml").write_text(text, encoding="utf-8")
    (case,), problems = cases(folder, _project("sales"))
    assert problems == ()
    assert {name: text_of(value) for name, value in case.part.given["orders_raw"][0].items()} == {
        "order_id": "007", "amount": "1.50", "status": "true", "currency": None
    }  # fmt: skip
    assert text_of([{"sku": "a", "quantity": 2}]) == '[{"sku": "a", "quantity": 2}]'


def test_rows_are_compared_as_often_as_they_stand() -> None:
    rows = [{"id": 1, "v": "a"}, {"id": 1, "v": "a"}, {"id": 2, "v": None}]
    assert differences("t", rows, list(reversed(rows)), ["id"]) == []
    assert differences("t", rows, rows[1:], ["id"]) == ["t: 3 rows expected, 2 found", "  - expected, not found: id=1, v=a"]
    found = [*rows[:2], {"id": 2, "v": "b"}, {"id": 3, "v": "c"}]
    assert differences("t", rows, found, ["id"]) == [
        "t: 3 rows expected, 4 found",
        "  ~ id=2: v expected null, found b",
        "  + found, not expected: id=3, v=c",
    ]
    assert differences("t", [], [{"id": at} for at in range(20)], [])[-1] == "  … and 10 more"
