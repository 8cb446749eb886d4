"""The gate of one table as the plane hands it over (`tables.*.gate` in `--meshplane-job`, docs/contracts.md §9), and how a rule's count
becomes an outcome. No Spark here; `config.arguments` reads it, `quality.engine` runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

ROW = frozenset({"not_null", "in_set", "range", "pattern", "length"})  # a row breaks it or not: all share one aggregate
STATE = frozenset({"unique", "referential", "reconciliation", "change", "sql"})  # judged on the table as the run would leave it
IMPLIED = "implied_"  # names of the rules that every table has begin so, and no declared one's does


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; the fields are those of `meshplane.model.rules.Rule`. `threshold_percent`: of the rows that it looks at, "" for none."""

    name: str
    kind: str
    columns: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    severity: str = "block"
    threshold_rows: int = 0
    threshold_percent: str = ""
    filter: str = ""

    def fails(self, violations: int, rows: int) -> bool:
        """Whether so many violations in so many rows are too many: more than the rows allowed, and more than the share allowed."""
        if violations <= self.threshold_rows:
            return False
        return not self.threshold_percent or Decimal(violations) * 100 > Decimal(self.threshold_percent) * rows


@dataclass(frozen=True, slots=True)
class Gate:
    """All rules of one table. `digest` names the rule set: a verdict carries it."""

    table: str
    rules: tuple[Rule, ...]
    digest: str = ""
    allow_empty: bool = False
    contract: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one rule. `outcome`: passed | failed | error; `rows`: those that it looked at."""

    rule: str
    kind: str
    severity: str
    outcome: str
    violations: int = 0
    rows: int = 0
    detail: str = ""
    newest: str = ""  # of freshness: the newest time that it saw, by which the watchdog tells the table's age later

    def as_json(self) -> dict[str, Any]:
        """As the verdict carries it."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "newest" or self.newest}


def gate(raw: Mapping[str, Any]) -> Gate:
    """Read a gate. Raises KeyError for one without a table or with a rule without name or kind."""
    return Gate(
        raw["table"],
        tuple(
            Rule(**{**rule, "name": rule["name"], "kind": rule["kind"], "columns": tuple(rule.get("columns", ()))}) for rule in raw["rules"]
        ),
        raw.get("digest", ""),
        bool(raw.get("allow_empty", False)),
        raw.get("contract") or {},
    )


def of_a_table(rule: Rule) -> Rule:
    """The rule as a table is judged by it that many batches made. What bounds a batch bounds no table: the most rows that may arrive, and a
    number of rows that may break a row rule, which every batch may use up again. A share holds for the whole as for its parts."""
    if rule.kind == "row_count":
        return replace(rule, params={name: value for name, value in rule.params.items() if name != "max"})
    return replace(rule, threshold_percent="100") if rule.kind in ROW and rule.threshold_rows else rule


def counted(rule: Rule, violations: int, rows: int, detail: str = "") -> Result:
    """The result of a rule that counts rows."""
    outcome = "failed" if rule.fails(violations, rows) else "passed"
    return Result(rule.name, rule.kind, rule.severity, outcome, violations, rows, detail)


def decided(rule: Rule, holds: bool, rows: int, detail: str = "") -> Result:
    """The result of a rule on the whole: it holds or not, no threshold softens it."""
    return Result(rule.name, rule.kind, rule.severity, "passed" if holds else "failed", 0 if holds else 1, rows, detail)


def broke(rule: Rule, error: Exception) -> Result:
    """The result of a rule that could not be judged: for a blocking rule that is a no."""
    text = " ".join(str(error).split())[:500]
    return Result(rule.name, rule.kind, rule.severity, "error", 0, 0, f"{type(error).__name__}: {text}")


def passes(gate: Gate, results: Mapping[str, Result], rows: int) -> bool:
    """The verdict: every rule of the gate has a result, no blocking one failed or broke, and the batch is not empty unless it may be."""
    return (rows > 0 or gate.allow_empty) and holds(gate, results)


def holds(gate: Gate, results: Mapping[str, Result]) -> bool:
    """The same, whatever the number of rows."""
    return all(rule.name in results and (rule.severity != "block" or results[rule.name].outcome == "passed") for rule in gate.rules)
