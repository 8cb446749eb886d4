"""What the watchdog reads, remembers and tidies in AWS: the adapter behind `flows.watch_tables.Watcher`. `wiring` opens it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from meshplane.aws.clients import Clients
from meshplane.aws.faults import translated
from meshplane.aws.iceberg.commit import Commits
from meshplane.aws.publisher import AwsPublisher, PublishRecords
from meshplane.aws.queue import SqsReconciles
from meshplane.aws.releases import SsmReleases
from meshplane.aws.runs_store import DynamoRuns
from meshplane.aws.state_store import DynamoStates
from meshplane.model.gating import AppliedGates
from meshplane.model.naming import Naming
from meshplane.model.runs import Run
from meshplane.model.watching import Watch
from meshplane.ports import TableLook


class AwsWatcher:
    """One domain and environment."""

    def __init__(
        self, clients: Clients, naming: Naming, stores: tuple[DynamoRuns, DynamoStates], reconciles: SqsReconciles, releases: SsmReleases
    ) -> None:
        self._clients, self._naming = clients, naming
        self._runs, self._states = stores
        self._reconciles, self._releases = reconciles, releases
        self._publisher, self._records = AwsPublisher(clients, naming, self._runs), PublishRecords(clients, naming)
        self._commits = Commits(clients)

    def projects(self) -> Sequence[str]:
        """One query of the index."""
        return sorted(due.project for due in self._states.due() if due.phase == "active")

    def watched(self, project: str) -> tuple[AppliedGates, Mapping[str, Any]]:
        """Two reads of one item."""
        return self._runs.gates(project), self._runs.watched(project)

    def remember(self, project: str, table: str, watch: Watch) -> None:
        """One update, two for a project's first table."""
        self._runs.watch(project, table, watch.to_json())

    def look(self, database: str, name: str) -> TableLook | None:
        """Two requests."""
        return self._publisher.look(database, name)

    def run_ids(self, project: str) -> Collection[str]:
        """A query of the run records, and a listing of the folders that runs left, a thousand a request."""
        known = {run.run_id for run in self._runs.history(project)}
        bucket, prefix = self._naming.bucket("refined"), self._naming.of("runs_prefix", project=project)
        with translated("s3:ListObjectsV2", f"{bucket}/{prefix}"):
            pages = self._clients("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
            left = {found["Prefix"].removeprefix(prefix).rstrip("/") for page in pages for found in page.get("CommonPrefixes", ())}
        return sorted(known | left)

    def run(self, project: str, run_id: str) -> Run | None:
        """One read."""
        return self._runs.run(project, run_id)

    def left_by(self, project: str, run_id: str) -> Sequence[Mapping[str, Any]]:
        """A listing, and at most two reads for each step."""
        return self._records.left_by(project, run_id)

    def remove(self, look: TableLook, names: Sequence[str]) -> None:
        """Two requests; `main` is in none of the updates."""
        from pyiceberg.table.update import RemoveSnapshotRefUpdate

        self._commits.move(look.entry, look.metadata, tuple(RemoveSnapshotRefUpdate(ref_name=name) for name in names))

    def arguments(self, job: str) -> Mapping[str, str]:
        """One read."""
        with translated("glue:GetJob", job):
            found = self._clients("glue").get_job(JobName=job)["Job"]
        return dict(found.get("DefaultArguments", {}))

    def check_script(self) -> str:
        """From the platform's release, read once per process."""
        _, platform = self._releases.read()
        return f"s3://{self._naming.bucket('artifacts')}/{platform.jobs['check']}"

    def ask_for_a_look(self, project: str) -> None:
        """One message."""
        self._reconciles.send([project])
