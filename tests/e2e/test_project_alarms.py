"""A project's alarms on the embedded AWS, each driven to ALARM and back, and what a manifest says of alarms and dashboard.

Runs, gates and lateness are real. Where a real cause takes Spark (rows put into quarantine, a table published) or hours (a reconcile that
is given up on), the metric is put as it is emitted; that it is emitted so is held over real runs by test_demo.py.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from meshplane.model.metrics import NAMESPACE, dimensions
from tests.e2e.plane import HEAD, ROOT, Plane, eventually
from tests.e2e.watched import by_alarms, by_widgets, emitted, shown_alarms, states

pytestmark = pytest.mark.local
TEXT = (
    HEAD.format(name="watched")
    + """tables:
  landed: { layer: raw, format: csv, partition: dt, columns: { id: string, at: string } }
  orders:
    layer: refined
    key: [id]
    columns: { id: long, at: timestamptz }
    contract: { types: quarantine_row }
    rules: { fresh: { freshness: at, within: 2h, severity: warn } }
jobs:
  load: { use: merge, reads: landed, writes: orders }
pipelines:
  daily: { asl: pipelines/daily.asl.json, params: { fail: { type: string, default: "no" } } }
alarms:
  daily_late: { pipeline: daily, notDoneBy: "00:00", timezone: Europe/Berlin }
"""
)
ASL = {
    "StartAt": "Which",
    "States": {
        "Which": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.run.params.fail", "StringEquals": "yes", "Next": "No"}],
            "Default": "Yes",
        },
        "No": {"Type": "Fail", "Error": "Wanted"},
        "Yes": {"Type": "Succeed"},
    },
}
DEFAULT = {"stalled", "failed_daily", "gate", "quarantine", "fresh_orders", "daily_late"}


@pytest.fixture(scope="module")
def watched(plane: Plane) -> Plane:
    plane.write("watched", TEXT, {"pipelines/daily.asl.json": json.dumps(ASL)})
    plane.sync("watched")
    eventually(lambda: plane.synced("watched") == ("True", "Applied"))
    return plane


def state(plane: Plane, alarm: str) -> str:
    return states(plane.client, "f01-watched-")[f"f01-watched-{alarm}-dev"]


def now(plane: Plane) -> datetime:
    """On the embedded AWS's clock."""
    return datetime.fromisoformat(plane.stack.advance(timedelta())["now"])


def ran(plane: Plane, fail: str) -> None:
    plane.meshplane("run", "watched.daily", "--param", f"fail={fail}", "--wait")
    plane.stack.settle()


def put(plane: Plane, metric: str, value: float, **of: str) -> None:
    told = [{"Name": name, "Value": text} for name, text in dimensions("watched", **of)]
    plane.client("cloudwatch").put_metric_data(
        Namespace=NAMESPACE, MetricData=[{"MetricName": metric, "Value": value, "Dimensions": told, "Timestamp": now(plane)}]
    )


def test_each_project_has_them_without_asking(watched: Plane) -> None:
    assert set(states(watched.client, "f01-watched-")) == {f"f01-watched-{name}-dev" for name in DEFAULT}
    cloudwatch = watched.client("cloudwatch")
    alarms = cloudwatch.describe_alarms(AlarmNamePrefix="f01-watched-")["MetricAlarms"]
    topic = watched.stack.naming.arn("sns", "f01-meshplane-alerts-dev")
    assert {(*one["AlarmActions"], *one["OKActions"]) for one in alarms} == {(topic, topic)}
    assert shown_alarms(cloudwatch, "f01-watched-dev") == {one["AlarmArn"] for one in alarms}


