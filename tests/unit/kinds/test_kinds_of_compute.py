"""Roles, jobs, pipelines and triggers as pure kinds: what is wanted, what it needs, what it waits for, what differs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from syrupy.assertion import SnapshotAssertion

from meshplane.kinds import Kind, event_rule, glue_job, log_group, role, schedule, schedule_group, state_machine
from meshplane.kinds.event_rule import canonical_pattern
from meshplane.model.access import INLINE_LIMIT
from meshplane.model.context import Context, Neighbour
from meshplane.model.job_arguments import CATALOG
from meshplane.model.project import FilesTrigger, Job, OwnAsl, Pipeline, Project, ScheduleTrigger, Table, TableTrigger
from meshplane.model.release import PlatformRelease, Release
from meshplane.model.resource import Id, Seen, Want
from meshplane.model.rules import Rule
from meshplane.plan.shares import neighbour as told_by
from meshplane.plan.shares import references, shares
from tests.unit.kinds.sample import ARN, BASELINE, CONTACTS, CONTEXT, CUSTOMERS, DAILY, MERGE, NAMING, PLANE, REVENUE, SALES, TOP, table

KINDS: tuple[Any, ...] = (role.KIND, glue_job.KIND, log_group.KIND, state_machine.KIND, event_rule.KIND, schedule_group.KIND, schedule.KIND)
SCHEMA = json.loads((Path(__file__).parents[3] / "schemas" / "job.schema.json").read_text(encoding="utf-8"))


def wants(kind: Kind[Any], project: Project = SALES, context: Context = CONTEXT) -> dict[str, Want[Any]]:
    return {want.id.label: want for want in kind.desired(project, context)}


def test_what_the_whole_project_asks_for() -> None:
    assert {kind.name: sorted(wants(kind)) for kind in KINDS} == {
        "role": ["job role", "optimizer role", "pipeline role"],
        "glue_job": ["daily_revenue", "load_orders", "top"],
        "log_group": ["daily"],
        "state_machine": ["daily"],
        "event_rule": ["daily.after_customers", "daily.landed"],
        "schedule_group": ["schedules"],
        "schedule": ["daily.nightly"],
    }


def test_physical_names() -> None:
    assert sorted(want.id.name for kind in KINDS for want in kind.desired(SALES, CONTEXT)) == [
        "/aws/vendedlogs/states/f01-sales-pipeline-daily-dev",
        "f01-glue-sales-dev",
        "f01-optimizer-sales-dev",
        "f01-pipeline-sales-dev",
        "f01-sales-daily-after_customers-dev",
        "f01-sales-daily-landed-dev",
        "f01-sales-daily_revenue-dev",
        "f01-sales-dev",
        "f01-sales-dev/daily-nightly",
        "f01-sales-load_orders-dev",
        "f01-sales-pipeline-daily-dev",
        "f01-sales-top-dev",
    ]


PUBLISHED = replace(SALES, pipelines={"daily": Pipeline("daily", triggers=(TableTrigger("fed", "customers", "contacts"),))})


def test_a_table_trigger_matches_the_publications_of_that_table() -> None:
    want = wants(event_rule.KIND, PUBLISHED)["daily.fed"]
    assert json.loads(want.spec.pattern) == {
        "source": ["meshplane"],
        "detail-type": ["Table Published"],
        "detail": {"project": ["customers"], "table": ["contacts"]},
    }
    assert json.loads(want.spec.targets[0].template.replace("<aws.events.event.json>", "{}"))["kind"] == "table"
    assert want.waits == ""
    own = replace(PUBLISHED, pipelines={"daily": Pipeline("daily", triggers=(TableTrigger("fed", "sales", "orders"),))})
    assert wants(event_rule.KIND, own)["daily.fed"].waits == ""
    assert references(PUBLISHED) == {"customers"}, "who is told when it changes"


WAITING_FOR_TABLES = [
    (Neighbour("customers", False, {}, ()), "to be published"),
    (replace(CUSTOMERS, tables={}), "to declare and apply table 'contacts'"),
    (replace(CUSTOMERS, tables={"contacts": replace(CONTACTS, readers=("finance",))}), "readers does not name 'sales'"),
    (replace(CUSTOMERS, tables={"contacts": replace(CONTACTS, layer="raw")}), "raw tables are not published"),
]


@pytest.mark.parametrize(("neighbour", "why"), WAITING_FOR_TABLES, ids=[row[1] for row in WAITING_FOR_TABLES])
def test_a_table_trigger_waits_until_both_sides_agree(neighbour: Neighbour, why: str) -> None:
    context = replace(CONTEXT, neighbours={"customers": neighbour})
    assert why in wants(event_rule.KIND, PUBLISHED, context)["daily.fed"].waits


ROLES = [
    ("nothing runs", Project("sales", tables={"orders_raw": SALES.tables["orders_raw"]}), set()),
    ("an Iceberg table", Project("sales", tables={"orders": table("orders")}), {"optimizer role"}),
    ("a job", replace(SALES, tables={"orders_raw": SALES.tables["orders_raw"]}, pipelines={}), {"job role"}),
    ("all", SALES, {"job role", "optimizer role", "pipeline role"}),
]


@pytest.mark.parametrize(("case", "project", "expected"), ROLES, ids=[row[0] for row in ROLES])
def test_a_role_is_there_when_something_would_assume_it(case: str, project: Project, expected: set[str]) -> None:
    assert set(wants(role.KIND, project)) == expected


def test_roles_carry_path_and_boundary_from_birth() -> None:
    spec = wants(role.KIND)["job role"].spec
    assert (spec.path, spec.boundary, spec.attached) == ("/meshplane/projects/", BASELINE.boundary_arn, ())
    assert list(spec.policies) == [role.INLINE], "one inline policy each"
    unbounded = replace(CONTEXT, baseline=replace(BASELINE, boundary_arn=""))
    without = wants(role.KIND, context=unbounded)["job role"].spec
    assert without.boundary == ""
    assert role.KIND.compare(without, replace(without, boundary="arn:x")) == (), "the plane never takes a boundary away"


def test_a_policy_too_long_for_iam_is_refused_before_iam_refuses_it() -> None:
    many = {f"t{n}": replace(CONTACTS, name=f"customers_t{n}", location=f"{CONTACTS.location}{n}") for n in range(200)}
    context = replace(CONTEXT, neighbours={"customers": replace(CUSTOMERS, tables=many)})
    refs = tuple(replace(REVENUE.reads[1], table=name) for name in many)
    project = replace(SALES, jobs={"daily_revenue": replace(REVENUE, reads=refs)})
    assert f"IAM allows {INLINE_LIMIT}" in wants(role.KIND, project, context)["job role"].refused


def test_a_raw_table_of_another_project_is_judged_by_its_rules_where_it_is_read() -> None:
    rules = (Rule("enough", "row_count", (), {"min": 2}), Rule("once", "unique", ("customer_id",)))
    columns = tuple(CONTACTS.columns)
    declared = Table("contacts", "raw", "csv", columns, readers=("sales",), rules=rules, allow_empty=True)
    owner = Project("customers", tables={"contacts": declared})
    stored = json.loads(json.dumps(shares(owner, NAMING, {f"{NAMING.database('raw')}.customers_contacts"}, {})))
    context = replace(CONTEXT, neighbours={"customers": told_by("customers", stored, True)})
    told = json.loads(wants(glue_job.KIND, context=context)["daily_revenue"].spec.arguments["--meshplane-job"])
    jsonschema.validate(told, SCHEMA)
    assert told["tables"]["customers.contacts"]["gate"] == replace(declared.gate, table="customers.contacts").to_json()
    refined = json.loads(wants(glue_job.KIND)["daily_revenue"].spec.arguments["--meshplane-job"])
    assert "gate" not in refined["tables"]["customers.contacts"], "its owner's gate has judged it"


def test_what_stands_before_what() -> None:
    needs = {
        label: {str(need.name) for need in want.needs}
        for kind in KINDS
        for label, want in wants(kind).items()
        if kind is not log_group.KIND
    }
    machine, group = "f01-sales-pipeline-daily-dev", "/aws/vendedlogs/states/f01-sales-pipeline-daily-dev"
    assert needs["load_orders"] == {"f01-glue-sales-dev", "f01_de_raw.sales_orders_raw", "f01_de_refined.sales_orders"}
    assert needs["daily"] == {"f01-pipeline-sales-dev", group, "f01-sales-load_orders-dev", "f01-sales-daily_revenue-dev"}
    assert needs["daily.landed"] == needs["daily.after_customers"] == {machine}
    assert needs["daily.nightly"] == {machine, "f01-sales-dev"}
    assert needs["job role"] == needs["schedules"] == set()


def test_tables_are_needed_by_their_own_kind() -> None:
    tables = {need for need in wants(glue_job.KIND)["load_orders"].needs if need.kind.endswith("_table")}
    assert tables == {Id("hive_table", "f01_de_raw.sales_orders_raw"), Id("iceberg_table", "f01_de_refined.sales_orders")}


@pytest.mark.parametrize("job", ["load_orders", "daily_revenue", "top"])
def test_the_definition_as_it_is(job: str, snapshot: SnapshotAssertion) -> None:
    spec = wants(glue_job.KIND)[job].spec
    told = json.loads(spec.arguments["--meshplane-job"])
    shown = {each.name: getattr(spec, each.name) for each in fields(spec)}
    assert json.dumps({**shown, "arguments": {**spec.arguments, "--meshplane-job": told}}, indent=1, default=list) == snapshot


@pytest.mark.parametrize("job", ["load_orders", "daily_revenue", "top"])
def test_what_a_job_is_told_keeps_to_its_schema(job: str) -> None:
    told = json.loads(wants(glue_job.KIND)[job].spec.arguments["--meshplane-job"])
    jsonschema.validate(told, SCHEMA, cls=jsonschema.Draft202012Validator)
    assert set(told["tables"]) == {each["table"] for each in (*told["reads"], *told["writes"])}


def test_the_schema_refuses_what_the_library_could_not_read() -> None:
    told = json.loads(wants(glue_job.KIND)["load_orders"].spec.arguments["--meshplane-job"])
    for broken in ({**told, "more": 1}, {**told, "schema": 2}, {key: value for key, value in told.items() if key != "tables"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_the_catalog_comes_first_in_the_one_conf() -> None:
    conf = wants(glue_job.KIND)["daily_revenue"].spec.arguments["--conf"].split(" --conf ")
    assert conf[0] == f"spark.sql.catalog.{CATALOG}=org.apache.iceberg.spark.SparkCatalog"
    assert f"spark.sql.catalog.{CATALOG}.warehouse=s3://f01-refined-390403879405-de-dev/sales/iceberg/" in conf
    assert conf[-1] == "spark.sql.shuffle.partitions=64"
    assert all(" " not in part for part in conf)


def test_every_file_that_a_definition_names_is_named_by_content() -> None:
    for want in wants(glue_job.KIND).values():
        keys = [want.spec.script, *(path for key in FILE_ARGUMENTS for path in want.spec.arguments.get(key, "").split(",") if path)]
        assert keys
        assert all("/files/" in path and path.startswith("s3://f01-artifacts-390403879405-de-dev/") for path in keys)


FILE_ARGUMENTS = ("--extra-py-files", "--extra-jars", "--additional-python-modules")

MISSING = [
    ("the script", REVENUE, ("jobs/daily_revenue.py",), "jobs/daily_revenue.py is in no release"),
    ("a jar", REVENUE, ("lib/x.jar",), "lib/x.jar is in no release"),
    (
        "a wheel's file",
        REVENUE,
        ("wheels/phonenumbers-9.0.1-py2.py3-none-any.whl",),
        "the wheel of package phonenumbers==9.0.1 is in no release",
    ),
    ("the SQL file", TOP, ("sql/top.sql",), "sql/top.sql is in no release"),
]


@pytest.mark.parametrize(("case", "job", "without", "text"), MISSING, ids=[row[0] for row in MISSING])
def test_a_missing_file_is_a_stated_wait_with_its_mend(case: str, job: Job, without: tuple[str, ...], text: str) -> None:
    release = replace(CONTEXT.release, files={path: sha for path, sha in CONTEXT.release.files.items() if path not in without})
    want = wants(glue_job.KIND, replace(SALES, jobs={job.name: job}), replace(CONTEXT, release=release))[job.name]
    assert text in want.waits
    assert "mend: meshplane publish sales" in want.waits
    assert want.refused == ""


def test_everything_missing_is_said_at_once() -> None:
    waits = wants(glue_job.KIND, context=replace(CONTEXT, release=Release(), neighbours={}))["daily_revenue"].waits
    assert waits.count("FileMissing") == 4
    assert "'customers' to be published" in waits


def test_a_built_in_that_the_platform_lacks_is_a_wait() -> None:
    context = replace(CONTEXT, platform=PlatformRelease("platform/files/1/dp.zip"))
    assert "no built-in job 'merge'" in wants(glue_job.KIND, context=context)["load_orders"].waits


REFUSED = [
    ("an argument of the plane's", replace(MERGE, arguments={"--conf": "x"}), "--conf belongs to the plane"),
    ("a jar before Spark's own", replace(MERGE, arguments={"--user-jars-first": "true"}), "--user-jars-first belongs to the plane"),
    ("a file before the library's", replace(MERGE, arguments={"--extra-files": "s3://x"}), "--extra-files belongs to the plane"),
    ("without its dashes too", replace(MERGE, arguments={"TempDir": "s3://x"}), "--TempDir belongs to the plane"),
    ("a setting that smuggles another", replace(MERGE, spark={"a": "1 --conf spark.x=2"}), "a cannot be passed on"),
]


@pytest.mark.parametrize(("case", "job", "text"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_could_get_round_the_plane_is_refused(case: str, job: Job, text: str) -> None:
    assert text in wants(glue_job.KIND, replace(SALES, jobs={job.name: job}))[job.name].refused


def test_settings_that_never_vary() -> None:
    for want in wants(glue_job.KIND).values():
        assert (want.spec.glue_version, want.spec.max_retries, want.spec.queuing) == ("5.1", 0, False)
        assert want.spec.connections == BASELINE.connections, "inside the domain's VPC"


def test_a_timeout_is_never_shortened_by_rounding() -> None:
    job = replace(MERGE, timeout=timedelta(seconds=90))
    assert wants(glue_job.KIND, replace(SALES, jobs={"load_orders": job}))["load_orders"].spec.timeout_minutes == 2


def delivered(template: str, event: Mapping[str, Any]) -> Any:
    """What EventBridge makes of a template: the reserved variable replaced by the event's JSON."""
    return json.loads(template.replace("<aws.events.event.json>", json.dumps(event)))


