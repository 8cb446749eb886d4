"""What record_run reads of a job run and whom it tells, on moto."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from meshplane.aws.tellings import S3Tellings
from meshplane.errors import PlaneError
from tests.aws.publishing_world import RUN, STEP, Estate, estate
from tests.aws.table_estate import NAMING

EVENTS: list[dict[str, Any]] = [{"eventType": "START"}, {"eventType": "COMPLETE"}]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[Estate]:
    with estate(monkeypatch) as made:
        yield made


def test_lineage_is_read_where_the_job_left_it_and_put_on_the_bus(world: Estate) -> None:
    body = json.dumps({"schema": 1, "events": EVENTS}).encode()
    world.own("s3").put_object(Bucket=NAMING.bucket("refined"), Key=f"sales/_runs/_lineage/{RUN}/{STEP}.json", Body=body)
    world.put_record("{}")
    tellings = S3Tellings(world.own, NAMING, "default")
    assert tellings.record("sales", RUN, STEP) == "{}"
    assert tellings.record("sales", RUN, "other") is None
    assert tellings.lineage("sales", RUN, "other") == []
    tellings.send(tellings.lineage("sales", RUN, STEP))
    assert [(event["source"], event["detail-type"], event["detail"]) for event in world.heard()] == [
        ("meshplane", "OpenLineage Run Event", event) for event in EVENTS
    ]


def test_without_a_bus_nobody_is_asked(world: Estate) -> None:
    tellings = S3Tellings(world.plane, NAMING, "")
    tellings.send(tellings.lineage("sales", RUN, STEP))
    tellings.send(EVENTS)
    assert world.calls == []


def test_a_bus_that_is_not_there_is_a_fault_that_says_so(world: Estate) -> None:
    with pytest.raises(PlaneError):
        S3Tellings(world.own, NAMING, "f01-nobody").send(EVENTS)
