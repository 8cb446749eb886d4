"""The alarms of a project: those that every project has, and the declared ones. Pure.

Each watches one metric of `model.metrics`. All tell the domain's alert topic, and tell it again when all is well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil

from meshplane.kinds.comparing import differences
from meshplane.model.alarm_names import GATE, QUARANTINE, STALLED, failed, fresh
from meshplane.model.context import Context
from meshplane.model.gating import gated
from meshplane.model.metrics import NAMESPACE, dimensions
from meshplane.model.project import Lateness, Project, Table
from meshplane.model.quarantine import quarantines
from meshplane.model.resource import Difference, Id, Seen, Want

SOON, HOUR, WEEK = 300, 3600, 604_800  # seconds; CloudWatch's longest look back is a week
RUNBOOKS = "docs/runbooks.md"


@dataclass(frozen=True, slots=True)
class AlarmSpec:
    """All of a metric alarm, because PutMetricAlarm replaces it. Times in seconds; `datapoints` of `periods` must breach.

    `missing` is what a period without data counts as. `other` is empty: it holds, as JSON, any further setting that somebody gave it.
    """

    description: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str
    period: int
    periods: int
    datapoints: int
    comparison: str
    threshold: float
    missing: str
    actions: tuple[str, ...]
    ok_actions: tuple[str, ...]
    namespace: str = NAMESPACE
    enabled: bool = True
    other: str = ""


class Alarm:
    """One per default alarm that is not switched off, one per declared one."""

    name = "alarm"

    def desired(self, project: Project, context: Context) -> Iterable[Want[AlarmSpec]]:
        """They need nothing: a metric that is not there yet is missing data."""
        topic = (context.plane.alert_topic_arn,) if context.plane.alert_topic_arn else ()
        for name, watch in _watched(project):
            if name not in project.alarms.off:
                spec = AlarmSpec(
                    description=watch.description,
                    metric=watch.metric,
                    dimensions=dimensions(project.name, **dict(watch.of)),
                    statistic=watch.statistic,
                    period=watch.period,
                    periods=watch.periods,
                    datapoints=watch.periods,
                    comparison="LessThanThreshold" if watch.below else "GreaterThanThreshold",
                    threshold=1.0 if watch.below else 0.0,
                    missing=watch.missing,
                    actions=topic,
                    ok_actions=topic,
                )
                yield Want(Id("alarm", context.naming.alarm(project.name, name), name), spec)

    def compare(self, want: AlarmSpec, seen: AlarmSpec) -> tuple[Difference, ...]:
        """Every field; never the state that it is in."""
        return differences(want, seen)

    def resting(self, seen: Seen[AlarmSpec]) -> AlarmSpec | None:
        """Deleted."""
        return None


@dataclass(frozen=True, slots=True)
class _Watch:
    """More than none in one period, unless `below`: then fewer than one in all of them."""

    description: str
    metric: str
    of: tuple[tuple[str, str], ...] = ()
    statistic: str = "Maximum"
    period: int = SOON
    periods: int = 1
    below: bool = False
    missing: str = "ignore"  # the state stays until the next value: a run, a reconcile, a sweep


def _watched(project: Project) -> Iterator[tuple[str, _Watch]]:
    told = f"of project {project.name}"
    yield STALLED, _Watch(f"The reconcile {told} is given up on. {RUNBOOKS}#a-project-is-stalled", "Stalled")
    for pipeline in project.pipelines:
        what = f"The last run of pipeline {pipeline} {told} failed. {RUNBOOKS}#a-run-failed"
        yield failed(pipeline), _Watch(what, "RunsFailed", (("pipeline", pipeline),))
    tables = gated(project)
    if tables:
        kept = f"A gate {told} kept data back. {RUNBOOKS}#a-gate-kept-data-back"
        yield GATE, _Watch(kept, "GatesFailed", statistic="Sum", missing="notBreaching")
    if quarantines(project):
        aside = f"Rows {told} were put into quarantine. {RUNBOOKS}#rows-are-in-quarantine"
        yield QUARANTINE, _Watch(aside, "RowsQuarantined", statistic="Sum", missing="notBreaching")
    for table in tables.values():
        yield from _fresh(table, told)
    for late in project.alarms.late:
        yield late.name, _late(late, told)


def _fresh(table: Table, told: str) -> Iterator[tuple[str, _Watch]]:
    """Where a rule says how old the newest row may be: what was not published since cannot be younger. Within a week only."""
    within = min((int(rule.params["within"]) for rule in table.rules if rule.kind == "freshness"), default=0)
    period = HOUR if within >= HOUR else SOON
    if 0 < within <= WEEK:
        what = f"Table {table.name} {told} was not published within {within} seconds. {RUNBOOKS}#a-table-is-not-fresh"
        of = (("table", table.name),)
        yield fresh(table.name), _Watch(what, "TablesPublished", of, "Sum", period, ceil(within / period), True, "breaching")


def _late(late: Lateness, told: str) -> _Watch:
    what = f"Pipeline {late.pipeline} {told} was not done by {late.by} {late.timezone}. {RUNBOOKS}#a-pipeline-is-late"
    return _Watch(what, "Late", (("alarm", late.name),))


KIND = Alarm()
