"""Authoring models of `alarms:` and `dashboard:`. Pure; part of `document`."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

from pydantic import Strict

from meshplane.model.manifest.parts import Checked, Flag, JsonSchema, Names, Part, Text, field, named, refuse
from meshplane.model.manifest.pipelines import Timezone
from meshplane.model.metrics import METRICS, Statistic
from meshplane.model.problems import did_you_mean
from meshplane.model.reading import shown

AlarmName = Annotated[str, named("alarm", "[a-z][a-z0-9_-]*", "lower-case letters, digits, _ and -, beginning with a letter", 128)]
Emitted = Annotated[str, named("metric", r"[ -9;-~]+", "ASCII characters, no colon")]


def _time(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        refuse("alarm-time", "this is no time of a day", shown(value), '"00:00" to "23:59"', 'quote it: "08:00"')
    return value


def _metric(value: object) -> object:
    if isinstance(value, str) and value not in METRICS:
        mend = did_you_mean(value, METRICS)
        refuse("not-one-of", f"'{shown(value)}' is not possible here", shown(value), ", ".join(METRICS), mend)
    return value


MetricName = Annotated[str, Strict(), Checked(_metric, {"enum": list(METRICS)})]
TimeOfDay = Annotated[str, Strict(), Checked(_time, {"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d$"})]


class AlarmPart(Part):
    """A default alarm switched off, or an alarm of the project's own."""

    short: ClassVar[tuple[JsonSchema, ...]] = ({"enum": ["on", "off"], "description": "off: the project does without this default alarm."},)

    enabled: Flag = field("Does it exist? Default true; `off` is the short form of false.", default=True)
    pipeline: Text | None = field("A pipeline of the project: the alarm goes off when no run of it has succeeded in time.", default=None)
    not_done_by: TimeOfDay | None = field('The time of each day by which one shall have succeeded, "08:00".', default=None)
    timezone: Timezone = field("Time zone of `notDoneBy`, an IANA name. Default UTC.", default="UTC")

    @classmethod
    def expand(cls, value: object) -> object:
        """`stalled: off`."""
        return {"enabled": value == "on"} if value in ("on", "off") else value


class WidgetPart(Part):
    """A graph on the project's dashboard."""

    title: Text = field("What stands above it.")
    metric: MetricName | None = field(
        "A metric of docs/metrics.md, drawn for every job, pipeline or table that it is told of.", default=None
    )
    emitted: Emitted | None = field("Instead: a metric that jobs print with `emit_metric`; `of` names the jobs.", default=None)
    of: Names = field("Only these jobs, pipelines or tables.", default=())
    statistic: Statistic | None = field("How values of five minutes become one. Default: what fits the metric.", default=None)


class DashboardPart(Part):
    """The project's CloudWatch dashboard."""

    short: ClassVar[tuple[JsonSchema, ...]] = (
        {"enum": ["default", "off"], "description": "default: made from the project; off: none."},
        {"type": "array", "items": {"x-ref": "WidgetPart"}, "description": "Own graphs instead of the default ones."},
    )

    enabled: Flag = field("Is there one? Default true; `off` is the short form of false.", default=True)
    standard: Flag = field(
        "Does it hold the default graphs, before the own ones? Default true; a list of widgets alone: false.", default=True
    )
    widgets: tuple[WidgetPart, ...] = field("Own graphs.", default=())

    @classmethod
    def expand(cls, value: object) -> object:
        """`off`, `default`, or the own widgets alone."""
        if value in ("default", "off"):
            return {"enabled": value == "default"}
        return {"standard": False, "widgets": value} if isinstance(value, list) else value
