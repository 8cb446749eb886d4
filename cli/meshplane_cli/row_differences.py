"""Rows that were expected beside rows that were found, as lines for people. Called by `job_tests`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
_MOST = 10


def differences(table: str, expected: Sequence[Row], found: Sequence[Row], key: Sequence[str]) -> list[str]:
    """Nothing when both hold the same rows, in any order, each as often. Rows of one `key` are shown by what differs in them."""
    missing = list((Counter(map(_text, expected)) - Counter(map(_text, found))).elements())
    extra = list((Counter(map(_text, found)) - Counter(map(_text, expected))).elements())
    if not missing and not extra:
        return []
    wanted, had = ([json.loads(text) for text in texts] for texts in (missing, extra))
    lines, wanted, had = _paired(wanted, had, key) if key and all(k in row for k in key for row in (*wanted, *had)) else ([], wanted, had)
    lines += [f"- expected, not found: {_told(row)}" for row in wanted]
    lines += [f"+ found, not expected: {_told(row)}" for row in had]
    more = [f"… and {len(lines) - _MOST} more"] if len(lines) > _MOST else []
    return [f"{table}: {len(expected)} rows expected, {len(found)} found", *(f"  {line}" for line in (*lines[:_MOST], *more))]


def _paired(wanted: list[Any], had: list[Any], key: Sequence[str]) -> tuple[list[str], list[Any], list[Any]]:
    """The rows that stand once on each side with the same key, by what differs; what is left."""
    sides = [Counter(_key(row, key) for row in rows) for rows in (wanted, had)]
    both = {k for k in sides[0] if sides[0][k] == sides[1][k] == 1}
    other = {_key(row, key): row for row in had}
    lines = []
    for row in wanted:
        if _key(row, key) in both:
            against = other[_key(row, key)]
            apart = [f"{name} expected {_cell(row[name])}, found {_cell(against[name])}" for name in row if row[name] != against[name]]
            lines.append(f"~ {_told({name: row[name] for name in key})}: {'; '.join(apart)}")
    return lines, [r for r in wanted if _key(r, key) not in both], [r for r in had if _key(r, key) not in both]


def _key(row: Row, key: Sequence[str]) -> str:
    return _text({name: row[name] for name in key})


def _text(row: Row) -> str:
    return json.dumps(row, sort_keys=True, default=str, ensure_ascii=False)


def _told(row: Row) -> str:
    return ", ".join(f"{name}={_cell(value)}" for name, value in sorted(row.items()))


def _cell(value: Any) -> str:
    return "null" if value is None else json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
