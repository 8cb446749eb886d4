"""Alarms and dashboards as pure kinds: which a project has, what they watch, what a manifest turns off or adds."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from meshplane.kinds import alarm, dashboard
from meshplane.kinds.dashboard import canonical, marked
from meshplane.model.alarm_names import default_names
from meshplane.model.project import Alarms, Dashboard, Lateness, Pipeline, Project, Widget
from meshplane.model.resource import Owner
from meshplane.model.rules import Rule
from tests.unit.kinds.sample import CONTEXT, PLANE, SALES, table

EMPTY = Project("bare")


def alarms(project: Project) -> dict[str, Any]:
    return {want.id.label: want.spec for want in alarm.KIND.desired(project, CONTEXT)}


def widgets(project: Project) -> list[dict[str, Any]]:
    [want] = dashboard.KIND.desired(project, CONTEXT)
    found: list[dict[str, Any]] = json.loads(want.spec.body)["widgets"]
    return found


def fresh(*within: int) -> Project:
    rules = tuple(Rule(f"r{number}", "freshness", ("at",), {"within": seconds}) for number, seconds in enumerate(within))
    return replace(SALES, tables={**SALES.tables, "orders": table("orders", rules=rules)})


def test_a_project_of_nothing_has_one_alarm() -> None:
    assert list(alarms(EMPTY)) == ["stalled"]


def test_what_a_whole_project_has() -> None:
    assert list(alarms(SALES)) == ["stalled", "failed_daily", "gate"]
    [first, *_] = alarm.KIND.desired(SALES, CONTEXT)
    assert first.id.name == "f01-sales-stalled-dev"
    assert (first.spec.actions, first.spec.ok_actions) == ((PLANE.alert_topic_arn,), (PLANE.alert_topic_arn,))


def test_quarantine_is_watched_where_a_contract_keeps_rows_aside() -> None:
    kept = replace(SALES, tables={**SALES.tables, "orders": table("orders", has_contract=True)})
    assert dict(alarms(kept)["quarantine"].dimensions) == {"service": "meshplane", "project": "sales"}


@pytest.mark.parametrize(
    ("within", "looked"),
    [
        ((93_600,), (3600, 26)),
        ((3_601,), (3600, 2)),
        ((1_800,), (300, 6)),
        ((93_600, 7_200), (3600, 2)),
        ((604_800,), (3600, 168)),
        ((604_801,), None),
    ],
    ids=["26 hours", "a little over one", "half an hour", "the strictest of two", "a week", "over a week"],
)
def test_freshness_is_watched_within_what_cloudwatch_can(within: tuple[int, ...], looked: tuple[int, int] | None) -> None:
    """Periods of an hour look back a week at most, shorter ones a day (PutMetricAlarm, EvaluationPeriods)."""
    found = alarms(fresh(*within)).get("fresh_orders")
    assert (found and (found.period, found.periods)) == looked
    if found:
        assert (found.comparison, found.threshold, found.missing, found.metric) == ("LessThanThreshold", 1, "breaching", "TablesPublished")


def test_default_alarms_can_be_done_without_and_own_ones_added() -> None:
    late = Lateness("daily_late", "daily", "08:00", "Europe/Berlin")
    found = alarms(replace(SALES, alarms=Alarms((late, replace(late, name="resting")), ("gate", "resting"))))
    assert list(found) == ["stalled", "failed_daily", "daily_late"]
    assert dict(found["daily_late"].dimensions) == {"service": "meshplane", "project": "sales", "alarm": "daily_late"}


def test_every_default_name_is_one_that_a_manifest_may_switch_off() -> None:
    everything = replace(fresh(3600), pipelines={"a": Pipeline("a"), "b-c": Pipeline("b-c")})
    everything = replace(everything, tables={**everything.tables, "daily_revenue": table("daily_revenue", "curated", has_contract=True)})
    known = default_names(everything.pipelines, everything.tables)
    assert set(alarms(everything)) <= set(known)
    assert alarms(replace(everything, alarms=Alarms(off=known))) == {}


def test_a_dashboard_shows_the_projects_alarms_and_names_each_row() -> None:
    head, top, *graphs = widgets(SALES)
    assert "sales" in head["properties"]["markdown"]
    assert [arn.rpartition(":")[2] for arn in top["properties"]["alarms"]] == [f"f01-sales-{name}-dev" for name in alarms(SALES)]
    rows = [tuple(row[:-1]) for graph in graphs for row in graph["properties"]["metrics"]]
    assert ("Meshplane", "RowsOut", "job", "load_orders", "project", "sales", "service", "meshplane") in rows
    assert ("Meshplane", "TablesPublished", "project", "sales", "service", "meshplane", "table", "orders") in rows
    assert len(rows) == len(set(rows))


def test_no_two_widgets_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for each in widgets(SALES):
        cells = {(x, y) for x in range(each["x"], each["x"] + each["width"]) for y in range(each["y"], each["y"] + each["height"])}
        assert not cells & taken
        assert each["x"] + each["width"] <= 24
        taken |= cells


def test_a_project_without_gates_has_no_graph_of_them() -> None:
    titles = [each["properties"].get("title") for each in widgets(EMPTY)]
    assert titles == [None, "Alarms", "Condition", "Reconciles"]


def test_own_graphs_stand_alone_or_behind_the_default_ones() -> None:
    own = (Widget("Late orders", of=("load_orders",), emitted="late"), Widget("Slow", "RunSeconds", ("daily",), "Average"))
    alone = widgets(replace(SALES, dashboard=Dashboard(standard=False, widgets=own)))
    assert [each["properties"].get("title") for each in alone] == [None, "Late orders", "Slow"]
    assert alone[1]["properties"]["metrics"] == [
        ["Meshplane/Jobs", "late", "Job", "load_orders", "Project", "sales", {"label": "load_orders late", "stat": "Sum"}]
    ]
    assert alone[2]["properties"]["metrics"][0][-1] == {"label": "daily RunSeconds", "stat": "Average"}
    both = widgets(replace(SALES, dashboard=Dashboard(widgets=own)))
    assert len(both) == len(widgets(SALES)) + 2
    assert list(dashboard.KIND.desired(replace(SALES, dashboard=Dashboard(enabled=False)), CONTEXT)) == []


def test_a_body_names_its_owner() -> None:
    [want] = dashboard.KIND.desired(SALES, CONTEXT)
    assert marked(want.spec.body) == Owner("retail", "dev", "sales")
    assert canonical(json.loads(want.spec.body)) == want.spec.body


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{}",
        '{"widgets": [7]}',
        '{"widgets": []}',
        '{"widgets": [{"type": "text"}]}',
        '{"widgets": [{"properties": {"markdown": "meshplane: retail/dev/sales"}}]}',
    ],
)
def test_a_body_that_does_not_name_one(body: str) -> None:
    assert marked(body) is None
