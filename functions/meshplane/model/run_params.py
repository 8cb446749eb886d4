"""The parameters of a run: those that its pipeline declares, and the plane's own, which say what a job is to read in place of what is new.

Pure; called by `flows.start_run` and, before it sends anything, by the command line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from meshplane.errors import Rejected
from meshplane.model.project import Param
from meshplane.model.quarantine import REPLAY
from meshplane.model.restoring import REBUILD, arrived
from meshplane.model.runs import settle_params


def run_params(declared: Mapping[str, Param], given: Mapping[str, Any]) -> dict[str, str]:
    """What is given as the pipeline declares it, defaults filled in, and what is to be replayed or rebuilt. Raises Rejected."""
    own = {name: value for name, value in given.items() if name in (REPLAY, REBUILD)}
    settled = settle_params(declared, {name: value for name, value in given.items() if name not in own})
    if len(own) > 1:
        raise Rejected(f"one run either replays ({REPLAY}) or rebuilds ({REBUILD})")
    if REPLAY in own and not _replays(own[REPLAY]):
        raise Rejected(f'parameter {REPLAY} is {own[REPLAY]!r}; allowed: {{"table": …}}, and of it "reason" or "run"')
    if REBUILD in own and not _rebuilds(own[REBUILD]):
        raise Rejected(f'parameter {REBUILD} is {own[REBUILD]!r}; allowed: {{"table": …, "from": …, "until": …}}, two days or moments')
    return settled | own


def _replays(text: Any) -> bool:
    told = _object(text)
    return bool(told.get("table")) and set(told) <= {"table", "reason", "run"}


def _rebuilds(text: Any) -> bool:
    told = _object(text)
    if not told.get("table") or set(told) != {"table", "from", "until"}:
        return False
    try:
        arrived(str(told["from"]), str(told["until"]))
    except ValueError:
        return False
    return True


def _object(text: Any) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except (TypeError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
