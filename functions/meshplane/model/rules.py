"""What a table promises about its data: rules that its gate judges, and what arriving data may change (REQUIREMENTS J5, J6, N5).

Plain values. The manifest fills them, `job_arguments` hands them to the job library, `publish_tables` compares the digest. Semantics
(DESIGN §7): NULL is ignored except by not_null; unique ignores all-NULL keys; NaN fails a range; patterns are anchored; an empty batch
is a verdict of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

RuleKind = Literal[
    "columns",  # implied: the declared columns, with their types
    "not_null",
    "unique",
    "in_set",
    "range",
    "pattern",
    "length",
    "row_count",
    "freshness",
    "referential",
    "reconciliation",
    "change",
    "sql",
]
Severity = Literal["observe", "warn", "block"]
Mode = Literal["evolve", "freeze", "quarantine_row", "discard_value"]
IMPLIED = "implied_"  # names of rules that every table has begin so; no declared one may


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `columns`: what it looks at; `params`: plain JSON values of its kind (`values`, `min`, `max`, `within` in seconds,
    `pattern`, `table`, `sql` …). It fails when more than `threshold_rows` rows, and more than `threshold_percent` of the rows, break it;
    an empty percent means that rows count. `filter`: a SQL condition on the rows that it looks at."""

    name: str
    kind: RuleKind
    columns: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity = "block"
    threshold_rows: int = 0
    threshold_percent: str = ""
    filter: str = ""


@dataclass(frozen=True, slots=True)
class Contract:
    """What arriving data may change, per entity. `version` and `id` come from an ODCS file, else they are empty."""

    table: Mode = "freeze"
    columns: Mode = "freeze"
    types: Mode = "quarantine_row"
    nullability: Mode = "quarantine_row"
    precision: Mode = "quarantine_row"
    enum: Mode = "quarantine_row"
    id: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Gate:
    """All that one table is judged by. `rules` holds the implied ones too, first."""

    table: str
    rules: tuple[Rule, ...]
    contract: Contract = Contract()
    allow_empty: bool = False

    def to_json(self) -> dict[str, Any]:
        """As the job argument carries it (docs/contracts.md §9), digest included."""
        return {**self._body(), "digest": self.digest}

    @property
    def digest(self) -> str:
        """sha256 (hex) over everything that can change a verdict: a verdict that names another digest does not count."""
        return hashlib.sha256(json.dumps(self._body(), sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def _body(self) -> dict[str, Any]:
        rules = [{**asdict(rule), "columns": list(rule.columns)} for rule in self.rules]
        return {"table": self.table, "rules": rules, "contract": asdict(self.contract), "allow_empty": self.allow_empty}


def implied(columns: Sequence[str], key: Sequence[str], versions: bool = False) -> tuple[Rule, ...]:
    """The rules that every table has without asking: its columns, and its key not null and unique (of `versions` the current ones)."""
    rules = [Rule(f"{IMPLIED}columns", "columns", tuple(columns))]
    if key:
        rules += [
            Rule(f"{IMPLIED}key_not_null", "not_null", tuple(key)),
            Rule(f"{IMPLIED}key_unique", "unique", tuple(key), filter="is_current" if versions else ""),
        ]
    return tuple(rules)
