"""What a gate costs: which rule rides on the one aggregate over the batch, which reads the table again, which shuffles it.

For people, before they write a rule: `python -m dp_foundation.quality.explain job.json` (the value of `--meshplane-job`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dp_foundation.quality.rules import IMPLIED, ROW, Gate, Rule, gate


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one rule, or of several that share it. `queries`: Spark queries; `shuffles`: of these, those that move rows between executors."""

    rules: tuple[str, ...]
    queries: int
    shuffles: int
    told: str


def explain(gate: Gate, proven: frozenset[frozenset[str]] = frozenset()) -> list[Cost]:
    """The costs of a gate, the shared aggregate first. `proven`: the keys whose uniqueness the writes guarantee."""
    shared = [rule.name for rule in gate.rules if rule.kind in ROW or rule.kind in ("freshness", "row_count")]
    costs = [Cost(tuple(shared), 1, 0, "one aggregate over the rows that the run brought")] if shared else []
    return costs + [_cost(rule, proven) for rule in gate.rules if rule.name not in shared]


def _cost(rule: Rule, proven: frozenset[frozenset[str]]) -> Cost:
    name = (rule.name,)
    if rule.kind == "columns":
        own = "" if rule.name.startswith(IMPLIED) else "; of raw files each one's own, and of json the keys of every record"
        return Cost(name, 0, 0, f"the schema alone{own}")
    if rule.kind == "unique":
        if not rule.filter and frozenset(column.lower() for column in rule.columns) in proven:
            return Cost(name, 0, 0, "nothing: every row came by a merge on these columns")
        return Cost(name, 1, 1, "the whole table grouped by its key")
    if rule.kind == "referential":
        return Cost(name, 1, 1, f"the whole table joined with {rule.params['table']}")
    if rule.kind == "reconciliation":
        return Cost(name, 2, 0, f"an aggregate over the whole table, and one over {rule.params['table']}")
    if rule.kind == "change":
        told = rule.params.get("measure", "count(*)") == "count(*)" and not rule.filter  # summaries say how many rows there were
        past = 0 if told else int(rule.params.get("against") or 1)
        return Cost(name, 1 + past, 0, f"an aggregate over the whole table, and over {past} earlier snapshot(s)")
    return Cost(name, 1, 0, "its own query over the whole table")


def text(costs: Sequence[Cost]) -> str:
    """A line per cost."""
    return "\n".join(
        f"{', '.join(c.rules)}: {c.queries} quer{'y' if c.queries == 1 else 'ies'}, {c.shuffles} shuffled; {c.told}" for c in costs
    )


if __name__ == "__main__":
    for logical, table in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["tables"].items():
        if table.get("gate"):
            sys.stdout.write(f"{logical}\n{text(explain(gate(table['gate'])))}\n")
