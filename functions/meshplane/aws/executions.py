"""State machine executions, Glue job runs, the trigger queue and what lies in the raw bucket: the adapters of the flows of runs."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from meshplane.aws.clients import Clients
from meshplane.aws.faults import translated
from meshplane.errors import AlreadyExists, NotFound, Rejected
from meshplane.model.naming import Naming
from meshplane.model.runs import Arrival, Execution, JobRun, Run
from meshplane.model.windows import iso

_OPEN_JOB_RUN = frozenset({"STARTING", "RUNNING", "STOPPING", "WAITING"})  # JobRunState: all others are ends
LONGEST_DELAY = timedelta(minutes=15)  # SQS DelaySeconds


class AwsExecutions:
    """`clients` as `aws.clients` makes them."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def arn(self, machine: str, run_id: str) -> str:
        """By Step Functions' own pattern of ARNs."""
        return machine.replace(":stateMachine:", ":execution:", 1) + f":{run_id}"

    def start(self, machine: str, run: Run) -> str:
        """Idempotent by the execution's name."""
        arn = self.arn(machine, run.run_id)
        body = json.dumps(run.input(), separators=(",", ":"), sort_keys=True)
        try:
            with translated("states:StartExecution", machine):
                self._clients("stepfunctions").start_execution(stateMachineArn=machine, name=run.run_id, input=body)
        except AlreadyExists:
            pass  # an earlier attempt of ours, closed by now; while it runs, the service itself answers as if it had just started it
        return arn

    def describe(self, arn: str) -> Execution | None:
        """The execution, its input read."""
        try:
            with translated("states:DescribeExecution", arn):
                found = self._clients("stepfunctions").describe_execution(executionArn=arn)
        except NotFound:
            return None
        started, ended = (iso(found[key]) if found.get(key) else "" for key in ("startDate", "stopDate"))
        told = _object(found.get("input"))
        return Execution(arn, found["status"], told, started, ended, found.get("error") or "", found.get("cause") or "")

    def running(self, machines: str) -> Sequence[Execution]:
        """One listing of all machines, one of each that fits, and each open execution's description, which alone has the input."""
        states = self._clients("stepfunctions")
        with translated("states:ListStateMachines"):
            listed = [one for page in states.get_paginator("list_state_machines").paginate() for one in page["stateMachines"]]
        ours = [one["stateMachineArn"] for one in listed if one["type"] == "STANDARD" and fnmatchcase(one["name"], machines)]
        found = [self.describe(arn) for machine in ours for arn in self._open(machine)]
        return [one for one in found if one and one.status == "RUNNING"]

    def _open(self, machine: str) -> Sequence[str]:
        try:
            with translated("states:ListExecutions", machine):
                paginator = self._clients("stepfunctions").get_paginator("list_executions")
                pages = paginator.paginate(stateMachineArn=machine, statusFilter="RUNNING")
                return [one["executionArn"] for page in pages for one in page["executions"]]
        except NotFound:
            return ()  # gone between the two listings

    def stop(self, arn: str, why: str) -> None:
        """Stop it, whether it still runs or not."""
        try:
            with translated("states:StopExecution", arn):
                self._clients("stepfunctions").stop_execution(executionArn=arn, error="Stopped", cause=why)
        except (NotFound, Rejected):
            return  # ended meanwhile

    def job_run(self, job: str, job_run_id: str) -> JobRun | None:
        """By GetJobRun."""
        try:
            with translated("glue:GetJobRun", job):
                found = self._clients("glue").get_job_run(JobName=job, RunId=job_run_id)["JobRun"]
        except NotFound:
            return None
        return job_run_of(job, found)

    def open_job_runs(self, jobs: Collection[str]) -> Sequence[JobRun]:
        """By GetJobRuns, which gives the newest first: the listing ends at the first page without an open one."""
        return [found for job in sorted(jobs) for found in self._open_job_runs(job)]

    def _open_job_runs(self, job: str) -> Iterator[JobRun]:
        try:
            with translated("glue:GetJobRuns", job):
                for page in self._clients("glue").get_paginator("get_job_runs").paginate(JobName=job):
                    found = [job_run_of(job, one) for one in page["JobRuns"] if one["JobRunState"] in _OPEN_JOB_RUN]
                    yield from found
                    if not found:
                        return
        except NotFound:
            return

    def stop_job_run(self, job: str, job_run_id: str) -> None:
        """By BatchStopJobRun, whose answer names what could not be stopped: what has ended is no fault."""
        with translated("glue:BatchStopJobRun", job):
            self._clients("glue").batch_stop_job_run(JobName=job, JobRunIds=[job_run_id])


def job_run_of(job: str, found: Mapping[str, Any]) -> JobRun:
    """A job run as Glue answers it; also for the command line's listing."""
    arguments = found.get("Arguments") or {}
    started, ended = (iso(found[key]) if found.get(key) else "" for key in ("StartedOn", "CompletedOn"))
    told = re.fullmatch(r"(?:(\d+)_)?(\d+)", str(arguments.get("--meshplane-attempt", "0")))
    begun, attempt = (int(told[1] or 0), int(told[2])) if told else (0, 0)
    return JobRun(
        job,
        found["Id"],
        found["JobRunState"],
        _object(arguments.get("--meshplane-run")),
        arguments.get("--meshplane-step", ""),
        attempt,
        started,
        ended,
        found.get("ErrorMessage", ""),
        begun,
    )


class SqsTriggers:
    """The trigger queue, by its URL."""

    def __init__(self, clients: Clients, url: str) -> None:
        self._clients, self._url = clients, url

    def send(self, bodies: Sequence[Mapping[str, object]], delay: timedelta = timedelta()) -> None:
        """In batches of ten."""
        seconds = -int(-min(delay, LONGEST_DELAY).total_seconds() // 1)  # rounded up: too early would only mean one look more
        for at in range(0, len(bodies), 10):
            entries = [
                {"Id": str(index), "MessageBody": json.dumps(body), "DelaySeconds": seconds}
                for index, body in enumerate(bodies[at : at + 10])
            ]
            with translated("sqs:SendMessage", self._url):
                answer = self._clients("sqs").send_message_batch(QueueUrl=self._url, Entries=entries)
            if answer.get("Failed"):
                raise Rejected(f"the trigger queue refused {len(answer['Failed'])} messages: {answer['Failed'][0].get('Message', '')}")


class RawLandings:
    """The raw bucket, for the sweep."""

    def __init__(self, clients: Clients, naming: Naming) -> None:
        self._clients, self._naming = clients, naming

    def arrived(self, project: str, table: str, after: datetime, before: datetime) -> Sequence[Arrival]:
        """By one listing of the prefix, versions included."""
        prefix = self._naming.of("hive_prefix", project=project, table=table)
        bucket = self._naming.bucket("raw")
        with translated("s3:ListObjectVersions", f"{bucket}/{prefix}"):
            found = [one for one in self._versions(bucket, prefix) if one["IsLatest"] and after <= one["LastModified"] < before]
        return [Arrival(one["Key"], one["VersionId"], one["Size"], iso(one["LastModified"])) for one in found]

    def _versions(self, bucket: str, prefix: str) -> Iterator[Mapping[str, Any]]:
        for page in self._clients("s3").get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
            yield from page.get("Versions", [])


def _object(text: str | None) -> Mapping[str, Any]:
    try:
        read = json.loads(text or "{}")
    except ValueError:
        return {}
    return read if isinstance(read, Mapping) else {}
