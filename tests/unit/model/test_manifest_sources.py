"""Sources that a Glue job fetches: what the manifest takes, what it refuses, and the job that it becomes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from meshplane.kinds.state_machine import StateMachine
from meshplane.model import manifest
from meshplane.model.access import Access
from meshplane.model.asl import compile_steps
from meshplane.model.context import Context
from meshplane.model.domain import Domain
from meshplane.model.job_arguments import JobFiles
from meshplane.model.project import JobStep, Project, ScheduleTrigger
from tests.unit.kinds.sample import CONTEXT

ROOT = Path(__file__).parents[3]
HEAD = "apiVersion: meshplane/v1\nkind: Project\nmetadata: { name: sales }\n"
TABLES = """
  orders_raw: { layer: raw, format: parquet, partition: dt, columns: { id: string, amount: string, updated_at: string, gone: boolean } }
  events_raw: { layer: raw, format: iceberg, columns: { key: string, payload: string, offset: long, partition_id: int, fault: string } }
  vendor_raw: { layer: raw, format: csv, columns: { id: string } }
  orders: { layer: refined, columns: { id: long }, key: id }
"""
PIPELINES = """
pipelines:
  fetch: { steps: [{ ingest: orders, retry: 2 }, { ingest: vendor }] }
  stream: { steps: [{ ingest: events }] }
