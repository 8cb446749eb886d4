"""What the roles of an embedded AWS were allowed and refused while tests ran; called at the end of each of this folder's stacks.

Nothing may have been refused, and every action that was used must be among those that the policy simulator asks. Grants that no test of the
session used are listed at its end; they are no fault by themselves: that each is called by some code is
`tests/contract/test_template_calls.py`'s to prove.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from meshplane_cli.local.stack import Stack
from tests.contract.access_simulator import every_action, granted, of_functions

_PROJECT = {"glue": "job", "optimizer": "optimizer", "pipeline": "pipeline"}
_used: defaultdict[str, set[str]] = defaultdict(set)


def kind_of(role: str) -> str:
    """`f01-glue-sales-dev` → job; `…/f01-meshplane-start-run-dev` → start-run."""
    found = re.fullmatch(r"[a-z0-9]+-(meshplane|glue|optimizer|pipeline)-([a-z0-9-]+)-[a-z]+", role.rpartition("/")[2])
    assert found, role
    return _PROJECT.get(found[1], found[2])


def keep(stack: Stack) -> None:
    """Ask the stack, and hold it to the promise."""
    report: dict[str, Any] = stack.ask("access")
    assert report["denials"] == [], "a role lacks a grant that its code needs"
    for role, _, _, action, _ in report["used"]:
        _used[kind_of(role)].add(action)
    asked = {action.lower() for action in every_action()}
    unasked = sorted({action for _, _, _, action, _ in report["used"] if action.lower() not in asked})
    assert unasked == [], f"recorded, and not among what tests/contract/test_access_simulator.py asks: {', '.join(unasked)}"


def of_worker() -> dict[str, list[str]]:
    """What this process saw, as a worker of xdist can send it."""
    return {name: sorted(actions) for name, actions in _used.items()}


def join(found: Mapping[str, list[str]]) -> None:
    """What a worker saw, in the process that reports."""
    for name, actions in found.items():
        _used[name].update(actions)


def seen() -> list[str]:
    """The kinds of roles that have called something."""
    return sorted(_used)


def unused() -> dict[str, list[str]]:
    """Function → the actions of its grants that this session did not use."""
    grants = {name: {action for one in documents for action in granted(one)} for name, documents in of_functions().items()}
    return {name: sorted(actions - _used[name]) for name, actions in grants.items() if name in _used}
