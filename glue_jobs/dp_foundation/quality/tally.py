"""Counting what breaks a gate's row rules: one aggregate for all of them, together with the number of rows and the newest times.

`run.gates` counts each write of a step, and adds the counts up.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from dp_foundation.quality.compiler import RuleError, broken, column, looked_at
from dp_foundation.quality.rules import ROW, Gate, Result, Rule, broke, counted


@dataclass(slots=True)
class Tally:
    """Counts of one or more batches. `newest`: microseconds since 1970, None where no value was seen."""

    rows: int = 0
    violations: dict[str, int] = field(default_factory=dict)
    looked: dict[str, int] = field(default_factory=dict)
    newest: dict[str, int | None] = field(default_factory=dict)
    errors: dict[str, Result] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        """Take another batch's counts in."""
        self.rows += other.rows
        for mine, theirs in ((self.violations, other.violations), (self.looked, other.looked)):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        for name, at in other.newest.items():
            known = self.newest.get(name)
            self.newest[name] = max((t for t in (known, at) if t is not None), default=None)
        self.errors.update(other.errors)

    def result(self, rule: Rule) -> Result:
        """What became of a row rule. One that was never counted has no rows and is in error."""
        if rule.name in self.errors:
            return self.errors[rule.name]
        if rule.name not in self.violations:
            return broke(rule, RuleError("no batch was counted"))
        return counted(rule, self.violations[rule.name], self.looked[rule.name])


def shared(gate: Gate) -> list[Rule]:
    """The rules that one aggregate answers. How many rows there are it says anyway, so of `row_count` only those with a filter."""
    return [rule for rule in gate.rules if rule.kind in ROW or rule.kind == "freshness" or (rule.kind == "row_count" and rule.filter)]


def tally(frame: Any, gate: Gate) -> Tally:
    """Count a batch: one Spark job, whatever the number of rules; a rule that cannot be judged breaks no other one.

    Raises what reading the frame itself raises.
    """
    return tallied(frame, gate)[0]


def tallied(frame: Any, gate: Gate, within: Any = None, beside: Sequence[Any] = (), sure: Collection[str] = ()) -> tuple[Tally, list[Any]]:
    """The same for the rows `within` (a condition that is never null; None: all), and in the same job the values of other aggregates
    `beside`, over all rows. `sure`: row rules that no such row breaks."""
    from pyspark.sql import functions as F

    done = Tally()
    asked: list[tuple[Rule, list[Any]]] = []
    for rule in shared(gate):
        try:
            asked.append((rule, _asked(rule, frame, within, rule.name in sure)))
        except Exception as error:  # noqa: BLE001  the rule's own verdict is `error`
            done.errors[rule.name] = broke(rule, error)
    rows = F.count(F.lit(1)) if within is None else F.count(F.when(within, 1))
    try:
        values = _aggregate(frame, [rows, *beside, *(column for _, columns in asked for column in columns)])
        _fill(done, asked, values[1 + len(beside) :])
    except Exception:  # noqa: BLE001  some rule fails on some row: each alone then
        values = _aggregate(frame, [rows, *beside])
        for rule, columns in asked:
            try:
                _fill(done, [(rule, columns)], _aggregate(frame, columns))
            except Exception as error:  # noqa: BLE001  the rule's own verdict is `error`
                done.errors[rule.name] = broke(rule, error)
    done.rows = int(values[0])
    return done, values[1 : 1 + len(beside)]


def tell(frame: Any, gate: Gate | None, counted: Tally | None, span: Any = None) -> None:
    """Leave what was counted of a frame for a gate with it, so that whoever writes it does not count again; and its key's `Span`."""
    frame._meshplane_tally, frame._meshplane_span = (gate, counted), span


def told(frame: Any, gate: Gate) -> Tally | None:
    """What was counted of this very frame for this very gate; None where nothing was."""
    known, counted = frame.__dict__.get("_meshplane_tally", (None, None))
    return counted if known == gate else None


def _asked(rule: Rule, frame: Any, within: Any, sure: bool) -> list[Any]:
    """Two aggregates: of a row rule its violations and the rows looked at, of freshness the newest time and the same; of a row count
    the latter is all."""
    from pyspark.sql import functions as F

    seen = looked_at(rule, frame)
    if within is not None:
        seen = within if seen is None else within & seen
    rows = F.count(F.lit(1)) if seen is None else F.count(F.when(seen, 1))
    if rule.kind == "freshness":
        at = micros(*column(frame, rule.columns[0]))
        made = [F.max(at if seen is None else F.when(seen, at)), rows]
    elif sure or rule.kind == "row_count":
        made = [F.lit(0), rows]
    else:
        bad = broken(rule, frame)
        made = [F.count(F.when(bad if seen is None else seen & bad, 1)), rows]  # what is not looked at is not computed
    frame.select(*made)  # what Spark cannot analyse fails here, and alone
    return made


def micros(time: Any, kind: str) -> Any:
    """A time column as microseconds since 1970; one without zone counts as UTC whatever the session's zone. Text is one where it reads as
    a date or a time with a date (ISO 8601), else null: raw columns are text. Raises RuleError."""
    from pyspark.sql import functions as F

    if kind == "date":
        return F.unix_date(time).cast("bigint") * 86_400_000_000
    if kind == "timestamp_ntz":  # by its text: a cast to a time with zone would move what the session's zone leaves out
        return F.unix_micros(F.concat(time.cast("string"), F.lit("Z")).cast("timestamp"))
    if kind == "string" or kind.startswith(("varchar", "char")):
        text = F.trim(time)
        # What has a zone of its own is no time with another one behind it. A time without a date would be today's.
        read = F.coalesce(*(F.try_to_timestamp(F.concat(text, F.lit(zone))) for zone in ("Z", ":00Z", "T00:00:00Z", "")))
        return F.unix_micros(F.when(text.rlike(r"^\d{4,6}-\d"), read))
    if kind != "timestamp":
        raise RuleError(f"freshness looks at a date or a time, and this column is {kind}")
    return F.unix_micros(time)


def _aggregate(frame: Any, columns: Sequence[Any]) -> list[Any]:
    if not columns:
        return []
    row = frame.agg(*(each.alias(f"_{at}") for at, each in enumerate(columns))).first()
    return list(row)


def _fill(done: Tally, asked: Sequence[tuple[Rule, list[Any]]], values: Sequence[Any]) -> None:
    for at, (rule, _) in enumerate(asked):
        found, rows = values[2 * at], int(values[2 * at + 1])
        done.looked[rule.name] = rows
        if rule.kind == "freshness":
            done.newest[rule.name] = None if found is None else int(found)
        else:
            done.violations[rule.name] = int(found)
