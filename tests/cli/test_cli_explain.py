"""`meshplane explain`: the costs of a gate in words and as JSON. That Spark runs as many queries: tests/jobs/test_quality_explain.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli


@pytest.fixture
def here(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(checkout)
    return Cli(checkout, None)  # type: ignore[arg-type]  # no name in AWS is asked for here


def test_what_shares_an_aggregate_what_is_free_and_what_shuffles(here: Cli) -> None:
    told = here("explain", "sales.orders", "--json")
    assert told.exit_code == 0, told.stderr
    answer = json.loads(told.stdout)
    assert answer["table"] == "sales.orders"
    by_rule = {rule: (cost["queries"], cost["shuffles"], len(cost["rules"]) > 1) for cost in answer["costs"] for rule in cost["rules"]}
    assert by_rule["implied_columns"] == (0, 0, False)
    assert by_rule["implied_key_not_null"] == (1, 0, True)
    assert by_rule["implied_key_unique"] == (1, 1, False)


def test_a_line_for_each_cost(here: Cli) -> None:
    told = here("explain", "sales.orders")
    assert told.exit_code == 0
    [unique] = [line.split() for line in told.stdout.splitlines() if line.startswith("implied_key_unique")]
    assert unique[:3] == ["implied_key_unique", "1", "1"]


@pytest.mark.parametrize("table", ["sales.nope", "sales"])
def test_what_no_gate_judges_is_said_so(here: Cli, table: str) -> None:
    assert here("explain", table).exit_code == 2
