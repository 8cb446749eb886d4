"""A tenth of the fault plans with two processes of real Spark, killed with their JVMs at seeded writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.plans import covered, play_spark
from tests.faults.spark_fleet import Fleet
from tests.faults.turnstile import Mode

SEEDS = range(5)


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    for name, value in {"MOTO_ACCOUNT_ID": "390403879405", "AWS_DEFAULT_REGION": "eu-central-1"}.items():
        monkeypatch.setenv(name, value)
    made = Fleet(tmp_path / "said")
    yield made
    made.close()


@pytest.mark.spark
@pytest.mark.timeout(1200)
def test_two_killed_spark_processes_leave_each_run_once(fleet: Fleet) -> None:
    found = [play_spark(seed, fleet) for seed in SEEDS]
    assert [(one.seed, one.problems) for one in found if one.problems] == []
    deaths = sum(count for (_, mode), count in covered(found).items() if mode is not Mode.LOST)
    assert deaths >= len(found)
    assert sum(one.outcomes.count("published") for one in found) >= len(found)
