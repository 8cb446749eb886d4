"""Asks Glue about job runs, of moto as it is (`vanilla`) and as repaired; prints the answers as JSON. Its own process: repairs stay."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws

answers: dict[str, Any] = {}
events: list[dict[str, Any]] = []


def ask(name: str, question: Callable[[], Any]) -> None:
    try:
        answers[name] = question()
    except ClientError as error:
        answers[name] = {"error": error.response["Error"]["Code"]}
    except NotImplementedError:
        answers[name] = {"missing": True}


def probe(glue: Any, end: Callable[[str, str], None]) -> None:
    command = {"Name": "glueetl", "ScriptLocation": "s3://b/k.py"}
    glue.create_job(Name="j", Role="r", Command=command, GlueVersion="5.1", Timeout=7, DefaultArguments={"--a": "job", "--b": "job"})

    def start(**more: Any) -> str:
        return str(glue.start_job_run(JobName="j", **more)["JobRunId"])

    def look(run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = glue.get_job_run(JobName="j", RunId=run_id)["JobRun"]
        return found

    first = start(Arguments={"--b": "run", "--c": "run"})
    ask(
        "first_look", lambda: {key: look(first).get(key) for key in ("JobRunState", "GlueVersion", "ExecutionTime", "Timeout", "Arguments")}
    )
    ask("open_run_has_no_end", lambda: "CompletedOn" not in look(first))
    ask("second_run", start)
    ask("queued", lambda: look(start(JobRunQueuingEnabled=True))["JobRunState"])
    end(first, "FAILED")
    ask("failed", lambda: {key: look(first).get(key) for key in ("JobRunState", "ErrorMessage")})
    ask("after_the_first", lambda: [run["JobRunState"] for run in glue.get_job_runs(JobName="j")["JobRuns"]])
    ask("newest_first", lambda: glue.get_job_runs(JobName="j")["JobRuns"][-1]["Id"] == first)
    ask("stop_ended", lambda: glue.batch_stop_job_run(JobName="j", JobRunIds=[first])["Errors"][0]["ErrorDetail"]["ErrorCode"])
    ask("stop_absent", lambda: glue.batch_stop_job_run(JobName="j", JobRunIds=["jr_0"])["Errors"][0]["ErrorDetail"]["ErrorCode"])
    waiting = glue.get_job_runs(JobName="j")["JobRuns"][0]["Id"]
    ask("stop_open", lambda: glue.batch_stop_job_run(JobName="j", JobRunIds=[waiting]) and look(waiting)["JobRunState"])


def probe_logs(logs: Any) -> None:
    from datetime import timedelta

    from meshplane_cli.local.clock import CLOCK

    CLOCK.move_to(CLOCK.now() + timedelta(hours=5))
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    line = {"timestamp": int(CLOCK.millis()), "message": "later"}
    ask(
        "log_on_an_advanced_clock",
        lambda: "rejectedLogEventsInfo" not in logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=[line]),
    )


def main(mode: str) -> None:
    def no_end(_run_id: str, _state: str) -> None:
        """moto has no way to end a run."""

    end: Callable[[str, str], None] = no_end
    if mode == "repaired":
        from meshplane_cli.local import repairs
        from meshplane_cli.local.repairs import glue_job_runs

        repairs.apply()
        glue_job_runs.apply(lambda _account, _region, event: events.append(dict(event)))

        def end(_run_id: str, state: str) -> None:
            run = glue_job_runs.submitted.get()
            run.claim()
            run.move("RUNNING")
            run.move(state, "AnalysisException: no such table")

    with mock_aws():
        probe_logs(boto3.client("logs", region_name="eu-central-1"))
        probe(boto3.client("glue", region_name="eu-central-1"), end)
    answers["events"] = events
    print("ANSWERS" + json.dumps(answers, default=str))


if __name__ == "__main__":
    main(sys.argv[1])
