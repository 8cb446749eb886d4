"""Findings of one state machine: statelint's, and every JSONata expression parsed, which statelint does not read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from jsonata import Jsonata
from statelint.linter import Linter


def findings(definition: str) -> list[str]:
    """One line for each."""
    found = [str(problem) for problem in Linter.validate(definition)]
    for place, expression in _expressions(json.loads(definition), "$"):
        try:
            Jsonata(expression)
        except Exception as fault:  # noqa: BLE001  # whatever the library raises is the expression's fault
            found.append(f"{place}: {fault}")
    return found


def _expressions(node: Any, place: str) -> Iterator[tuple[str, str]]:
    """Text between `{%` and `%}`, as Step Functions marks it (developer guide, "Transforming data with JSONata")."""
    if isinstance(node, dict):
        for name, inner in node.items():
            yield from _expressions(inner, f"{place}.{name}")
    elif isinstance(node, list):
        for number, inner in enumerate(node):
            yield from _expressions(inner, f"{place}[{number}]")
    elif isinstance(node, str) and node.startswith("{%") and node.endswith("%}"):
        yield place, node[2:-2].strip()
