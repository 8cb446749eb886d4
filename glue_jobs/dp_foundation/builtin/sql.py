"""A job with `sql:`: one SELECT over its declared reads, whose rows are written as the manifest says.

Each read is a view of its logical name; `customers.contacts` of another project is the view `customers_contacts`, and may be written with
its dot as well. `:window_start`, `:window_end` (timestamps, null without a window), `:run_id` and the run's parameters are variables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from dp_foundation import storage
from dp_foundation.builtin.declared import job, mode, one_write, recorded
from dp_foundation.config.arguments import Run, invocation
from dp_foundation.errors import ConfigError
from dp_foundation.io.readers import read_table
from dp_foundation.io.writers import write_iceberg
from dp_foundation.run.current import begin
from dp_foundation.spark.session import get_spark

_SKIPPED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|--[^\n]*|/\*.*?\*/"


@recorded()
def run() -> None:
    """The whole job. Raw reads without new files: nothing is written."""
    declared, target = job(), one_write()
    spark = get_spark(app_name=f"sql {declared.name}")
    for read in declared.reads:
        read_table(spark, read.table).createOrReplaceTempView(view_name(read.table))
    current = begin()
    if current is None or not current.files or any(current.files.values()):
        text = storage.read(*storage.split(declared.sql)).decode("utf-8")
        statement = with_views(text, (read.table for read in declared.reads))
        write_iceberg(df=spark.sql(statement, args=variables(invocation().run)), table=target.logical, mode=mode())


def view_name(table: str) -> str:
    """`orders` → `orders`, `customers.contacts` → `customers_contacts`."""
    return table.replace(".", "_")


def with_views(text: str, tables: Iterable[str]) -> str:
    """The SELECT with `customers.contacts` written as its view, comments and quoted text left alone. Raises ConfigError without one."""
    dotted = [table for table in tables if "." in table]
    names = "|".join(re.escape(table).replace(r"\.", r"\s*\.\s*") for table in sorted(dotted, key=len, reverse=True))
    if names:
        pattern = re.compile(rf"({_SKIPPED})|(?<![\w.`])({names})(?!\w)", re.DOTALL | re.IGNORECASE)
        text = pattern.sub(lambda found: found[1] or view_name(re.sub(r"\s", "", found[2])), text)
    text = text.strip().rstrip(";").rstrip()
    if not re.sub(rf"{_SKIPPED}", "", text, flags=re.DOTALL).strip():
        raise ConfigError("the job's SQL file is empty; allowed: one SELECT")
    return text


def variables(run: Run | None) -> Mapping[str, Any]:
    """What `:name` means in the SELECT."""
    window = {"window_start": run.window_start, "window_end": run.window_end} if run else {"window_start": "", "window_end": ""}
    times = {name: datetime.fromisoformat(value) if value else None for name, value in window.items()}
    return {**(run.params if run else {}), **times, "run_id": run.run_id if run else ""}