def test_each_alarm_leads_to_its_runbook(watched: Plane) -> None:
    headings = {
        line.removeprefix("## ").lower().replace(" ", "-")
        for line in (ROOT / "docs/runbooks.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("## ")
    }
    for one in watched.client("cloudwatch").describe_alarms(AlarmNamePrefix="f01-watched-")["MetricAlarms"]:
        page, _, part = one["AlarmDescription"].rpartition(" ")[2].partition("#")
        assert (page, part in headings) == ("docs/runbooks.md", True), one["AlarmDescription"]


def test_a_failed_run_raises_its_alarm_until_one_succeeds(watched: Plane) -> None:
    ran(watched, "yes")
    watched.advance(minutes=1)
    assert state(watched, "failed_daily") == "ALARM"
    watched.advance(minutes=30)
    assert state(watched, "failed_daily") == "ALARM", "it stays until a run says otherwise"
    ran(watched, "no")
    watched.advance(minutes=6)
    assert state(watched, "failed_daily") == "OK"
    told = {(metric, of) for namespace, metric, of in emitted(watched.client("cloudwatch")) if namespace == NAMESPACE}
    daily = frozenset({"service=meshplane", "project=watched", "pipeline=daily"})
    assert {("Runs", daily), ("RunsFailed", daily), ("RunSeconds", daily)} <= told


def test_a_pipeline_that_is_late_raises_the_declared_alarm_until_it_is_done(watched: Plane) -> None:
    watched.advance(days=1)
    assert state(watched, "daily_late") == "ALARM", "no run since midnight"
    ran(watched, "no")
    watched.advance(minutes=11)
    assert state(watched, "daily_late") == "OK"


def test_a_gate_that_keeps_data_back_raises_its_projects_alarm(watched: Plane) -> None:
    event = json.loads((ROOT / "events/publish_tables.json").read_text(encoding="utf-8"))
    event["run"]["project"] = "watched"
    answer = watched.client("lambda").invoke(FunctionName="f01-meshplane-publish-tables-dev", Payload=json.dumps(event))
    assert json.loads(answer["Payload"].read())["errorType"] == "GateFailed"
    watched.advance(minutes=2)
    assert state(watched, "gate") == "ALARM"
    watched.advance(minutes=10)
    assert state(watched, "gate") == "OK"


def test_rows_in_quarantine_raise_their_alarm(watched: Plane) -> None:
    put(watched, "RowsQuarantined", 3)
    watched.advance(minutes=2)
    assert state(watched, "quarantine") == "ALARM"
    watched.advance(minutes=10)
    assert state(watched, "quarantine") == "OK"


def test_a_table_that_is_not_published_in_time_raises_its_alarm(watched: Plane) -> None:
    put(watched, "TablesPublished", 1, table="orders")
    watched.advance(minutes=90)
    assert state(watched, "fresh_orders") == "OK"
    watched.advance(minutes=90)
    assert state(watched, "fresh_orders") == "ALARM", "two hours without a publication"
    put(watched, "TablesPublished", 1, table="orders")
    watched.advance(minutes=2)
    assert state(watched, "fresh_orders") == "OK"


def test_a_stalled_project_raises_its_alarm_until_a_look_finds_it_well(watched: Plane) -> None:
    put(watched, "Stalled", 1)
    watched.advance(minutes=2)
    assert state(watched, "stalled") == "ALARM"
    watched.look("watched")
    watched.advance(minutes=6)
    assert state(watched, "stalled") == "OK"


def test_what_a_reconcile_tells_of_itself(watched: Plane) -> None:
    told = {"Synced", "Healthy", "Drifted", "Stalled", "Reconciles", "Writes", "Failures", "Drift", "Healed"}
    wanted = {one for one in by_widgets(watched.client("cloudwatch"), "f01-watched-dev") if one[1] in told}
    assert {metric for _, metric, _ in wanted} == told
    assert wanted - emitted(watched.client("cloudwatch")) == set()
    with watched.counted() as requests:
        watched.look("watched")
    log = watched.folder / ".meshplane" / "log" / "functions" / "f01-meshplane-reconcile-project-dev.log"
    counted = [json.loads(line)["Calls"] for line in log.read_text(encoding="utf-8").splitlines() if '"Calls"' in line]
    assert counted[-1] == [len(requests)]


def test_what_is_switched_off_or_no_longer_declared_goes(watched: Plane) -> None:
    text = TEXT.partition("alarms:")[0] + "alarms: { gate: off, failed_daily: off }\ndashboard: off\n"
    watched.write("watched", text)
    watched.sync("watched")
    eventually(
        lambda: (
            set(states(watched.client, "f01-watched-"))
            == {f"f01-watched-{x}-dev" for x in DEFAULT - {"gate", "failed_daily", "daily_late"}}
        )
    )
    assert _dashboards(watched) == []
    text = TEXT.partition("alarms:")[0] + "dashboard: [{ title: Mine, emitted: late orders, of: load }, { title: Rows, metric: RowsOut }]\n"
    watched.write("watched", text)
    watched.sync("watched")
    eventually(lambda: _dashboards(watched))
    assert by_widgets(watched.client("cloudwatch"), "f01-watched-dev") == {
        ("Meshplane/Jobs", "late orders", frozenset({"Project=watched", "Job=load"})),
        ("Meshplane", "RowsOut", frozenset({"service=meshplane", "project=watched", "job=load"})),
    }


def test_a_removed_project_leaves_neither(watched: Plane) -> None:
    watched.remove("watched")
    watched.advance(minutes=10)
    assert states(watched.client, "f01-watched-") == {}
    assert _dashboards(watched) == []
    assert len(by_alarms(watched.client("cloudwatch"), "f01-meshplane-")) == 6


def _dashboards(plane: Plane) -> list[str]:
    return [
        one["DashboardName"] for one in plane.client("cloudwatch").list_dashboards(DashboardNamePrefix="f01-watched-")["DashboardEntries"]
    ]
