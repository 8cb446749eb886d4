"""Compiled pipelines, executed: the interpreter runs what `model/asl` compiles, a stand-in for the Glue worker ends the job runs."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from moto.sns.models import sns_backends

from meshplane.aws.clients import Clients
from meshplane.kinds import glue_job, state_machine
from meshplane.model.project import JobStep, Pipeline, Project
from meshplane_cli.local.repairs import glue_job_runs
from tests.aws.behaviour import OWNER
from tests.aws.test_adapters import opened
from tests.unit.kinds.sample import ACCOUNT, CONTEXT, PLANE, REGION, SALES, side_by_side, with_steps

RUN = {"schema": 1, "run_id": "daily-1", "project": "sales", "pipeline": "daily", "trigger": "landed", "window_start": "", "params": {}}
LOAD, REVENUE = JobStep("load_orders"), JobStep("daily_revenue")
# Jobs that write nothing that is published: what follows is about their own states. Gates are test_gated_runs'.
UNGATED = replace(SALES, jobs={name: replace(job, writes=()) for name, job in SALES.jobs.items()})

Execute = Callable[..., tuple[dict[str, Any], list[dict[str, Any]]]]


@pytest.fixture
def execute(clients: Clients) -> Iterator[Execute]:
    """(pipeline, jobs that fail and how often) → the execution's end, and the job runs in the order of their start."""
    ended = threading.Event()
    runs: list[dict[str, Any]] = []
    failing: dict[str, int] = {}

    def worker() -> None:
        while not ended.is_set():
            try:
                run = glue_job_runs.submitted.get(timeout=0.05)
            except queue.Empty:
                continue
            if not run.claim():
                continue
            runs.append({"job": run.job_name, "arguments": dict(run.arguments)})
            run.move("RUNNING")
            fails = failing.get(run.job_name, 0) > 0
            failing[run.job_name] = failing.get(run.job_name, 0) - 1
            run.move("FAILED" if fails else "SUCCEEDED", "ValueError: no rows" if fails else "")

    def run_one(
        pipeline: Pipeline, fails: dict[str, int] | None = None, sales: Project = UNGATED
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        failing.update({CONTEXT.naming.job("sales", job): times for job, times in (fails or {}).items()})
        project = replace(sales, pipelines={"daily": pipeline})
        for kind, module in ((glue_job.KIND, "glue_job"), (state_machine.KIND, "state_machine")):
            for want in kind.desired(project, CONTEXT):
                opened(clients, module)().create(want, OWNER)
        states = clients("stepfunctions")
        machine = states.list_state_machines()["stateMachines"][0]["stateMachineArn"]
        execution = states.start_execution(stateMachineArn=machine, name="daily-1", input=json.dumps({"run": RUN}))["executionArn"]
        until = time.monotonic() + 30
        while (end := states.describe_execution(executionArn=execution))["status"] == "RUNNING" and time.monotonic() < until:
            time.sleep(0.05)
        return end, runs

    thread = threading.Thread(target=worker, daemon=True)
    thread.start()
    yield run_one
    ended.set()
    thread.join()


def notices() -> list[str]:
    topic = sns_backends[ACCOUNT][REGION].topics.get(PLANE.alert_topic_arn)
    return [message for _, message, *_ in topic.sent_notifications] if topic else []


def test_each_step_gets_the_run_its_name_and_its_attempt(execute: Execute) -> None:
    end, runs = execute(with_steps(LOAD, side_by_side(REVENUE, LOAD), LOAD))
    assert end["status"] == "SUCCEEDED"
    steps = [run["arguments"]["--meshplane-step"] for run in runs]
    assert (steps[0], sorted(steps[1:3]), steps[3]) == ("load_orders", ["daily_revenue", "load_orders-2"], "load_orders-3")
    assert all(json.loads(run["arguments"]["--meshplane-run"]) == RUN for run in runs), "the run reaches every step unchanged"
    assert {run["arguments"]["--meshplane-attempt"] for run in runs} == {"0"}


def test_a_declared_retry_runs_the_job_again_and_counts(execute: Execute) -> None:
    end, runs = execute(with_steps(replace(LOAD, retry=1, retry_after=timedelta(seconds=1)), REVENUE), {"load_orders": 1})
    assert end["status"] == "SUCCEEDED"
    assert [(run["arguments"]["--meshplane-step"], run["arguments"]["--meshplane-attempt"]) for run in runs] == [
        ("load_orders", "0"),
        ("load_orders", "1"),
        ("daily_revenue", "0"),
    ]


@pytest.mark.parametrize(("shape", "topic"), [("sequence", "there"), ("parallel", "there"), ("sequence", "missing")])
def test_a_failure_is_told_and_stays_the_failure_it_was(execute: Execute, clients: Clients, shape: str, topic: str) -> None:
    if topic == "there":
        clients("sns").create_topic(Name=PLANE.alert_topic_arn.rpartition(":")[2])
    steps = [LOAD, REVENUE] if shape == "sequence" else [side_by_side(LOAD, REVENUE), REVENUE]
    end, runs = execute(with_steps(*steps, notify="domain"), {"load_orders": 1})
    assert end["status"] == "FAILED"
    assert end["error"] == "States.TaskFailed"
    assert json.loads(end["cause"])["ErrorMessage"] == "ValueError: no rows"
    assert "daily_revenue" not in [run["arguments"]["--meshplane-step"] for run in runs] or shape == "parallel"
    assert [message.startswith("sales.daily failed in run daily-1: States.TaskFailed: ") for message in notices()] == (
        [True] if topic == "there" else []
    )
