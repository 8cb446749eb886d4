"""OpenLineage events of a run's record: what they name, and which columns made which. Pure; no Spark."""

from __future__ import annotations

import copy
import uuid
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from dp_foundation import storage
from dp_foundation.config.arguments import Column, Connection, Job, Read, Run, Table, Write
from dp_foundation.lineage.columns import used
from dp_foundation.lineage.records import events
from dp_foundation.quality.rules import gate
from meshplane.flows.tell_run import completed
from meshplane.model.runs import JobRun
from tests.standards.openlineage_spec import faults

RULES = [
    {"name": "implied_columns", "kind": "columns", "columns": ["id", "currency"], "severity": "block"},
    {"name": "currencies", "kind": "in_set", "columns": ["currency"], "params": {"values": ["EUR"]}, "severity": "block"},
]
GATE = {"table": "orders", "digest": "d", "allow_empty": False, "contract": {}, "rules": RULES}
RAW = Table(
    "orders_raw", "sales", "raw", "f01_de_raw", "sales_orders_raw", "s3://r/", "csv", (Column("ID", "string"), Column("ccy", "string"))
)
COLUMNS = (Column("id", "bigint"), Column("currency", "string"), Column("note", "string"))
ORDERS = Table("orders", "sales", "refined", "f01_de_refined", "sales_orders", "s3://f/", "iceberg", COLUMNS, gate=gate(GATE))
DOMAIN = {"abbr": "f01", "region": "eu-central-1", "account_id": "390403879405"}
MERGE = Job(
    "load_orders",
    "sales",
    "dev",
    DOMAIN,
    {"orders_raw": RAW, "orders": ORDERS},
    (Read("orders_raw"),),
    (Write("orders", "merge"),),
    "merge",
    {"map": {"currency": "upper(trim(ccy))"}},
)
RUN = Run("daily-1", "sales", "daily", window_start="2030-01-01T00:00:00Z", window_end="2030-01-02T00:00:00Z")
GLUE = "arn:aws:glue:eu-central-1:390403879405"


def record(state: str = "done", **more: Any) -> dict[str, Any]:
    result = {"severity": "block", "violations": 0, "rows": 3, "detail": ""}
    results = [
        {"rule": "implied_columns", "kind": "columns", "outcome": "passed", **result},
        {"rule": "currencies", "kind": "in_set", "outcome": "failed", **result},
    ]
    return {
        "state": state,
        "step": "load_orders",
        "attempt": 0,
        "started": "2030-01-02T03:04:05Z",
        "ended": "2030-01-02T03:05:05Z",
        "error": "",
        "inputs": [{"table": "orders_raw", "rows": 3, "objects": []}],
        "outputs": [{"table": "orders", "snapshot": 456, "parent": None, "branch": "audit_x", "rows_added": 3, "rows_total": 3}],
        "verdicts": [{"table": "orders", "branch": "audit_x", "results": results}],
        **more,
    }


def test_a_run_that_is_done_has_begun_and_completed() -> None:
    begun, done = events(MERGE, RUN, record())
    assert (begun["eventType"], done["eventType"]) == ("START", "COMPLETE")
    assert begun["run"]["runId"] == done["run"]["runId"]
    assert uuid.UUID(done["run"]["runId"]) != uuid.UUID(done["run"]["facets"]["parent"]["run"]["runId"])
    assert done["job"] == {"namespace": "meshplane://f01-dev", "name": "sales.load_orders"}
    assert done["run"]["facets"]["nominalTime"]["nominalEndTime"] == RUN.window_end
    [source], [target] = done["inputs"], done["outputs"]
    assert (source["namespace"], source["name"]) == (GLUE, "table/f01_de_raw/sales_orders_raw")
    assert source["inputFacets"]["dataQualityMetrics"]["rowCount"] == 3
    assert target["facets"]["version"]["datasetVersion"] == "456"
    assert [field["name"] for field in target["facets"]["schema"]["fields"]] == ["id", "currency", "note"]
    assert target["outputFacets"]["outputStatistics"]["rowCount"] == 3
    assert target["facets"]["dataQualityAssertions"]["assertions"] == [
        {"assertion": "columns:implied_columns", "success": True},
        {"assertion": "in_set:currencies", "success": False, "column": "currency"},
    ]


def test_each_column_of_a_merge_names_what_it_is_made_of() -> None:
    fields = events(MERGE, RUN, record())[1]["outputs"][0]["facets"]["columnLineage"]["fields"]
    found = {
        column: [(part["field"], part["transformations"][0]["subtype"]) for part in told["inputFields"]] for column, told in fields.items()
    }
    assert found == {"id": [("ID", "IDENTITY")], "currency": [("ccy", "TRANSFORMATION")]}, "note has no source: it is null"


