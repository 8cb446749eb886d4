"""The calls of earlier jobs: assertions, schema contracts, lineage and metrics, from each of their import paths."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from dp_foundation import emit_lineage_event, emit_metric, generate_run_id, load_schema_contract, validate_schema
from dp_foundation.errors import ConfigError, DataError, SchemaMismatchError
from dp_foundation.lineage import events, metrics
from dp_foundation.quality import contracts
from tests.jobs.job_world import World
from tests.standards.openlineage_spec import faults


def test_the_calls_are_the_same_from_both_paths() -> None:
    import dp_foundation

    assert (load_schema_contract, validate_schema) == (contracts.load_schema_contract, contracts.validate_schema)
    assert (emit_lineage_event, generate_run_id, emit_metric) == (events.emit_lineage_event, events.generate_run_id, metrics.emit_metric)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = dp_foundation.nothing


@pytest.mark.spark
def test_assertions_say_what_broke(world: World, spark: Any) -> None:
    from core.quality import checks as first
    from dp_foundation.quality import checks

    frame = spark.sql("select * from values (1, 'a', 1.0D), (1, null, cast('NaN' as double)), (null, 'b', null) as t(id, s, x)")
    assert checks.assert_columns(frame, ["ID", "s"]) is frame
    assert checks.assert_row_count(first.assert_not_empty(frame), 3, 3) is frame
    assert checks.assert_in_set(frame, "s", ["a", "b"]) is checks.assert_matches(frame, "s", "[ab]")
    assert checks.assert_unique(frame, ["id", "s"]) is frame
    broken: list[tuple[Any, str]] = [
        (lambda: checks.assert_not_empty(frame.where("false")), "0 rows; allowed: 1 to any number"),
        (lambda: checks.assert_row_count(frame, 0, 2), "3 rows; allowed: 0 to 2"),
        (lambda: checks.assert_not_null(frame, ["id", "s"]), r"not_null id, s: 2 rows break it; found: id=1, s=None"),
        (lambda: checks.assert_unique(frame, "id"), "unique id: 1 of 2 rows repeat a key"),
        (lambda: checks.assert_in_set(frame, "s", ["a"]), "s='b'"),
        (lambda: checks.assert_in_range(frame, "x", 0), "x=nan"),
        (lambda: checks.assert_matches(frame, "s", "a"), "1 rows break it"),
    ]
    for call, told in broken:
        with pytest.raises(DataError, match=told):
            call()
    with pytest.raises(SchemaMismatchError, match="no column gone; there are id, s, x"):
        checks.assert_columns(frame, ["gone"])


@pytest.mark.spark
@pytest.mark.parametrize(
    "told",
    [
        {"columns": [{"name": "id", "type": "integer", "nullable": False}, {"name": "at", "type": "timestamp"}]},
        {"fields": [{"name": "id", "type": "long", "required": True}, {"name": "at", "type": "datetime"}]},
        {"properties": {"id": {"type": "integer"}, "at": {"type": ["string", "null"], "format": "date-time"}}, "required": ["id"]},
    ],
    ids=["columns", "fields", "properties"],
)
def test_a_schema_contract_is_held_against_a_frame(spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Any) -> None:
    (tmp_path / "contacts.json").write_text(json.dumps(told))
    monkeypatch.setenv(contracts.FOLDER_VARIABLE, str(tmp_path))
    contract = load_schema_contract("contacts.json")
    assert (contract.required, contract.columns["at"]) == (("id",), "timestamp")
    good = spark.sql("select 1 id, timestamp'2026-01-01' at, 'x' more")
    assert validate_schema(good, contract) is good
    with pytest.raises(DataError, match="not_null id: 1 rows break it"):
        validate_schema(spark.sql("select cast(null as bigint) id, timestamp'2026-01-01' at"), contract)
    with pytest.raises(SchemaMismatchError, match=r"at: missing\n  id: found string, allowed"):
        validate_schema(spark.sql("select 'x' id"), contract)


@pytest.mark.parametrize(("text", "told"), [("{", "not JSON"), ("{}", "no columns found"), ('{"columns": [1]}', "cannot be read")])
def test_a_contract_that_cannot_be_read_is_said(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(ConfigError, match=told):
        load_schema_contract(str(tmp_path / "c.json"))
    with pytest.raises(ConfigError, match="no schema contract gone"):
        load_schema_contract("gone.json")


def test_lineage_and_metrics_carry_the_run_and_never_fail(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.start({}, "r1")
    assert generate_run_id() == "r1"
    event = emit_lineage_event(source="crm", target="bronze.contacts", run_id="r1")
    assert (event["eventType"], event["inputs"][0]["name"], event["outputs"][0]["name"]) == ("COMPLETE", "crm", "bronze.contacts")
    assert faults(event) == []
    assert event["run"] == emit_lineage_event(source="a", target="b", run_id="r1")["run"]
    capsys.readouterr()
    emit_metric("rows_ingested", 5, "r1")
    line = json.loads(capsys.readouterr().out)
    assert (line["rows_ingested"], line["run_id"], line["Project"]) == (5.0, "r1", world.project)
    assert line["_aws"]["CloudWatchMetrics"][0]["Metrics"] == [{"Name": "rows_ingested", "Unit": "Count"}]
    logging.getLogger("dp_foundation.lineage").setLevel(logging.CRITICAL)
    assert emit_metric("bad", float("nan")) == {}
    assert emit_metric("bad", float("inf")) == {}
    unprintable: Any = {1}
    assert emit_lineage_event(source=unprintable, target="t") == {}
    logging.getLogger("dp_foundation.lineage").setLevel(logging.NOTSET)


def test_outside_of_a_run_an_id_is_a_time_and_a_uuid(world: World) -> None:
    world.start({}, "")
    one, other = generate_run_id(), generate_run_id()
    assert one != other
    assert events.run_event("a", "b", one, "START")["run"]["runId"] == one[-36:]
