"""What the library and its neighbours promise each other: arguments, records, the zip that Glue takes, and a light import."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped, unused-ignore]
import pytest

from dp_foundation.config.arguments import Column, CsvFormat, parse
from dp_foundation.errors import ConfigError
from dp_foundation.io.readers import read_table
from dp_foundation.io.writers import write_iceberg
from dp_foundation.run.current import begin
from dp_foundation.spark.session import catalog_settings
from meshplane.model.baseline import Baseline
from meshplane.model.context import Context, PlaneNames
from meshplane.model.domain import Domain
from meshplane.model.job_arguments import JobFiles
from meshplane.model.project import CsvFormat as PlaneCsv
from meshplane.model.project import Job, Project, Table, TableRef, Write
from meshplane.model.release import PlatformRelease
from meshplane.model.types import Decimal, Field, Primitive
from meshplane_cli.platform import library_wheel
from tests.jobs.job_world import World

ROOT = Path(__file__).parents[2]
HEAVY = {"pyspark", "boto3", "botocore", "yaml", "py4j", "meshplane"}


def _schema(name: str) -> Any:
    return json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text())


def _files() -> JobFiles:
    domain = Domain.model_validate_json((ROOT / "domain.json").read_text())
    id_ = Field("order_id", Primitive("long"))
    raw = Table("orders_raw", "raw", "csv", (Field("order_id", Primitive("string")),), csv=PlaneCsv(delimiter=";"), hive_partition=("dt",))
    orders = Table("orders", "refined", "iceberg", (id_, Field("amount", Decimal(12, 2))), key=("order_id",))
    job = Job(
        "load",
        use="merge",
        reads=(TableRef("sales", "orders_raw"),),
        writes=(Write("orders", "merge"),),
        options={"map": {}},
        secrets={"rates": "fx"},
    )
    project = Project("sales", tables={"orders_raw": raw, "orders": orders}, jobs={"load": job})
    naming = domain.naming("dev")
    context = Context(
        domain, naming, _baseline(), PlatformRelease("platform/files/x/dp_foundation.zip", {"merge": "m"}), PlaneNames("q", "d", "r")
    )
    return JobFiles.of(job, project, context)


def _baseline() -> Baseline:
    import dataclasses

    needed = [f for f in dataclasses.fields(Baseline) if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
    empty: dict[str, Any] = {f.name: "" for f in needed}
    return Baseline(**empty)


def test_the_library_reads_the_arguments_that_the_plane_writes() -> None:
    given = _files().arguments()
    call = parse([part for pair in given.items() for part in pair])
    assert call.job is not None
    assert (call.job.project, call.job.name, call.step, call.run) == ("sales", "load", "load", None)
    raw, orders = call.job.tables["orders_raw"], call.job.tables["orders"]
    assert (raw.csv, raw.hive_partition, raw.database, raw.name) == (CsvFormat(delimiter=";"), ("dt",), "f01_de_raw", "sales_orders_raw")
    assert orders.columns == (Column("order_id", "bigint", True), Column("amount", "decimal(12,2)", False))
    assert (orders.key, orders.is_iceberg, call.job.secrets) == (("order_id",), True, {"rates": "f01/dev/sales/fx"})
    jsonschema.validate(json.loads(given["--meshplane-job"]), _schema("job"))


def test_a_local_session_has_the_catalog_settings_of_glue() -> None:
    conf = dict(pair.split("=", 1) for pair in _files().conf().split(" --conf "))
    assert conf == catalog_settings("s3://f01-refined-390403879405-de-dev/sales/iceberg/")


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--meshplane-job", "{"], "--meshplane-job: not JSON"),
        (["--meshplane-run", "[]"], "--meshplane-run: found schema"),
        (["--meshplane-run", '{"schema": 2}'], "found schema 2; allowed: an object, schema 1"),
        (["--meshplane-run", '{"schema": 1}'], "--meshplane-run: 'run_id' is missing"),
        (["--meshplane-job", '{"schema": 1, "job": "x"}'], "'project' is missing"),
        (["--meshplane-attempt", "one"], "--meshplane-attempt: found 'one'"),
    ],
)
def test_arguments_that_cannot_be_read_are_said(argv: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told.replace("[", r"\[")):
        parse(argv)


def test_glues_own_arguments_are_left_alone() -> None:
    call = parse(["--JOB_NAME", "x", "--enable-metrics", "true", "--flag", "--k=v=w", "-x", "stray"])
    assert call.plain == {"job_name": "x", "enable_metrics": "true", "flag": "", "k": "v=w"}


@pytest.mark.spark
def test_records_are_as_their_schemas_say(world: World, spark: Any) -> None:
    prefix = world.raw("raw", "id bigint")
    world.iceberg("seen", "id bigint")
    world.iceberg("out", "id bigint")
    world.put(f"{prefix}a.csv", "id\n1\n")
    job = {"reads": [{"table": "raw"}, {"table": "seen"}], "writes": [{"table": "out", "mode": "append"}]}
    for run_id, error in (("r1", ""), ("r2", "ValueError: x")):
        world.start(job, run_id)
        jsonschema.validate(json.loads(sys.argv[4]), _schema("run"))
        read_table(spark, "seen")
        frame = read_table(spark, "raw")
        if not error:
            write_iceberg(df=frame, table="out")
            assert world.outbox(run_id)["state"] == "intent"
            jsonschema.validate(world.outbox(run_id), _schema("outbox"))
        begin().finish(error)  # type: ignore[union-attr]
        jsonschema.validate(world.outbox(run_id), _schema("outbox"))
    assert [world.outbox(run)["state"] for run in ("r1", "r2")] == ["done", "failed"]
    for entry in world.ledger().values():
        jsonschema.validate(entry, _schema("ledger"))


def test_the_zip_that_glue_takes_carries_what_the_library_needs(tmp_path: Path) -> None:
    archive = tmp_path / "dp_foundation.zip"
    archive.write_bytes(library_wheel(ROOT))
    names = zipfile.ZipFile(io.BytesIO(archive.read_bytes())).namelist()
    assert {"dp_foundation/domain.json", "dp_foundation/naming.json", "core/config/settings.py"} <= set(names)
    program = (
        "from core.config.settings import get_config; from dp_foundation.spark.session import catalog_settings; import dp_foundation;"
        "print(dp_foundation.__file__, get_config({'env': 'dev'})['s3_raw_bucket'], len(catalog_settings('s3://x/')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(archive)}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == [f"{archive}/dp_foundation/__init__.py", "f01-raw-390403879405-de-dev", "5"], done.stderr


def test_importing_the_library_loads_neither_spark_nor_boto3() -> None:
    modules = sorted(
        str(path.relative_to(ROOT / "glue_jobs").with_suffix("")).replace("/", ".")
        for path in (ROOT / "glue_jobs").glob("*/**/*.py")
        if path.name != "__init__.py" and path.parts[-2] != "jobs"
    )
    program = f"import sys\nfor m in {modules!r}: __import__(m)\nprint(sorted({HEAVY!r} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "glue_jobs")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
    assert len(modules) > 30
