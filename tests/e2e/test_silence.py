"""The second reconcile is silent, and both cost what DESIGN §9 says: counted at the server, from a fresh process of the function."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.aws.test_plane_budget import manifest
from tests.e2e.plane import Plane, writes

pytestmark = pytest.mark.local

EXAMPLES = ("customers", "sales")
STATUS = {"s3:PutObject"}  # the copies of status beside the manifests: they name the manifest's version
SWEEP = "f01-meshplane-sweep-dev"
OTHERS = 1000


# 20 tables with 60 optimizers, 10 jobs, 3 roles of the project's own, 1 pipeline, 1 schedule
STANDARD = manifest().replace("name: sales", "name: standard")
# a machine, a schedule and a rule more
FURTHER = """  again:
    triggers: { early: { schedule: cron(0 5 * * ? *) }, after: { pipeline: daily } }
    steps: [j0]
"""


def own(requests: list[dict[str, Any]]) -> Counter[str]:
    """Requests by name."""
    return Counter(f"{row['service']}:{row['operation']}" for row in requests)


def read(requests: list[dict[str, Any]]) -> Counter[str]:
    """The reading ones by name."""
    return own([row for row in requests if row["reads"]])


@pytest.fixture(scope="module")
def examples(plane: Plane) -> Plane:
    """Both examples, published by CI. The sweep is switched off, so that no look but the test's own is counted."""
    plane.client("events").disable_rule(Name=SWEEP)
    for project in EXAMPLES:
        plane.example(project)
        plane.publish(project, "a" * 40)
        assert plane.synced(project) == ("True", "Applied"), plane.text(project)
    return plane


@pytest.mark.parametrize("project", EXAMPLES)
@pytest.mark.parametrize("fresh", [False, True])
def test_the_second_reconcile_is_silent(examples: Plane, project: str, fresh: bool) -> None:
    with examples.counted() as requests:
        examples.look(project, fresh)
    assert writes(requests) == []
    assert [row["operation"] for row in requests if not row["reads"]] == ["UpdateItem", "UpdateItem"], "begin and finish"
    assert requests


@pytest.mark.parametrize("project", EXAMPLES)
def test_so_it_is_after_a_commit_that_changed_nothing_in_the_project(examples: Plane, project: str) -> None:
    with examples.counted() as requests:
        examples.publish(project, "b" * 40)
    assert [row["operation"] for row in requests if not row["reads"]] == [], "what is published already is not published again"
    manifest = (examples.folder / "projects" / project / "project.yaml").read_text(encoding="utf-8")
    with examples.counted() as requests:  # the same text once more, as a new version, by a plain client
        examples.put(project, manifest)
    assert set(writes(requests)) <= STATUS
    with examples.counted() as requests:
        examples.look(project)
    assert writes(requests) == []


def test_the_hourly_look_at_both_is_silent(examples: Plane) -> None:
    examples.client("events").enable_rule(Name=SWEEP)
    with examples.counted() as requests:
        examples.advance(hours=1, minutes=5)
    examples.client("events").disable_rule(Name=SWEEP)
    assert own(requests)["dynamodb:UpdateItem"] == 2 * len(EXAMPLES)
    assert writes(requests) == []


@pytest.fixture(scope="module")
def crowded(examples: Plane) -> Plane:
    """1,000 tables of other projects beside."""
    glue, naming = examples.client("glue"), examples.stack.naming
    for number in range(OTHERS):
        database = naming.database("refined" if number % 2 else "curated")
        glue.create_table(DatabaseName=database, TableInput={"Name": f"other_t{number}", "Parameters": {"table_type": "ICEBERG"}})
    return examples


def test_creation_and_no_op_stay_within_the_budget(crowded: Plane) -> None:
    crowded.write("standard", STANDARD, {"jobs/j.py": "print(1)\n"})
    crowded.end_process()
    with crowded.counted() as creation:
        crowded.publish("standard", "a" * 40)
    assert crowded.synced("standard") == ("True", "Applied"), crowded.text("standard")
    assert own(creation)["glue:CreateTableOptimizer"] == 60
    assert len(creation) <= 155 + OTHERS // 100, own(creation)  # decision 11; and DESIGN §9: a page of foreign tables more for each 100
    assert own(creation)["glue:GetTables"] <= 3 + OTHERS // 100, "the only call that they add"
    with crowded.counted() as no_op:
        crowded.look("standard", fresh=True)
    assert writes(no_op) == []
    assert len(no_op) <= 17, own(no_op)
    assert own(no_op)["glue:GetTables"] == 3, "Glue finds the project's tables by their prefix: a page each"


def test_what_is_more_costs_one_request_each(crowded: Plane) -> None:
    """A table committed to since, a machine, a schedule, a rule; the first rule of a project one listing besides."""
    with crowded.counted() as before:
        crowded.look("standard", fresh=True)
    for name in ("standard_t1", "standard_t3"):
        table = crowded.catalog.load_table((crowded.stack.naming.database("refined"), name))
        with table.transaction() as transaction:
            transaction.set_properties({"somebody": "was here"})
    with crowded.counted() as committed:
        crowded.look("standard", fresh=True)
    assert set(writes(committed)) <= STATUS, "what somebody added is told"
    assert read(committed) - read(before) == Counter({"s3:GetObject": 2})
    crowded.write("standard", STANDARD + FURTHER)
    crowded.publish("standard", "a" * 40)
    assert crowded.synced("standard") == ("True", "Applied"), crowded.text("standard")
    with crowded.counted() as further:
        crowded.look("standard", fresh=True)
    each = ("states:DescribeStateMachine", "scheduler:GetSchedule", "events:ListTargetsByRule", "events:ListRules")
    assert read(further) - read(committed) == Counter(each)
