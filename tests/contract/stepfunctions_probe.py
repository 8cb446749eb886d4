"""Asks Step Functions the same questions of moto as it is (`vanilla`) and as repaired; prints the answers as JSON. Its own process:
repairs cannot be taken back."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws

ROLE = "arn:aws:iam::123456789012:role/pipes/pipeline"
events: list[dict[str, Any]] = []
callers: list[str] = []
looked: list[str] = []
answers: dict[str, Any] = {}


def clients() -> tuple[Any, Any, Any]:
    session = boto3.session.Session(aws_access_key_id="x", aws_secret_access_key="y", region_name="eu-central-1")
    return session.client("stepfunctions"), session.client("glue"), session.client("sns")


def machine(states: dict[str, Any], **more: Any) -> str:
    return json.dumps({"StartAt": next(iter(states)), "States": states, **more})


def sync(job: str, **more: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": "arn:aws:states:::glue:startJobRun.sync", "Parameters": {"JobName": job}, "End": True, **more}


def finished(sfn: Any, arn: str, seconds: float = 12) -> dict[str, Any]:
    until = time.monotonic() + seconds
    while True:
        found: dict[str, Any] = sfn.describe_execution(executionArn=arn)
        if found["status"] != "RUNNING" or time.monotonic() > until:
            return found
        time.sleep(0.05)


def executed(sfn: Any, name: str, definition: str, **start: Any) -> dict[str, Any]:
    arn = sfn.create_state_machine(name=name, definition=definition, roleArn=ROLE)["stateMachineArn"]
    return finished(sfn, sfn.start_execution(stateMachineArn=arn, **start)["executionArn"])


def ask(name: str, question: Callable[[], Any]) -> None:
    try:
        answers[name] = question()
    except ClientError as error:
        answers[name] = {"error": error.response["Error"]["Code"]}
    except Exception as error:  # noqa: BLE001
        answers[name] = {"broken": type(error).__name__}


def play_worker() -> None:
    """Ends runs as their job's name says; `hang` and `long` wait to be stopped. Only repaired moto hands runs out."""
    from meshplane_cli.local.repairs import glue_job_runs

    seen: dict[str, int] = {}
    while True:
        run = glue_job_runs.submitted.get()
        seen[run.job_name] = seen.get(run.job_name, 0) + 1
        if not run.claim():
            continue
        run.move("RUNNING")
        fails = run.job_name == "fails" or (run.job_name == "once" and seen["once"] == 1)
        if run.job_name not in ("hang", "long"):
            run.move("FAILED" if fails else "SUCCEEDED", "ValueError: no rows" if fails else "")
            continue
        threading.Thread(target=await_stop, args=(run,), daemon=True).start()


def await_stop(run: Any) -> None:
    while run.state != "STOPPING":
        time.sleep(0.02)
    run.move("STOPPED")


