"""Alarms and the dashboard judged beside the rest of the manifest. Called by `judging`. Pure."""

from __future__ import annotations

from meshplane.model.alarm_names import default_names
from meshplane.model.manifest.monitoring import AlarmPart, WidgetPart
from meshplane.model.manifest.scope import Scope
from meshplane.model.metrics import METRICS, Part
from meshplane.model.problems import Loc, did_you_mean

_SECTIONS: dict[Part, str] = {"job": "jobs", "pipeline": "pipelines", "table": "tables"}


def check(scope: Scope) -> None:
    """Notes every fault of every accepted alarm and widget."""
    for name, part in scope.document.alarms.items():
        _alarm(scope, ("alarms", name), name, part)
    for index, widget in enumerate(scope.document.dashboard.widgets):
        # Widgets written as a list have no key of their own.
        at: Loc = ("dashboard", "widgets", index) if scope.findings.written(("dashboard", "widgets")) else ("dashboard", index)
        _widget(scope, at, widget)


def _alarm(scope: Scope, loc: Loc, name: str, part: AlarmPart) -> None:
    add, known = scope.findings.add, default_names(scope.names("pipelines"), scope.names("tables"))
    given = [key for key in ("pipeline", "notDoneBy") if scope.findings.written((*loc, key))]
    if not given and not part.enabled:
        if name not in known:
            mend = did_you_mean(name, known) or "an own alarm is left out, or has `enabled: false` beside the rest"
            add("alarm-unknown", loc, f"there is no default alarm '{name}' to switch off", found=name, allowed=", ".join(known), mend=mend,
                at_key=True)  # fmt: skip
        return
    if name in known and given:
        add("alarm-name", loc, f"'{name}' is a default alarm", found=name, allowed="another name, or off", at_key=True)
        return
    if len(given) < 2:
        if not scope.findings.is_lost(loc):
            found = given[0] if given else "neither"
            add("alarm-form", loc, "an own alarm has a pipeline and a time", found=found, allowed='{ pipeline: daily, notDoneBy: "08:00" }')
        return
    pipelines = scope.names("pipelines")
    if part.pipeline is not None and part.pipeline not in pipelines:
        message = f"no pipeline '{part.pipeline}' in this project"
        add("ref-pipeline", (*loc, "pipeline"), message, mend=did_you_mean(part.pipeline, pipelines))


def _widget(scope: Scope, loc: Loc, part: WidgetPart) -> None:
    add = scope.findings.add
    given = [key for key in ("metric", "emitted") if scope.findings.written((*loc, key))]
    if len(given) != 1:
        if not scope.findings.is_lost(loc):
            found = " and ".join(given) or "neither"
            add(
                "widget-metric",
                loc,
                "a widget shows either a metric of Meshplane or one that jobs emit",
                found=found,
                allowed="metric: RowsOut, or emitted: orders_late with of: [job]",
            )
        return
    of: Part = "job" if part.emitted else METRICS[part.metric].part if part.metric else ""
    if (part.emitted and not part.of) or (part.of and not of):
        message = "an emitted metric is one of named jobs" if part.emitted else f"'{part.metric}' is told of the project as a whole"
        add("widget-of", loc, message, found=", ".join(part.of) or "no `of`", allowed="of: [job]" if part.emitted else "no `of`")
        return
    names = scope.names(_SECTIONS[of]) if of else []
    for index, name in enumerate(part.of):
        if name not in names:
            add(f"ref-{of}", (*loc, "of", index), f"no {of} '{name}' in this project", mend=did_you_mean(name, names))