@pytest.mark.parametrize(("label", "kind"), [("daily.landed", "files"), ("daily.after_customers", "pipeline")])
def test_a_rule_makes_exactly_the_message_of_the_contract(label: str, kind: str) -> None:
    (target,) = wants(event_rule.KIND)[label].spec.targets
    event = {"id": "1", "detail": {"object": {"key": 'a "quoted" key'}}}
    trigger = label.partition(".")[2]
    expected = {"schema": 1, "project": "sales", "pipeline": "daily", "trigger": trigger, "kind": kind, "event": event}
    assert delivered(target.template, event) == expected
    assert (target.arn, target.dead_letters) == (PLANE.trigger_queue_arn, PLANE.target_dlq_arn)


def test_a_schedule_makes_exactly_the_message_of_the_contract() -> None:
    spec = wants(schedule.KIND)["daily.nightly"].spec
    event = {"id": "<aws.scheduler.execution-id>", "time": "<aws.scheduler.scheduled-time>"}
    expected = {"schema": 1, "project": "sales", "pipeline": "daily", "trigger": "nightly", "kind": "schedule", "event": event}
    assert json.loads(spec.input) == expected
    assert (spec.target, spec.role, spec.dead_letters) == (PLANE.trigger_queue_arn, PLANE.scheduler_role_arn, PLANE.target_dlq_arn)
    assert (spec.expression, spec.timezone, spec.window, spec.enabled) == ("cron(0 6 * * ? *)", "Europe/Berlin", "OFF", True)


