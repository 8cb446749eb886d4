"""Metrics that need dimensions of their own, as lines of the embedded metric format: called by handlers and `wiring`.

A function's own `Metrics` has one set of dimensions for an invocation; what is told per pipeline, table or alarm goes through here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from meshplane.model.lateness import Late
from meshplane.model.metrics import NAMESPACE, SERVICE, dimensions, of_run
from meshplane.model.runs import Run


def emit(values: Mapping[str, float], *sets: Mapping[str, str]) -> None:
    """One line: every value under `service` alone, and under each of these sets of dimensions. Nothing without a value."""
    metrics = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE)
    for each in sets:
        metrics.add_dimensions(**each)
    for name, value in values.items():
        metrics.add_metric(name, MetricUnit.Seconds if name.endswith("Seconds") else MetricUnit.Count, value)
    if values:
        metrics.flush_metrics()


def emit_runs(ended: Iterable[Run]) -> None:
    """Runs of pipelines that ended in this invocation."""
    for run in ended:
        emit(of_run(run), dict(dimensions(run.project, pipeline=run.pipeline)))


def emit_job(numbers: Mapping[str, float], of: Mapping[str, str]) -> None:
    """What a job run counted (`flows.tell_run`), by project and job and for the project as a whole."""
    if numbers:
        emit(numbers, dict(dimensions(of["project"], job=of["job"])), dict(dimensions(of["project"])))


def emit_published(project: str, moved: Iterable[str], seconds: Sequence[float]) -> None:
    """Tables whose `main` moved, and how long after the end of their job; the gate that said yes counts as none that failed."""
    latency = {"PublishSeconds": max(seconds)} if seconds else {}
    for table in moved:
        emit({"TablesPublished": 1.0, **latency}, dict(dimensions(project, table=table)))
    emit({"GatesFailed": 0.0}, dict(dimensions(project)))


def emit_refused(event: Mapping[str, Any]) -> None:
    """A publication that a gate refused, by the project that the request names."""
    told = event.get("run")
    project = told.get("project") if isinstance(told, Mapping) else None
    emit({"GatesFailed": 1.0}, dict(dimensions(str(project or "none"))))


def emit_late(found: Iterable[Late]) -> None:
    """Whether declared pipelines are late, at each sweep."""
    for one in found:
        emit({"Late": float(one.late)}, dict(dimensions(one.project, alarm=one.alarm)))
