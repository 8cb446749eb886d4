"""Own ASL files with a gated job in more than one place: each use is a step of its own, and none is reached twice."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from statelint.linter import Linter

from meshplane.model import asl, own_asl
from tests.unit.kinds.sample import SALES
from tests.unit.model.test_asl import GATED, GATES, LOADS, PUBLISHES, gated, one, states_of


def steps_of(machine: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Country → the step that its job is told, and the one that the gate behind it asks for."""
    named = dict(states_of(machine))
    jobs = {state["Next"]: state["Parameters"]["Arguments"] for state in named.values() if state.get("Resource") == asl.RUN_JOB}
    return {told["--country"]: (told["--meshplane-step"], named[gate]["Parameters"]["Payload"]["step"]) for gate, told in jobs.items()}


def of_country(country: str, job: str = "load_orders", **gate: Any) -> dict[str, Any]:
    parameters = {"JobName": f"${{job.{job}}}", "Arguments": {"--country": country}}
    load = {**LOADS, "Parameters": parameters, "Next": f"publish {country}"}
    return {"StartAt": f"load {country}", "States": {f"load {country}": load, f"publish {country}": gate or PUBLISHES}}


def side(*branches: dict[str, Any], **state: Any) -> dict[str, Any]:
    return {"Type": "Parallel", "Branches": list(branches), **(state or {"End": True})}


def line(*machines: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": machines[0]["StartAt"], "States": {name: state for machine in machines for name, state in machine["States"].items()}}


DE, FR, IT, AT = map(of_country, ("DE", "FR", "IT", "AT"))
GATE = {"Type": "Task", "Resource": "${gate.orders}"}
USES = [
    ("each branch is a use of its own", one(side(DE, FR)), {"DE": "", "FR": "-2"}),
    ("however deep", one(side(DE, {"StartAt": "b", "States": {"b": side(FR)}})), {"DE": "", "FR": "-2"}),
    (
        "in the order of the file",
        line(of_country("DE", **GATE, Next="a"), one(side(FR, IT, Next="load AT")), AT),
        {"DE": "", "FR": "-2", "IT": "-3", "AT": "-4"},
    ),
    ("a job may be called like a number", one(side(DE, FR, of_country("IT", "load_orders-2"))), {"DE": "", "FR": "-3", "IT": "-2"}),
]


@pytest.mark.parametrize(("reason", "body", "steps"), USES, ids=[row[0] for row in USES])
def test_no_two_uses_in_a_file_are_one_step(reason: str, body: Any, steps: dict[str, str]) -> None:
    gates = replace(GATES, tables={**GATES.tables, "load_orders-2": ("orders",)})
    filled = own_asl.fill(json.dumps(body), "daily.asl.json", (*SALES.jobs, "load_orders-2"), (), str, gates)
    assert filled.problems == ()
    assert steps_of(dict(filled.definition)) == {country: (f"load_orders{n}",) * 2 for country, n in steps.items()}, reason
    assert list(Linter.validate(json.dumps(filled.definition))) == []


def _with(**states: Any) -> dict[str, Any]:
    return {"StartAt": "load", "States": {**GATED["States"], **states}}


MAPPED = {"Type": "Map", "ItemsPath": "$.countries", "End": True, "ItemProcessor": GATED}
GOES_ON = {**GATE, "Next": "more"}
MORE = {"Type": "Choice", "Choices": [{"Variable": "$.more", "BooleanEquals": True, "Next": "load"}], "Default": "end"}
END = {"Type": "Succeed"}
OFTEN = [
    ("in a map", one(MAPPED), ["States.a.ItemProcessor.States.load"]),
    ("in a map of the older kind", one({"Type": "Map", "End": True, "Iterator": GATED}), ["States.a.Iterator.States.load"]),
    (
        "in branches in a map",
        one({**MAPPED, "ItemProcessor": one(side(GATED))}),
        ["States.a.ItemProcessor.States.a.Branches.0.States.load"],
    ),
    ("in a map in a branch", one(side(one(MAPPED))), ["States.a.Branches.0.States.a.ItemProcessor.States.load"]),
    ("in a loop", _with(publish=GOES_ON, more=MORE, end=END), ["States.load"]),
    ("by a default", _with(publish=GOES_ON, more={**MORE, "Default": "load"}, end=END), ["States.load"]),
    (
        "in branches in a loop",
        {"StartAt": "load", "States": {"load": side(GATED, Next="more"), "more": MORE, "end": END}},
        ["States.load"],
    ),
]


@pytest.mark.parametrize(("reason", "body", "paths"), OFTEN, ids=[row[0] for row in OFTEN])
def test_a_gated_job_that_a_run_would_reach_twice_is_refused(reason: str, body: Any, paths: list[str]) -> None:
    problems = gated(body).problems
    assert [(problem.code, problem.path) for problem in problems] == [("asl-gate", path) for path in paths], reason


def test_the_message_says_what_to_do_in_place_of_a_map() -> None:
    (problem,) = gated(one(MAPPED)).problems
    assert str(problem) == (
        "daily.asl.json  States.a.ItemProcessor.States.load: "
        "runs for each item of a Map, all of them one step: only what the first one writes would be kept\n"
        "    found    in a Map\n"
        "    allowed  a state that runs once\n"
        "    mend     one job that loads all of it, or a job and its gate for each part, one after the other"
    )


ONCE = [
    (
        "a job without a gate in a map",
        one({**MAPPED, "ItemProcessor": one({**LOADS, "Parameters": {"JobName": "${job.top}"}, "End": True})}),
    ),
    ("a loop that waits before it", _with(wait={"Type": "Wait", "Seconds": 1, "Next": "more"}, more={**MORE, "Default": "wait"})),
    (
        "another attempt at what failed",
        _with(load={**LOADS, "Next": "publish", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "load"}]}),
    ),
    ("either of two ways", {"StartAt": "more", "States": {**GATED["States"], "more": MORE, "end": END}}),
]


@pytest.mark.parametrize(("what", "body"), ONCE, ids=[row[0] for row in ONCE])
def test_what_runs_once_stays_allowed(what: str, body: Any) -> None:
    assert gated(body).problems == (), what
