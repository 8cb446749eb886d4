"""Steps that write gated tables, executed by the interpreter: job, publish_tables, again when `main` moved, and failing by name."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from meshplane.aws.clients import Clients
from meshplane.model.publishing import Request
from meshplane_cli.local.repairs import functions
from tests.aws.test_pipeline_runs import LOAD, REVENUE, RUN, Execute, execute, notices
from tests.unit.kinds.sample import CONTEXT, PLANE, SALES, side_by_side, with_steps

__all__ = ["execute"]  # the fixture
Answers = dict[str, list[str]]


@pytest.fixture
def gated(execute: Execute) -> Execute:
    """The same, of a project whose jobs write what is published."""
    return partial(execute, sales=SALES)


@pytest.fixture
def publishing(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> Callable[[Answers], list[dict[str, Any]]]:
    """A publish_tables that fails as told, step by step; its requests in the order in which they came."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    role = clients("iam").create_role(RoleName="publish", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("a.py", "")
    name = CONTEXT.naming.of("publish_function")
    clients("lambda").create_function(FunctionName=name, Runtime="python3.13", Role=role, Handler="a.b", Code={"ZipFile": code.getvalue()})
    asked: list[dict[str, Any]] = []

    def answering(fails: Answers) -> list[dict[str, Any]]:
        def run(account: str, region: str, function: str, payload: str) -> Any:
            told = Request.read(json.loads(payload))
            request = {"run": json.loads(payload)["run"], "step": told.step, "attempt": told.attempt}
            asked.append(request)
            left = fails.get(request["step"], [])
            if not left or left[0] == "":
                del left[:1]
                return SimpleNamespace(payload=json.dumps({"published": [], "nothing": False}), error="")
            error = left.pop(0)
            return SimpleNamespace(payload=json.dumps({"errorType": error, "errorMessage": f"{error} it is"}), error="Unhandled")

        monkeypatch.setitem(functions._state, "run", run)
        return asked

    return answering


def starts(runs: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    rows = [run["arguments"] for run in runs]
    return [(row["--meshplane-step"], row["--meshplane-attempt"], row["--meshplane-gate"]) for row in rows]


def test_what_a_step_wrote_is_published_before_the_next_reads_it(gated: Execute, publishing: Any) -> None:
    asked = publishing({})
    end, runs = gated(with_steps(LOAD, REVENUE))
    assert end["status"] == "SUCCEEDED", end
    assert starts(runs) == [("load_orders", "0_0", "audit"), ("daily_revenue", "0_0", "audit")]
    assert asked == [{"run": RUN, "step": "load_orders", "attempt": "0_0"}, {"run": RUN, "step": "daily_revenue", "attempt": "0_0"}]


def test_the_attempt_that_is_published_is_the_one_that_succeeded(gated: Execute, publishing: Any) -> None:
    from dataclasses import replace
    from datetime import timedelta

    asked = publishing({})
    end, runs = gated(with_steps(replace(LOAD, retry=1, retry_after=timedelta(seconds=1))), {"load_orders": 1})
    assert end["status"] == "SUCCEEDED"
    assert [attempt for _, attempt, _ in starts(runs)] == ["0_0", "0_1"]
    assert [request["attempt"] for request in asked] == ["0_1"]


@pytest.mark.parametrize("shape", ["sequence", "parallel"])
def test_main_that_moved_repeats_job_and_gate_on_a_fresh_branch(gated: Execute, publishing: Any, shape: str) -> None:
    asked = publishing({"load_orders": ["MainMoved", "MainMoved", ""]})
    steps = [LOAD, REVENUE] if shape == "sequence" else [side_by_side(LOAD, REVENUE)]
    end, runs = gated(with_steps(*steps))
    assert end["status"] == "SUCCEEDED"
    assert sorted(starts(runs)) == [
        ("daily_revenue", "0_0", "audit"),
        *(("load_orders", f"{round_}_0", "audit") for round_ in range(3)),
    ]
    assert [request["attempt"] for request in asked if request["step"] == "load_orders"] == ["0_0", "1_0", "2_0"]


@pytest.mark.parametrize("notify", ["", "domain"])
@pytest.mark.parametrize("shape", ["sequence", "parallel"])
def test_three_rounds_and_no_more(gated: Execute, publishing: Any, clients: Clients, notify: str, shape: str) -> None:
    clients("sns").create_topic(Name=PLANE.alert_topic_arn.rpartition(":")[2])
    publishing({"load_orders": ["MainMoved"] * 9})
    steps = [LOAD, REVENUE] if shape == "sequence" else [side_by_side(LOAD, REVENUE), REVENUE]
    end, runs = gated(with_steps(*steps, notify=notify))
    assert (end["status"], end["error"]) == ("FAILED", "MainMoved")
    assert len([step for step, _, _ in starts(runs) if step == "load_orders"]) == 3
    assert len(notices()) == (1 if notify else 0)


@pytest.mark.parametrize("notify", ["", "domain"])
def test_a_gate_that_says_no_fails_the_run_by_name_and_nothing_follows(
    gated: Execute, publishing: Any, clients: Clients, notify: str
) -> None:
    clients("sns").create_topic(Name=PLANE.alert_topic_arn.rpartition(":")[2])
    asked = publishing({"load_orders": ["GateFailed"]})
    end, runs = gated(with_steps(LOAD, REVENUE, notify=notify))
    assert (end["status"], end["error"]) == ("FAILED", "GateFailed")
    assert "GateFailed it is" in end["cause"]
    assert starts(runs) == [("load_orders", "0_0", "audit")]
    assert len(asked) == 1, "a verdict is not asked twice"
    assert len(notices()) == (1 if notify else 0)


def test_a_fault_of_aws_is_tried_again(gated: Execute, publishing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from meshplane.model import asl_gate

    monkeypatch.setitem(asl_gate.AGAIN, "IntervalSeconds", 1)
    asked = publishing({"load_orders": ["ServiceFault", ""]})
    end, runs = gated(with_steps(LOAD))
    assert end["status"] == "SUCCEEDED"
    assert (len(runs), len(asked)) == (1, 2)
