"""What a job run did, told to others: its numbers as metrics, its lineage on a bus. Called by `handlers.record_run` after the record.

Telemetry stops nothing: what cannot be read or sent is named in the log line, and the run stands as it stood.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from meshplane.errors import PlaneError
from meshplane.model.runs import GLUE_STATUS, JobRun
from meshplane.ports import Executions


class Tellings(Protocol):
    """What a job run left, and who is told. Errors are `meshplane.errors`."""

    def record(self, project: str, run_id: str, step: str) -> str | None:
        """The text of the step's outbox record; None when there is none."""
        ...

    def lineage(self, project: str, run_id: str, step: str) -> Sequence[Mapping[str, Any]]:
        """The step's OpenLineage run events; none when there are none."""
        ...

    def send(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Put lineage on the bus that the domain names; nowhere when it names none."""
        ...


@dataclass(frozen=True, slots=True)
class Told:
    """`metrics` by name, under `dimensions`; `events`: how many were sent. `fault`: what kept us from the rest."""

    dimensions: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    events: int = 0
    fault: str = ""


def tell_run(executions: Executions, tellings: Tellings, event: Mapping[str, Any]) -> Told:
    """Of the job run that an EventBridge event says has ended. An event that comes twice is told twice. Never raises."""
    detail = event.get("detail") or {}
    if not detail.get("jobRunId"):
        return Told()
    try:
        ended = executions.job_run(str(detail.get("jobName", "")), str(detail["jobRunId"]))
        project, run_id = (str(ended.run.get(key, "")) for key in ("project", "run_id")) if ended else ("", "")
        if not ended or not project or not run_id:
            return Told()
        step = ended.step or ended.job
        found = _read(tellings.record(project, run_id, step))
        events = completed(tellings.lineage(project, run_id, step), ended)
        tellings.send(events)
        if found.get("attempt") != ended.attempt or found.get("state") == "intent":  # another attempt's, or one that was killed
            return Told(events=len(events))
        return Told({"project": project, "job": str(found.get("job", ""))}, numbers(found), len(events))
    except PlaneError as fault:
        return Told(fault=f"{fault.reason}: {fault}")
    except (ValueError, TypeError, KeyError, AttributeError) as odd:  # a project's jobs may write what they like under its prefix
        return Told(fault=f"what the job run left cannot be read: {odd!r}")


def numbers(record: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of an outbox record. Rows out are those of the snapshots' summaries; a rule that broke counts as failed."""
    verdicts = record.get("verdicts", ())
    return {
        "RowsIn": sum(one.get("rows", 0) for one in record.get("inputs", ())),
        "RowsOut": sum(one.get("rows_added", 0) for one in record.get("outputs", ())),
        "RowsQuarantined": sum(one.get("quarantined", 0) for one in verdicts),
        "RulesFailed": sum(result.get("outcome") != "passed" for one in verdicts for result in one.get("results", ())),
    }


def completed(events: Sequence[Mapping[str, Any]], ended: JobRun) -> Sequence[Mapping[str, Any]]:
    """With an end where the job could not write one itself: it was killed, stopped or timed out."""
    if len(events) != 1 or GLUE_STATUS.get(ended.state) in (None, "SUCCEEDED"):
        return events
    kind = "ABORT" if GLUE_STATUS[ended.state] == "ABORTED" else "FAIL"
    return (*events, {**events[0], "eventType": kind, "eventTime": ended.ended or events[0]["eventTime"]})


def _read(text: str | None) -> Mapping[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, Mapping) else {}
