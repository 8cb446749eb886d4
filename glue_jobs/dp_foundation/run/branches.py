"""Where a run writes: to the branch of its attempt, when the state machine publishes after it (`--meshplane-gate audit`), else to `main`.

The writers ask once per write; readers ask so that a step sees what it has written itself (docs/contracts.md §9).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from dp_foundation.config.arguments import Table, invocation
from dp_foundation.iceberg import metadata
from dp_foundation.io.tables import Target
from dp_foundation.run.current import Current, begin


def branch_name(run_id: str, step: str, begun: int, attempt: int) -> str:
    """`audit_<run_id>_<step>_<round>_<retry>`; what is no letter or digit of run id and step becomes `_`. With its step, because two steps
    of a run may write one table at the same time."""
    return f"audit_{re.sub('[^A-Za-z0-9]', '_', f'{run_id}_{step}')}_{begun}_{attempt}"


def audited(table: Table | None) -> bool:
    """Whether this process writes the table on a branch: a declared refined or curated one, in a run that publishes afterwards."""
    return invocation().audit and table is not None and table.is_iceberg and table.layer != "raw" and begin() is not None


def opened(spark: Any, target: Target) -> Target:
    """The target with the branch to write to, made from `main` when it is not there (also on an empty table), and made anew where another
    process has written to it.

    What this step of the run has on `main` already was published before a retry: then `main` is the place where `commit` finds it, and
    where it refuses every other write.
    """
    current = begin()
    if current is None or not audited(target.table):
        return target
    branch = current.branches.get(target.identifier)
    if branch is None:
        branch = _open(spark, target, current)
        current.branches[target.identifier] = branch
    return replace(target, branch=branch)


def seen(target: Target) -> Target:
    """The target as this step reads it: its own branch once it has written there, `main` before."""
    current = begin()
    return replace(target, branch=current.branches.get(target.identifier, "")) if current else target


def _open(spark: Any, target: Target, current: Current) -> str:
    table = metadata.load(target.database, target.name)
    if table is not None and _writes_of(table, current):
        return ""
    name = branch_name(current.run.run_id, current.step, current.round, current.attempt)
    there = table is not None and name in table.refs
    if table is not None and there and _writes_of(table, current, table.refs[name]):
        # A redriven execution counts its retries from 0 again: another process wrote there under this attempt's name, and died. What it
        # wrote is not what this one reads, so that a merge would be judged by other rows than those that stand there.
        spark.sql(f"ALTER TABLE {target.identifier} DROP BRANCH IF EXISTS `{name}`")
        there = False
    if not there:
        # Its age is bounded by the plane's own record: pyiceberg drops a branch's retention at the next commit (aws-facts B10).
        spark.catalog.refreshTable(target.identifier)
        spark.sql(f"ALTER TABLE {target.identifier} CREATE BRANCH IF NOT EXISTS `{name}`")
        spark.catalog.refreshTable(target.identifier)
    return name


def _writes_of(table: metadata.TableMetadata, current: Current, start: int | None = None) -> bool:
    """Whether a commit of this step leads to `main`, or to the snapshot `start`."""
    step = (current.run.run_id, current.step)
    return any((s.summary.get("run_id"), s.summary.get("meshplane.step")) == step for s in table.ancestry(start))