def test_a_replay_is_made_of_the_text_in_the_quarantine() -> None:
    _, done = events(MERGE, RUN, record(inputs=[{"table": "orders_quarantine", "snapshot": 123}]))
    assert [*faults(done)] == []
    [source], [target] = done["inputs"], done["outputs"]
    assert (source["namespace"], source["name"]) == (GLUE, "table/f01_de_refined/sales_orders_quarantine")
    assert source["facets"]["version"]["datasetVersion"] == "123"
    assert {"name": "row", "type": "string"} in source["facets"]["schema"]["fields"]
    fields = target["facets"]["columnLineage"]["fields"]
    named = {column: [(one["name"], one["field"]) for one in told["inputFields"]] for column, told in fields.items()}
    assert named == {column: [(source["name"], "row")] for column in ("id", "currency")}


def test_what_a_connection_serves_is_named_by_its_server() -> None:
    at = Connection("shop", "postgresql", "db.example.org", 5432, "shop")
    job = Job("ingest", "sales", "dev", DOMAIN, {"orders": ORDERS}, (), (Write("orders", "append"),), "jdbc", connections={"shop": at})
    done = events(job, RUN, record(inputs=[{"table": "shop:public.orders", "rows": 3}]))[1]
    [source] = done["inputs"]
    assert (source["namespace"], source["name"]) == ("postgres://db.example.org:5432", "shop.public.orders")
    [part] = done["outputs"][0]["facets"]["columnLineage"]["fields"]["id"]["inputFields"]
    assert (part["name"], part["field"]) == ("shop.public.orders", "id")


def test_a_run_that_fails_says_why_and_one_that_is_killed_has_only_begun() -> None:
    _, failed = events(MERGE, RUN, record("failed", error="DataError: no", outputs=[], verdicts=[]))
    assert failed["eventType"] == "FAIL"
    assert failed["run"]["facets"]["errorMessage"]["message"] == "DataError: no"
    assert [event["eventType"] for event in events(MERGE, RUN, record("intent", ended=""))] == ["START"]


def test_a_script_claims_no_columns() -> None:
    script = Job("own", "sales", "dev", DOMAIN, MERGE.tables, MERGE.reads, MERGE.writes)
    assert "columnLineage" not in events(script, RUN, record())[1]["outputs"][0]["facets"]


def test_an_sql_file_has_the_columns_that_publish_read_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"CURRENCY": [["orders_raw", "ccy", True]], "id": [["orders_raw", "ID", False]], "elsewhere": [["orders_raw", "ID", False]]}
    there = {("artifacts", "sales/files/ab/daily.sql.own.columns.json"): told}
    monkeypatch.setattr(storage, "read_json", lambda bucket, key: there.get((bucket, key)))
    job = replace(of("sql"), columns="s3://artifacts/sales/files/ab/daily.sql.own.columns.json")
    done = events(job, RUN, record())[1]
    found = {
        column: [(part["name"], part["field"], part["transformations"][0]["subtype"]) for part in told["inputFields"]]
        for column, told in done["outputs"][0]["facets"]["columnLineage"]["fields"].items()
    }
    raw = "table/f01_de_raw/sales_orders_raw"
    assert found == {"id": [(raw, "ID", "IDENTITY")], "currency": [(raw, "ccy", "TRANSFORMATION")]}
    assert faults(done) == []
    there.clear()
    assert "columnLineage" not in events(job, RUN, record())[1]["outputs"][0]["facets"]


def test_each_attempt_is_a_run_of_its_own_and_each_copy_of_its_record_the_same() -> None:
    ids = {events(MERGE, RUN, record(attempt=attempt, round=begun))[0]["run"]["runId"] for attempt in (0, 1) for begun in (0, 1)}
    assert len(ids) == 4
    assert events(MERGE, RUN, record()) == events(MERGE, RUN, record())


def of(use: str) -> Job:
    """A job by each built-in, and one with SQL or a script of its own, that brings orders."""
    at = Connection("shop", "kafka" if use == "kafka" else "postgresql", "shop.example.org", 5432, "" if use == "kafka" else "shop")
    reads = () if use in ("jdbc", "kafka") else (Read("orders_raw"),)
    return Job("own", "sales", "dev", DOMAIN, MERGE.tables, reads, MERGE.writes, use, MERGE.options, connections={"shop": at})


