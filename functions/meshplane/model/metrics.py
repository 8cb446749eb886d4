"""The metrics of a project, by name: what alarms and dashboards may watch, and with which dimensions (docs/metrics.md). Pure.

All are in one namespace with the dimensions `service` and `project`; some are told per job, pipeline or table as well. CloudWatch finds
a metric by its exact set of dimensions only, so `kinds/alarm`, `kinds/dashboard` and those who emit all take them from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from meshplane.model.runs import Run
from meshplane.model.windows import moment

NAMESPACE = "Meshplane"
SERVICE = "meshplane"
JOBS_NAMESPACE = "Meshplane/Jobs"  # what jobs print themselves with `emit_metric`

Part = Literal["", "job", "pipeline", "table"]
Statistic = Literal["Sum", "Average", "Maximum", "Minimum"]


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric is told of beside the project, and the statistic that says most of it."""

    part: Part
    statistic: Statistic


METRICS: Mapping[str, Metric] = {
    **{name: Metric("pipeline", "Sum") for name in ("Runs", "RunsFailed")},
    "RunSeconds": Metric("pipeline", "Maximum"),
    **{name: Metric("job", "Sum") for name in ("RowsIn", "RowsOut", "RowsQuarantined", "RulesFailed")},
    "TablesPublished": Metric("table", "Sum"),
    "PublishSeconds": Metric("table", "Maximum"),
    "GatesFailed": Metric("", "Sum"),
    **{name: Metric("", "Sum") for name in ("Reconciles", "Calls", "Writes", "Failures", "Drift", "Healed")},
    "Seconds": Metric("", "Maximum"),
    **{name: Metric("", "Minimum") for name in ("Synced", "Healthy")},
    **{name: Metric("", "Maximum") for name in ("Drifted", "Stalled")},
}


def dimensions(project: str, **of: str) -> tuple[tuple[str, str], ...]:
    """Name and value of each dimension, sorted by name: `dimensions("sales", job="load_orders")`."""
    return tuple(sorted({"service": SERVICE, "project": project, **of}.items()))


def of_run(run: Run) -> dict[str, float]:
    """What a run of a pipeline that ended counts; nothing for one that was never started. A stopped one neither failed nor succeeded."""
    if run.status == "SKIPPED" or not run.pipeline:
        return {}
    failed = {} if run.status == "ABORTED" else {"RunsFailed": float(run.status != "SUCCEEDED")}
    seconds = {"RunSeconds": (moment(run.ended) - moment(run.started)).total_seconds()} if run.started and run.ended else {}
    return {"Runs": 1.0, **failed, **seconds}


def names(part: Part) -> Sequence[str]:
    """The metrics that are told per this part."""
    return [name for name, metric in METRICS.items() if metric.part == part]
