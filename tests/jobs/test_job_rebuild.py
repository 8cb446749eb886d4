"""A run that reads a window of raw again: what it leaves, by whole tables (O2). Which files it takes is test_job_ledger's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dp_foundation.builtin import files, merge
from dp_foundation.config.arguments import invocation
from dp_foundation.errors import ConfigError, DataError
from dp_foundation.run.current import begin
from dp_foundation.run.rebuild import Window, asked
from meshplane.model.restoring import REBUILD
from meshplane.model.rules import Gate, Rule
from tests.jobs.job_world import World

MERGE = {"reads": [{"table": "raw"}], "writes": [{"table": "out", "mode": "merge"}], "use": "merge"}
DROP = {"writes": [{"table": "out", "mode": "append"}], "use": "files", "with": {"from": "inbox", "format": "csv"}}
EVER = {"from": "2000-01-01", "until": "2100-01-01"}


@pytest.mark.parametrize("text", ["orders", "{}", '{"table": "out"}', '{"table": "out", "from": "monday", "until": "2026-11-20"}', "[1]"])
def test_what_names_no_window_fails_the_job(world: World, text: str) -> None:
    world.start(MERGE, params={REBUILD: text})
    with pytest.raises(ConfigError, match=REBUILD):
        _asked()
    world.end()


def test_a_job_that_does_not_write_the_table_notices_nothing(world: World) -> None:
    world.start(MERGE, params={REBUILD: json.dumps({"table": "out", **EVER})})
    assert _asked() == Window("2000-01-01T00:00:00Z", "2100-01-01T00:00:00Z")
    world.start(MERGE, params={REBUILD: json.dumps({"table": "other", **EVER})})
    assert _asked() is None
    world.end()


def _asked() -> Window | None:
    call = invocation()
    assert call.run
    assert call.job
    return asked(call.run, call.job)


def _run(world: World, job: dict[str, Any], run_id: str, window: dict[str, str] | None = None) -> str:
    """A whole run; how its record ended."""
    world.start(job, run_id, params={REBUILD: json.dumps({"table": "out", **window})} if window else {})
    (files if job["use"] == "files" else merge).run()
    world.ends()
    return str(world.outbox(run_id)["state"])


def _mapped(amount: str) -> dict[str, Any]:
    return {**MERGE, "with": {"map": {"amount": amount}, "latestBy": ["at"]}}


def _merged(world: World) -> tuple[str, str]:
    prefix = world.raw("raw", "id bigint, amount bigint, at bigint")
    return prefix, world.iceberg("out", "id bigint!, amount bigint, at bigint", key=["id"])


def _back(world: World, identifier: str, steps: int) -> None:
    """`main` some commits back, as a rollback leaves it: the later ones stay in the table."""
    table = world.catalog.load_table(identifier.removeprefix("glue_catalog."))
    ids = [one.snapshot_id for one in table.metadata.snapshots]
    table.manage_snapshots().create_tag(ids[-1], f"validated-{ids[-1]}").commit()
    table = world.catalog.load_table(identifier.removeprefix("glue_catalog."))
    table.manage_snapshots().rollback_to_snapshot(ids[-1 - steps]).commit()


@pytest.mark.spark
@pytest.mark.parametrize("back", [False, True])
def test_a_merge_makes_right_what_a_wrong_map_made(world: World, spark: Any, back: bool) -> None:
    prefix, out = _merged(world)
    world.put(f"{prefix}a.csv", "id,amount,at\n1,10,1\n2,20,1\n")
    assert _run(world, _mapped("amount"), "r1") == "done"
    world.put(f"{prefix}b.csv", "id,amount,at\n2,21,2\n3,30,2\n")
    assert _run(world, _mapped("amount * 100"), "r2") == "done"
    assert world.rows(out) == [(1, 10, 1), (2, 2100, 2), (3, 3000, 2)]
    if back:
        _back(world, out, 1)
    assert _run(world, _mapped("amount"), "r3") == "nothing", "an ordinary run finds nothing new, rolled back or not"
    assert _run(world, _mapped("amount"), "r4", {"from": "2000-01-01", "until": "2000-01-02"}) == "nothing", "nothing arrived then"
    assert _run(world, _mapped("amount"), "r5", EVER) == "done"
    right = [(1, 10, 1), (2, 21, 2), (3, 30, 2)]
    assert world.rows(out) == right
    assert len(world.outbox("r5")["inputs"][0]["objects"]) == 2
    assert _run(world, _mapped("amount"), "r5", EVER) == "done", "the same run again"
    assert world.rows(out) == right
    assert _run(world, _mapped("amount"), "r6") == "nothing"


@pytest.mark.spark
def test_what_is_appended_comes_again_only_where_a_rollback_took_it_away(world: World, spark: Any) -> None:
    out = world.iceberg("out", "id bigint, v string")
    for name in ("a", "b", "c"):
        world.put(f"{world.project}/inbox/{name}.csv", f"id,v\n1,{name}\n")
        if name != "c":  # which has not been read yet
            assert _run(world, DROP, f"of-{name}") == "done"
    _back(world, out, 1)
    assert world.rows(out) == [(1, "a")]
    assert _run(world, DROP, "again", EVER) == "done"
    assert world.rows(out) == [(1, "a"), (1, "b"), (1, "c")]
    assert _run(world, DROP, "twice", EVER) == "nothing"
    assert world.rows(out) == [(1, "a"), (1, "b"), (1, "c")]


@pytest.mark.spark
def test_a_batch_that_its_gate_rejects_stays_consumed_and_a_rejected_one_is_left_out(world: World, spark: Any) -> None:
    prefix, out = _merged(world)
    world.put(f"{prefix}a.csv", "id,amount,at\n1,10,1\n")
    assert _run(world, _mapped("amount"), "r1") == "done"
    world.tables["raw"]["gate"] = Gate("raw", (Rule("enough", "row_count", (), {"min": 3}),)).to_json()
    with pytest.raises(DataError, match="rejected: enough failed"):
        _run(world, _mapped("amount"), "r2", EVER)
    assert "r2" not in world.ledger(), "what was read before is not marked"
    world.end()
    world.put(f"{prefix}b.csv", "id,amount,at\n2,20,1\n")
    with pytest.raises(DataError, match="rejected: enough failed"):
        _run(world, _mapped("amount"), "r3")
    world.end()
    assert world.ledger()["r3"]["state"] == "rejected"
    del world.tables["raw"]["gate"]
    assert _run(world, _mapped("amount + 1"), "r4", EVER) == "done"
    assert world.rows(out) == [(1, 11, 1)]


@pytest.mark.spark
def test_old_rows_are_fresh_as_of_their_window(world: World, spark: Any) -> None:
    prefix = world.raw("raw", "id bigint, seen timestamp")
    world.iceberg("out", "id bigint!, seen timestamp", key=["id"])
    world.put(f"{prefix}a.csv", "id,seen\n1,2026-01-01T10:00:00Z\n")
    world.tables["raw"]["gate"] = Gate("raw", (Rule("fresh", "freshness", ("seen",), {"within": 86_400}),)).to_json()
    world.start(MERGE, "r1", params={REBUILD: json.dumps({"table": "out", "from": "2000-01-01", "until": "2026-01-02"})})
    current = begin()
    assert current
    assert current.judged_at == "2026-01-02T00:00:00Z"
    world.start(MERGE, "r2", params={REBUILD: json.dumps({"table": "out", **EVER})})
    current = begin()
    assert current
    assert current.judged_at == current.started
    with pytest.raises(DataError, match="rejected: fresh failed"):
        merge.run()
    world.end()
