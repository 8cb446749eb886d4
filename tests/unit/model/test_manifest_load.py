"""What a valid manifest becomes: short forms, defaults, order, overlays."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meshplane.errors import ManifestInvalid
from meshplane.model import manifest, project
from meshplane.model.domain import Domain
from meshplane.model.naming import is_project
from meshplane.model.own_gate import _RELEASED
from meshplane.model.types import Decimal, Field, ListType, MapType, Primitive, StructType

HEAD = "apiVersion: meshplane/v1\nkind: Project\nmetadata: { name: sales }\n"
SALES = """\
apiVersion: meshplane/v1
kind: Project
metadata: { name: sales, title: Sales, owner: sales-data@example.org, description: Orders. }
tables:
  orders_raw:
    layer: raw
    format: csv
    csv: { delimiter: ";", nullText: "" }
    partition: dt
    columns: { order_id: string, amount: string }
  orders:
    layer: refined
    columns:
      order_id: { type: long, doc: Shop's order number }
      amount: decimal(12,2)
      currency: { type: string, renamedFrom: ccy }
      items:
        list: { struct: { sku: string, quantity: { type: int, required: true } } }
      labels: { type: { map: { key: string, value: double } }, doc: free }
      ordered_at: timestamptz
    dropped: [legacy_flag]
    key: order_id
    partition: [day(ordered_at), "bucket(16, order_id)", currency]
    sort: [order_id, ordered_at desc]
    optimizers: { compaction: off, retention: { days: 30, keep: 10 }, orphans: { every: 2d } }
    properties: { write.target-file-size-bytes: 512MB }
    readers: finance
jobs:
  load_orders:
    use: merge
    reads: orders_raw
    writes: orders
    with: { map: { currency: upper(currency) }, latestBy: ordered_at }
  report:
    script: jobs/report.py
    reads: [orders, { table: customers.contacts, columns: [id] }]
    workers: 10 x G.2X
    timeout: 30m
    packages: [b==2, a==1]
    modules: [lib/]
    jars: lib/x.jar
    spark: { spark.sql.shuffle.partitions: 64, spark.x: true, spark.y: 1.10 }
    secrets: { rates: fx-api }
pipelines:
  daily:
    window: day
    params: { country: { type: string, default: DE }, day: date }
    whenBusy: skip
    triggers:
      landed: { files: orders_raw, settle: 30s }
      after: { pipeline: customers.daily }
      nightly: { schedule: cron(0 6 * * ? *), timezone: Europe/Berlin }
    steps:
      - load_orders
      - parallel: [report, [load_orders, { job: report, retry: 2 }]]
    onFailure: { notify: domain }
  own: { asl: pipelines/own.asl.json }
environments:
  dev:
    pipelines.daily.triggers.nightly.enabled: false
    jobs: { report: { workers: 2 x G.1X, spark: { spark.sql.shuffle.partitions: 8 } } }
  prod:
    tables.orders.optimizers.retention.days: 90
    jobs.report.spark.spark.sql.shuffle.partitions: 256
    policy: { drift: report }
"""


def load(text: str, env: str = "int") -> project.Project:
    return manifest.load(text, file="project.yaml", env=env, project="sales")


def test_a_table_keeps_its_order_and_gets_its_long_form() -> None:
    orders = load(SALES).tables["orders"]
    nested = StructType((Field("sku", Primitive("string")), Field("quantity", Primitive("int"), required=True)))
    assert orders.columns == (
        Field("order_id", Primitive("long"), True, "Shop's order number"),
        Field("amount", Decimal(12, 2)),
        Field("currency", Primitive("string"), renamed_from="ccy"),
        Field("items", ListType(nested)),
        Field("labels", MapType(Primitive("string"), Primitive("double")), doc="free"),
        Field("ordered_at", Primitive("timestamptz")),
    )
    assert orders.is_iceberg
    assert orders.partition == (
        project.PartitionField("day", "ordered_at"),
        project.PartitionField("bucket", "order_id", 16),
        project.PartitionField("identity", "currency"),
    )
    assert orders.sort == (project.SortField("order_id"), project.SortField("ordered_at", True))
    assert orders.optimizers == project.Optimizers(
        project.Compaction(enabled=False), project.Retention(days=30, keep=10), project.Orphans(every_hours=48)
    )
    assert (orders.dropped, orders.readers, orders.key) == (("legacy_flag",), ("finance",), ("order_id",))
    assert orders.properties == {"write.target-file-size-bytes": str(512 * 1024**2)}


def test_a_raw_table_has_path_columns_and_a_csv_form() -> None:
    raw = load(SALES).tables["orders_raw"]
    assert (raw.format, raw.is_iceberg, raw.hive_partition, raw.partition) == ("csv", False, ("dt",), ())
    assert raw.csv == project.CsvFormat(delimiter=";")


def test_jobs_get_their_defaults_and_settings_keep_their_spelling() -> None:
    jobs = load(SALES).jobs
    assert jobs["load_orders"] == project.Job(
        "load_orders",
        use="merge",
        reads=(project.TableRef("sales", "orders_raw"),),
        writes=(project.Write("orders", "merge"),),
        options={"map": {"currency": "upper(currency)"}, "latestBy": ["ordered_at"]},
    )
    report = jobs["report"]
    assert report.reads == (project.TableRef("sales", "orders"), project.TableRef("customers", "contacts", ("id",)))
    assert (report.workers, report.worker_type, report.timeout) == (10, "G.2X", timedelta(minutes=30))
    assert report.spark == {"spark.sql.shuffle.partitions": "64", "spark.x": "true", "spark.y": "1.10"}


def test_pipelines_keep_their_shape() -> None:
    pipelines = load(SALES).pipelines
    daily = pipelines["daily"]
    assert daily.steps == (
        project.JobStep("load_orders"),
        project.Parallel(((project.JobStep("report"),), (project.JobStep("load_orders"), project.JobStep("report", retry=2)))),
    )
    assert daily.triggers == (
        project.FilesTrigger("landed", "orders_raw", timedelta(seconds=30)),
        project.PipelineTrigger("after", "customers", "daily"),
        project.ScheduleTrigger("nightly", "cron(0 6 * * ? *)", "Europe/Berlin"),
    )
    assert daily.params == {"country": project.Param("string", "DE"), "day": project.Param("date")}
    assert (daily.window, daily.when_busy, daily.notify, daily.concurrency) == ("day", "skip", "domain", 1)
    assert pipelines["own"].asl == project.OwnAsl("pipelines/own.asl.json")


def test_an_overlay_changes_its_environment_only() -> None:
    base, dev, prod = load(SALES), load(SALES, "dev"), load(SALES, "prod")
    assert load(SALES, "local") == base
    assert [trigger.enabled for trigger in dev.pipelines["daily"].triggers] == [True, True, False]
    assert (dev.jobs["report"].workers, dev.jobs["report"].worker_type) == (2, "G.1X")
    assert dev.jobs["report"].spark == {**base.jobs["report"].spark, "spark.sql.shuffle.partitions": "8"}
    assert prod.tables["orders"].optimizers.retention == project.Retention(days=90, keep=10)
    assert prod.jobs["report"].spark["spark.sql.shuffle.partitions"] == "256"
    assert (prod.policy.drift, base.policy.drift) == ("report", "heal")
    assert prod.tables["orders"].columns == base.tables["orders"].columns


def test_every_environment_is_judged_not_only_the_current_one() -> None:
    text = HEAD + "jobs:\n  load: { script: a.py }\nenvironments:\n  prod:\n    jobs.load.timeout: 9d\n"
    with pytest.raises(ManifestInvalid) as caught:
        load(text, "dev")
    (problem,) = caught.value.problems
    assert (problem.code, problem.line, problem.path) == ("duration-range", 8, "environments.prod.jobs.load.timeout")


def test_what_an_overlay_breaks_elsewhere_names_its_environment() -> None:
    text = HEAD + (
        "tables:\n  orders: { layer: refined, columns: { id: long } }\n"
        "environments:\n  prod:\n    tables.orders.optimizers: { compaction: { strategy: sort } }\n"
    )
    (problem,) = manifest.check(text, file="f", project="sales")
    assert (problem.code, problem.line) == ("compaction-sort", 8)
    circle = HEAD + (
        "jobs:\n  load: { script: a.py }\npipelines:\n  daily: { steps: [load], window: day, triggers: { t: { schedule: rate(1 day) } } }\n"
        "environments:\n  prod:\n    pipelines.daily.triggers.t.settle: 10s\n"
    )
    (problem,) = manifest.check(circle, file="f", project="sales")
    assert (problem.code, problem.path) == ("trigger-option", "environments.prod.pipelines.daily.triggers.t.settle")


@pytest.mark.parametrize("name", ["meshplane", "baseline", "manifests", "platform", "releases", "status"])
def test_a_project_may_not_be_called_as_the_platforms_own_things(name: str) -> None:
    """`meshplane` stands in the plane's own queues, roles and functions; the others are prefixes in its buckets and parameters."""
    text = f"apiVersion: meshplane/v1\nkind: Project\nmetadata: {{ name: {name} }}\n"
    assert [problem.code for problem in manifest.check(text, file="f", project=name)] == ["name-reserved"]
    assert not is_project(name)


def test_undelivered_parts_are_refused_wherever_they_stand() -> None:
    text = HEAD + (
        "sources: { s: { rest: https://a.example.org/, into: r } }\n"
        "tables:\n  r: { layer: raw, format: json, columns: { id: string } }\n  o: { layer: refined, columns: { id: long },"
        " onDelete: purge, name: x }\n"
        "jobs:\n  l: { script: a.py }\npipelines:\n"
        "  p:\n    steps: [{ map: x }, { when: x }]\n    triggers: { t: { all: [a.b] } }\n"
        "policy: { adopt: named }\nenvironments: { dev: { tables.o.onDelete: purge } }\n"
    )
    problems = manifest.check(text, file="f", project="sales")
    assert {problem.code for problem in problems} == {"not-delivered"}
    assert len(problems) == 7


@pytest.mark.parametrize(
    ("table", "codes"),
    [
        ("orders", ["trigger-self"]),
        ("orderz", ["ref-table"]),
        ("sales.orders", ["ref-own"]),
        ("a.b.c", ["ref-form"]),
        ("customers.contacts", []),
    ],
)
def test_what_a_table_trigger_may_name(table: str, codes: list[str]) -> None:
    text = HEAD + (
        "tables:\n  orders_raw: { layer: raw, format: csv, columns: { id: string } }\n"
        "  orders: { layer: refined, columns: { id: long }, key: [id] }\n"
        "jobs:\n  load: { use: merge, reads: orders_raw, writes: orders }\n"
        f"pipelines:\n  daily: {{ steps: [load], triggers: {{ again: {{ table: {table} }} }} }}\n"
    )
    assert [problem.code for problem in manifest.check(text, file="f", project="sales")] == codes


def test_a_fault_hides_no_other_and_brings_no_echo() -> None:
    text = HEAD + (
        "tables:\n  orders: { layer: refined, columns: { id: uuid, at: date }, key: id, partition: hour(at) }\n"
        "jobs:\n  load: { script: /x.py, reads: orders, writes: { table: orders, mode: merge } }\n  other: { reads: orders }\n"
        "pipelines:\n  daily: { steps: [load, other, nope] }\n"
    )
    codes = [problem.code for problem in manifest.check(text, file="f", project="sales")]
    assert codes == ["type-unsupported", "partition-type", "path-outside", "job-work", "ref-job"]


def test_lengths_of_physical_names_are_exact_with_a_domain() -> None:
    domain = Domain(domain_name="retail", domain_abbr="longabbrev", aws_region="eu-central-1", country_code="de")
    name = "p" * 50
    text = HEAD + f"jobs:\n  load: {{ script: a.py }}\npipelines:\n  {name}: {{ steps: [load] }}\n"
    assert manifest.check(text, file="f", project="sales") == ()
    (problem,) = manifest.check(text, file="f", project="sales", domain=domain)
    assert (problem.code, problem.found, problem.allowed) == ("name-length", "82 characters", "80 characters")
    assert problem.mend == "shorten it by 2"


CODE = ["--extra-files", "--extra-jars", "--extra-py-files", "--additional-python-modules", "--user-jars-first", "--scriptLocation"]


@pytest.mark.parametrize("name", [*CODE, "--python-modules-installer-option", "--conf", "--meshplane-job"])
def test_no_argument_puts_other_code_before_the_releases(name: str) -> None:
    """Neither of a job nor of a step: the same that an own ASL file may not give (model/own_gate)."""
    assert name.lower() in _RELEASED
    job = f"jobs:\n  load: {{ script: jobs/load.py, arguments: {{ {name}: x }} }}\n"
    step = f"jobs:\n  load: {{ script: jobs/load.py }}\npipelines:\n  daily: {{ steps: [{{ job: load, arguments: {{ {name}: x }} }}] }}\n"
    for text in (job, step):
        [problem] = manifest.check(HEAD + text, file="f", project="sales")
        assert (problem.code, problem.found) == ("argument-reserved", name)
    assert len(_RELEASED) == len(CODE) + 3


def test_what_a_release_must_hold() -> None:
    sales = load(SALES)
    assert manifest.needed_files(sales) == ("jobs/report.py", "lib/", "lib/x.jar", "pipelines/own.asl.json")
    assert manifest.packages(sales) == ("a==1", "b==2")


def test_what_yaml_splits_at_commas_is_put_together_and_named_once() -> None:
    text = HEAD + (
        "tables:\n  o: { layer: refined, columns: { id: long, d: decimal(12,2), m: map<string, int> },"
        " partition: [bucket(16, id), month(at)] }\n"
        "jobs: { l: { use: merge, reads: crm.b, writes: o, with: { map: { d: 1 + coalesce(x, y, z), m: upper(q) } } } }\n"
    )
    problems = manifest.check(text, file="f", project="sales")
    assert [(p.code, p.found) for p in problems] == [
        ("yaml-split", "decimal(12,2)"),
        ("yaml-split", "map<string,int>"),
        ("yaml-split", "bucket(16, id)"),
        ("ref-column", "at"),
        ("merge-key", "no key"),
        ("yaml-split", "1 + coalesce(x,y,z)"),
    ]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("tables.o.optimizers: { retention: { days: 9 } }\n    tables.o.optimizers.retention.days: 3", "overlay-twice"),
        ("tables.o.optimizers.retention.days: 3\n    tables.o.optimizers: { retention: { days: 9 } }", "overlay-twice"),
        ("tables.o.columns.id: int", "overlay-fixed"),
        ("tables.o.key: id", "overlay-fixed"),
        ("tables.p: { layer: refined }", "overlay-unknown"),
        ("metadata.name: other", "overlay-fixed"),
        ("tables: 3", "overlay-fixed"),
        ("environments: { dev: {} }", "overlay-unknown"),
        ("tables.o.optimizers.retention.dayz: 3", "unknown-key"),
        ("policy.manage: [update]", "policy-observe"),
    ],
)
def test_an_overlay_changes_only_what_may_differ_and_names_its_own_line(line: str, code: str) -> None:
    text = HEAD + f"tables:\n  o: {{ layer: refined, columns: {{ id: long }} }}\nenvironments:\n  prod:\n    {line}\n"
    (problem,) = manifest.check(text, file="f", project="sales")
    assert problem.code == code
    assert problem.line >= 8
    assert problem.path.startswith("environments.prod.")


