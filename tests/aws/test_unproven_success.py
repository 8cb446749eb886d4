"""A success of a pipeline starts the pipelines behind it once its run proves what it published: through the real handler of start_run,
over real records and tables. A machine that somebody changed past the manifest, its gate left out, ends as SUCCEEDED too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from meshplane import wiring
from meshplane.aws.runs_store import DynamoRuns
from meshplane.aws.state_store import DynamoStates
from meshplane.handlers.start_run import handler
from meshplane.model.runs import PipelinePolicy, Run, TriggerPolicy
from meshplane.plan.record import Record
from tests.aws.publishing_world import CONTEXT, RUN, Estate, estate, gated
from tests.aws.table_estate import NAMING

UPSTREAM = "f01-sales-pipeline-daily-dev"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[Estate]:
    with estate(monkeypatch) as made:
        yield made


def declared(world: Estate, publishes: bool = True) -> str:
    """`reports.weekly` starts when `sales.daily` has succeeded, whose machine has gates or none; `orders` stands. Its machine."""
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "*"}]}
    role = world.own("iam").create_role(RoleName="states", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    passing = json.dumps({"StartAt": "a", "States": {"a": {"Type": "Pass", "End": True}}})
    made = world.own("stepfunctions").create_state_machine(name=f"behind-{publishes}", definition=passing, roleArn=role)
    machine: str = made["stateMachineArn"]
    states = DynamoStates(world.own("dynamodb"), NAMING.of("state_table"))
    behind = TriggerPolicy("pipeline", upstream="sales.daily", since="2030-01-01T00:00:00Z")
    told = {
        "sales": {"daily": PipelinePolicy("arn:daily", publishes=publishes)},
        "reports": {"weekly": PipelinePolicy(machine, triggers={"after_sales": behind})},
    }
    for project, pipelines in told.items():
        begun = states.begin(project, "", datetime(2030, 1, 2, tzinfo=UTC), timedelta(seconds=1))
        assert begun
        gates = {"orders": gated("orders").to_json()} if project == "sales" else {}
        stored = {name: policy.to_json() for name, policy in pipelines.items()}
        states.finish(begun, replace(Record(project), gates=gates, pipelines=stored))
    world.table()
    return machine


def succeeded(run: str = RUN, **told: Any) -> list[Run]:
    """The event of the upstream's success, as the queue gives it to the handler; the runs of `reports.weekly` after it."""
    given = {"run": {"run_id": run, "project": "sales"}} if run else {}
    detail = {"executionArn": NAMING.arn("states", f"execution:{UPSTREAM}:{RUN}"), "stopDate": 1893553465000, "input": json.dumps(given)}
    message = {"schema": 1, "project": "reports", "pipeline": "weekly", "trigger": "after_sales", "kind": "pipeline"}
    body = json.dumps({**message, "event": {"id": "e", "detail": {**detail, **told}}})
    sent = {"SentTimestamp": "1893553466000"}
    assert handler({"Records": [{"messageId": "1", "body": body, "attributes": sent}]}, CONTEXT) == {"batchItemFailures": []}
    return list(DynamoRuns(wiring.clients()("dynamodb"), NAMING.of("state_table")).history("reports"))


def held(runs: list[Run]) -> str:
    """The reason of the one run, which was skipped."""
    [run] = runs
    assert run.status == "SKIPPED"
    return run.reason


def test_a_machine_without_its_gate_starts_nobody_until_what_it_wrote_is_published(world: Estate) -> None:
    machine = declared(world)
    written = world.written()
    world.record(written)
    snapshot = written[0]["snapshot"]
    reason = (
        f"held: sales.daily succeeded in {RUN} and proves no publication: step load_orders wrote orders (snapshot {snapshot}), which no"
    )
    assert held(succeeded()).startswith(reason)
    assert held(succeeded()).startswith(reason), "told again by the sweep it is recorded once"
    assert world.heads() == {"sales_orders": None}
    assert not world.own("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    world.publish()
    assert sorted(run.status for run in succeeded()) == ["RUNNING", "SKIPPED"]
    assert len(world.own("stepfunctions").list_executions(stateMachineArn=machine)["executions"]) == 1


def test_a_run_that_left_nothing_proves_nothing(world: Estate) -> None:
    declared(world)
    assert held(succeeded()).endswith("no step left a record")


@pytest.mark.parametrize("run", ["", "another"])
def test_the_records_of_another_run_are_no_proof(world: Estate, run: str) -> None:
    declared(world)
    if run:
        world.record(world.written())
        world.publish()
    assert held(succeeded(run)).endswith("no step left a record")


def test_an_input_that_is_not_told_is_looked_up_by_the_executions_name(world: Estate) -> None:
    declared(world)
    world.record(world.written())
    world.publish()
    assert [run.status for run in succeeded("", input=None)] == ["RUNNING"]


def test_a_step_that_had_nothing_to_do_starts_the_pipelines_behind_it(world: Estate) -> None:
    declared(world)
    world.record(state="nothing")
    assert [run.status for run in succeeded()] == ["RUNNING"]


def test_a_pipeline_without_gates_is_believed_as_before(world: Estate) -> None:
    declared(world, publishes=False)
    assert [run.status for run in succeeded()] == ["RUNNING"]
