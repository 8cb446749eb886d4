"""What restore_table reads and moves in AWS: the adapter behind `flows.restore_table.Restorer`. `wiring` opens it; the
command line does, to look only.

It reads what publications left with the publisher's own eyes; of its own are the one commit that moves `main` back, and the message that
asks for a run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from meshplane.aws.clients import Clients
from meshplane.aws.executions import SqsTriggers
from meshplane.aws.iceberg.commit import Commits
from meshplane.aws.publisher import AwsPublisher, PublishRecords
from meshplane.aws.queue import SqsReconciles
from meshplane.aws.runs_store import DynamoRuns
from meshplane.model.gating import AppliedGates
from meshplane.model.naming import Naming
from meshplane.model.publishing import PROPERTY
from meshplane.model.restoring import REBUILD, Rebuild
from meshplane.model.runs import PipelinePolicy, Run
from meshplane.model.snapshots import MAIN, refs
from meshplane.ports import TableLook

_BLIND = "this restorer was opened to look only"


class AwsRestorer:
    """One domain and environment. Without queues it can look, and restore nothing."""

    def __init__(self, clients: Clients, naming: Naming, runs: DynamoRuns, queues: tuple[SqsTriggers, SqsReconciles] | None = None) -> None:
        self._runs = runs
        self._triggers: SqsTriggers | None = queues[0] if queues else None
        self._reconciles: SqsReconciles | None = queues[1] if queues else None
        self._publisher, self._records = AwsPublisher(clients, naming, runs), PublishRecords(clients, naming)
        self._commits = Commits(clients)

    def applied(self, project: str) -> AppliedGates:
        """One strongly consistent read."""
        return self._runs.gates(project)

    def policies(self, project: str) -> Mapping[str, PipelinePolicy] | None:
        """Likewise."""
        return self._runs.policies(project)

    def open_runs(self, project: str) -> Sequence[str]:
        """One query."""
        return [run for slots in self._runs.all_slots(project).values() for run in slots.open]

    def run(self, project: str, run_id: str) -> Run | None:
        """One read."""
        return self._runs.run(project, run_id)

    def look(self, database: str, name: str) -> TableLook | None:
        """Two requests."""
        return self._publisher.look(database, name)

    def published(self, project: str, run_id: str) -> Sequence[Mapping[str, Any]]:
        """A listing, and a read for each step that published."""
        return self._records.of_run(project, run_id)

    def record(self, project: str, run_id: str, step: str) -> str | None:
        """One read."""
        return self._publisher.record(project, run_id, step)

    def note(self, project: str, request: str, table: str) -> Mapping[str, Any] | None:
        """One read."""
        text = self._publisher.record(project, request, f"restore-{table}")
        return None if text is None else dict(json.loads(text))

    def keep(self, project: str, request: str, table: str, note: Mapping[str, Any]) -> None:
        """Overwrites the one before: a note only ever goes forward."""
        self._publisher.write(project, request, f"restore-{table}", note)

    def roll_back(self, look: TableLook, snapshot: int, value: str) -> None:
        """Two requests. What `main` keeps is carried on; no ref is removed, so that the way forward stays open."""
        from pyiceberg.table.update import SetPropertiesUpdate, SetSnapshotRefUpdate

        kept = refs(look.metadata).get(MAIN, {})
        back = SetSnapshotRefUpdate(
            ref_name=MAIN,
            type="branch",
            snapshot_id=snapshot,
            max_ref_age_ms=None,
            min_snapshots_to_keep=kept.get("min-snapshots-to-keep"),
            max_snapshot_age_ms=kept.get("max-snapshot-age-ms"),
        )
        self._commits.move(look.entry, look.metadata, (back, SetPropertiesUpdate(updates={PROPERTY: value})))

    def start(self, asked: Rebuild) -> None:
        """One message, like that of `meshplane run`."""
        params = {REBUILD: asked.param()}
        event = {"id": asked.id, "time": asked.at, "by": asked.by, "params": params, "window_start": "", "window_end": ""}
        named = {"schema": 1, "project": asked.project, "pipeline": asked.pipeline, "trigger": "", "kind": "manual", "event": event}
        if self._triggers is None:
            raise RuntimeError(_BLIND)
        self._triggers.send([named])

    def ask_for_a_look(self, project: str) -> None:
        """One message."""
        if self._reconciles is None:
            raise RuntimeError(_BLIND)
        self._reconciles.send([project])
