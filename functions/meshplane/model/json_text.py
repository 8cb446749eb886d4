"""JSON whose numbers stay as they were written: read from an answer, and written as a line of records. Pure; called by `sources`.

Python's own way goes through floats: `12345678901234567.89` would end as `1.2345678901234568e+16`, and `1.10` as `1.1`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

LONE = re.compile("[\ud800-\udfff]")  # half of a pair: JSON can escape it, and no UTF-8 has it
_SCALAR = json.JSONEncoder(ensure_ascii=False).encode


class Written(float):
    """A number that Python writes otherwise than it came: `str` is how it came, `repr` the float's own."""

    __slots__ = ("_literal",)
    _literal: str

    def __new__(cls, literal: str) -> Written:
        """From its literal."""
        made = super().__new__(cls, literal)
        made._literal = literal
        return made

    def __str__(self) -> str:
        return self._literal


def read(text: str) -> Any:
    """Raises ValueError for what is no JSON, or nested too deep."""
    try:
        return json.loads(text, parse_int=_number(int), parse_float=_number(float))
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def line(value: Any) -> str:
    """What json.dumps writes, but for numbers: it knows no way to write a literal. Raises ValueError for what is nested too deep."""
    try:
        text = _text(value)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    return LONE.sub(lambda half: f"\\u{ord(half[0]):04x}", text)  # it stands inside of a string, and stays the escape that it was


def _number(kind: Callable[[str], float]) -> Callable[[str], float]:
    def number(literal: str) -> float:
        found = kind(literal)
        return found if repr(found) == literal else Written(literal)

    return number


def _text(value: Any) -> str:
    if isinstance(value, Written):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join([f"{_SCALAR(name)}: {_text(one)}" for name, one in value.items()]) + "}"
    return "[" + ", ".join(map(_text, value)) + "]" if isinstance(value, list) else _SCALAR(value)
