"""Jobs written for the earlier templates run unchanged: as runs of the plane and on a laptop, with tables declared or not."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dp_foundation.run.current import at_exit, begin
from tests.jobs.job_world import ACCOUNT, World, bucket

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


@pytest.mark.parametrize("script", ["core_append.py", "core_append_path.py", "foundation_append.py", "foundation_append_bare.py"])
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


@dataclass
class _Job:
    """How one settings source is told to a legacy job: in its own text, in its process (by the giver), or in its arguments."""

    text: str
    abbr: str = "f01"


def _in_overrides(world: World, tmp_path: Path, job: _Job) -> str:
    name = f"{world.project}_overridden"
    assert job.text.count("get_config()") == 1
    job.text = job.text.replace("get_config()", f"get_config(overrides={{'curated_db': '{name}'}})")
    return name


def _in_environment(world: World, tmp_path: Path, job: _Job) -> str:
    world.patch.setenv("CUSTOMER_F01_CURATED_DB", f"{world.project}_environment")
    return f"{world.project}_environment"


def _in_file(world: World, tmp_path: Path, job: _Job) -> str:
    (tmp_path / "config.json").write_text(json.dumps({"iceberg_database_curated": f"{world.project}_file"}))
    world.patch.setenv("CONFIG_PATH", str(tmp_path / "config.json"))
    return f"{world.project}_file"


def _in_arguments(world: World, tmp_path: Path, job: _Job) -> str:
    job.abbr = world.project
    return f"{job.abbr}_de_curated"


def _nowhere(world: World, tmp_path: Path, job: _Job) -> str:
    return "f01_de_curated"


@pytest.mark.parametrize("give", [_in_overrides, _in_environment, _in_file, _in_arguments, _nowhere], ids=lambda give: give.__name__[1:])
@pytest.mark.parametrize("script", ["core_append.py", "core_append_path.py", "foundation_append_bare.py", "foundation_append.py"])
def test_each_source_of_settings_decides_where_a_job_writes(
    world: World, spark: Any, tmp_path: Path, script: str, give: Callable[[World, Path, _Job], str]
) -> None:
    """With a path the job creates its table there; without one it writes to the table that is there."""
    job = _Job((LEGACY / script).read_text())
    database = give(world, tmp_path, job)
    created = script in ("core_append_path.py", "foundation_append.py")
    _arrange(world, database, job.abbr, target=not created)
    (tmp_path / script).write_text(job.text)
    # Without a run: another abbreviation also names another bucket for the run's records.
    domain = {"name": "retail", "abbr": job.abbr, "region": "eu-central-1", "country_code": "de", "account_id": ACCOUNT}
    _run(world, str(tmp_path / script), "" if job.abbr != "f01" else "r1", domain=domain)
    assert world.rows(f"glue_catalog.{database}.target") == [(1, "DE")]
    location = world.catalog.load_table(f"{database}.target").location()
    assert (location == f"s3://{_bucket(job.abbr)}/iceberg/target") == created
    if database != "f01_de_curated":
        assert world.rows("glue_catalog.f01_de_curated.target") == []


def _bucket(abbr: str) -> str:
    return bucket("curated").replace("f01", abbr, 1)


def _arrange(world: World, database: str, abbr: str, target: bool) -> None:
    """`source` in the domain's refined database, and in `database` an empty `target` or none."""
    _tables(world, declared=False)
    spark = _session()
    layers = {database, f"{abbr}_de_refined"} - {"f01_de_curated", "f01_de_refined"}
    for name in layers:
        world.glue.create_database(DatabaseInput={"Name": name})
    if abbr != "f01":
        world.s3.create_bucket(Bucket=_bucket(abbr), CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        place = f"s3://{bucket('refined')}/{world.project}/iceberg/other"
        spark.sql(f"create table glue_catalog.{abbr}_de_refined.source (id bigint, country string) using iceberg location '{place}'")
        spark.sql(f"insert into glue_catalog.{abbr}_de_refined.source values (1, 'DE')")
    if database in layers and target:
        place = f"s3://{bucket('curated')}/{world.project}/iceberg/{database}"
        spark.sql(f"create table glue_catalog.{database}.target (id bigint, country string) using iceberg location '{place}'")
    if database not in layers and not target:
        spark.sql(f"drop table glue_catalog.{database}.target")


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
