"""What the state item says of a project's gated tables (attribute `gates`): written by the reconcile, read by `publish_tables`. Pure.

A gate counts as applied once the table and every job that writes it stand as declared; until then the one before it holds, since jobs
that run now still carry its digest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from meshplane.model.naming import Naming
from meshplane.model.project import Project, Table
from meshplane.model.rules import Rule


@dataclass(frozen=True, slots=True)
class GatedRule:
    """The part of a rule that a verdict is checked against."""

    name: str
    severity: str
    threshold_rows: int = 0
    threshold_percent: str = ""
    within: int = 0  # of a freshness rule the seconds that the newest row may be old, for the watchdog

    @staticmethod
    def of(rule: Rule) -> GatedRule:
        """From the whole rule."""
        within = int(rule.params["within"]) if rule.kind == "freshness" else 0
        return GatedRule(rule.name, rule.severity, rule.threshold_rows, rule.threshold_percent, within)


@dataclass(frozen=True, slots=True)
class GatedTable:
    """One own table that jobs of the project write through a gate. `retention_days`: how long its snapshots are kept; `writer`: a job that
    writes it, by its physical name."""

    table: str
    database: str
    name: str
    digest: str
    rules: tuple[GatedRule, ...]
    allow_empty: bool = False
    retention_days: int = 5
    writer: str = ""

    def to_json(self) -> dict[str, Any]:
        """For the state item: plain maps, lists, texts and whole numbers."""
        return {**asdict(self), "rules": [asdict(rule) for rule in self.rules]}

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> GatedTable:
        """The inverse. Numbers may come as DynamoDB's Decimal."""
        rules = tuple(
            GatedRule(r["name"], r["severity"], int(r["threshold_rows"]), r["threshold_percent"], int(r.get("within", 0)))
            for r in stored["rules"]
        )
        return GatedTable(**{**stored, "rules": rules, "retention_days": int(stored["retention_days"])})


@dataclass(frozen=True, slots=True)
class AppliedGates:
    """What the last reconcile left of a project's gates. `gates` is None before the first one that wrote any."""

    phase: str = "active"
    gates: Mapping[str, GatedTable] | None = None


def gated(project: Project) -> Mapping[str, Table]:
    """The tables that are published through a gate: own Iceberg ones, refined or curated, that a job of the project writes."""
    written = {write.table for job in project.jobs.values() for write in job.writes}
    return {name: t for name, t in project.tables.items() if name in written and t.is_iceberg and t.layer != "raw"}


def gated_jobs(project: Project) -> frozenset[str]:
    """The jobs whose steps are followed by publish_tables."""
    return frozenset(gated_writes(project))


def gated_writes(project: Project) -> Mapping[str, tuple[str, ...]]:
    """Job → the gated tables that it writes; without the jobs that write none."""
    tables = gated(project)
    found = {job.name: tuple(write.table for write in job.writes if write.table in tables) for job in project.jobs.values()}
    return {job: written for job, written in found.items() if written}


def publish_function(naming: Naming) -> str:
    """The ARN of the function that publishes."""
    return naming.arn("lambda", f"function:{naming.of('publish_function')}")


def gates(project: Project, naming: Naming, standing: Collection[str], before: Mapping[str, Any]) -> dict[str, Any]:
    """What the state item is to say. `standing`: physical names of resources that are as declared; `before`: what it said."""
    told: dict[str, Any] = {}
    for name, table in gated(project).items():
        physical = table.physical_name or naming.table(project.name, name)
        writers = [naming.job(project.name, job.name) for job in project.jobs.values() if any(w.table == name for w in job.writes)]
        if not {f"{naming.database(table.layer)}.{physical}", *writers} <= set(standing):
            told |= {name: before[name]} if name in before else {}
            continue
        gate, days = table.gate, table.optimizers.retention.days
        rules = tuple(map(GatedRule.of, gate.rules))
        found = GatedTable(name, naming.database(table.layer), physical, gate.digest, rules, gate.allow_empty, days, writers[0])
        told[name] = found.to_json()
    return told
