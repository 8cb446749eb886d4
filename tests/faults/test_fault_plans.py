"""A tenth of the fault plans: runs that write one gated table at once and are killed at seeded writes. `benchmarks/faults.py` plays all."""

from __future__ import annotations

import logging

import pytest

from meshplane.flows import publish_tables
from meshplane.model import publishing
from tests.faults import plans, writers
from tests.faults.plans import covered, play
from tests.faults.turnstile import Mode

PLANS, PARTS = 96, 4


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    logging.getLogger("pyiceberg").setLevel(logging.CRITICAL)
    for name, value in {"MOTO_ACCOUNT_ID": "390403879405", "AWS_DEFAULT_REGION": "eu-central-1"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_run_is_there_once_and_no_acknowledged_row_is_lost(part: int) -> None:
    found = [play(seed) for seed in range(part, PLANS, PARTS)]
    assert [(one.seed, one.problems) for one in found if one.problems] == []
    counts = covered(found)
    assert {mode for _, mode in counts} == set(Mode)
    assert len({step for step, _ in counts} & set(plans.STEPS)) >= 6, counts
    outcomes = [outcome for one in found for outcome in one.outcomes]
    assert outcomes.count("published") > len(found), "a plan in which nobody comes through proves nothing"
    assert "refused" in outcomes


def test_all_kinds_of_writes_that_a_run_makes_are_known() -> None:
    assert set(covered([play(seed) for seed in (5, 9)])) <= {(step, mode) for step in plans.STEPS for mode in Mode}


def _problems(seeds: range) -> list[str]:
    return [problem for seed in seeds for problem in play(seed).problems]


def test_a_publisher_that_looks_at_no_verdict_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "_check_rules", lambda *_: None)
    record = publishing.read_record
    monkeypatch.setattr(
        publish_tables, "read_record", lambda text: {**record(text), "verdicts": [{**v, "passed": True} for v in record(text)["verdicts"]]}
    )
    assert any("which nobody judged" in problem for problem in _problems(range(3)))


def test_a_publisher_that_overwrites_what_others_published_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    check = publishing.check

    def blind(*given: object) -> bool:
        try:
            return check(*given)  # type: ignore[arg-type]  # handed on as given
        except publishing.MainMoved:
            return True

    monkeypatch.setattr(publish_tables, "check", blind)
    assert any("main holds" in problem for problem in _problems(range(4)))


def test_a_job_that_does_not_look_for_its_own_commit_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    job = writers.by_pyiceberg

    def twice(writer: writers.Writer, attempt: str) -> None:
        job(writer, attempt)
        job(writer, attempt)

    monkeypatch.setattr(writers, "stands", lambda *_: False)
    monkeypatch.setattr(plans, "by_pyiceberg", twice)
    assert any("main holds" in problem for problem in _problems(range(1, 3)))
