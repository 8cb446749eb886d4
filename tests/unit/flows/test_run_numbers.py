"""What the flows of runs leave for the metrics of their invocation: runs that ended through them, and pipelines that are late."""

from __future__ import annotations

from dataclasses import replace

from meshplane.flows.record_run import record_run
from meshplane.flows.start_run import start_run
from meshplane.flows.sweep_runs import SweepPorts, sweep_runs
from meshplane.model.lateness import Late
from tests.unit.flows.run_fakes import Asked, manual, world
from tests.unit.flows.test_sweep_runs import Bucket


def test_a_run_counts_once_however_often_its_end_is_told() -> None:
    at = world()
    ports = at.ports
    start_run(ports, [manual("1")])
    assert ports.ended == []
    event = at.executions.end(at.executions.open()[0], "FAILED")
    record_run(ports, Asked(), event)
    record_run(ports, Asked(), event)
    assert [(run.pipeline, run.status) for run in ports.ended] == [("daily", "FAILED")]


def test_a_run_that_could_not_be_started_counts_too() -> None:
    at = world()
    at.executions.machines.clear()
    ports = at.ports
    start_run(ports, [manual("1")])
    assert [run.status for run in ports.ended] == ["FAILED"]


def test_the_sweep_says_of_each_alarm_whether_its_pipeline_is_late() -> None:
    at = world()
    at.runs.known["sales"]["daily"] = replace(at.runs.known["sales"]["daily"], late={"daily_late": {"by": "08:00", "timezone": "UTC"}})
    before = SweepPorts(at.ports, Bucket())
    sweep_runs(before, ["sales"])
    start_run(at.ports, [manual("1")])
    record_run(at.ports, Asked(), at.executions.end(at.executions.open()[0]))
    after = SweepPorts(at.ports, Bucket())
    sweep_runs(after, ["sales"])
    assert (before.late, after.late) == ([Late("sales", "daily_late", True)], [Late("sales", "daily_late", False)])
