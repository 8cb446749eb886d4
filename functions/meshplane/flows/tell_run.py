"""What a job run did, told to others: its numbers as metrics, its lineage on a bus. Called by `handlers.record_run` after the record.

Telemetry stops nothing: what cannot be read or sent is named in the log line, and the run stands as it stood.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from meshplane.errors import PlaneError
from meshplane.model.naming import patterns
from meshplane.model.runs import GLUE_STATUS, JobRun
from meshplane.ports import Executions

# As the job library names itself and makes its ids (`lineage.records`): what the plane tells in its place is to be the same.
PRODUCER = "https://github.com/meshplane/meshplane"
SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, PRODUCER)
_FACETS = "https://openlineage.io/spec/facets/"
_SCHEMAS: Mapping[str, str] = {
    "errorMessage": "1-0-1/ErrorMessageRunFacet",
    "nominalTime": "1-0-1/NominalTimeRunFacet",
    "parent": "1-2-0/ParentRunFacet",
}
Event = dict[str, Any]


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
        # Another attempt's, or one that was killed. Each round counts its attempts anew, and leaves its record in the last one's place.
        other = (found.get("attempt"), found.get("round", ended.round)) != (ended.attempt, ended.round)
        if other or found.get("state") == "intent":
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
    """This attempt's events, with an end where the job could not write one itself: it was killed, stopped or timed out. Killed before its
    first commit it has not even written that it began. Events of another attempt in their place are told at that one's end."""
    start = begun(ended)
    own = [event for event in events if not start or event["run"]["runId"] == start["run"]["runId"]]
    if len(own) > 1 or GLUE_STATUS.get(ended.state) in (None, "SUCCEEDED") or not (own or start):
        return own
    first = own[0] if own else start
    run = dict(first["run"])
    if ended.error:
        run["facets"] = {**run.get("facets", {}), **_facet("errorMessage", message=ended.error, programmingLanguage="python")}
    kind = "ABORT" if GLUE_STATUS[ended.state] == "ABORTED" else "FAIL"
    return (first, {**first, "eventType": kind, "eventTime": ended.ended or first["eventTime"], "run": run})


def begun(ended: JobRun) -> Event:
    """The START of a job run, by what Glue knows of it; empty for one that is not called as our jobs are."""
    project, run_id, pipeline, start, end = (
        str(ended.run.get(key) or "") for key in ("project", "run_id", "pipeline", "window_start", "window_end")
    )
    parts = {"abbr": "(?P<abbr>[a-z0-9]+)", "project": re.escape(project), "job": "(?P<job>.+)", "env": "(?P<env>[a-z0-9]+)"}
    named = re.fullmatch(patterns()["job"].format(**parts), ended.job)
    if named is None:
        return {}
    namespace = f"meshplane://{named['abbr']}-{named['env']}"
    told: Event = {}
    if pipeline:
        told |= _facet("parent", run={"runId": _id(run_id)}, job={"namespace": namespace, "name": f"{project}.{pipeline}"})
    if start:
        told |= _facet("nominalTime", nominalStartTime=start, nominalEndTime=end)
    return {
        "eventType": "START",
        "eventTime": ended.started or ended.ended,
        "run": {"runId": _id(f"{run_id}/{ended.step or named['job']}/{ended.round}_{ended.attempt}"), "facets": told},
        "job": {"namespace": namespace, "name": f"{project}.{named['job']}"},
        "producer": PRODUCER,
        "schemaURL": SPEC,
        "inputs": [],
        "outputs": [],
    }


def _id(text: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, text))


def _facet(name: str, **content: Any) -> Event:
    file = _SCHEMAS[name]
    return {name: {"_producer": PRODUCER, "_schemaURL": f"{_FACETS}{file}.json#/$defs/{file.partition('/')[2]}", **content}}


def _read(text: str | None) -> Mapping[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, Mapping) else {}
