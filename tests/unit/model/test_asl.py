"""Steps compiled to ASL, and own ASL files judged: every definition passes statelint, and no failure is swallowed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from statelint.linter import Linter
from syrupy.assertion import SnapshotAssertion

from meshplane.model import asl, own_asl
from meshplane.model.own_gate import Gates
from meshplane.model.project import JobStep, Pipeline, Sequence
from tests.unit.kinds.sample import ARN, CONTEXT, NAMING, PLANE, SALES, side_by_side, with_steps

LOAD, REVENUE, TOP = JobStep("load_orders"), JobStep("daily_revenue", retry=2), JobStep("top", arguments={"--limit": "10", "country": "DE"})


def compiled(pipeline: Pipeline) -> dict[str, Any]:
    definition: dict[str, Any] = json.loads(asl.compile_steps(pipeline, SALES, CONTEXT))
    return definition


SHAPES = {
    "one": with_steps(LOAD),
    "sequence": with_steps(LOAD, REVENUE, TOP),
    "parallel": with_steps(side_by_side(LOAD, Sequence((TOP, REVENUE))), JobStep("top")),
    "nested": with_steps(side_by_side(side_by_side(LOAD, TOP), REVENUE), notify="domain"),
    "notice": with_steps(LOAD, REVENUE, notify="domain"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_compiles_to_what_statelint_accepts(shape: str, snapshot: SnapshotAssertion) -> None:
    definition = compiled(SHAPES[shape])
    assert list(Linter.validate(json.dumps(definition))) == []
    assert json.dumps(definition, indent=1) == snapshot


def states_of(machine: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    inner = [state for _, state in machine["States"].items() for branch in state.get("Branches", ()) for state in states_of(branch)]
    return [*machine["States"].items(), *inner]


@pytest.mark.parametrize("shape", SHAPES)
def test_state_names_are_unique_in_the_whole_machine(shape: str) -> None:
    names = [name for name, _ in states_of(compiled(SHAPES[shape]))]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_busy_job_is_asked_again_and_the_run_reaches_every_step(shape: str) -> None:
    for name, state in states_of(compiled(SHAPES[shape])):
        if state.get("Resource") == asl.RUN_JOB:
            assert state["Retry"][0]["ErrorEquals"][0] == "Glue.ConcurrentRunsExceededException", name
            arguments = state["Parameters"]["Arguments"]
            assert arguments["--meshplane-step"] == name
            assert arguments["--meshplane-run.$"] == "States.JsonToString($.run)"
            assert arguments["--meshplane-attempt.$"] == "States.Format('{}_{}', $.gate.round, $$.State.RetryCount)"
            assert state["ResultPath"] == "$.gate.job", "publish_tables is told which attempt it was that succeeded"
        elif state["Type"] in ("Task", "Parallel"):
            assert state["ResultPath"] is None, f"{name} would overwrite the run that later steps read"


def test_what_writes_nothing_that_is_published_has_no_gate() -> None:
    project = replace(SALES, jobs={name: replace(job, writes=()) for name, job in SALES.jobs.items()})
    (state,) = json.loads(asl.compile_steps(with_steps(LOAD), project, CONTEXT))["States"].values()
    assert state["Parameters"]["Arguments"]["--meshplane-attempt.$"] == "States.Format('{}', $$.State.RetryCount)"
    assert "--meshplane-gate" not in state["Parameters"]["Arguments"]
    assert state["ResultPath"] is None


def test_the_only_retry_is_the_declared_one() -> None:
    states = compiled(with_steps(LOAD, replace(REVENUE, retry_after=timedelta(minutes=5))))["States"]
    assert len(states["load_orders"]["Retry"]) == 1
    assert states["daily_revenue"]["Retry"][1] == {
        "ErrorEquals": ["States.ALL"],
        "IntervalSeconds": 300,
        "BackoffRate": 2.0,
        "MaxAttempts": 2,
    }


def test_after_the_notice_the_run_fails_with_the_error_it_had() -> None:
    states = compiled(with_steps(side_by_side(LOAD, TOP), REVENUE, notify="domain"))["States"]
    for name in ("Parallel 1", "daily_revenue"):
        assert states[name]["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": asl.NOTICE}], name
    notice, failed = states[asl.NOTICE], states[asl.FAILED]
    assert notice["Parameters"]["TopicArn"] == PLANE.alert_topic_arn
    assert (notice["Next"], notice["ResultPath"]) == (asl.FAILED, None)
    assert notice["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": asl.FAILED}], "a lost notice hides no failure"
    assert failed == {"Type": "Fail", "ErrorPath": "$.failure.Error", "CausePath": "$.failure.Cause"}


def test_without_a_notice_only_a_moved_main_is_caught() -> None:
    caught = [catch["ErrorEquals"] for _, state in states_of(compiled(SHAPES["parallel"])) for catch in state.get("Catch", ())]
    assert caught
    assert all(names == ["MainMoved"] for names in caught)


def test_an_own_topic_hears_of_it() -> None:
    topic = ARN("sns", "sales-oncall")
    assert compiled(with_steps(LOAD, notify=topic))["States"][asl.NOTICE]["Parameters"]["TopicArn"] == topic


NAMES = [
    ("each job once", [LOAD, REVENUE], ["load_orders", "daily_revenue"]),
    ("a second use is numbered", [LOAD, LOAD, LOAD], ["load_orders", "load_orders-2", "load_orders-3"]),
    ("a job may be called like a number", [JobStep("a"), JobStep("a-2"), JobStep("a")], ["a", "a-2", "a-3"]),
    ("in branches too", [side_by_side(LOAD, LOAD), LOAD], ["load_orders", "load_orders-2", "load_orders-3"]),
]


@pytest.mark.parametrize(("reason", "steps", "expected"), NAMES, ids=[row[0] for row in NAMES])
def test_steps_are_named_after_their_jobs(reason: str, steps: list[Any], expected: list[str]) -> None:
    assert [name for name, _ in asl.step_names(with_steps(*steps))] == expected, reason


def task(**fields: Any) -> dict[str, Any]:
    return {"Type": "Task", "End": True, **fields}


RUN = task(Resource="arn:aws:states:::glue:startJobRun.sync", Parameters={"JobName": "${job.load_orders}"})
SCORE = ARN("lambda", "function:score")
QUEUE = ARN("sqs", "orders")
GOOD = {"StartAt": "a", "States": {"a": RUN}}


def judged(body: Any, targets: tuple[str, ...] = (SCORE, QUEUE)) -> own_asl.Filled:
    text = body if isinstance(body, str) else json.dumps(body)
    return own_asl.fill(text, "pipelines/daily.asl.json", SALES.jobs, targets, lambda job: NAMING.job("sales", job))


def test_references_become_physical_names() -> None:
    filled = judged(GOOD)
    assert filled.problems == ()
    assert filled.definition["States"]["a"]["Parameters"]["JobName"] == "f01-sales-load_orders-dev"


LISTED = [
    ("a function", task(Resource="arn:aws:states:::lambda:invoke", Parameters={"FunctionName": SCORE})),
    ("a function, with JSONata", task(Resource="arn:aws:states:::lambda:invoke", Arguments={"FunctionName": SCORE})),
    ("a function as the resource itself", task(Resource=SCORE)),
    (
        "a queue by its URL",
        task(
            Resource="arn:aws:states:::sqs:sendMessage",
            Parameters={"QueueUrl": "https://sqs.eu-central-1.amazonaws.com/390403879405/orders"},
        ),
    ),
]


@pytest.mark.parametrize(("what", "state"), LISTED, ids=[row[0] for row in LISTED])
def test_a_listed_target_may_be_called(what: str, state: dict[str, Any]) -> None:
    assert judged({"StartAt": "a", "States": {"a": state}}).problems == ()


def one(state: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": "a", "States": {"a": state}}


BROKEN = [
    ("not JSON", "{", "asl-json", ""),
    ("not an object", "[]", "asl-shape", ""),
    ("no states", {"StartAt": "a", "States": {}}, "asl-shape", "States"),
    ("starts nowhere", {**GOOD, "StartAt": "b"}, "asl-next", "StartAt"),
    ("leads to a state that is not there", one({"Type": "Pass", "Next": "b"}), "asl-next", "States.a.Next"),
    ("a catch too", one({**RUN, "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "b"}]}), "asl-next", "States.a.Catch.0.Next"),
    (
        "a choice too",
        one({"Type": "Choice", "Choices": [{"Variable": "$.x", "IsNull": True, "Next": "b"}]}),
        "asl-next",
        "States.a.Choices.0.Next",
    ),
    ("its default too", one({"Type": "Choice", "Choices": [], "Default": "b"}), "asl-next", "States.a.Default"),
    ("leads nowhere", one({"Type": "Pass"}), "asl-next", "States.a"),
    ("no such type", one({"Type": "Loop", "End": True}), "asl-type", "States.a"),
    ("no such job", one(task(Resource=asl.RUN_JOB, Parameters={"JobName": "${job.load_order}"})), "asl-reference", ""),
    ("a job by name", one(task(Resource=asl.RUN_JOB, Parameters={"JobName": "f01-finance-load-dev"})), "asl-job", "States.a.JobName"),
    ("a job from the input", one(task(Resource=asl.RUN_JOB, Parameters={"JobName.$": "$.job"})), "asl-job", "States.a.JobName"),
    ("any other service", one(task(Resource="arn:aws:states:::aws-sdk:s3:deleteObject")), "asl-target", "States.a.Resource"),
    ("an unlisted function", one(task(Resource=ARN("lambda", "function:other"))), "asl-target", "States.a.Resource"),
    (
        "a target from the input",
        one(task(Resource="arn:aws:states:::sns:publish", Parameters={"TopicArn.$": "$.t"})),
        "asl-target",
        "States.a.TopicArn",
    ),
    (
        "inside a branch",
        one({"Type": "Parallel", "End": True, "Branches": [one({"Type": "Pass", "Next": "z"})]}),
        "asl-next",
        "States.a.Branches.0.States.a.Next",
    ),
    (
        "inside a map",
        one({"Type": "Map", "End": True, "ItemProcessor": one({"Type": "Pass"})}),
        "asl-next",
        "States.a.ItemProcessor.States.a",
    ),
    ("a map that reads S3", one({"Type": "Map", "End": True, "ItemReader": {}, "ItemProcessor": GOOD}), "asl-target", "States.a"),
]


@pytest.mark.parametrize(("reason", "body", "code", "path"), BROKEN, ids=[row[0] for row in BROKEN])
def test_what_is_wrong_with_an_own_file_is_said_with_its_place(reason: str, body: Any, code: str, path: str) -> None:
    filled = judged(body)
    assert [(problem.code, problem.path) for problem in filled.problems] == [(code, path)], reason
    assert all(problem.file == "pipelines/daily.asl.json" for problem in filled.problems)
    assert filled.definition == {}


def test_all_faults_are_told_at_once() -> None:
    body = {"StartAt": "x", "States": {"a": {"Type": "Pass"}, "b": {"Type": "Loop"}, "c": task(Resource="x")}}
    assert [problem.code for problem in judged(body).problems] == ["asl-next", "asl-next", "asl-type", "asl-target"]


GATES = Gates({"load_orders": ("orders",), "daily_revenue": ("daily_revenue",)}, ARN("lambda", "function:publish"))
LOADS: dict[str, Any] = {
    "Type": "Task",
    "Resource": asl.RUN_JOB,
    "Parameters": {"JobName": "${job.load_orders}", "Arguments": {"--limit": "10"}},
}
PUBLISHES = {"Type": "Task", "Resource": "${gate.orders}", "End": True}
GATED: dict[str, Any] = {"StartAt": "load", "States": {"load": {**LOADS, "Next": "publish"}, "publish": PUBLISHES}}


def gated(body: Any) -> own_asl.Filled:
    return own_asl.fill(json.dumps(body), "daily.asl.json", SALES.jobs, (SCORE,), lambda job: NAMING.job("sales", job), GATES)


def test_job_and_gate_of_an_own_file_are_told_what_they_need() -> None:
    filled = gated(GATED)
    assert filled.problems == ()
    assert list(Linter.validate(json.dumps(filled.definition))) == []
    load, publish = filled.definition["States"]["load"], filled.definition["States"]["publish"]
    assert load["Parameters"]["Arguments"] == {
        "--limit": "10",
        "--meshplane-run.$": "States.JsonToString($$.Execution.Input.run)",
        "--meshplane-step": "load_orders",
        "--meshplane-gate": "audit",
        "--meshplane-attempt.$": "States.Format('0_{}', $$.State.RetryCount)",
    }
    assert publish["Parameters"] == {
        "FunctionName": ARN("lambda", "function:publish"),
        "Payload": {"run.$": "$$.Execution.Input.run", "step": "load_orders", "arguments.$": "$.gate.arguments"},
    }
    assert (load["ResultPath"], publish["ResultPath"]) == ("$.gate", None)


def test_a_second_use_of_a_job_is_a_step_of_its_own_also_in_a_branch() -> None:
    twice = {
        "load": {**LOADS, "Next": "publish"},
        "publish": {**PUBLISHES, "Next": "more"} | {},
        "more": {**LOADS, "Next": "again"},
        "again": PUBLISHES,
    }
    del twice["publish"]["End"]
    inside = {"StartAt": "both", "States": {"both": {"Type": "Parallel", "Branches": [{"StartAt": "load", "States": twice}], "End": True}}}
    states = gated(inside).definition["States"]["both"]["Branches"][0]["States"]
    steps = [states[name]["Parameters"]["Arguments"]["--meshplane-step"] for name in ("load", "more")]
    assert steps == ["load_orders", "load_orders-2"]
    assert states["again"]["Parameters"]["Payload"]["step"] == "load_orders-2"


def _with(**states: Any) -> dict[str, Any]:
    return {"StartAt": "load", "States": {**GATED["States"], **states}}


UNGATED_FILES = [
    ("the gate is taken out", {"StartAt": "load", "States": {"load": {**LOADS, "End": True}}}, ["States.load"]),
    (
        "another state comes between",
        _with(load={**LOADS, "Next": "wait"}, wait={"Type": "Wait", "Seconds": 1, "Next": "publish"}),
        ["States.load", "States.publish"],
    ),
    (
        "another table's gate follows",
        _with(publish={**PUBLISHES, "Resource": "${gate.daily_revenue}"}),
        ["States.load"],
    ),
    (
        "the job is not waited for",
        _with(load={**LOADS, "Resource": asl.RUN_JOB.removesuffix(".sync"), "Next": "publish"}),
        ["States.load.Resource"],
    ),
    (
        "another script takes its place",
        _with(
            load={
                **LOADS,
                "Parameters": {**LOADS["Parameters"], "Arguments": {"--scriptLocation.$": "$.x", "--conf": "a=b"}},
                "Next": "publish",
            }
        ),
        ["States.load.Parameters.Arguments.--conf", "States.load.Parameters.Arguments.--scriptLocation"],
    ),
    (
        "arguments from who knows where",
        _with(load={**LOADS, "Parameters": {"JobName": "${job.load_orders}", "Arguments.$": "$.x"}, "Next": "publish"}),
        ["States.load.Parameters.Arguments.$"],
    ),
    ("its result is thrown away", _with(load={**LOADS, "ResultPath": None, "Next": "publish"}), ["States.load.ResultPath"]),
    ("the gate is asked something else", _with(publish={**PUBLISHES, "Parameters": {"Payload": {}}}), ["States.publish.Parameters"]),
    ("a gate on its own", {"StartAt": "publish", "States": {"publish": PUBLISHES}}, ["States.publish"]),
    ("in JSONata", {**GATED, "QueryLanguage": "JSONata"}, ["States.load"]),
]


@pytest.mark.parametrize(("reason", "body", "paths"), UNGATED_FILES, ids=[row[0] for row in UNGATED_FILES])
def test_a_job_past_its_gate_is_refused(reason: str, body: Any, paths: list[str]) -> None:
    problems = gated(body).problems
    assert [(problem.code, problem.path) for problem in problems] == [("asl-gate", path) for path in paths], reason
    assert all(problem.mend or problem.allowed for problem in problems)


def test_a_gate_of_no_table_is_a_reference_to_nothing() -> None:
    (problem, *_) = gated(_with(publish={**PUBLISHES, "Resource": "${gate.ordres}"})).problems
    assert (problem.code, problem.message) == ("asl-reference", "'${gate.ordres}' names no table that jobs of this project write")
    assert "${gate.orders}" in problem.allowed
