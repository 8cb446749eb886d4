"""What the kinds beside tables cost in calls: to make a project, to look again, and with others' resources beside (DESIGN §9)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from importlib import import_module
from typing import Any

from meshplane.aws.clients import Clients
from meshplane.aws.kinds.opening import Opening
from meshplane.aws.listings import Listings
from meshplane.kinds import event_rule, glue_job, log_group, role, schedule, schedule_group, state_machine
from meshplane.model.resource import Done, Provenance, ownership_tags
from tests.aws.behaviour import OTHER, OWNER, writes
from tests.aws.clock import StandingClock
from tests.unit.kinds.sample import CONTEXT, NAMING, SALES

KINDS: tuple[Any, ...] = (role.KIND, glue_job.KIND, log_group.KIND, state_machine.KIND, event_rule.KIND, schedule_group.KIND, schedule.KIND)

LOOK = {
    "GetAccountAuthorizationDetails": 1,
    "GetResources": 1,
    "BatchGetJobs": 1,
    "DescribeLogGroups": 1,
    "DescribeStateMachine": 1,
    "ListRules": 1,
    "ListTargetsByRule": 2,
    "ListSchedules": 1,
    "GetSchedule": 1,
}


def adapters(clients: Clients) -> dict[str, Any]:
    shared = Opening(clients, Listings(clients, NAMING), NAMING, Provenance(), StandingClock())
    return {kind.name: import_module(f"meshplane.aws.kinds.{kind.name}").adapter(shared) for kind in KINDS}


def counted(clients: Clients, call: Callable[[Clients], object]) -> Counter[str]:
    """Requests by operation, every page one: hooked at the session before any client is made."""
    fresh = Clients(clients.session)
    sent: list[str] = []
    fresh.session.events.register("before-call.*.*", lambda model, **_: sent.append(model.name), unique_id="count")
    call(fresh)
    fresh.session.events.unregister("before-call.*.*", unique_id="count")
    return Counter(sent)


def make(clients: Clients) -> None:
    opened = adapters(clients)
    for kind in KINDS:
        for want in kind.desired(SALES, CONTEXT):
            assert isinstance(opened[kind.name].create(want, OWNER), Done)


def look(clients: Clients) -> list[Any]:
    opened = adapters(clients)
    wants = {kind.name: list(kind.desired(SALES, CONTEXT)) for kind in KINDS}
    return [seen for kind in KINDS for seen in opened[kind.name].observe([want.id for want in wants[kind.name]], OWNER, {})]


def test_a_project_costs_what_the_design_says(clients: Clients) -> None:
    sent = counted(clients, make)
    assert len(writes([f"any:{name}" for name in sent.elements()])) == 2 * 3 + 3 + 2 + 1 + 2 * 2 + 1 + 1, "no write beside the needed ones"
    assert sum(sent.values()) - 18 == 1 + 2 + 1, "one look before each call that would overwrite: machine, two rules, the schedule's group"
    assert counted(clients, look) == LOOK
    found = {seen.id: seen for seen in look(clients)}
    for kind in KINDS:
        for want in kind.desired(SALES, CONTEXT):
            assert kind.compare(want.spec, found[want.id].spec) == ()


def test_other_projects_cost_nothing(clients: Clients) -> None:
    make(clients)
    tags = dict(ownership_tags(OTHER))
    for number in range(60):
        clients("glue").create_job(Name=f"f01-finance-{number}-dev", Role="r", Command={"Name": "glueetl"}, Tags=tags)
        clients("logs").create_log_group(logGroupName=f"/aws/vendedlogs/states/f01-finance-pipeline-{number}-dev", tags=tags)
        clients("events").put_rule(Name=f"f01-finance-{number}-x-dev", EventPattern="{}")
    assert counted(clients, look) == LOOK


def test_a_project_without_pipelines_asks_for_none_of_their_parts(clients: Clients) -> None:
    def look_for_nothing(fresh: Clients) -> None:
        opened = adapters(fresh)
        for module in ("log_group", "event_rule", "schedule_group", "schedule", "state_machine"):
            assert opened[module].observe([], OWNER, {}) == []

    assert counted(clients, look_for_nothing) == {"GetResources": 1}
