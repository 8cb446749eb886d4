"""What the job library keeps to, read from its own source: DataFrame and SQL only, as Lake Formation's fine-grained access demands, no
logger but its own, no word of telemetry that can fail a job, and no weight beside pyspark."""

from __future__ import annotations

import ast
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import dp_foundation
from dp_foundation.lineage import events, metrics

GLUE_JOBS = Path(__file__).parents[2] / "glue_jobs"
MODULES = sorted(path for path in GLUE_JOBS.rglob("*.py"))
# The ways into the JVM: Iceberg takes the properties of a MERGE's or DELETE's commit in no other way; and a plan is looked at to save work,
# where it cannot be the work is done.
DECLARED = {
    ("dp_foundation/io/commits.py", "_with_summary", "_jvm"),
    ("dp_foundation/io/commits.py", "_with_summary", "_gateway"),
    ("dp_foundation/io/rereading.py", "replayable", "_jvm"),
    ("dp_foundation/io/rereading.py", "replayable", "_jdf"),
}
ATTRIBUTES = {
    "rdd",
    "toJavaRDD",
    "parallelize",
    "foreachPartition",
    "mapPartitions",
    "mapInPandas",
    "mapInArrow",
    "applyInPandas",
    "pandas_api",
    "toPandas",
    "addPyFile",
    "addFile",
    "udf",
    "pandas_udf",
    "udtf",
    "_jvm",
    "_jsparkSession",
    "_jdf",
    "_gateway",
    "_jsc",
}
CALLS = {"udf", "pandas_udf", "udtf"}


def uses(source: str, file: str = "x.py") -> Iterator[tuple[str, str, str]]:
    """(file, function, word) wherever RDDs, Python functions over rows, or the JVM are reached for."""
    tree = ast.parse(source)
    inside = {child: node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for child in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES:
            yield file, inside.get(node, ""), node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
            yield file, inside.get(node, ""), node.func.id
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("pyspark.rdd", "pyspark.pandas", "awsglue")):
            yield file, inside.get(node, ""), str(node.module)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(("spark.jars.", "spark.plugins")):
            yield file, inside.get(node, ""), node.value


@pytest.mark.parametrize(
    "source",
    [
        "frame.rdd.map(f)",
        "def f():\n  spark.sparkContext.parallelize([1])",
        "F.udf(f)",
        "udf(f)",
        "df.mapInPandas(f)",
        "spark._jvm.x()",
        "from pyspark.rdd import RDD",
        "conf('spark.jars.packages', x)",
    ],
)
def test_the_rule_sees_what_it_forbids(source: str) -> None:
    assert list(uses(source))


def test_the_library_keeps_to_frames_and_sql() -> None:
    found = {use for path in MODULES for use in uses(path.read_text(encoding="utf-8"), path.relative_to(GLUE_JOBS).as_posix())}
    assert found == DECLARED
    assert len(MODULES) > 50
    assert list(GLUE_JOBS.rglob("*.jar")) == []


def test_no_module_logs_by_the_root_logger() -> None:
    words = {"basicConfig", "debug", "info", "warning", "error", "exception", "critical", "disable", "captureWarnings", "setLoggerClass"}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "logging":
                assert node.attr not in words, f"{path.name}:{node.lineno}"
    before = (logging.getLogger().level, list(logging.getLogger().handlers))
    metrics.emit_metric("rows", 1, "r")
    assert (logging.getLogger().level, logging.getLogger().handlers) == before


