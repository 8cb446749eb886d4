"""The one list of metrics, and the page that tells of them; what a run counts; whether a pipeline is late."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from meshplane.model.lateness import is_late
from meshplane.model.metrics import METRICS, dimensions, of_run
from meshplane.model.runs import Run
from meshplane.model.slots import Ended

PAGE = (Path(__file__).parents[3] / "docs/metrics.md").read_text(encoding="utf-8")
RUN = Run(
    "r",
    "sales",
    "daily",
    "SUCCEEDED",
    "landed",
    "files",
    "2030-01-02T03:00:00Z",
    started="2030-01-02T03:00:05Z",
    ended="2030-01-02T03:01:35Z",
)


def test_the_page_tells_of_every_metric_with_its_dimensions() -> None:
    told: dict[str, list[str]] = {}
    for row in (line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("| `")):
        told |= {name.strip(" `"): [one.strip() for one in row[2].split(";")] for name in row[0].split(",")}
    of = {"": "`project`", **{part: f"`project`, `{part}`" for part in ("job", "pipeline", "table")}}
    assert {name: of[metric.part] in told.get(name, ()) for name, metric in METRICS.items()} == dict.fromkeys(METRICS, True)


def test_dimensions_are_sorted_as_cloudwatch_has_no_order() -> None:
    assert dimensions("sales", job="load") == (("job", "load"), ("project", "sales"), ("service", "meshplane"))


@pytest.mark.parametrize(
    ("changes", "counted"),
    [
        ({}, {"Runs": 1, "RunsFailed": 0, "RunSeconds": 90}),
        ({"status": "FAILED"}, {"Runs": 1, "RunsFailed": 1, "RunSeconds": 90}),
        ({"status": "TIMED_OUT"}, {"Runs": 1, "RunsFailed": 1, "RunSeconds": 90}),
        ({"status": "ABORTED"}, {"Runs": 1, "RunSeconds": 90}),
        ({"status": "FAILED", "started": ""}, {"Runs": 1, "RunsFailed": 1}),
        ({"status": "SKIPPED", "started": ""}, {}),
        ({"pipeline": "", "job": "load"}, {}),
    ],
    ids=["succeeded", "failed", "timed out", "stopped", "never started", "skipped", "a single job"],
)
def test_what_a_run_counts(changes: dict[str, Any], counted: dict[str, float]) -> None:
    assert of_run(replace(RUN, **changes)) == counted


def at(hour: int, minute: int = 0, day: int = 10) -> datetime:
    return datetime(2030, 7, day, hour, minute, tzinfo=UTC)


def ended(status: str, moment: datetime) -> Ended:
    return Ended("r", status, moment.strftime("%Y-%m-%dT%H:%M:%SZ"))


@pytest.mark.parametrize(
    ("ends", "now", "late"),
    [
        ([], at(5, 59), False),  # 07:59 in Berlin
        ([], at(6), True),
        ([ended("SUCCEEDED", at(5))], at(6), False),
        ([ended("FAILED", at(5))], at(6), True),
        ([ended("SUCCEEDED", at(21, 59, day=9))], at(6), True),  # 23:59 of the day before
        ([ended("SUCCEEDED", at(22, 0, day=9))], at(6), False),  # its midnight
        ([ended("SUCCEEDED", at(7))], at(8), False),  # late, and then done
        ([ended("SUCCEEDED", at(7))], at(22), False),  # a new day begins
    ],
    ids=["too early", "nothing", "done", "failed", "yesterday", "at midnight", "done after it", "the next day"],
)
def test_whether_a_pipeline_is_late(ends: list[Ended], now: datetime, late: bool) -> None:
    assert is_late("08:00", "Europe/Berlin", ends, now) is late
