"""Glue job runs whose state belongs to the worker that really runs them (`glue_runs`), not to moto's timetable.

moto ends every run at the first look, with fixed times, version and no error message; it has no BatchStopJobRun and no queueing.
Here a run goes STARTING → RUNNING → SUCCEEDED | FAILED | TIMEOUT | STOPPED, or waits as WAITING, and says so in its events.
"""

from __future__ import annotations

import queue
import secrets
import threading
import time
from datetime import datetime
from typing import Any

import moto.glue.models as models
import moto.logs.models as logs_models
from moto.core.responses import ActionResult
from moto.glue.exceptions import ConcurrentRunsExceededException
from moto.glue.responses import GlueResponse

from meshplane_cli.local.clock import CLOCK
from meshplane_cli.local.repairs import Publish
from meshplane_cli.local.repairs.operations import install, page

ENDED = frozenset({"SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT"})
ACTIVE = frozenset({"STARTING", "RUNNING", "STOPPING"})  # what counts against MaxConcurrentRuns
DEFAULT_TIMEOUT = 480  # minutes, Glue 5.0 and later (Glue API, Job.Timeout)
# Severity and message of 'Glue Job State Change' (Glue user guide, "Automating AWS Glue with EventBridge").
_SHOWN = {"SUCCEEDED": ("INFO", "Job run succeeded"), "STOPPED": ("INFO", "Job run stopped"), "TIMEOUT": ("WARN", "Job run timed out")}

submitted: queue.SimpleQueue[LocalJobRun] = queue.SimpleQueue()
"""Runs that wait for a worker, in the order of StartJobRun."""

_BOOT = secrets.token_hex(8)  # this process: runs restored from a snapshot carry another one
_states = threading.RLock()  # a run's state and a job's count of active runs change as one step
_ended = threading.Condition(_states)
_endings = 0
_publish: list[Publish] = []


class LocalJobRun(models.FakeJobRun):  # type: ignore[misc]
    """One run. `attempt` counts Glue's own retries; what the worker needs of the job is copied, since the job may change."""

    def __init__(self, job: Any, asked: dict[str, Any], state: str) -> None:
        extras = getattr(job, "extras", {})
        super().__init__(
            job_name=job.name,
            job_run_id=asked.get("JobRunId"),
            arguments=merged_arguments(job.default_arguments, asked.get("Arguments"), job.non_overridable_arguments),
            allocated_capacity=asked.get("AllocatedCapacity") or job.allocated_capacity,
            max_capacity=asked.get("MaxCapacity") or job.max_capacity,
            timeout=asked.get("Timeout") or job.timeout or DEFAULT_TIMEOUT,
            worker_type=asked.get("WorkerType") or job.worker_type,
            security_configuration=asked.get("SecurityConfiguration") or job.security_configuration,
            number_of_workers=asked.get("NumberOfWorkers") or job.number_of_workers,
            notification_property=asked.get("NotificationProperty") or job.notification_property,
        )
        self.account, self.region = job.backend.account_id, job.backend.region_name
        self.role, self.command = job.role, dict(job.command)
        self.glue_version = job.glue_version or "5.1"
        self.execution_class = asked.get("ExecutionClass") or job.execution_class
        self.queuing = bool(asked.get("JobRunQueuingEnabled", extras.get("JobRunQueuingEnabled", False)))
        self.attempt, self.boot = 0, _BOOT
        self.state, self.error_message, self.claimed = state, "", False
        self.started_on = self.modified_on = CLOCK.now()
        self.completed_on: datetime | None = None
        self._running_since: float | None = None
        self.execution_seconds = 0

    @property
    def status(self) -> str:
        """The state, under the name that moto reads."""
        return self.state

    def advance(self) -> None:
        """Nothing: looking at a run does not move it."""

    def claim(self) -> bool:
        """Take the run for the worker; False when it was stopped before anybody took it."""
        with _states:
            if self.claimed or self.state != "STARTING":
                return False
            self.claimed = True
            return True

    def move(self, state: str, error: str = "") -> None:
        """Go to `state`; an ended run stays what it is. Ending is published, and lets a waiting run start."""
        with _states:
            if self.state in ENDED:
                return
            if state == "RUNNING" and self.state != "STARTING":
                return
            self.state, self.error_message, self.modified_on = state, error, CLOCK.now()
            if state == "RUNNING":
                self._running_since = time.monotonic()
            elif self._running_since is not None:
                self.execution_seconds = round(time.monotonic() - self._running_since)
            if state in ENDED:
                self.completed_on, self._running_since = self.modified_on, None
                _one_more()
        if state in ENDED:
            self._announce()
            _start_waiting(self.account, self.region, self.job_name)

    def _announce(self) -> None:
        severity, message = _SHOWN.get(self.state, ("ERROR", self.error_message))
        detail = {"jobName": self.job_name, "severity": severity, "state": self.state, "jobRunId": self.job_run_id, "message": message}
        event = {"source": "aws.glue", "detail-type": "Glue Job State Change", "resources": [], "detail": detail}
        for publish in _publish:
            publish(self.account, self.region, event)

    def as_dict(self) -> dict[str, Any]:
        """JobRun as GetJobRun answers it."""
        seconds = self.execution_seconds
        if self._running_since is not None:
            seconds = round(time.monotonic() - self._running_since)
        shown = {
            **super().as_dict(),
            "Attempt": self.attempt,
            "JobRunState": self.state,
            "ExecutionTime": seconds,
            "LogGroupName": "/aws-glue/jobs",
            "GlueVersion": self.glue_version,
            "Timeout": self.timeout,
            "ExecutionClass": self.execution_class,
            "JobRunQueuingEnabled": self.queuing,
        }
        if self.completed_on is None:
            shown.pop("CompletedOn")
        if self.error_message:
            shown["ErrorMessage"] = self.error_message
        return {key: value for key, value in shown.items() if value is not None}


