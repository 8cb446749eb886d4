"""What it costs to read raw csv and json as text and hold every value against its declared type (`io.texts`), against Spark's own typed
reader over the same files: CPU of the JVM and the clock, as ratios, in turn.

    PYTHONPATH=functions:glue_jobs:cli python benchmarks/raw_text.py [--rows 2000000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from dp_foundation.config.arguments import Column, Table
from dp_foundation.io import texts

COLUMNS = {
    "id": "id",
    "amount": "cast(id * 1.37 as decimal(12,2))",
    "price": "id * 0.1D",
    "number": "cast(id % 100 as int)",
    "day": "date_add(date'2020-01-01', cast(id % 2000 as int))",
    "at": "timestamp_seconds(1600000000 + id)",
    "name": "concat('name ', id)",
    "even": "id % 2 = 0",
}


def cpu(spark: Any) -> float:
    """Seconds that the JVM has worked."""
    told = Path(f"/proc/{spark._jvm.java.lang.ProcessHandle.current().pid()}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


def taken(spark: Any, frame: Callable[[], Any]) -> tuple[float, float]:
    """CPU and clock of reading all of a frame, in seconds."""
    began, worked = time.perf_counter(), cpu(spark)
    frame().write.format("noop").mode("overwrite").save()
    return cpu(spark) - worked, time.perf_counter() - began


def read(spark: Any, table: Table, folder: str, how: str) -> Any:
    """`plain`: Spark's typed reader; `kept`: as landing reads; `failing`: as a script does."""
    options = {"mode": "FAILFAST", "header": "true"} if table.format == "csv" else {"mode": "FAILFAST", **texts.LOCALE}
    reader = spark.read.format(table.format).options(**options)
    if how == "plain":
        return reader.schema(", ".join(f"{column.name} {column.type}" for column in table.columns)).load(folder)
    frame = reader.schema(texts.schema(spark, table.columns, table.format)).load(folder)
    return texts.typed(frame, table, table.format, keep=how == "kept")


def main() -> None:
    """Print each ratio with its spread."""
    from pyspark.sql import SparkSession

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    made = spark.range(asked.rows).selectExpr(*(f"{expression} AS {name}" for name, expression in COLUMNS.items()))
    columns = tuple(Column(field.name, field.dataType.simpleString()) for field in made.schema.fields)
    with tempfile.TemporaryDirectory() as place:
        for form in ("csv", "json"):
            folder = str(Path(place) / form)
            made.write.format(form).options(**({"header": "true"} if form == "csv" else {})).save(folder)
            table = Table("raw", "bench", "raw", "raw", "raw", folder, form, columns)
            ways = {how: partial(read, spark, table, folder, how) for how in ("plain", "kept", "failing")}
            rounds = [{how: taken(spark, frame) for how, frame in ways.items()} for _ in range(asked.rounds + 1)][
                1:
            ]  # the first one compiles
            for how in ("kept", "failing"):
                for at, what in enumerate(("CPU", "clock")):
                    ratios = [one[how][at] / one["plain"][at] for one in rounds]
                    print(f"{form:5} {how:8} {what:6} {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
