"""`logs -f` and `status --watch`: the world moves while the verb pauses between two looks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from meshplane.model.runs import Run, StepEnd
from tests.cli.conftest import Cli
from tests.cli.test_cli_aws import AT, Put, document

ENDED = "2030-05-01T12:02:00Z"


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`moves(verb, first, second, …)`: each pause of the verb plays the next; after the last one a person presses Ctrl-C."""

    def play(verb: str, *steps: Callable[[], object]) -> None:
        waiting: Iterator[Callable[[], object]] = iter(steps)

        def pause(_: float) -> None:
            step = next(waiting, None)
            if step is None:
                raise KeyboardInterrupt
            step()

        monkeypatch.setattr(f"meshplane_cli.commands.{verb}.time.sleep", pause)

    return play


def test_status_watch_shows_each_change_once_and_ends_as_it_stands(aws: Cli, put: Put, moves: Callable[..., None]) -> None:
    def stands(project: str, *synced: str) -> None:
        put("artifacts", f"status/{project}.json", document("v1", (synced[0], synced[1])))
        put("artifacts", f"status/{project}.txt", f"{project}: {synced[1]}\n")

    stands("sales", "False", "InProgress")
    changes = (lambda: None, lambda: stands("customers", "True", "Applied"), lambda: stands("sales", "False", "Denied"))
    moves("status", *changes)
    told = aws("status", "--watch", "--json")
    looks = [[(one["conditions"][0]["reason"]) for one in json.loads(line)] for line in told.stdout.splitlines()]
    assert looks == [["InProgress"], ["Applied", "InProgress"], ["Applied", "Denied"]], "a project published meanwhile is shown, too"
    assert told.exit_code == 1
    moves("status", lambda: stands("sales", "True", "Applied"))
    told = aws("status", "sales", "--watch")
    assert (told.stdout, told.exit_code) == ("sales: Denied\nsales: Applied\n", 0)


@pytest.fixture
def job_run(aws: Cli) -> str:
    """A run of sales.load_orders by itself, under way; the id of its Glue job run."""
    assert aws.clients
    glue, name = aws.clients("glue"), "f01-sales-load_orders-dev"
    glue.create_job(Name=name, Role="arn:aws:iam::390403879405:role/any", Command={"Name": "glueetl"})
    arguments = {"--meshplane-run": json.dumps({"run_id": "load_orders-20300501T120000-0a1b"}), "--meshplane-step": "load_orders"}
    for group in ("output", "error"):
        aws.clients("logs").create_log_group(logGroupName=f"/aws-glue/jobs/{group}")
    return str(glue.start_job_run(JobName=name, Arguments=arguments)["JobRunId"])


def test_logs_follow_prints_each_line_once_until_the_run_has_ended(aws: Cli, put: Put, job_run: str, moves: Callable[..., None]) -> None:
    assert aws.clients
    logs, begun, since = aws.clients("logs"), set(), round(time.time() * 1000) - 60_000  # events of another time are dropped
    put("artifacts", "status/sales.json", document("v1"))

    def says(group: str, *lines: tuple[int, str]) -> None:
        place = {"logGroupName": f"/aws-glue/jobs/{group}", "logStreamName": job_run}
        if group not in begun:
            logs.create_log_stream(**place)
            begun.add(group)
        logs.put_log_events(**place, logEvents=[{"timestamp": since + at, "message": line} for at, line in lines])

    def ends() -> None:
        says("error", (30, "Traceback (most recent call last):"), (31, '  File "/tmp/load.py", line 7, in main'), (32, "ValueError: no"))
        step = StepEnd("f01-sales-load_orders-dev", job_run, "FAILED", 0, AT, ENDED, "ValueError: no")
        table = aws.naming.of("state_table")
        aws.clients("dynamodb").delete_item(TableName=table, Key={"pk": {"S": "project#sales"}, "sk": {"S": f"run#{run.run_id}"}})
        aws.runs.put(replace(run, status="FAILED", cause="ValueError: no", ended=ENDED, steps={"load_orders#0": step}))

    run = Run("load_orders-20300501T120000-0a1b", "sales", "", "RUNNING", "", "manual", AT, job="load_orders", started=AT)
    aws.runs.put(run)
    moves(
        "logs",
        lambda: says("output", (10, '{"time": "2030-05-01T12:00:00Z", "level": "INFO", "logger": "job", "message": "begun"}')),
        lambda: says("error", (5, "a warning that came late")),
        lambda: says("output", (20, "half")),
        ends,
    )
    told = aws("logs", "load_orders-20300501T120000-0a1b", "-f")
    followed = [line.partition(" | ")[2] for line in told.stdout.splitlines() if line.startswith("load_orders | ")]
    assert followed[:3] == ["12:00:00 INFO    job  begun", "a warning that came late", "half"]
    assert followed[3:] == ["Traceback (most recent call last):", '  File "/tmp/load.py", line 7, in main', "ValueError: no"]
    assert told.exit_code == 1
    assert "FAILED after 2 min" in told.stdout
    whole = aws("logs", "sales.load_orders", "-f", "--json")
    assert len(json.loads(whole.stdout)["steps"][0]["lines"]) == 6