@pytest.mark.parametrize("written", ["5.1", '"5.1"'])
def test_a_version_needs_no_quotes(written: str) -> None:
    assert load(HEAD + f"jobs: {{ l: {{ script: a.py, glueVersion: {written} }} }}\n").jobs["l"].glue_version == "5.1"


def test_a_word_that_yaml_reads_as_nothing_is_named() -> None:
    text = HEAD + "tables: { o: { layer: raw, format: csv, csv: { nullText: NULL }, columns: { id: string } } }\n"
    (problem,) = manifest.check(text, file="f", project="sales")
    assert (problem.code, problem.message, problem.mend) == (
        "empty-value",
        "YAML reads NULL as nothing",
        'write "NULL" if it is meant as text',
    )


@pytest.mark.parametrize(
    ("form", "written", "accepted"),
    [
        ("cron", "0 6 * * ? *", True),
        ("cron", "0/15 8-17 ? * MON-FRI *", True),
        ("cron", "0 0 L * ? *", True),
        ("cron", "0 0 LW * ? 2027-2030", True),
        ("cron", "0 0 3W * ? *", True),
        ("cron", "0 0 ? * 6L *", True),
        ("cron", "0 0 ? * 3#2 *", True),
        ("cron", "0,30 0 1,15 JAN,JUL ? *", True),
        ("cron", "60 6 * * ? *", False),
        ("cron", "0 6 W * ? *", False),
        ("cron", "0 6 ? * 8 *", False),
        ("cron", "0 6 ? * 3#6 *", False),
        ("cron", "0 6 5-1 * ? *", False),
        ("cron", "0 6 * * ? 1969", False),
        ("cron", "*/0 6 * * ? *", False),
        ("rate", "5 minutes", True),
        ("rate", "1 hour", True),
        ("rate", "0 minutes", False),
        ("rate", "5 minute", False),
        ("rate", "1 week", False),
        ("at", "2027-01-31T06:00:00", True),
        ("at", "2027-01-31 06:00:00", False),
    ],
)
def test_schedules_are_judged_field_by_field(form: str, written: str, accepted: bool) -> None:
    trigger = f'{{ schedule: "{form}({written})" }}'
    text = HEAD + "jobs: { l: { script: a.py } }\n" + f"pipelines: {{ p: {{ steps: [l], triggers: {{ t: {trigger} }} }} }}\n"
    problems = manifest.check(text, file="f", project="sales")
    assert (problems == ()) is accepted, problems