@pytest.mark.parametrize("use", ["merge", "files", "jdbc", "kafka", "sql", "check", "maintain", ""])
@pytest.mark.parametrize("state", ["intent", "done", "failed", "nothing"])
def test_every_event_is_one_by_the_standards_own_schemas(use: str, state: str) -> None:
    told = record(state, error="DataError: no" if state == "failed" else "")
    if use in ("jdbc", "kafka"):
        told["inputs"] = [{"table": "shop:public.orders", "rows": 3}]
    else:
        raw = {"table": "orders_raw", "branch": "", "results": told["verdicts"][0]["results"]}
        told["verdicts"] += [raw]
        told["inputs"] += [{"table": "orders", "snapshot": 455}]
    if use in ("check", "maintain") or state != "done":
        told["outputs"] = []
    made = events(of(use), RUN, told)
    assert [event["eventType"] for event in made] == ["START", *{"intent": [], "failed": ["FAIL"]}.get(state, ["COMPLETE"])]
    assert [fault for event in made for fault in faults(event)] == []
    assert all(datetime.fromisoformat(event["eventTime"]).tzinfo for event in made)


def killed(state: str = "FAILED", **more: Any) -> JobRun:
    run = {"project": "sales", "run_id": RUN.run_id, "pipeline": RUN.pipeline}
    run |= {"window_start": RUN.window_start, "window_end": RUN.window_end}
    times = {"started": "2030-01-02T03:00:00Z", "ended": "2030-01-02T04:00:00Z"}
    told: dict[str, Any] = {"job": "f01-sales-load_orders-dev", "run": run, "step": "load_orders", "error": "killed", **times, **more}
    return JobRun(job_run_id="jr_1", state=state, **told)


@pytest.mark.parametrize("state", ["FAILED", "STOPPED"])
def test_the_end_that_the_plane_writes_for_a_job_that_was_killed_is_one_too(state: str) -> None:
    begun, last = completed(events(MERGE, RUN, record("intent", ended="")), killed(state))
    assert (begun["eventType"], last["eventType"]) == ("START", {"FAILED": "FAIL", "STOPPED": "ABORT"}[state])
    assert last["run"]["facets"]["errorMessage"]["message"] == "killed"
    assert [*faults(begun), *faults(last)] == []


@pytest.mark.parametrize("job", ["load_orders", "load-orders-dev"])
@pytest.mark.parametrize(
    "run",
    [RUN, Run("daily-1", "sales", "daily"), Run("load_orders-1", "sales")],
    ids=["window", "pipeline", "job alone"],
)
def test_what_the_plane_tells_of_a_job_that_wrote_nothing_is_what_the_job_would_have_told(run: Run, job: str) -> None:
    told = {key: getattr(run, key) for key in ("run_id", "project", "pipeline", "window_start", "window_end")}
    ended = killed(job=f"f01-sales-{job}-dev", run=told, step=f"{job}-2", attempt=1, round=2)
    one = {"step": f"{job}-2", "attempt": 1, "round": 2, "started": ended.started, "ended": ended.ended, "error": ended.error}
    theirs = events(replace(MERGE, name=job), run, record("failed", inputs=[], outputs=[], verdicts=[], **one))
    made = completed([], ended)
    assert list(made) == theirs
    assert [fault for event in made for fault in faults(event)] == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda e: e.pop("job"), "'job' is a required property"),
        (lambda e: e["run"].update(runId="daily-1"), "is not a 'uuid'"),
        (lambda e: e["outputs"][0]["facets"]["schema"]["fields"][0].pop("name"), "'name' is a required property"),
        (lambda e: e["outputs"][0]["facets"]["columnLineage"].pop("fields"), "'fields' is a required property"),
        (lambda e: e["outputs"][0]["facets"]["version"].update(datasetVersion=456), "456 is not of type 'string'"),
        (lambda e: e["outputs"][0]["facets"].update(state=e["outputs"][0]["facets"]["version"]), "describes no facet 'state'"),
    ],
)
def test_the_schemas_see_what_is_wrong(change: Any, told: str) -> None:
    event = copy.deepcopy(events(MERGE, RUN, record())[1])
    change(event)
    assert any(told in fault for fault in faults(event)), faults(event)


@pytest.mark.parametrize(
    ("expression", "columns"),
    [
        ("upper(trim(ccy))", ["ccy"]),
        ("`Ccy` || ' id ' || id", ["ccy", "id"]),
        ("cast(id AS date)", ["id"]),
        ("coalesce(id, /* date */ ccy) -- date", ["id", "ccy"]),
        ("ccy.id", ["ccy"]),
        ("date(id)", ["id"]),
        ("case when date > '2030' then id else id end", ["date", "id"]),
        ("current_date()", []),
        ("1", []),
    ],
)
def test_the_columns_of_an_expression(expression: str, columns: list[str]) -> None:
    assert list(used(expression, ["id", "ccy", "date"])) == columns