class Broken:
    """A stdout that nobody reads any more."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")

    def flush(self) -> None:
        raise BrokenPipeError(32, "Broken pipe")


def _raises(*given: Any, **named: Any) -> Any:
    raise RuntimeError("the settings cannot be read")


@pytest.mark.parametrize(
    "call", [lambda: events.emit_lineage_event(source="a", target="b", run_id="r"), lambda: metrics.emit_metric("rows", 1, "r")]
)
@pytest.mark.parametrize("fault", ["stdout", "settings", "logger", "invocation", "value"])
def test_telemetry_never_fails_a_job(fault: str, call: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    if fault == "stdout":
        monkeypatch.setattr(sys, "stdout", Broken())
    for module in (events, metrics):
        if fault == "settings" and hasattr(module, "get_config"):
            monkeypatch.setattr(module, "get_config", _raises)
        if fault == "logger":
            monkeypatch.setattr(module, "get_logger", _raises)
        if fault == "invocation":
            monkeypatch.setattr(module, "invocation", _raises)
    if fault == "value":
        assert metrics.emit_metric("rows", "many", "r") == {}  # type: ignore[arg-type]
        assert metrics.emit_metric("rows", float("nan"), "r") == {}
    assert isinstance(call(), dict)


PROGRAM = """
import sys, time
start = time.process_time()
import pyspark.sql, pyspark.sql.functions
there = time.process_time()
before = set(sys.modules)
import importlib, pkgutil, dp_foundation
for found in pkgutil.walk_packages(dp_foundation.__path__, "dp_foundation."):
    importlib.import_module(found.name)
took = time.process_time() - there
others = {name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names) - {"dp_foundation"}
print(took / (there - start), sorted(others))
"""


def test_all_of_it_imports_faster_than_pyspark_and_brings_nobody_along() -> None:
    ratios = []
    for _ in range(3):
        environment = {**os.environ, "PYTHONPATH": str(GLUE_JOBS)}
        done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
        ratio, _, others = done.stdout.strip().partition(" ")
        assert others == "[]"
        ratios.append(float(ratio))
    assert min(ratios) < 1.0


CALLS_OF_EARLIER_JOBS: dict[str, tuple[str, ...]] = {
    "spark.session": ("get_spark",),
    "config.settings": ("get_config",),
    "config.secrets": ("get_secret",),
    "io.readers": ("read_iceberg", "read_table"),
    "io.writers": ("write_iceberg", "merge_iceberg"),
    "iceberg.catalog": ("create_table", "alter_schema"),
    "iceberg.maintenance": ("compact", "expire_snapshots", "remove_orphan_files"),
    "logging.logger": ("get_logger",),
    "quality.checks": ("assert_columns", "assert_not_null", "assert_unique"),
}


@pytest.mark.parametrize("root", ["core", "dp_foundation"])
@pytest.mark.parametrize("module", CALLS_OF_EARLIER_JOBS)
def test_import_paths_of_both_generations(root: str, module: str) -> None:
    from importlib import import_module

    ours = import_module(f"dp_foundation.{module}")
    theirs = import_module(f"{root}.{module}")
    for name in CALLS_OF_EARLIER_JOBS[module]:
        assert getattr(theirs, name) is getattr(ours, name)


@pytest.mark.parametrize(
    ("call", "given"),
    [
        ("spark.session.get_spark", {"app_name": "x"}),
        ("config.settings.get_config", {"overrides": {}}),
        ("io.readers.read_iceberg", {"spark": 1, "catalog_db": "d", "table": "t"}),
        ("io.writers.write_iceberg", {"df": 1, "table": "t", "mode": "append", "path": "s3://x", "catalog_db": "d"}),
        ("io.writers.write_iceberg", {"df": 1, "table": "glue_catalog.d.t", "mode": "append"}),
        ("io.writers.merge_iceberg", {"df": 1, "table": "t", "keys": ["id"], "catalog_db": "d"}),
        ("logging.logger.get_logger", {"name": "x"}),
        ("load_schema_contract", {"name": "contacts.json"}),
        ("validate_schema", {"df": 1, "contract": 1}),
        ("generate_run_id", {}),
        ("emit_lineage_event", {"source": "crm", "target": "bronze.contacts", "run_id": "r"}),
        ("emit_metric", {"name": "rows_ingested", "value": 1, "run_id": "r"}),
    ],
)
def test_calls_as_earlier_jobs_write_them(call: str, given: dict[str, Any]) -> None:
    import inspect
    from importlib import import_module

    module, _, name = call.rpartition(".")
    found = getattr(import_module(f"dp_foundation.{module}") if module else dp_foundation, name)
    inspect.signature(found).bind(**given)
