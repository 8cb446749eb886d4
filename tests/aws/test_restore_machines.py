"""The state machines of statemachines/ that restore a table, executed by the interpreter against a function that answers as told."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from meshplane.aws.clients import Clients
from meshplane_cli.local.repairs import functions
from tests.unit.kinds.sample import CONTEXT

ROOT = Path(__file__).resolve().parents[2]
REQUEST = {"project": "sales", "table": "orders", "pipeline": "daily", "from": "2026-11-20", "until": "2026-11-21"}
Run = Callable[..., tuple[dict[str, Any], list[dict[str, Any]]]]


@pytest.fixture
def machine(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> Run:
    """(machine, answers in turn; a text is an error's name) → the execution's end, and what the function was asked."""
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "*"}, "Action": "sts:AssumeRole"}]}
    role = clients("iam").create_role(RoleName="restore", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("a.py", "")
    name = "f01-meshplane-restore-table-dev"
    clients("lambda").create_function(FunctionName=name, Runtime="python3.13", Role=role, Handler="a.b", Code={"ZipFile": code.getvalue()})

    def run(which: str, *answers: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        asked: list[dict[str, Any]] = []
        left = list(answers)

        def answer(account: str, region: str, function: str, payload: str) -> Any:
            asked.append(json.loads(payload))
            told = left.pop(0)
            if isinstance(told, str):
                return SimpleNamespace(payload=json.dumps({"errorType": told, "errorMessage": f"{told} it is"}), error="Unhandled")
            return SimpleNamespace(payload=json.dumps(told), error="")

        monkeypatch.setitem(functions._state, "run", answer)
        text = (ROOT / "statemachines" / f"{which}.asl.json").read_text(encoding="utf-8")
        text = text.replace("${RestoreTable}", CONTEXT.naming.arn("lambda", f"function:{name}"))
        definition = text.replace('"Seconds": 5', '"Seconds": 0').replace('"IntervalSeconds": 2', '"IntervalSeconds": 1')
        states = clients("stepfunctions")
        made = states.create_state_machine(name=which.replace("_", "-"), definition=definition, roleArn=role)["stateMachineArn"]
        execution = states.start_execution(stateMachineArn=made, name="it", input=json.dumps(REQUEST))["executionArn"]
        until = time.monotonic() + 30
        while (end := states.describe_execution(executionArn=execution))["status"] == "RUNNING" and time.monotonic() < until:
            time.sleep(0.05)
        return end, asked

    return run


def test_a_rollback_is_one_request_that_names_its_execution(machine: Run) -> None:
    end, asked = machine("roll_back", {"table": "orders", "snapshot": "2", "undone": []})
    assert (end["status"], json.loads(end["output"])) == ("SUCCEEDED", {"table": "orders", "snapshot": "2", "undone": []})
    assert asked == [{"do": "roll_back", "id": "it", "request": REQUEST}]


def test_what_may_go_better_is_tried_again_and_a_refusal_is_not(machine: Run) -> None:
    end, asked = machine("roll_back", "ServiceFault", {"table": "orders", "snapshot": "2", "undone": []})
    assert (end["status"], len(asked), asked[0]) == ("SUCCEEDED", 2, asked[1])


def test_a_refusal_is_the_executions_error(machine: Run) -> None:
    end, asked = machine("roll_back", "RestoreRefused")
    assert (end["status"], end["error"], len(asked)) == ("FAILED", "RestoreRefused", 1)
    assert json.loads(end["cause"])["errorMessage"] == "RestoreRefused it is"


def looked(status: str, ended: bool, **more: str) -> dict[str, Any]:
    return {"run_id": "daily-1", "status": status, "ended": ended, "cause": "", "published": "", **more}


def test_a_rebuild_waits_for_its_run(machine: Run) -> None:
    done = looked("SUCCEEDED", True, published="9")
    end, asked = machine("rebuild", {"run_id": "daily-1"}, looked("WAITING", False), looked("RUNNING", False), done)
    assert (end["status"], json.loads(end["output"])) == ("SUCCEEDED", done)
    assert {key: asked[0][key] for key in ("do", "id", "request")} == {"do": "rebuild", "id": "it", "request": REQUEST}
    assert asked[0]["at"].endswith("Z")
    assert [(one["do"], one["run_id"]) for one in asked[1:]] == [("look", "daily-1")] * 3
    assert all({key: one["request"][key] for key in REQUEST} == REQUEST for one in asked[1:])


@pytest.mark.parametrize("status", ["FAILED", "ABORTED", "TIMED_OUT", "SKIPPED"])
def test_a_run_that_did_not_succeed_is_a_rebuild_that_failed(machine: Run, status: str) -> None:
    end, _ = machine("rebuild", {"run_id": "daily-1"}, looked(status, True, cause="rule-failed: orders"))
    assert (end["status"], end["error"], end["cause"]) == ("FAILED", status, "rule-failed: orders")