def probe_glue(sfn: Any, glue: Any) -> None:
    for name in ("ok", "once", "fails", "hang", "long", "taken"):
        glue.create_job(Name=name, Role=ROLE, Command={"Name": "glueetl", "ScriptLocation": "s3://b/k.py"})

    def state_of(name: str) -> str:
        time.sleep(0.5)
        return str(glue.get_job_runs(JobName=name)["JobRuns"][0]["JobRunState"])

    def short(found: dict[str, Any]) -> dict[str, Any]:
        return {key: found.get(key) for key in ("status", "error", "cause", "output")}

    ask("sync", lambda: short(executed(sfn, "sync", machine({"A": sync("ok")}))))
    retry = [{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    ask("retry", lambda: short(executed(sfn, "retry", machine({"A": sync("once", Retry=retry)}))))
    ask("fails", lambda: short(executed(sfn, "fails", machine({"A": sync("fails")}))))
    caught = {"A": sync("fails", Catch=[{"ErrorEquals": ["States.ALL"], "ResultPath": "$.e", "Next": "F"}])}
    caught["F"] = {"Type": "Fail", "ErrorPath": "$.e.Error", "CausePath": "$.e.Cause"}
    ask("error_path", lambda: short(executed(sfn, "caught", machine(caught))))

    def stopped() -> Any:
        arn = sfn.create_state_machine(name="stop", definition=machine({"A": sync("hang")}), roleArn=ROLE)["stateMachineArn"]
        execution = sfn.start_execution(stateMachineArn=arn)["executionArn"]
        time.sleep(0.6)
        sfn.stop_execution(executionArn=execution, error="Enough", cause="asked to")
        return {**short(finished(sfn, execution)), "run": state_of("hang")}

    ask("stop", stopped)

    def run_stopped() -> Any:
        """Somebody stops the job run past its machine."""
        arn = sfn.create_state_machine(name="past", definition=machine({"A": sync("hang")}), roleArn=ROLE)["stateMachineArn"]
        execution = sfn.start_execution(stateMachineArn=arn)["executionArn"]
        time.sleep(0.6)
        glue.batch_stop_job_run(JobName="hang", JobRunIds=[glue.get_job_runs(JobName="hang")["JobRuns"][0]["Id"]])
        return short(finished(sfn, execution))

    ask("run_stopped", run_stopped)

    def stopped_between_attempts() -> Any:
        later = sync("fails", Retry=[{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 6, "MaxAttempts": 1}])
        arn = sfn.create_state_machine(name="later", definition=machine({"A": later}), roleArn=ROLE)["stateMachineArn"]
        before = len(glue.get_job_runs(JobName="fails")["JobRuns"])
        execution = sfn.start_execution(stateMachineArn=arn)["executionArn"]
        time.sleep(1)
        sfn.stop_execution(executionArn=execution, error="Enough", cause="asked to")
        return {**short(finished(sfn, execution, 3)), "runs": len(glue.get_job_runs(JobName="fails")["JobRuns"]) - before}

    ask("stop_between_attempts", stopped_between_attempts)
    ask("task_timeout", lambda: {**short(executed(sfn, "slow", machine({"A": sync("hang", TimeoutSeconds=1)}))), "run": state_of("hang")})
    late = machine({"A": {"Type": "Wait", "Seconds": 3, "End": True}}, TimeoutSeconds=1)
    ask("machine_timeout", lambda: "stopDate" in executed(sfn, "late", late))

    def taken() -> Any:
        arn = sfn.create_state_machine(name="taken", definition=machine({"A": sync("hang")}), roleArn=ROLE)["stateMachineArn"]
        first = sfn.start_execution(stateMachineArn=arn)["executionArn"]
        time.sleep(0.5)
        second = finished(sfn, sfn.start_execution(stateMachineArn=arn)["executionArn"])
        sfn.stop_execution(executionArn=first)
        return second.get("error")

    ask("concurrent_runs", taken)
    sdk = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:glue:getJob", "Parameters": {"JobName": "nowhere"}, "End": True}
    ask("sdk_error", lambda: executed(sfn, "sdk", machine({"A": sdk})).get("error"))


def probe_looks(sfn: Any, glue: Any) -> None:
    def looks() -> Any:
        """How often a machine looks at a run that takes its time, and how soon it notices the end."""
        before = len(looked)
        arn = sfn.create_state_machine(name="looks", definition=machine({"A": sync("long")}), roleArn=ROLE)["stateMachineArn"]
        execution = sfn.start_execution(stateMachineArn=arn)["executionArn"]
        time.sleep(1.5)
        glue.batch_stop_job_run(JobName="long", JobRunIds=[glue.get_job_runs(JobName="long")["JobRuns"][0]["Id"]])
        ended = time.monotonic()
        finished(sfn, execution)
        return {"looks": len(looked) - before, "seconds": time.monotonic() - ended}

    ask("looks", looks)


def probe_logs(sfn: Any, logs: Any) -> None:
    logs.create_log_group(logGroupName="/aws/vendedlogs/states/logged")
    group = "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/vendedlogs/states/logged:*"
    to = {"level": "ALL", "includeExecutionData": True, "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": group}}]}
    failing = machine({"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Fail", "Error": "Enough", "Cause": "no rows"}})

    def told(name: str, **logging: Any) -> Any:
        asked = {"name": name, "definition": failing, "roleArn": ROLE, "loggingConfiguration": {**to, **logging}}
        arn = sfn.create_state_machine(**asked)["stateMachineArn"]
        run = finished(sfn, sfn.start_execution(stateMachineArn=arn, input='{"a": 1}')["executionArn"])
        found = logs.filter_log_events(logGroupName="/aws/vendedlogs/states/logged")["events"]
        lines = [json.loads(event["message"]) for event in found]
        return {"arn": run["executionArn"], "lines": [line for line in lines if line["execution_arn"] == run["executionArn"]]}

    ask("logged", lambda: told("logged"))
    ask("logged_errors", lambda: told("errors", level="ERROR", includeExecutionData=False))
    ask(
        "logged_nowhere",
        lambda: (
            logs.delete_log_group(logGroupName="/aws/vendedlogs/states/logged") and executed(sfn, "nowhere", failing, input="{}")["status"]
        ),
    )


