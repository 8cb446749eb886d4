"""What no event told us: `flows.sweep_runs` against an in-memory world."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from meshplane.errors import PlaneError, Throttled
from meshplane.flows.record_run import record_run
from meshplane.flows.start_run import start_run
from meshplane.flows.sweep_runs import SweepPorts, success_event, sweep_runs
from meshplane.model.publishing import announcements
from meshplane.model.runs import Arrival, PipelinePolicy, TriggerPolicy
from meshplane.model.windows import iso
from tests.unit.flows.run_fakes import MACHINE, NOON, Notes, World, arrived, manual, message, world

UPSTREAM = MACHINE.replace("sales", "customers")


@dataclass
class Bucket:
    files: list[Arrival] = field(default_factory=list)
    listed: list[tuple[datetime, datetime]] = field(default_factory=list)

    def arrived(self, project: str, table: str, after: datetime, before: datetime) -> list[Arrival]:
        self.listed.append((after, before))
        return [file for file in self.files if iso(after) <= file.at < iso(before)]


def sweep(
    at: World, bucket: Bucket | None = None, projects: tuple[str, ...] = ("sales",), notes: Notes | None = None
) -> dict[str, PlaneError]:
    at.notes = notes or at.notes
    faults = dict(sweep_runs(SweepPorts(at.ports, bucket or Bucket()), projects))
    start_run(at.ports, at.queue.due())
    return faults


def without(at: World, *triggers: str) -> World:
    policy = at.runs.known["sales"]["daily"]
    kept = {name: trigger for name, trigger in policy.triggers.items() if name not in triggers}
    at.runs.known["sales"]["daily"] = replace(policy, triggers=kept)
    return at


def test_a_lost_end_is_found_and_what_waited_starts() -> None:
    at = without(world(when_busy="queue"), "nightly")
    start_run(at.ports, [manual("1"), manual("2")])
    at.executions.end(at.executions.open()[0], "FAILED")
    sweep(at)
    assert at.runs.by_status("WAITING"), "a young run's event may only be late"
    at.clock.advance(minutes=6)
    sweep(at)
    assert [run.status for run in at.runs.records.values()] == ["FAILED", "RUNNING"]


def test_an_execution_that_is_gone_ends_its_run() -> None:
    at = without(world(), "nightly")
    start_run(at.ports, [manual("1")])
    at.executions.executions.clear()
    at.clock.advance(minutes=6)
    sweep(at)
    [run] = at.runs.by_status("ABORTED")
    assert "gone" in run.cause
    assert at.runs.slots("sales", "daily").open == ()


def test_a_lost_look_settles_the_files() -> None:
    at = without(world(), "nightly")
    start_run(at.ports, [arrived("a")])
    at.queue.sent.clear()
    at.clock.advance(minutes=6)
    sweep(at)
    assert [file.key for file in at.runs.by_status("RUNNING")[0].files] == ["a"]


def test_a_file_of_which_no_event_told_is_found_once() -> None:
    at = without(world(when_busy="queue"), "nightly")
    known, lost = Arrival("a", "v1", 3, iso(NOON)), Arrival("b", "v1", 3, iso(NOON + timedelta(minutes=1)))
    old = Arrival("before", "v1", 3, iso(NOON - timedelta(minutes=1)))
    bucket = Bucket([old, known, lost, Arrival("c/_SUCCESS", "v1", 0, iso(NOON))])
    start_run(at.ports, [arrived("a")])
    for _ in range(40):
        at.clock.advance(minutes=5)
        sweep(at, bucket)
    start_run(at.ports, [arrived("b", at=NOON + timedelta(minutes=1))])
    at.clock.advance(minutes=5)
    start_run(at.ports, at.queue.due())
    listed = [file.key for run in at.runs.records.values() for file in run.files]
    assert sorted(listed) == ["a", "b"], "each file is in one run, the late event finds it there, and older files are left alone"
    assert 2 <= len(bucket.listed) <= 5, "the bucket is listed once an hour, not at every sweep"
    assert bucket.listed[0][0] == NOON


def test_a_missed_tick_is_sent_under_the_id_it_would_have_had() -> None:
    at = without(world(window="day"), "landed")
    at.clock.at = datetime.fromisoformat("2030-05-02T04:06:00+00:00")
    sweep(at)
    [run] = at.runs.by_status("RUNNING")
    assert (run.trigger, run.window_start, run.window_end) == ("nightly", "2030-04-30T22:00:00Z", "2030-05-01T22:00:00Z")
    start_run(at.ports, [message("schedule", "nightly", {"id": "late", "time": "2030-05-02T04:00:00Z"})])
    sweep(at)
    assert len(at.runs.records) == 1


@pytest.mark.parametrize("change", [{"paused": "paused"}, {"triggers": {}}])
def test_what_is_off_is_not_made_up_for(change: dict[str, object]) -> None:
    at = world()
    at.runs.known["sales"]["daily"] = replace(at.runs.known["sales"]["daily"], **change)  # type: ignore[arg-type]
    at.clock.advance(days=2)
    sweep(at, Bucket([Arrival("a", "v1", 3, iso(NOON))]))
    assert not at.runs.records


def upstream(at: World) -> str:
    """A customers.daily whose run succeeded; its execution."""
    at.executions.machines.add(UPSTREAM)
    at.runs.known["customers"] = {"daily": PipelinePolicy(UPSTREAM)}
    start_run(at.ports, [message("manual", "", {"id": "u", "time": iso(NOON)}, project="customers")])
    arn = at.executions.open()[0]
    at.clock.advance(minutes=1)
    record_run(at.ports, at.reconciles, at.executions.end(arn))
    return arn


def test_a_success_that_downstream_never_heard_of_is_told_once_more() -> None:
    at = without(world(), "nightly", "landed")
    arn = upstream(at)
    sweep(at, projects=("customers", "sales"))
    assert not [run for run in at.runs.records.values() if run.project == "sales"], "it may only be late"
    at.clock.advance(minutes=6)
    sweep(at, projects=("sales", "customers"))
    [run] = [run for run in at.runs.records.values() if run.project == "sales"]
    upstream_run = next(run for run in at.runs.records.values() if run.project == "customers")
    assert upstream_run.execution == arn
    start_run(at.ports, [message("pipeline", "after", success_event(upstream_run))])
    sweep(at, projects=("sales", "customers"))
    assert [one.run_id for one in at.runs.records.values() if one.project == "sales"] == [run.run_id]


def note(run_id: str, state: str = "done", table: str = "contacts", snapshot: int = 7) -> dict[str, object]:
    """The publish record of customers.daily's step."""
    named = {"project": "customers", "run_id": run_id, "pipeline": "daily", "step": "load", "window_start": "", "window_end": ""}
    return {"schema": 1, "state": state, **named, "started": iso(NOON), "tables": [{"table": table, "snapshot": snapshot}]}


