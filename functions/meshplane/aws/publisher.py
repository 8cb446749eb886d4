"""What publish_tables reads and moves in AWS: the adapter behind `ports.Publisher`, opened by `wiring`.

One table costs GetTable, GetObject, PutObject and UpdateTable: the commit builds on the metadata that was checked, and Glue refuses it
(VersionId) when anybody was faster. Beside them a call costs five or six requests, however many tables (docs/publishing.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from meshplane.aws.clients import Clients
from meshplane.aws.faults import refused, translated
from meshplane.aws.iceberg import catalog
from meshplane.aws.iceberg import metadata as files
from meshplane.aws.iceberg.commit import Commits
from meshplane.aws.runs_store import DynamoRuns
from meshplane.errors import NotFound
from meshplane.kinds.iceberg_table import TOMBSTONE, owner_of
from meshplane.model.gating import AppliedGates
from meshplane.model.naming import Naming
from meshplane.model.publishing import EVENT_SOURCE, PROPERTY, TABLE_PUBLISHED, Candidate
from meshplane.model.snapshots import MAIN
from meshplane.ports import TableLook


class PublishRecords:
    """What runs left of their steps and publications, for whoever is to believe their success."""

    def __init__(self, clients: Clients, naming: Naming) -> None:
        self._clients, self._naming = clients, naming

    def of_run(self, project: str, run_id: str) -> Sequence[Mapping[str, Any]]:
        """One listing, and a read for each step that published."""
        return self._under(f"{self._naming.of('runs_prefix', project=project)}{run_id}/publish-")

    def left_by(self, project: str, run_id: str) -> Sequence[Mapping[str, Any]]:
        """One listing, and at most two reads for each step."""
        return self._under(f"{self._naming.of('runs_prefix', project=project)}{run_id}/")

    def _under(self, prefix: str) -> Sequence[Mapping[str, Any]]:
        bucket = self._naming.bucket("refined")
        with translated("s3:ListObjectsV2", f"{bucket}/{prefix}"):
            pages = self._clients("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            keys = [found["Key"] for page in pages for found in page.get("Contents", ())]
        with translated("s3:GetObject", f"{bucket}/{prefix}"):
            return [dict(json.loads(self._clients("s3").get_object(Bucket=bucket, Key=key)["Body"].read())) for key in keys]


class AwsPublisher:
    """One domain and environment."""

    def __init__(self, clients: Clients, naming: Naming, runs: DynamoRuns) -> None:
        self._clients, self._naming, self._runs = clients, naming, runs
        self._commits = Commits(clients)

    def applied(self, project: str) -> AppliedGates:
        """One strongly consistent read."""
        return self._runs.gates(project)

    def record(self, project: str, run_id: str, step: str) -> str | None:
        """From the project's own prefix in the refined bucket."""
        found = self._get(self._key(project, run_id, step))
        return None if found is None else found.decode("utf-8", "replace")

    def note(self, project: str, run_id: str, step: str) -> Mapping[str, Any] | None:
        """Beside the record."""
        found = self._get(self._key(project, run_id, f"publish-{step}"))
        return None if found is None else dict(json.loads(found))

    def keep(self, project: str, run_id: str, step: str, note: Mapping[str, Any]) -> None:
        """Overwrites the one before: a note only ever goes forward."""
        self.write(project, run_id, f"publish-{step}", note)

    def write(self, project: str, run_id: str, name: str, note: Mapping[str, Any]) -> None:
        """One of our own records beside those of a run."""
        key = self._key(project, run_id, name)
        body = json.dumps(note, separators=(",", ":")).encode()
        with translated("s3:PutObject", key):
            self._clients("s3").put_object(Bucket=self._naming.bucket("refined"), Key=key, Body=body, ContentType="application/json")

    def look(self, database: str, name: str) -> TableLook | None:
        """Two requests."""
        entry = catalog.get(self._clients, database, name)
        if entry is None or not catalog.is_iceberg(entry):
            return None
        raw = files.read(self._clients, catalog.parameters(entry)["metadata_location"])
        properties = raw.get("properties") or {}
        owner = owner_of(properties)
        return TableLook(raw, owner.project if owner else "", TOMBSTONE in properties, entry)

    def move(self, look: TableLook, candidate: Candidate, value: str) -> None:
        """Two requests. What main and its tag keep is carried on. The tag has no age of its own: Iceberg's expiry would take it away by the
        snapshot's age, also the one that is the way back of a table that is published once a month; the watchdog knows which ones to keep.
        """
        from pyiceberg.table.update import RemoveSnapshotRefUpdate, SetPropertiesUpdate, SetSnapshotRefUpdate

        kept = (look.metadata.get("refs") or {}).get(MAIN, {})

        def ref(name: str, kind: Literal["branch", "tag"], carried: Mapping[str, Any]) -> SetSnapshotRefUpdate:
            keep, oldest = carried.get("min-snapshots-to-keep"), carried.get("max-snapshot-age-ms")
            at = candidate.snapshot
            return SetSnapshotRefUpdate(
                ref_name=name, type=kind, snapshot_id=at, max_ref_age_ms=None, min_snapshots_to_keep=keep, max_snapshot_age_ms=oldest
            )

        updates = (
            ref(MAIN, "branch", kept),
            ref(candidate.tag, "tag", {}),
            SetPropertiesUpdate(updates={PROPERTY: value}),
            RemoveSnapshotRefUpdate(ref_name=candidate.branch),
        )
        self._commits.move(look.entry, look.metadata, updates)

    def announce(self, events: Sequence[Mapping[str, Any]]) -> None:
        """The default bus takes ten a request."""
        for at in range(0, len(events), 10):
            named = {"Source": EVENT_SOURCE, "DetailType": TABLE_PUBLISHED}
            entries = [{**named, "Detail": json.dumps(detail)} for detail in events[at : at + 10]]
            with translated("events:PutEvents", TABLE_PUBLISHED):
                answer = self._clients("events").put_events(Entries=entries)
            for entry in answer.get("Entries", ()):
                if entry.get("ErrorCode"):
                    raise refused("events:PutEvents", entry["ErrorCode"], entry.get("ErrorMessage", ""), TABLE_PUBLISHED)

    def _key(self, project: str, run_id: str, name: str) -> str:
        return f"{self._naming.of('runs_prefix', project=project)}{run_id}/{name}.json"

    def _get(self, key: str) -> bytes | None:
        try:
            with translated("s3:GetObject", key):
                content: bytes = self._clients("s3").get_object(Bucket=self._naming.bucket("refined"), Key=key)["Body"].read()
        except NotFound:
            return None
        return content
