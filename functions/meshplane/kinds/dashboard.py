"""The CloudWatch dashboard of a project: its runs, rows, gates, freshness and conditions by name. Pure.

Every row names a metric of `model.metrics` with all its dimensions; nothing is searched for. The first widget says whose it is: a
no-op knows its own dashboard by that, and asks for the tags only where it is missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from meshplane.kinds.alarm import KIND as ALARM
from meshplane.kinds.comparing import differences
from meshplane.model.context import Context
from meshplane.model.gating import gated
from meshplane.model.metrics import JOBS_NAMESPACE, METRICS, NAMESPACE, dimensions
from meshplane.model.project import Project, Widget
from meshplane.model.resource import Difference, Id, Owner, Seen, Want

WIDTH, HEIGHT, COLUMNS = 12, 6, 24  # CloudWatch's grid is 24 wide
PERIOD = 300
_MARK = re.compile(r"\n\[//\]: # \(meshplane: (\S+)/(\S+)/(\S+)\)$")


@dataclass(frozen=True, slots=True)
class DashboardSpec:
    """`body` is canonical JSON: how CloudWatch's console spaces or orders it makes no difference."""

    body: str


def canonical(body: str | Mapping[str, Any]) -> str:
    """A dashboard's body as one comparable text."""
    return json.dumps(json.loads(body) if isinstance(body, str) else body, sort_keys=True, separators=(",", ":"))


def marked(body: str) -> Owner | None:
    """The owner whom the body itself names. An index: before a write the tags are asked."""
    read = json.loads(body)
    widgets = read.get("widgets") if isinstance(read, dict) else None
    first = widgets[0] if isinstance(widgets, list) and widgets else None
    properties = first.get("properties") if isinstance(first, dict) else None
    found = _MARK.search(str(properties.get("markdown", ""))) if isinstance(properties, dict) else None
    return Owner(*found.groups()) if found else None


class Dashboard:
    """One per project, unless it wants none."""

    name = "dashboard"

    def desired(self, project: Project, context: Context) -> Iterable[Want[DashboardSpec]]:
        """It needs nothing: a metric or an alarm that is not there yet is an empty graph."""
        if project.dashboard.enabled:
            widgets = [_head(project, context), *_graphs(project, context)]
            spec = DashboardSpec(canonical({"widgets": widgets}))
            yield Want(Id("dashboard", context.naming.dashboard(project.name), "dashboard"), spec)

    def compare(self, want: DashboardSpec, seen: DashboardSpec) -> tuple[Difference, ...]:
        """By meaning."""
        return differences(want, seen)

    def resting(self, seen: Seen[DashboardSpec]) -> DashboardSpec | None:
        """Deleted."""
        return None


def _head(project: Project, context: Context) -> dict[str, Any]:
    owner = context.owner(project.name)
    who = f" Ask {project.owner}." if project.owner else ""
    text = f"**{project.title or project.name}** in {owner.env}. Made by Meshplane from the manifest of `{project.name}`: "
    text += f"a change by hand is put back.{who}"
    mark = f"\n[//]: # (meshplane: {owner.domain}/{owner.env}/{owner.project})"
    return {"type": "text", "x": 0, "y": 0, "width": COLUMNS, "height": 2, "properties": {"markdown": text + mark}}


def _graphs(project: Project, context: Context) -> Iterator[dict[str, Any]]:
    """Two in a row, in reading order, beneath the alarms."""
    top = 2
    alarms = [context.naming.arn("cloudwatch", f"alarm:{want.id.name}") for want in ALARM.desired(project, context)]
    if project.dashboard.standard and alarms:
        yield {"type": "alarm", "x": 0, "y": top, "width": COLUMNS, "height": 3, "properties": {"title": "Alarms", "alarms": alarms}}
        top += 3
    titled = (
        [*_standard(project), *map(_own, project.dashboard.widgets)] if project.dashboard.standard else map(_own, project.dashboard.widgets)
    )
    shown = [(title, rows) for title, found in titled if (rows := [row for each in found for row in _rows(each, project)])]
    for number, (title, rows) in enumerate(shown):
        place = {"x": number % 2 * WIDTH, "y": top + number // 2 * HEIGHT, "width": WIDTH, "height": HEIGHT}
        properties = {"title": title, "region": context.naming.region, "view": "timeSeries", "period": PERIOD, "metrics": rows}
        yield {"type": "metric", **place, "properties": properties}


def _standard(project: Project) -> Iterator[tuple[str, Sequence[Widget]]]:
    yield "Runs", (Widget("", "Runs"), Widget("", "RunsFailed"))
    yield "Seconds of a run", (Widget("", "RunSeconds"),)
    yield "Rows", (Widget("", "RowsIn"), Widget("", "RowsOut"))
    if gated(project):
        yield "Gates and quarantine", (Widget("", "GatesFailed"), Widget("", "RulesFailed"), Widget("", "RowsQuarantined"))
        yield "Publications", (Widget("", "TablesPublished"),)
    yield "Condition", tuple(Widget("", name) for name in ("Synced", "Healthy", "Drifted", "Stalled"))
    yield "Reconciles", tuple(Widget("", name) for name in ("Reconciles", "Writes", "Failures", "Drift", "Healed"))


def _own(widget: Widget) -> tuple[str, Sequence[Widget]]:
    return widget.title, (widget,)


def _rows(widget: Widget, project: Project) -> Iterator[list[Any]]:
    """One for each part of the project that the metric is told of."""
    if widget.emitted:
        for job in widget.of:
            shown = {"label": f"{job} {widget.emitted}", "stat": widget.statistic or "Sum"}
            yield [JOBS_NAMESPACE, widget.emitted, "Job", job, "Project", project.name, shown]
        return
    metric = METRICS[widget.metric]
    every = {"": ("",), "job": tuple(project.jobs), "pipeline": tuple(project.pipelines), "table": tuple(gated(project))}[metric.part]
    for one in widget.of or every:
        of = {metric.part: one} if metric.part else {}
        told = [text for pair in dimensions(project.name, **of) for text in pair]
        yield [NAMESPACE, widget.metric, *told, {"label": f"{one} {widget.metric}".strip(), "stat": widget.statistic or metric.statistic}]


KIND = Dashboard()