def test_a_publication_that_nobody_heard_of_is_told_once_more_under_the_id_it_would_have_had() -> None:
    at = without(world(), "nightly", "landed", "after")
    policy = at.runs.known["sales"]["daily"]
    trigger = TriggerPolicy("table", table="contacts", upstream="customers", since=iso(NOON - timedelta(days=1)))
    at.runs.known["sales"]["daily"] = replace(policy, triggers={"contacts_published": trigger})
    ended = upstream(at).rpartition(":")[2]
    notes = Notes({("customers", ended): [note(ended, "intent"), note(ended, table="other"), note(ended)]})
    sweep(at, projects=("customers", "sales"), notes=notes)
    assert not [run for run in at.runs.records.values() if run.project == "sales"], "it may only be late"
    at.clock.advance(minutes=6)
    sweep(at, projects=("customers", "sales"), notes=notes)
    [run] = [run for run in at.runs.records.values() if run.project == "sales"]
    assert (run.kind, run.trigger, run.status) == ("table", "contacts_published", "RUNNING")
    (told,) = announcements(note(ended))
    start_run(at.ports, [message("table", "contacts_published", {"id": "late", "time": iso(at.clock.now()), "detail": told})])
    sweep(at, projects=("customers", "sales"), notes=notes)
    assert [one.run_id for one in at.runs.records.values() if one.project == "sales"] == [run.run_id]