def test_logs_of_a_job_by_itself_while_it_runs(aws: Cli, put: Put, job_run: str) -> None:
    """What `meshplane run PROJECT.JOB` tells to look at: it is recorded only when it ends, Glue knows it before."""
    put("artifacts", "status/sales.json", document("v1"))
    for name in ("load_orders-20300501T120000-0a1b", "sales.load_orders"):
        told = json.loads(aws("logs", name, "--json").stdout)
        assert (told["run"]["run_id"], told["steps"][0]["job_run_id"]) == ("load_orders-20300501T120000-0a1b", job_run)


@pytest.fixture
def two_steps(aws: Cli, put: Put, job_run: str) -> str:
    """A run of two steps, each of which has logged its own name; the run's id."""
    assert aws.clients
    glue, logs, since = aws.clients("glue"), aws.clients("logs"), round(time.time() * 1000)
    put("artifacts", "status/sales.json", document("v1"))
    run, steps = Run("daily-1", "sales", "daily", "SUCCEEDED", "", "manual", AT, started=AT, ended=ENDED), {}
    for name in ("extract", "load"):
        job = f"f01-sales-{name}-dev"
        glue.create_job(Name=job, Role="arn:aws:iam::390403879405:role/any", Command={"Name": "glueetl"})
        arguments = {"--meshplane-run": json.dumps({"run_id": run.run_id}), "--meshplane-step": name}
        begun = glue.start_job_run(JobName=job, Arguments=arguments)["JobRunId"]
        place = {"logGroupName": "/aws-glue/jobs/output", "logStreamName": begun}
        logs.create_log_stream(**place)
        logs.put_log_events(**place, logEvents=[{"timestamp": since, "message": f"line of {name}"}])
        steps[f"{name}#0"] = StepEnd(job, begun, "SUCCEEDED", 0, AT, ENDED)
    aws.runs.put(replace(run, steps=steps))
    return run.run_id


def test_logs_of_one_step(aws: Cli, two_steps: str) -> None:
    both, one = (json.loads(aws("logs", two_steps, *only, "--json").stdout)["steps"] for only in ((), ("--step", "load")))
    assert sorted(step["step"] for step in both) == ["extract", "load"]
    assert [(step["step"], step["lines"]) for step in one] == [("load", ["line of load"])]
    told = aws("logs", two_steps, "--step", "load", "-f").stdout
    assert "load | line of load" in told
    assert "extract" not in told


def test_logs_of_an_unknown_step_are_refused_with_those_there_are(aws: Cli, two_steps: str) -> None:
    told = aws("logs", two_steps, "--step", "lod")
    assert told.exit_code == 2
    assert f"run {two_steps} has no step 'lod'" in told.stderr
    assert "extract" in told.stderr
    assert "load" in told.stderr
    assert told.stdout == ""


def test_ctrl_c_ends_following(aws: Cli, put: Put, job_run: str, moves: Callable[..., None]) -> None:
    put("artifacts", "status/sales.json", document("v1"))
    running = Run("daily-1", "sales", "daily", "RUNNING", "", "manual", AT, started=AT)
    aws.runs.put(running)
    moves("logs", lambda: None)
    assert aws("logs", "daily-1", "-f").exit_code == 130