"""
SOURCES = {
    "orders": "jdbc: { connection: shop, table: public.orders, incrementalBy: updated_at, lookback: 5m, splitBy: id,"
    " deletes: { key: id, mark: gone } }, secret: shop-reader, into: orders_raw",
    "events": "kafka: { connection: events, topic: orders, format: json }, into: events_raw, run: continuous, every: 5m",
    "vendor": "files: { from: inbox/vendor/, pattern: '*.csv.gz' }, into: vendor_raw",
}
PLACES = {
    "shop": {"kind": "postgresql", "host": "10.20.0.5", "port": 5432, "database": "shop"},
    "events": {"kind": "kafka", "host": "b.example.org", "port": 9094, "cidr": "10.20.1.0/24"},
    "other": {"kind": "oracle", "host": "10.20.0.6", "port": 1521},
}
DOMAIN = Domain.model_validate({**CONTEXT.domain.model_dump(), "reachable": PLACES})
SOME: Context = replace(CONTEXT, domain=DOMAIN)


def text(**changed: str) -> str:
    written = {**SOURCES, **changed}
    return HEAD + "sources:\n" + "".join(f"  {name}: {{ {body} }}\n" for name, body in written.items()) + "tables:" + TABLES + PIPELINES


def project(**changed: str) -> Project:
    return manifest.load(text(**changed), file="f", env="dev", project="sales", domain=DOMAIN)


def test_each_source_is_a_job_of_the_project() -> None:
    made = project()
    assert {name: (job.use, [w.table for w in job.writes]) for name, job in made.jobs.items()} == {
        "ingest_orders": ("jdbc", ["orders_raw"]),
        "ingest_events": ("kafka", ["events_raw"]),
        "ingest_vendor": ("files", ["vendor_raw"]),
    }
    steps = made.pipelines["fetch"].steps
    assert [(s.job, s.retry) for s in steps if isinstance(s, JobStep)] == [("ingest_orders", 2), ("ingest_vendor", 0)]
    assert made.jobs["ingest_vendor"].options == {"from": "inbox/vendor/", "format": "csv", "pattern": "*.csv.gz"}
    assert made.sources == {}


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "string"])
def test_a_row_of_a_database_says_when_it_was_taken(kind: str) -> None:
    asked = SOURCES["orders"].replace("splitBy: id", "splitBy: id, fetchedAt: seen")
    written = text(orders=asked).replace("gone: boolean }", f"gone: boolean, seen: {kind} }}")
    made = manifest.load(written, file="f", env="dev", project="sales", domain=DOMAIN)
    assert made.jobs["ingest_orders"].options["fetchedAt"] == "seen"
    assert project().jobs["ingest_orders"].options["fetchedAt"] == ""


def test_a_continuous_source_begins_its_pipeline_anew() -> None:
    triggers = project().pipelines["stream"].triggers
    assert triggers == (ScheduleTrigger("continuous", "rate(5 minutes)"),)
    assert project().pipelines["fetch"].triggers == ()
    assert project().jobs["ingest_events"].options["listen"] == 300
    drained = project(events=SOURCES["events"].replace(", run: continuous, every: 5m", ""))
    assert drained.pipelines["stream"].triggers == ()
    assert drained.jobs["ingest_events"].options["listen"] == 0


@pytest.mark.parametrize("name", ["ingest_orders", "ingest_events", "ingest_vendor"])
def test_what_the_job_is_told_fits_the_schema_and_holds_no_secret(name: str) -> None:
    made = project()
    told = json.loads(JobFiles.of(made.jobs[name], made, SOME).arguments()["--meshplane-job"])
    jsonschema.validate(told, json.loads((ROOT / "schemas/job.schema.json").read_text()))
    if name == "ingest_orders":
        assert told["connections"] == {"shop": PLACES["shop"]}
        assert told["secrets"] == {"source": "f01/dev/sales/shop-reader"}
    elif name == "ingest_vendor":
        assert "connections" not in told


def test_a_connection_that_the_domain_no_longer_declares_refuses_the_job() -> None:
    made = project()
    files = JobFiles.of(made.jobs["ingest_orders"], made, CONTEXT)
    assert files.refused == (
        "jobs.ingest_orders: the domain declares no connection 'shop'; declared: none; mend: domain.json, reachable.shop"
    )


def test_the_jobs_role_reads_the_sources_secret_and_no_other() -> None:
    made = project()
    statements: Any = Access(made, SOME).job()["Statement"]
    secrets = next(s for s in statements if s["Sid"] == "Secrets")
    assert [arn.rpartition(":secret:")[2] for arn in secrets["Resource"]] == ["f01/dev/sales/shop-reader-??????"]
    pipeline: Any = Access(made, SOME).pipeline()["Statement"]
    assert [s["Sid"] for s in pipeline if s["Sid"] in ("Ingest", "RunJobs")] == ["RunJobs"]


def test_a_step_is_a_run_of_the_job() -> None:
    made = project()
    states = json.loads(compile_steps(made.pipelines["fetch"], made, SOME))["States"]
    assert {name: state["Parameters"]["JobName"] for name, state in states.items()} == {
        "ingest_orders": "f01-sales-ingest_orders-dev",
        "ingest_vendor": "f01-sales-ingest_vendor-dev",
    }


WRONG = {
    "two kinds": ("orders", "rest: https://a.example.org/, files: inbox/, into: orders_raw", "exactly one of rest, jdbc, kafka, files"),
    "no kind": ("orders", "into: orders_raw", "exactly one of rest, jdbc, kafka, files"),
    "undeclared": ("orders", SOURCES["orders"].replace("connection: shop", "connection: shops"), "the domain declares no 'shops'"),
    "other kind": ("orders", SOURCES["orders"].replace("connection: shop", "connection: other"), "a source by jdbc does not read there"),
    "broker": ("orders", SOURCES["orders"].replace("connection: shop", "connection: events"), "a source by jdbc does not read there"),
    "no secret": ("orders", SOURCES["orders"].replace("secret: shop-reader, ", ""), "a database asks who you are"),
    "csv": ("orders", SOURCES["orders"].replace("into: orders_raw", "into: vendor_raw"), "what jdbc brings does not go into"),
    "refined": ("orders", SOURCES["orders"].replace("into: orders_raw", "into: orders"), "what jdbc brings does not go into"),
    "column": ("orders", SOURCES["orders"].replace("incrementalBy: updated_at", "incrementalBy: updated"), "no column 'updated'"),
    "mark": ("orders", SOURCES["orders"].replace("mark: gone", "mark: deleted"), "no column 'deleted'"),
    "key": ("orders", SOURCES["orders"].replace("key: id,", "key: order_id,"), "no column 'order_id'"),
    "fetched": ("orders", SOURCES["orders"].replace("splitBy: id", "splitBy: id, fetchedAt: seen"), "no column 'seen'"),
    "no time": ("orders", SOURCES["orders"].replace("splitBy: id", "splitBy: id, fetchedAt: gone"), "does not hold a time"),
    "taken": ("orders", SOURCES["orders"].replace("splitBy: id", "splitBy: id, fetchedAt: id"), "is filled in another way here"),
    "lookback": ("orders", SOURCES["orders"].replace("incrementalBy: updated_at, ", ""), "'lookback' belongs to incrementalBy"),
    "parts": ("orders", SOURCES["orders"].replace("splitBy: id", "parts: 8"), "'parts' belongs to splitBy"),
    "run": ("orders", SOURCES["orders"] + ", run: drain", "'run' belongs to a source by kafka"),
    "every": ("events", SOURCES["events"].replace("run: continuous, ", ""), "'every' belongs to run: continuous"),
    "record": ("events", SOURCES["events"].replace("into: events_raw", "into: orders_raw"), "what kafka brings does not go into"),
    "workers": ("orders", "rest: https://a.example.org/, into: orders_raw, workers: 3 x G.1X", "belongs to a source that a job fetches"),
    "inside": ("vendor", SOURCES["vendor"].replace("inbox/vendor/", "orders_raw/x/"), "the folder of the drop lies inside a table"),
    "format": ("vendor", SOURCES["vendor"].replace("files: { ", "files: { format: json, "), "files land as they are"),
    "asked": ("vendor", SOURCES["vendor"] + ", secret: x", "files are dropped, nothing is asked for them"),
}


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_what_cannot_be_is_refused_in_words(case: str) -> None:
    name, body, told = WRONG[case]
    problems = manifest.check(text(**{name: body}), file="f", project="sales", domain=DOMAIN)
    assert [problem for problem in problems if told in problem.message], [str(problem) for problem in problems]


def test_a_record_table_lacks_nothing_that_a_record_is_known_by() -> None:
    wrong = text().replace("offset: long, partition_id: int", "offset: int, shard: int")
    (problem,) = manifest.check(wrong, file="f", project="sales", domain=DOMAIN)
    assert problem.found == "offset: int, shard: int, no partition_id"


def test_a_job_may_not_take_the_name_of_a_sources_job() -> None:
    clash = text().replace("pipelines:", "jobs:\n  ingest_orders: { script: a.py }\npipelines:")
    (problem,) = manifest.check(clash, file="f", project="sales", domain=DOMAIN)
    assert (problem.code, problem.found) == ("source-form", "ingest_orders")


SCRIPTED = "rest: {{ url: https://a.example.org/v1, script: sources/x.star{} }}, into: documents"
DOCUMENTS = TABLES + "  documents: { layer: raw, format: json, columns: { id: string } }\n"


def with_script(more: str = "", known: bool = True) -> str:
    body = f"sources:\n  own: {{ {SCRIPTED.format(more)} }}\ntables:{DOCUMENTS}pipelines:\n  fetch: {{ steps: [{{ ingest: own }}] }}\n"
    return HEAD + (body if known else body.replace(".star", ".py"))


def test_a_script_is_a_file_of_the_release_that_the_machine_and_its_grants_name() -> None:
    made = manifest.load(with_script(", incremental: { column: id }"), file="f", env="dev", project="sales")
    assert (made.sources["own"].rest.script, manifest.needed_files(made)) == ("sources/x.star", ("sources/x.star",))
    released = replace(SOME, release=replace(SOME.release, files={"sources/x.star": "ab12"}))
    (want,) = StateMachine().desired(made, released)
    payload = json.loads(want.spec.definition)["States"]["Ingest 1 own"]["Parameters"]["Payload"]
    assert (payload["script"], want.waits) == ("ab12", "")
    assert want.files == {released.naming.project_file("sales", "ab12", "x.star")}
    (absent,) = StateMachine().desired(made, SOME)
    assert absent.waits.startswith("FileMissing: sources/x.star is in no release")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (", paginate: headerLink", "the script says which request is next"),
        (", records: items", "the script says which request is next"),
        (", keep: [base]", "the script says which request is next"),
        (", dates: 2030-01-01", "the script says which request is next"),
        (", incremental: { column: id, param: since }", "the parameter that takes the cursor is declared, or the script's own query"),
    ],
)
def test_what_a_script_says_is_not_declared_beside_it(more: str, told: str) -> None:
    problems = manifest.check(with_script(more), file="f", project="sales")
    assert [problem.code for problem in problems if told in problem.message] == ["source-form"]


def test_a_cursor_without_a_script_has_its_parameter_and_a_script_its_ending() -> None:
    plain = with_script(", incremental: { column: id }").replace(", script: sources/x.star", "")
    assert ["param: since" in problem.allowed for problem in manifest.check(plain, file="f", project="sales")] == [True]
    assert [problem.code for problem in manifest.check(with_script(known=False), file="f", project="sales")] == ["path-ending"]
    assert [problem.code for problem in manifest.check(with_script(), file="f", project="sales", exists=lambda path: False)] == [
        "file-missing"
    ]
