"""The plan that a caller asks for: the same as the reconcile's, and nothing written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meshplane.flows.plan_project import plan_project
from tests.unit.flows.fakes import Plane, manifest


def asked(plane: Plane, **request: Any) -> dict[str, Any]:
    plane.cloud.writes.clear()
    before = (dict(plane.table.records), list(plane.bucket.statuses), dict(plane.bucket.objects))
    answer = plan_project(plane.plan_ports, {"project": "sales", **request})
    assert plane.cloud.writes == []
    assert before == (plane.table.records, plane.bucket.statuses, plane.bucket.objects)
    assert json.loads(json.dumps(answer)) == answer
    return answer


def applied() -> Plane:
    plane = Plane()
    plane.bucket.put("sales", manifest())
    plane.look()
    return plane


def test_a_new_project() -> None:
    answer = asked(Plane(), manifest=manifest())
    assert [row["verb"] for row in answer["actions"]] == ["create"] * 5
    assert answer["text"].startswith("sales in dev, against account 390403879405")


def test_an_unchanged_one_is_empty() -> None:
    answer = asked(applied(), manifest=manifest())
    assert (answer["empty"], answer["unchanged"]) == (True, 5)


def test_its_digest_is_what_approves_the_reconcile() -> None:
    plane = applied()
    answer = asked(plane, manifest=manifest(tables={"orders": "{ id: long }"}))
    assert answer["held"]
    plane.bucket.put("sales", manifest(tables={"orders": "{ id: long }"}, policy=f"{{ approve: {answer['digest']} }}"))
    assert plane.look().result == "applied"


def test_as_if_it_were_deleted() -> None:
    answer = asked(applied(), delete=True)
    assert sorted({row["verb"] for row in answer["actions"]}) == ["delete", "rest"]
    assert answer["held"] == []


def test_a_release_comes_along() -> None:
    job = "  report: { script: jobs/report.py, reads: [orders], writes: orders }"
    waits = asked(applied(), manifest=manifest(jobs=job))
    assert [row["verb"] for row in waits["actions"] if row["label"] == "report"] == ["wait"]
    index = json.dumps({"digest": "d1", "files": {"jobs/report.py": "a" * 64}})
    answer = asked(applied(), manifest=manifest(jobs=job), release=index)
    assert [row["verb"] for row in answer["actions"] if row["label"] == "report"] == ["create"]
    assert answer["release"] == "d1"


def test_a_manifest_that_is_not_valid_is_answered_with_its_problems() -> None:
    answer = asked(Plane(), manifest="kind: Nothing")
    assert answer["problems"]
    assert all(problem["code"] for problem in answer["problems"])


@pytest.mark.parametrize("index", ["{", "[]", "1", '{"files": 3}', '{"wheels": [1]}'])
def test_a_release_that_is_none_is_refused(index: str) -> None:
    error = asked(Plane(), manifest=manifest(), release=index)["error"]
    assert (error["reason"], error["fault"]) == ("Rejected", "author")
    assert "release index" in error["message"]


def test_files_come_along_before_they_were_published() -> None:
    """An own state machine is read by the plane itself: before the first publish it lies nowhere in the bucket."""
    machine = "  nightly: { asl: pipelines/nightly.asl.json }"
    text = manifest() + machine + "\n"
    index = json.dumps({"digest": "d1", "files": {"pipelines/nightly.asl.json": "a" * 64}})
    assert asked(Plane(), manifest=text, release=index)["error"]["reason"] == "NotReady"
    answer = asked(Plane(), manifest=text, release=index, files={"pipelines/nightly.asl.json": "{}"})
    assert [row["verb"] for row in answer["actions"]] == ["create"] * 5
    assert asked(Plane(), manifest=text, release=index, files=["x"])["error"]["reason"] == "Rejected"


def test_a_name_that_is_none_is_refused() -> None:
    assert asked(Plane(), project="../x")["error"]["reason"] == "Rejected"