def _one_more() -> None:
    global _endings
    _endings += 1
    _ended.notify_all()


def endings() -> int:
    """How many runs have ended in this process."""
    return _endings


def another(than: int, seconds: float) -> bool:
    """Wait until there are other `endings` than these, for so long at most; whether there are."""
    with _ended:
        return _ended.wait_for(lambda: _endings != than, seconds)


def merged_arguments(defaults: dict[str, str] | None, asked: dict[str, str] | None, fixed: dict[str, str] | None) -> dict[str, str]:
    """The job's defaults, over them the run's, over all the ones that a run may not override."""
    return {**(defaults or {}), **(asked or {}), **(fixed or {})}


class JobRunOperations(GlueResponse):  # type: ignore[misc]
    """StartJobRun, GetJobRun, GetJobRuns, BatchStopJobRun."""

    def start_job_run(self) -> ActionResult:
        """Above MaxConcurrentRuns: ConcurrentRunsExceededException, or WAITING where the job queues its runs."""
        asked = self.parameters
        job = self.glue_backend.get_job(asked["JobName"])
        with _states:
            full = _active(job) >= (job.execution_property or {}).get("MaxConcurrentRuns", 1)
            run = LocalJobRun(job, asked, "WAITING" if full else "STARTING")
            if full and not run.queuing:
                raise ConcurrentRunsExceededException(f"Concurrent runs exceeded for {job.name}")
            job.job_runs.append(run)
        if not full:
            submitted.put(run)
        return ActionResult({"JobRunId": run.job_run_id})

    def get_job_run(self) -> ActionResult:
        """One run of one job."""
        job = self.glue_backend.get_job(self.parameters["JobName"])
        return ActionResult({"JobRun": job.get_job_run(self.parameters["RunId"]).as_dict()})

    def get_job_runs(self) -> ActionResult:
        """Newest first, pages of at most 200 (Glue API, GetJobRuns)."""
        asked = self.parameters
        rows = list(reversed(self.glue_backend.get_job(asked["JobName"]).job_runs))
        rows, token = page(rows, asked.get("NextToken"), asked.get("MaxResults"), 200)
        return ActionResult({"JobRuns": [run.as_dict() for run in rows], "NextToken": token})

    def batch_stop_job_run(self) -> ActionResult:
        """A run that a worker holds goes to STOPPING, and to STOPPED when its process is gone; another one stops at once."""
        job = self.glue_backend.get_job(self.parameters["JobName"])
        known = {run.job_run_id: run for run in job.job_runs}
        done: list[dict[str, str]] = []
        errors: list[dict[str, Any]] = []
        for run_id in self.parameters["JobRunIds"]:
            refusal = _stop(known.get(run_id))
            row = {"JobName": job.name, "JobRunId": run_id}
            if refusal is None:
                done.append(row)
            else:
                errors.append({**row, "ErrorDetail": {"ErrorCode": refusal[0], "ErrorMessage": refusal[1]}})
        return ActionResult({"SuccessfulSubmissions": done, "Errors": errors})


def _active(job: Any) -> int:
    return sum(run.state in ACTIVE for run in job.job_runs)


def _stop(run: LocalJobRun | None) -> tuple[str, str] | None:
    if run is None:
        return "EntityNotFoundException", "Job run not found"
    with _states:
        if run.state in ENDED:
            return "InvalidInputException", f"Job run is in state {run.state} and cannot be stopped"
        held = run.claimed
        if held:
            run.move("STOPPING")
    if not held:
        run.move("STOPPED")
    return None


def _start_waiting(account: str, region: str, name: str) -> None:
    """The oldest waiting run of a job that has room again."""
    job = models.glue_backends[account][region].jobs.get(name)
    if job is None:
        return
    with _states:
        waiting = next((run for run in job.job_runs if run.state == "WAITING"), None)
        if waiting is None or _active(job) >= (job.execution_property or {}).get("MaxConcurrentRuns", 1):
            return
        waiting.move("STARTING")
    submitted.put(waiting)


def settle_interrupted() -> int:
    """After a restart: runs that were under way when the embedded AWS stopped have failed, and say why. How many there were."""
    open_runs = [
        run
        for _, _, backend in models.glue_backends.iter_backends()
        for job in backend.jobs.values()
        for run in job.job_runs
        if isinstance(run, LocalJobRun) and run.boot != _BOOT and run.state not in ENDED
    ]
    for run in open_runs:
        run.move("FAILED", "The embedded AWS was stopped while this run was under way")
    return len(open_runs)


def apply(publish: Publish | None = None) -> None:
    """Mend moto's job runs in this process; `publish` receives 'Glue Job State Change' events. Calling again replaces it."""
    _publish[:] = [publish] if publish else []
    # CloudWatch Logs drops events of more than two hours ahead: on an advanced clock that was every line of every run.
    logs_models.utcnow = lambda: CLOCK.now().replace(tzinfo=None)
    install(GlueResponse, JobRunOperations)