def test_patterns() -> None:
    found = wants(event_rule.KIND)
    assert json.loads(found["daily.landed"].spec.pattern) == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": ["f01-raw-390403879405-de-dev"]}, "object": {"key": [{"prefix": "sales/orders_raw/"}]}},
    }
    assert json.loads(found["daily.after_customers"].spec.pattern) == {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"status": ["SUCCEEDED"], "stateMachineArn": [ARN("states", "stateMachine:f01-customers-pipeline-daily-dev")]},
    }


def test_a_trigger_switched_off_stays_and_is_disabled() -> None:
    off = replace(
        DAILY, triggers=(FilesTrigger("landed", "orders_raw", enabled=False), ScheduleTrigger("nightly", "rate(1 day)", enabled=False))
    )
    project = replace(SALES, pipelines={"daily": off})
    assert wants(event_rule.KIND, project)["daily.landed"].spec.enabled is False
    assert wants(schedule.KIND, project)["daily.nightly"].spec.enabled is False


OTHERS = [
    ("not published", Neighbour("customers"), "'customers' to be published"),
    ("without that pipeline", replace(CUSTOMERS, pipelines=()), "to declare pipeline 'daily'"),
    ("ready", CUSTOMERS, ""),
]


@pytest.mark.parametrize(("case", "neighbour", "text"), OTHERS, ids=[row[0] for row in OTHERS])
def test_another_projects_pipeline_is_waited_for(case: str, neighbour: Neighbour, text: str) -> None:
    want = wants(event_rule.KIND, context=replace(CONTEXT, neighbours={"customers": neighbour}))["daily.after_customers"]
    assert text in want.waits
    assert bool(want.waits) is bool(text)