def probe_machines(sfn: Any, sns: Any) -> None:
    passing = {"A": {"Type": "Pass", "End": True}}
    ask("no_start", lambda: sfn.create_state_machine(name="b1", definition=json.dumps({"States": passing}), roleArn=ROLE) and "accepted")
    ask("no_next", lambda: sfn.create_state_machine(name="b2", definition=machine({"A": {"Type": "Pass"}}), roleArn=ROLE) and "accepted")
    ask(
        "no_target",
        lambda: sfn.create_state_machine(name="b3", definition=machine({"A": {"Type": "Pass", "Next": "Z"}}), roleArn=ROLE) and "ok",
    )
    good = machine(passing, Comment="one")
    arn = sfn.create_state_machine(name="same", definition=good, roleArn=ROLE, tags=[{"key": "a", "value": "b"}])["stateMachineArn"]
    ask("create_again", lambda: sfn.create_state_machine(name="same", definition=good, roleArn=ROLE)["stateMachineArn"] == arn)
    ask("create_other", lambda: sfn.create_state_machine(name="same", definition=machine(passing), roleArn=ROLE) and "accepted")
    ask("unnamed", lambda: sfn.start_execution(stateMachineArn=arn)["executionArn"].rpartition(":")[2])
    text = {"A": {"Type": "Pass", "Result": "hello", "End": True}}
    ask("text_output", lambda: executed(sfn, "text", machine(text)).get("output"))
    dated = {"A": {"Type": "Pass", "Parameters": {"at.$": "$$.Execution.StartTime"}, "End": True}}
    ask("date_output", lambda: json.loads(executed(sfn, "dated", machine(dated))["output"])["at"][-1])
    jsonata = {"A": {"Type": "Pass", "Output": "{% {'n': $states.input.a + 1} %}", "End": True}}
    ask("jsonata", lambda: executed(sfn, "jsonata", machine(jsonata, QueryLanguage="JSONata"), input='{"a": 1}').get("output"))
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    publish = {
        "A": {"Type": "Task", "Resource": "arn:aws:states:::sns:publish", "Parameters": {"TopicArn": topic, "Message": "m"}, "End": True}
    }
    ask("sns", lambda: executed(sfn, "sns", machine(publish)).get("status"))

    def tags_after_deletion() -> Any:
        sfn.delete_state_machine(stateMachineArn=arn)
        again = sfn.create_state_machine(name="same", definition=good, roleArn=ROLE)["stateMachineArn"]
        return sfn.list_tags_for_resource(resourceArn=again)["tags"]

    ask("tags_after_deletion", tags_after_deletion)

    def deleting() -> Any:
        waits = machine({"A": {"Type": "Wait", "Seconds": 1, "End": True}})
        going = sfn.create_state_machine(name="going", definition=waits, roleArn=ROLE)["stateMachineArn"]
        run = sfn.start_execution(stateMachineArn=going)["executionArn"]
        time.sleep(0.2)
        sfn.delete_state_machine(stateMachineArn=going)
        status = sfn.describe_state_machine(stateMachineArn=going)["status"]
        running = sfn.describe_execution(executionArn=run)["status"]
        time.sleep(1.5)
        left = [sm["name"] for sm in sfn.list_state_machines()["stateMachines"]]
        return [status, running, "going" in left]

    ask("deleting", deleting)

    def paged() -> Any:
        long = {f"S{i}": {"Type": "Pass", "Next": f"S{i + 1}"} for i in range(5)} | {"S5": {"Type": "Pass", "End": True}}
        found = executed(sfn, "long", machine(long))
        first = sfn.get_execution_history(executionArn=found["executionArn"], maxResults=3, reverseOrder=True)
        return [len(first["events"]), first["events"][0]["type"], "nextToken" in first]

    ask("history", paged)


def main(mode: str) -> None:
    if mode == "repaired":
        from meshplane_cli.local import repairs
        from meshplane_cli.local.repairs import glue_job_runs, stepfunctions

        repairs.apply()
        glue_job_runs.apply()
        stepfunctions.apply(lambda _account, _region, event: events.append(dict(event)))
        threading.Thread(target=play_worker, daemon=True).start()
    from moto.glue.responses import GlueResponse

    original = GlueResponse.start_job_run

    def noting(self: Any) -> Any:
        callers.append(self.headers["Authorization"].split("Credential=")[1].split("/")[0])
        return original(self)

    GlueResponse.start_job_run = noting
    get_job_run = GlueResponse.get_job_run

    def looking(self: Any) -> Any:
        looked.append(self.parameters["RunId"])
        return get_job_run(self)

    GlueResponse.get_job_run = looking
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        sfn, glue, sns = clients()
        probe_machines(sfn, sns)
        probe_glue(sfn, glue)
        probe_looks(sfn, glue)
        probe_logs(sfn, boto3.session.Session("x", "y", region_name="eu-central-1").client("logs"))
        arn = next(sm["stateMachineArn"] for sm in sfn.list_state_machines()["stateMachines"] if sm["name"] == "sync")
        answers["events"] = [event for event in events if event["detail"]["stateMachineArn"] == arn]
        answers["callers"] = sorted(set(callers))
    print("ANSWERS" + json.dumps(answers, default=str), flush=True)
    sys.stdout.flush()
    import os

    os._exit(0)  # machines that hang in vanilla moto must not hold the process


if __name__ == "__main__":
    main(sys.argv[1])
