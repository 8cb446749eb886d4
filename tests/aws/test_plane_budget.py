"""Requests counted at the client, from a fresh process: DESIGN §9's budget, with another project's tables beside."""

from __future__ import annotations

import pytest

from meshplane.aws.clients import Clients
from tests.aws.plane_world import World

TABLES, JOBS, OTHERS = 20, 10, 1000


def manifest() -> str:
    """20 Iceberg tables (60 optimizers), 10 jobs, 1 pipeline, 1 schedule: three roles, and one more resource each for group and logs."""
    tables = [
        f"  t{n}: {{ layer: {'refined' if n % 2 else 'curated'}, key: [id], columns: {{ id: long, v: string }} }}" for n in range(TABLES)
    ]
    jobs = [f"  j{n}: {{ script: jobs/j.py, reads: [t{n}], writes: t{n + 1} }}" for n in range(JOBS)]
    steps = ", ".join(f"j{n}" for n in range(JOBS))
    schedule = "    triggers: { nightly: { schedule: cron(0 6 * * ? *), timezone: Europe/Berlin } }"
    head = ["apiVersion: meshplane/v1", "kind: Project", "metadata: { name: sales, owner: team@example.org }"]
    return "\n".join([*head, "tables:", *tables, "jobs:", *jobs, "pipelines:", "  daily:", schedule, f"    steps: [{steps}]"]) + "\n"


@pytest.fixture
def world(clients: Clients) -> World:
    world = World(clients)
    index = '{"digest": "d1", "files": {"jobs/j.py": "' + "a" * 64 + '"}}'
    world.clients("s3").put_object(Bucket=world.naming.bucket("artifacts"), Key="releases/sales/d1.json", Body=index.encode())
    world.put("sales", manifest(), release="d1")
    return world


def test_creation_and_no_op_stay_within_the_budget(world: World) -> None:
    assert world.look("sales").result == "applied", world.status_text("sales")
    assert len(world.calls) <= 155, len(world.calls)
    world.look("sales")
    assert world.writes() == []
    assert len(world.calls) <= 17, world.calls


def test_tables_of_others_cost_one_request_per_hundred(world: World) -> None:
    world.look("sales")
    world.look("sales")
    alone = len(world.calls)
    for number in range(OTHERS):
        world.clients("glue").create_table(
            DatabaseName=world.naming.database("refined"), TableInput={"Name": f"other_t{number}", "Parameters": {"table_type": "ICEBERG"}}
        )
    world.look("sales")
    assert world.writes() == []
    assert len(world.calls) <= alone + OTHERS // 100 + 1
