"""Changes of a shared table, classed for each consumer: what breaks whom, what excuses it, and what consumers are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from meshplane.model.baseline import Baseline
from meshplane.model.context import Context, Neighbour, PlaneNames, SharedRead
from meshplane.model.domain import Domain
from meshplane.model.project import Job, Project, Table, TableRef
from meshplane.model.release import PlatformRelease
from meshplane.model.resource import Effect
from meshplane.model.rules import Contract, Rule
from meshplane.model.types import Field, parse
from meshplane.plan.consumers import Impact, changes, impacts
from meshplane.plan.guard import guard
from meshplane.plan.planner import Plan
from meshplane.plan.render import Header, text, to_json
from meshplane.plan.shares import consulted, neighbour, shares, to_neighbours

DOMAIN = Domain(domain_name="retail", domain_abbr="f01", aws_region="eu-central-1", country_code="de", accounts={"dev": "390403879405"})
NAMING = DOMAIN.naming("dev")
IN_SET = Rule("segments", "in_set", ("segment",), {"values": ["a", "b"]})
CONTACTS = Table(
    "contacts", "refined", "iceberg",
    (Field("id", parse("long"), True), Field("segment", parse("string")), Field("age", parse("int")), Field("at", parse("struct<x: int>"))),
    key=("id",), readers=("finance", "sales"),
    rules=(IN_SET, Rule("ages", "range", ("age",), {"min": 0, "max": 150}), Rule("some", "row_count", (), {"min": 1}),
           Rule("hint", "not_null", ("age",), severity="warn")),
)  # fmt: skip
FINANCE = SharedRead("segments", "customers", "contacts", ("id", "segment"))
SALES = SharedRead("report", "customers", "contacts")


def project(*tables: Table) -> Project:
    return Project("customers", tables={table.name: table for table in tables})


def context(*reads: tuple[str, SharedRead], today: date | None = None) -> Context:
    known = {name: Neighbour(name, True, reads=(read,)) for name, read in reads}
    nothing = Baseline("", (), (), ()), PlatformRelease(""), PlaneNames("", "", "")
    return Context(DOMAIN, NAMING, *nothing, neighbours=known, today=today)


def shared(*tables: Table) -> Mapping[str, Any]:
    names = {f"{NAMING.database(table.layer)}.{NAMING.table('customers', table.name)}" for table in tables}
    return shares(project(*tables), NAMING, names, {})


def felt(changed: Table, *, today: date | None = None) -> list[Impact]:
    return list(impacts(project(changed), context(("finance", FINANCE), ("sales", SALES), today=today), shared(CONTACTS)))


def columns(**types: str) -> tuple[Field, ...]:
    return tuple(Field(name, parse(of), name == "id") for name, of in types.items())


WHOLE = {"id": "long", "segment": "string", "age": "int", "at": "struct<x: int>"}
RULES = [
    ((), Effect.BREAKING, "no longer promises rule segments (in_set of segment)"),
    ((replace(IN_SET, severity="warn"),), Effect.BREAKING, "no longer blocks by rule segments (in_set of segment)"),
    ((replace(IN_SET, params={"values": ["a", "b", "c"]}),), Effect.BREAKING, "lets more through rule segments (in_set of segment): c"),
    ((replace(IN_SET, threshold_percent="1"),), Effect.SAFE, "weakens or alters rule segments (in_set of segment)"),
    ((replace(IN_SET, threshold_rows=3),), Effect.SAFE, "weakens or alters rule segments (in_set of segment)"),
    ((replace(IN_SET, filter="age > 3"),), Effect.SAFE, "weakens or alters rule segments (in_set of segment)"),
    ((replace(IN_SET, params={"values": ["a"]}),), None, ""),
    ((replace(IN_SET, name="renamed"),), None, ""),
]


def test_nothing_changed_nothing_is_felt() -> None:
    assert felt(CONTACTS) == []


@pytest.mark.parametrize(
    ("types", "effect", "what", "used"),
    [
        ({**WHOLE, "more": "int"}, Effect.ADDITIVE, "adds `more`", ()),
        ({key: of for key, of in WHOLE.items() if key != "segment"}, Effect.BREAKING, "drops or renames `segment`", ()),
        ({key: of for key, of in WHOLE.items() if key != "segment"}, None, "", ("id", "age")),
        ({**WHOLE, "age": "long"}, Effect.SAFE, "changes `age` from int to long", ()),
        ({**WHOLE, "age": "string"}, Effect.BREAKING, "changes `age` from int to string", ()),
        ({**WHOLE, "age": "string"}, None, "", ("ID", "Segment")),
        ({**WHOLE, "at": "struct<x: int, y: int>"}, Effect.SAFE, "changes `at` from struct<x: int> to struct<x: int, y: int>", ()),
        ({**WHOLE, "at": "struct<y: int>"}, Effect.BREAKING, "changes `at` from struct<x: int> to struct<y: int>", ()),
        ({**WHOLE, "SEGMENT": "string"}, None, "", ()),
    ],
)  # fmt: skip
def test_columns(types: dict[str, str], effect: Effect | None, what: str, used: tuple[str, ...]) -> None:
    if "SEGMENT" in types:
        types = {key: of for key, of in types.items() if key != "segment"}
    before, after = shared(CONTACTS), shared(replace(CONTACTS, columns=columns(**types)))
    found = changes(before["tables"]["contacts"], after["tables"]["contacts"], "finance", used)
    assert [(change.effect, change.what) for change in found] == ([(effect, what)] if effect else [])


@pytest.mark.parametrize(("rules", "effect", "what"), RULES)
def test_rules(rules: tuple[Rule, ...], effect: Effect | None, what: str) -> None:
    before, after = shared(replace(CONTACTS, rules=(IN_SET,))), shared(replace(CONTACTS, rules=rules))
    for used, seen in ((("segment",), True), ((), True), (("age",), False)):
        found = changes(before["tables"]["contacts"], after["tables"]["contacts"], "finance", used)
        assert [(change.effect, change.what) for change in found] == ([(effect, what)] if effect and seen else [])


def test_bounds_that_widen_or_go_break_and_those_that_narrow_do_not() -> None:
    for params, wider in (({"min": 0, "max": 151}, "max"), ({"min": -1, "max": 9}, "min"), ({"min": 0}, "max"), ({"min": 1, "max": 9}, "")):
        rules = tuple(replace(rule, params=params) if rule.name == "ages" else rule for rule in CONTACTS.rules)
        told = [impact.what for impact in felt(replace(CONTACTS, rules=rules))]
        assert told == ([f"lets more through rule ages (range of age): {wider}"] if wider else [])


def test_the_table_as_a_whole() -> None:
    def told(changed: Table) -> set[tuple[str, str]]:
        return {(impact.consumer, impact.what) for impact in felt(changed) if impact.effect is Effect.BREAKING}

    assert {what for _, what in told(replace(CONTACTS, key=("id", "segment")))} == {"changes its key from [id] to [id, segment]"}
    assert told(replace(CONTACTS, readers=("sales",))) == {("finance", "is no longer granted")}
    assert all(what.startswith("moves: database") for _, what in told(replace(CONTACTS, layer="curated")))
    gone = impacts(project(), context(("finance", FINANCE)), shared(CONTACTS))
    assert [(impact.what, impact.held) for impact in gone] == [("leaves", True)]
    loose = [Field("id", parse("long")), *CONTACTS.columns[1:]]
    assert {what for _, what in told(replace(CONTACTS, columns=tuple(loose)))} == {"lets `id` be null"}
    (first, _) = felt(replace(CONTACTS, contract=Contract(columns="evolve")))
    assert (first.effect, first.held, first.what) == (Effect.SAFE, False, "lets arriving data change its columns")


def test_a_breaking_change_is_held_until_the_date_has_passed_or_the_project_is_named() -> None:
    dropped = replace(CONTACTS, columns=tuple(field for field in CONTACTS.columns if field.name != "segment"), rules=CONTACTS.rules[1:])
    assert {(impact.consumer, impact.held) for impact in felt(dropped)} == {("finance", True), ("sales", True)}
    dated = replace(dropped, deprecate={"Segment": date(2027, 1, 31)})
    for today, held in ((None, True), (date(2027, 1, 31), True), (date(2027, 2, 1), False)):
        assert {impact.held for impact in felt(dated, today=today)} == {held}
    named = felt(replace(dropped, allow_breaking=("finance",)))
    assert {(impact.consumer, impact.held) for impact in named} == {("finance", False), ("sales", True)}
    assert str(named[0]) == "drops or renames `segment`, which finance.segments reads (allowBreaking names it)"


def test_the_plan_is_held_says_why_and_an_approval_covers_exactly_that() -> None:
    dropped = replace(CONTACTS, columns=CONTACTS.columns[:1] + CONTACTS.columns[2:])
    plan = Plan("customers", (), tuple(felt(dropped)))
    verdict = guard(plan)
    assert verdict.approvable
    assert "table contacts: drops or renames `segment`, which finance.segments reads" in verdict.held
    header = Header("customers", "dev", "390403879405", "", datetime(2026, 1, 1, tzinfo=UTC))
    said = text(plan, verdict, header)
    assert "  ! table   contacts           breaking  drops or renames `segment`, which finance.segments reads" in said
    assert f"Held: 2 breaking changes. Nothing was applied. Deprecate the column, or set policy.approve: {plan.digest}" in said
    assert [row["held"] for row in to_json(plan, verdict, header)["impacts"]] == [True, True]
    approved = guard(plan, plan.digest)
    assert approved.held == ()
    assert guard(plan, "", approved.approved).held == ()
    assert guard(Plan("customers", (), tuple(felt(replace(dropped, key=())))), plan.digest, approved.approved).held
    assert (Plan("customers", ()).empty, plan.empty) == (True, False)
    warned = Plan("customers", (), tuple(replace(impact, held=False) for impact in plan.impacts))
    assert (guard(warned).held, warned.digest) == ((), Plan("customers", ()).digest)
    assert "  w table   contacts           warning " in text(warned, guard(warned), header)


def test_consumers_are_warned_in_their_own_plan() -> None:
    producer = shared(replace(CONTACTS, deprecate={"segment": date(2027, 1, 31)}))
    reads = (TableRef("customers", "contacts", ("id", "segment", "gone")),)
    finance = Project("finance", jobs={"segments": Job("segments", script="a.py", reads=reads)})
    here = replace(context(), neighbours={"customers": neighbour("customers", producer, True)})
    told = impacts(finance, here, {})
    assert [(impact.table, impact.what, impact.held) for impact in told] == [
        ("customers.contacts", "will lose or change `segment` after 2027-01-31", False),
        ("customers.contacts", "no longer has `gone`", False),
    ]
    other = Project("finance", jobs={"ages": Job("ages", script="a.py", reads=(TableRef("customers", "contacts", ("age",)),))})
    assert impacts(other, here, {}) == ()


def test_own_jobs_are_warned_of_what_their_manifest_does_to_them_and_hold_nothing() -> None:
    def made(of: Table, *reads: TableRef) -> Project:
        jobs = {f"job_{at}": Job(f"job_{at}", script="a.py", reads=(read,)) for at, read in enumerate(reads)}
        return Project("customers", tables={of.name: of}, jobs=jobs)

    unshared = replace(CONTACTS, readers=())
    reads = (TableRef("customers", "contacts", ("id", "segment")), TableRef("customers", "contacts"))
    standing = {f"{NAMING.database('refined')}.customers_contacts"}
    before = shares(made(unshared, *reads), NAMING, standing, {})
    assert impacts(made(unshared, *reads), context(), before) == ()
    retyped = replace(unshared, columns=columns(**{**WHOLE, "age": "string"}), rules=unshared.rules[1:])
    told = impacts(made(retyped, *reads), context(), before)
    assert [(str(impact), impact.effect, impact.held) for impact in told] == [
        (f"{what}, which customers.{job} reads (a job of this manifest)", Effect.BREAKING, False)
        for job, what in (
            ("job_0", "no longer promises rule segments (in_set of segment)"),
            ("job_1", "changes `age` from int to string"),
            ("job_1", "no longer promises rule segments (in_set of segment)"),
        )
    ]
    assert impacts(made(retyped), context(), before) == (), "a job that is gone reads nothing"
    assert shares(made(retyped, *reads), NAMING, (), before)["own"] == before["own"], "until the change stands"
    assert to_neighbours(before) == to_neighbours(shares(made(unshared), NAMING, standing, {})), "nobody else is told"


def test_what_a_project_reads_is_shared_and_asked_for_in_one_call() -> None:
    finance = Project(
        "finance", jobs={"segments": Job("segments", reads=(TableRef("customers", "contacts", ("id",)), TableRef("finance", "own")))}
    )
    known = neighbour("finance", shares(finance, NAMING, (), {}), True)
    assert known.reads == (SharedRead("segments", "customers", "contacts", ("id",)),)
    assert neighbour("old", {"tables": {}, "pipelines": []}, True).reads == ()
    assert consulted(project(replace(CONTACTS, readers=("sales",))), shared(CONTACTS)) == {"finance", "sales"}
    assert consulted(finance, {}) == {"customers"}