def own(text: str | None, *targets: str) -> Want[Any]:
    pipeline = Pipeline("own", asl=OwnAsl("pipelines/own.asl.json", targets))
    files = {} if text is None else {"pipelines/own.asl.json": text}
    return wants(state_machine.KIND, replace(SALES, pipelines={"own": pipeline}), replace(CONTEXT, asl_files=files))["own"]


def test_an_own_asl_file_is_filled_in_and_needs_every_job() -> None:
    run = {"Type": "Task", "Resource": "arn:aws:states:::glue:startJobRun.sync", "Parameters": {"JobName": "${job.top}"}, "Next": "b"}
    gate = {"Type": "Task", "Resource": f"${{gate.{SALES.jobs['top'].writes[0].table}}}", "End": True}
    want = own(json.dumps({"StartAt": "a", "States": {"a": run, "b": gate}}))
    assert (want.refused, want.waits) == ("", "")
    assert json.loads(want.spec.definition)["States"]["a"]["Parameters"]["JobName"] == "f01-sales-top-dev"
    publish = json.loads(want.spec.definition)["States"]["b"]["Parameters"]
    assert publish["FunctionName"] == NAMING.arn("lambda", f"function:{NAMING.of('publish_function')}")
    assert {need.label for need in want.needs if need.kind == "glue_job"} == {"load_orders", "daily_revenue", "top"}


