"""Jobs written for the earlier templates run unchanged: as runs of the plane and on a laptop, with tables declared or not."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dp_foundation.run.current import at_exit, begin
from tests.jobs.job_world import World, bucket

pytestmark = pytest.mark.spark
LEGACY = Path(__file__).parent / "legacy"
GLUE_JOBS = Path(__file__).parents[2] / "glue_jobs"


def _tables(world: World, declared: bool = True, curated: str = "curated") -> str:
    """`source` with two rows and an empty `target`; undeclared ones have the bare names that such jobs know."""
    from dp_foundation.spark.session import get_spark

    if declared:
        source = world.iceberg("source", "id bigint!, country string", key=["id"])
        target = world.iceberg("target", "id bigint!, country string", key=["id"], layer="curated")
    else:
        source, target = "glue_catalog.f01_de_refined.source", f"glue_catalog.f01_de_{curated}.target"
    spark = get_spark(app_name="arrange")
    for name, layer in ((source, "refined"), (target, "curated")):
        if not declared:
            place = f"s3://{bucket(layer)}/{world.project}/iceberg/{name.rpartition('.')[2]}"
            spark.sql(f"create or replace table {name} (id bigint, country string) using iceberg location '{place}'")
    spark.sql(f"insert into {source} values (1, 'DE'), (2, 'FR')")
    begin.cache_clear()
    return target


def _run(world: World, script: str, run_id: str = "r1", **job: Any) -> None:
    reads, writes = ([{"table": "source"}], [{"table": "target", "mode": "append"}]) if world.tables else ([], [])
    world.start({"reads": reads, "writes": writes, **job}, run_id)
    runpy.run_path(str(LEGACY / script), run_name="__main__")
    current = begin()
    if current is not None:
        at_exit(current)


@pytest.mark.parametrize("script", ["core_append.py", "foundation_append.py"])
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "undeclared"])
def test_as_a_run_of_the_plane(world: World, spark: Any, script: str, declared: bool) -> None:
    target = _tables(world, declared)
    _run(world, script)
    assert world.rows(target) == [(1, "DE")]
    assert world.outbox()["state"] == "done"
    assert world.outbox()["outputs"][0]["rows_added"] == 1


def test_merge_twice_is_one_row_each(world: World, spark: Any) -> None:
    target = _tables(world)
    for run_id in ("r1", "r2"):
        _run(world, "foundation_merge.py", run_id)
    assert world.rows(target) == [(1, "DE"), (2, "FR")]


@pytest.mark.parametrize("script", ["core_append.py", "foundation_append.py", "foundation_merge.py"])
def test_on_a_laptop_without_the_plane(world: World, spark: Any, script: str) -> None:
    target = _tables(world, declared=False)
    world.end()
    world.patch.setattr(sys, "argv", ["job.py"])
    runpy.run_path(str(LEGACY / script), run_name="__main__")
    assert world.rows(target) == ([(1, "DE"), (2, "FR")] if "merge" in script else [(1, "DE")])


def _in_overrides(world: World, tmp_path: Path, name: str) -> dict[str, Any]:
    from dp_foundation.config import settings

    plain = settings.get_config
    for module in ("core.config.settings", "dp_foundation.config.settings"):
        world.patch.setattr(f"{module}.get_config", lambda overrides=None: plain({"curated_db": name, **(overrides or {})}))
    return {}


def _in_environment(world: World, tmp_path: Path, name: str) -> dict[str, Any]:
    world.patch.setenv("CUSTOMER_F01_CURATED_DB", name)
    return {}


def _in_file(world: World, tmp_path: Path, name: str) -> dict[str, Any]:
    (tmp_path / "config.json").write_text(json.dumps({"iceberg_database_curated": name}))
    world.patch.setenv("CONFIG_PATH", str(tmp_path / "config.json"))
    return {}


def _in_arguments(world: World, tmp_path: Path, name: str) -> dict[str, Any]:
    return {"domain": {"name": "retail", "abbr": "alt", "region": "eu-central-1", "country_code": "de", "account_id": "390403879405"}}


@pytest.mark.parametrize(
    ("give", "database"),
    [
        (_in_overrides, "alt_a"),
        (_in_environment, "alt_b"),
        (_in_file, "alt_c"),
        (_in_arguments, "alt_de_curated"),
        (None, "f01_de_curated"),
    ],
    ids=["overrides", "environment", "file", "arguments", "defaults"],
)
def test_each_source_of_settings_decides_where_a_job_writes(
    world: World, spark: Any, tmp_path: Path, give: Callable[..., dict[str, Any]] | None, database: str
) -> None:
    _tables(world, declared=False)
    job: dict[str, Any] = {}
    if give is not None:
        layers = {database, "alt_de_refined"} if database == "alt_de_curated" else {database}
        for name in layers:
            world.glue.create_database(DatabaseInput={"Name": name})
        job = give(world, tmp_path, database)
        for name in layers:
            table = "source" if name.endswith("refined") else "target"
            spark = _session()
            place = f"s3://{bucket('curated')}/{world.project}/iceberg/{name}"
            spark.sql(f"create table glue_catalog.{name}.{table} (id bigint, country string) using iceberg location '{place}'")
            if table == "source":
                spark.sql(f"insert into glue_catalog.{name}.source values (1, 'DE')")
    # Without a run: another abbreviation also names another bucket for the run's records.
    _run(world, "core_append.py", "" if give is _in_arguments else "r1", **job)
    assert world.rows(f"glue_catalog.{database}.target") == [(1, "DE")]


def _session() -> Any:
    from dp_foundation.spark.session import get_spark

    session = get_spark(app_name="arrange")
    begin.cache_clear()
    return session


def test_a_process_of_its_own_says_how_it_failed_and_logs_json(world: World, aws: str) -> None:
    prefix = world.raw("raw", "id bigint")
    world.put(f"{prefix}a.csv", "id\n1\n")
    world.start({"reads": [{"table": "raw"}]})
    environment = {**os.environ, "PYTHONPATH": str(GLUE_JOBS), "F01_LOG_FORMAT": "json"}
    done = subprocess.run(
        [sys.executable, str(LEGACY / "failing.py"), *sys.argv[1:]],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "ValueError: no rate for XXX" in done.stderr
    line = next(json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    assert {k: line[k] for k in ("message", "project", "job", "run_id", "step")} == {
        "message": "read 1 rows",
        "project": world.project,
        "job": "load",
        "run_id": "r1",
        "step": "load",
    }
    assert (world.outbox()["state"], world.outbox()["error"]) == ("failed", "ValueError: no rate for XXX")
    assert world.ledger() == {}