def test_a_publication_that_was_held_starts_one_run_when_the_upstream_is_judged_again() -> None:
    at = without(world(), "nightly", "landed", "after")
    policy = at.runs.known["sales"]["daily"]
    trigger = TriggerPolicy("table", table="contacts", upstream="customers", since=iso(NOON - timedelta(days=1)))
    at.runs.known["sales"]["daily"] = replace(policy, triggers={"contacts_published": trigger})
    ended = upstream(at).rpartition(":")[2]
    notes = Notes({("customers", ended): [note(ended)]})
    (told,) = announcements(note(ended))
    at.runs.past_the_gate["customers"] = "c.contacts: why"

    def sales() -> list[str]:
        return [run.status for run in at.runs.records.values() if run.project == "sales"]

    start_run(at.ports, [message("table", "contacts_published", {"id": "e", "time": iso(at.clock.now()), "detail": told})])
    for _ in range(3):
        at.clock.advance(minutes=6)
        sweep(at, projects=("customers", "sales"), notes=notes)
    assert sales() == ["SKIPPED"], "told again by every sweep, recorded once, never started"
    at.runs.past_the_gate.clear()
    for _ in range(3):
        at.clock.advance(minutes=6)
        sweep(at, projects=("customers", "sales"), notes=notes)
    assert sales() == ["SKIPPED", "RUNNING"]


def test_what_waits_for_a_pipeline_that_is_gone_is_skipped() -> None:
    at = world(when_busy="queue")
    start_run(at.ports, [manual("1"), manual("2")])
    at.runs.known["sales"] = {}
    at.executions.end(at.executions.open()[0])
    at.clock.advance(minutes=6)
    sweep(at)
    assert [(run.status, run.reason) for run in at.runs.records.values()] == [
        ("SUCCEEDED", ""),
        ("SKIPPED", "sales no longer declares the pipeline daily"),
    ]


def test_one_projects_fault_stops_no_other() -> None:
    at = world()

    def throttled(project: str) -> dict[str, TriggerPolicy]:
        raise Throttled("slow down")

    policies = at.runs.policies
    at.runs.policies = lambda project: throttled(project) if project == "broken" else policies(project)  # type: ignore[method-assign,assignment,return-value]
    at.clock.at = datetime.fromisoformat("2030-05-02T04:06:00+00:00")
    faults = sweep(at, projects=("broken", "sales"))
    assert list(faults) == ["broken"]
    assert at.runs.by_status("RUNNING")


def test_a_project_that_was_never_reconciled_is_left_alone() -> None:
    assert sweep(world(), projects=("nobody",)) == {}


def test_the_policy_of_a_trigger_is_not_needed_to_be_known() -> None:
    at = world()
    at.runs.known["sales"]["daily"] = PipelinePolicy(MACHINE, triggers={"x": TriggerPolicy("schedule", expression="cron(0 6 * * ? *)")})
    at.clock.advance(days=1)
    sweep(at)
    assert not at.runs.records, "without `since` nobody knows how far back to look"


def test_a_success_whose_record_is_gone_is_not_told() -> None:
    at = without(world(), "nightly", "landed")
    upstream(at)
    at.runs.records.clear()
    at.clock.advance(minutes=6)
    sweep(at, projects=("sales", "customers"))
    assert not at.runs.records


def test_a_fault_while_successes_are_passed_on_is_told() -> None:
    at = without(world(), "nightly", "landed")
    upstream(at)
    at.clock.advance(minutes=6)

    def throttled(bodies: object, delay: timedelta = timedelta()) -> None:
        raise Throttled("slow down")

    at.queue.send = throttled  # type: ignore[method-assign]
    assert list(sweep_runs(SweepPorts(at.ports, Bucket()), ("sales", "customers"))) == ["sales"]
