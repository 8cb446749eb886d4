"""Did a run that succeeded publish what it wrote? Read from what the run left, not from how its execution ended. Pure.

Called by `flows.start_run` before a run of one pipeline starts another. docs/contracts.md §9; everything fails closed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any


def unproven(left: Sequence[Mapping[str, Any]], gated: Collection[str]) -> str:
    """Why the records of a run do not prove that its gates did their work; empty when they do. `left`: what lies in the run's folder;
    `gated`: the tables that the project publishes.

    Every step that is done must be named by a publish record that is done, with the very snapshots that it wrote to gated tables; one
    that had nothing to do proves itself. A step that failed has published nothing: own state machines may go on without it.
    """
    records = {str(told.get("step")): told for told in left if isinstance(told.get("outputs"), list)}
    notes = {str(told.get("step")): told for told in left if isinstance(told.get("tables"), list) and told.get("state") == "done"}
    if not records:
        return "no step left a record"
    for step, record in sorted(records.items()):
        if record.get("state") == "done":
            told = {(one.get("table"), one.get("snapshot")) for one in notes.get(step, {}).get("tables", ())}
            written = {(out.get("table"), out.get("snapshot")) for out in record["outputs"] if out.get("table") in gated}
            lacking = sorted(f"{table} (snapshot {snapshot})" for table, snapshot in written - told)
            if lacking:
                return f"step {step} wrote {', '.join(lacking)}, which no gate published"
    if not notes and not any(record.get("state") == "nothing" for record in records.values()):
        return "no gate of it published anything"
    return ""
