"""Runs at their crash points, and what becomes of a run when the plane's memory or the project's manifest goes while it is open."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.crash import estate, executions, run_scenes
from tests.crash.platform import Platform
from tests.crash.scenarios import create, platform, play
from tests.crash.tap import Mode
from tests.crash.triggers import Triggers

LATER = timedelta(hours=2)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_crash_point_of_runs_ends_as_the_undisturbed_run() -> None:
    assert "runs" in run_scenes.SCENES
    played = play("runs", (Mode.DIES,), abreast=2)
    assert played.requests >= 20
    assert len(played.findings) == 1 + played.requests
    assert not played.wrong, "\n".join(map(str, played.wrong))


@pytest.fixture
def at() -> Iterator[Platform]:
    with platform() as made:
        create(made)
        yield made


def resources(at: Platform, known: frozenset[str]) -> dict[str, Any]:
    """What stands in AWS, without the plane's own memory, its status documents, what ran, and the commits that a table had."""
    dumped = estate.dump(at.world, known)
    found = {name: dumped[name] for name in dumped if not name.startswith(("state ", "object status/")) and "/_runs/" not in name}
    for name, value in found.items():
        if name.startswith("machine "):
            found[name] = {**value, "runs": []}
        if name.startswith("table ") and value["metadata"]:
            parameters = {**value["Parameters"], "metadata_location": ""}
            found[name] = {**value, "Parameters": parameters, "metadata": {**value["metadata"], "metadata-log": []}}
    return found


def open_run(at: Platform) -> tuple[Triggers, str]:
    triggers = Triggers(at)
    triggers.tell("sales", "", "manual", {"id": "the run", "by": "somebody"})
    triggers.deliver()
    (arn,) = executions.running(at.world, "sales")
    return triggers, arn


def test_state_wiped_beside_a_tombstone_and_an_open_run_is_rebuilt_and_nothing_is_written(at: Platform) -> None:
    def spare(manifest: Any) -> None:
        manifest["tables"]["spare"] = {"layer": "curated", "key": ["id"], "columns": {"id": "long"}}

    at.upload("sales", spare)
    at.settle()
    at.upload("sales")
    at.settle()
    triggers, arn = open_run(at)
    known = estate.ids(estate.dump(at.world))
    before = resources(at, known)
    assert before["table curated.sales_spare"]["Parameters"]["meshplane.tombstone"] == "true"
    at.world.wipe_state()
    at.tap.forget()
    assert at.sweep(), "one sweep finds the projects by their manifests"
    assert [str(call) for call in at.tap.done if not call.operation.startswith(("dynamodb:", "sqs:"))] == []
    assert estate.differences(before, resources(at, known)) == []
    assert executions.running(at.world) == [arn]
    for project in ("customers", "sales"):
        assert at.world.status(project)["conditions"][0]["status"] == "True"
    triggers.tell("sales", "", "manual", {"id": "a second wish", "by": "somebody"})
    triggers.deliver()
    assert executions.running(at.world) == [arn], "the open run holds its place again, and the second waits"
    triggers.ended(arn, at.world.clock.now() + LATER)
    assert [one for one in executions.running(at.world) if one != arn], "now the second is started"
    triggers.ended(executions.running(at.world)[0], at.world.clock.now() + LATER)
    at.settle()
    assert estate.differences(before, resources(at, known)) == []
    assert not at.tap.wrong


def test_a_manifest_deleted_beside_an_open_run_is_waited_for_though_the_state_was_wiped(at: Platform) -> None:
    triggers, arn = open_run(at)
    at.world.wipe_state()
    at.drop("sales")
    at.deliver()
    assert at.world.status("sales")["conditions"][0]["reason"] == "Draining"
    assert executions.running(at.world, "sales") == [arn]
    assert [name for name in resources(at, frozenset()) if name.startswith("job f01-sales-")]
    triggers.ended(arn, at.world.clock.now() + LATER)
    assert at.world.queued() == ["sales"], "the end asks for the look itself"
    at.event("sales")
    at.deliver()
    assert not [name for name in resources(at, frozenset()) if name.startswith(("job f01-sales-load", "machine f01-sales-"))]
    assert not at.tap.wrong


@pytest.mark.parametrize(("policy", "fate"), [("finish", "SUCCEEDED"), ("stop", "ABORTED")])
def test_a_manifest_deleted_and_put_back_while_a_run_is_active(at: Platform, policy: str, fate: str) -> None:
    def ruled(manifest: Any) -> None:
        manifest["policy"] = {"whileRunning": policy}

    at.upload("sales", ruled)
    at.settle()
    triggers, arn = open_run(at)
    known = estate.ids(estate.dump(at.world))
    before = resources(at, known)
    at.drop("sales")
    at.deliver()
    at.sweep()
    status = at.world.status("sales")["conditions"][0]
    assert bool(executions.running(at.world)) is (policy == "finish")
    if policy == "finish":
        assert (status["reason"], arn.rpartition(":")[2] in status["message"]) == ("Draining", True)
        assert "machine f01-sales-pipeline-daily-dev" in resources(at, known), "what it runs on stays"
        triggers.tell("sales", "", "manual", {"id": "another", "by": "somebody"})
        triggers.deliver()
        assert executions.running(at.world) == [arn], "no other run begins meanwhile"
    else:
        assert status["reason"] == "Removed"
    at.upload("sales", ruled)
    at.settle()
    assert estate.differences(before, resources(at, known)) == []
    if policy == "finish":
        triggers.ended(arn, at.world.clock.now() + LATER)
    run = at.world.run_ports.runs.run("sales", arn.rpartition(":")[2])
    assert run is not None
    assert run.status == fate
    triggers.tell("sales", "", "manual", {"id": "a later one", "by": "somebody"})
    triggers.deliver()
    assert len(executions.running(at.world, "sales")) == 1, "and the pipeline runs again"
    assert not at.tap.wrong


@pytest.mark.parametrize(("policy", "fate"), [("finish", "SUCCEEDED"), ("stop", "ABORTED")])
def test_a_pipeline_taken_out_of_the_manifest_while_it_runs(at: Platform, policy: str, fate: str) -> None:
    """AWS would end the run at its next transition, half done."""
    triggers, arn = open_run(at)

    def without(manifest: Any) -> None:
        nightly = {"nightly": {"schedule": "cron(0 4 * * ? *)"}}
        manifest.pop("environments", None)  # they name the pipeline
        manifest["pipelines"] = {"later": {"triggers": nightly, "steps": ["load_orders"]}}
        manifest["policy"] = {"whileRunning": policy}

    at.upload("sales", without)
    at.deliver()
    machines = [name for name in resources(at, frozenset()) if name.startswith("machine f01-sales-")]
    if policy == "finish":
        assert executions.running(at.world, "sales") == [arn]
        assert machines == ["machine f01-sales-pipeline-daily-dev", "machine f01-sales-pipeline-later-dev"]
        triggers.ended(arn, at.world.clock.now() + LATER)
    at.settle()
    assert executions.running(at.world, "sales") == []
    assert "machine f01-sales-pipeline-daily-dev" not in resources(at, frozenset())
    run = at.world.run_ports.runs.run("sales", arn.rpartition(":")[2])
    assert run is not None
    assert run.status == fate
    assert at.world.status("sales")["conditions"][0]["status"] == "True", at.world.status_text("sales")
    assert not at.tap.wrong