def test_an_own_asl_file_that_is_missing_waits_and_one_that_is_wrong_is_refused() -> None:
    assert "FileMissing: pipelines/own.asl.json" in own(None).waits
    assert "leads nowhere" in own(json.dumps({"StartAt": "a", "States": {"a": {"Type": "Pass"}}})).refused
    assert "cannot be called" in own("{}", ARN("dynamodb", "table/x")).refused


def test_the_machine_is_logged_to_its_own_group() -> None:
    spec = wants(state_machine.KIND)["daily"].spec
    assert spec.log_group == ARN("logs", f"log-group:{NAMING.pipeline_log_group('sales', 'daily')}")
    assert (spec.log_level, spec.tracing) == ("ALL", False)
    assert wants(log_group.KIND)["daily"].spec == log_group.LogGroupSpec(BASELINE.kms_key_arn, 90)


def altered(value: Any) -> Any:
    """Another value of the same type."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return value + "x"
        case tuple():
            return (*value, "x")
        case _:
            return {**value, "x": "x"}


FIELDS = [(kind, each.name) for kind in KINDS for each in fields(next(iter(kind.desired(SALES, CONTEXT))).spec)]


@pytest.mark.parametrize(("kind", "name"), FIELDS, ids=[f"{kind.name}.{name}" for kind, name in FIELDS])
def test_each_field_alone_is_exactly_one_difference(kind: Kind[Any], name: str) -> None:
    spec = next(iter(kind.desired(SALES, CONTEXT))).spec
    assert kind.compare(spec, spec) == ()
    (difference,) = kind.compare(spec, replace(spec, **{name: altered(getattr(spec, name))}))
    assert difference.field.split(".")[0] == name
    assert difference.was != difference.wanted


def test_long_values_are_shown_where_they_part() -> None:
    spec = wants(role.KIND)["job role"].spec
    wider = spec.policies[role.INLINE].replace("customers_contacts", "customers_segments")
    (difference,) = role.KIND.compare(spec, replace(spec, policies={role.INLINE: wider}))
    assert "customers_contacts" in difference.wanted
    assert "customers_segments" in difference.was
    assert len(difference.was) < 130


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_undeclared_ones_are_deleted(kind: Kind[Any]) -> None:
    want = next(iter(kind.desired(SALES, CONTEXT)))
    assert kind.resting(Seen(want.id, want.spec)) is None


def test_an_event_pattern_is_compared_by_meaning() -> None:
    assert canonical_pattern('{"b": [1], "a": ["x"]}') == canonical_pattern({"a": ["x"], "b": [1]})
    assert canonical_pattern("") == ""
