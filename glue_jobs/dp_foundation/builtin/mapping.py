"""From a source's columns to a target's: an expression where `map` has one, else the column of the same name, else null; then a cast that
must not lose anything: a value that it would change breaks `types` or `precision` of the contract (`io.casting`). The built-ins `merge` and
`files` use it.

Who means to round says so in `map`, whose expression has the column's type then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dp_foundation.config.arguments import Column
from dp_foundation.errors import ConfigError, DataError
from dp_foundation.io import casting
from dp_foundation.io.rereading import held

_SAMPLE = 3


@dataclass(frozen=True, slots=True)
class Mapped:
    """One target column: `expression` is Spark SQL over the source, `type` the target's."""

    name: str
    expression: str
    type: str


def plan(source: Sequence[str], target: Sequence[Column], given: Mapping[str, str]) -> tuple[Mapped, ...]:
    """What each target column is made of. Raises ConfigError when `map` names a column that the target does not have."""
    expressions = {name.lower(): text for name, text in given.items()}
    have = {name.lower(): name for name in source}
    unknown = sorted(set(expressions) - {column.name.lower() for column in target})
    if unknown:
        raise ConfigError(f"with.map names {', '.join(unknown)}; the target has {', '.join(column.name for column in target)}")
    made = []
    for column in target:
        name = column.name.lower()
        same = f"`{have[name]}`" if name in have else "NULL"
        made.append(Mapped(column.name, expressions.get(name, same), column.type))
    return tuple(made)


@contextmanager
def apply(frame: Any, mapped: Sequence[Mapped], what: str) -> Iterator[tuple[Any, int]]:
    """The target's frame, to be read as long as the context lasts (`io.rereading`), and its number of rows.

    Raises DataError when a value that is not null cannot be cast, naming each column, how many, and samples.
    """
    with held(frame.selectExpr(*(f"{m.expression} AS `{m.name}`" for m in mapped))) as staged:
        broken = breaks(staged, mapped)
        count = _checked(staged, broken, what)
        yield staged.selectExpr(*(cast(m, broken) for m in mapped)), count


def _checked(staged: Any, broken: Mapping[str, Mapping[str, str]], what: str) -> int:
    bad = {name: " OR ".join(conditions.values()) for name, conditions in broken.items() if conditions}
    checks = [f"count_if({condition}) AS `{name}`" for name, condition in bad.items()]
    counts = staged.selectExpr("count(1) AS `__rows`", *checks).first()
    failed = {name: counts[name] for name in bad if counts[name]}
    if failed:
        lines = [f"{name}: {_samples(staged, name, bad[name], failed[name])}" for name in failed]
        raise DataError(f"{what}: values that do not fit their columns:\n  " + "\n  ".join(lines))
    return int(counts["__rows"])


def _samples(staged: Any, name: str, condition: str, count: int) -> str:
    rows = staged.where(condition).selectExpr(f"CAST(`{name}` AS string) AS v").limit(_SAMPLE).collect()
    return f"{count} value(s) that cannot be cast, such as " + ", ".join(repr(row["v"]) for row in rows)


def cast(m: Mapped, broken: Mapping[str, Any]) -> str:
    """The column in the target's type, of what `breaks` told; null where it cannot be."""
    return casting.cast(m.name, m.type, broken)


def breaks(staged: Any, mapped: Sequence[Mapped]) -> dict[str, dict[str, str]]:
    """`io.casting.breaks` of these columns."""
    return casting.breaks(staged, {m.name: m.type for m in mapped})
