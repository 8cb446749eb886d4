"""What job runs left in their prefix, and the bus that hears of their lineage: the adapter behind `flows.tell_run`, opened by `wiring`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from meshplane.aws.clients import Clients
from meshplane.aws.faults import refused, translated
from meshplane.errors import NotFound
from meshplane.model.naming import Naming
from meshplane.model.publishing import EVENT_SOURCE

RUN_EVENT = "OpenLineage Run Event"  # the detail-type; the detail is the event itself


class S3Tellings:
    """One domain and environment. `bus` is empty where lineage stays beside the records."""

    def __init__(self, clients: Clients, naming: Naming, bus: str) -> None:
        self._clients, self._naming, self._bus = clients, naming, bus

    def record(self, project: str, run_id: str, step: str) -> str | None:
        """From the project's own prefix in the refined bucket."""
        return self._get(f"{self._naming.of('runs_prefix', project=project)}{run_id}/{step}.json")

    def lineage(self, project: str, run_id: str, step: str) -> Sequence[Mapping[str, Any]]:
        """Read only where somebody is to hear of it."""
        key = f"{self._naming.of('runs_prefix', project=project)}_lineage/{run_id}/{step}.json"
        text = self._get(key) if self._bus else None
        return list(json.loads(text)["events"]) if text else []

    def send(self, events: Sequence[Mapping[str, Any]]) -> None:
        """One request: a step has two events. None where the domain names no bus."""
        if not events or not self._bus:
            return
        named = {"Source": EVENT_SOURCE, "DetailType": RUN_EVENT, "EventBusName": self._bus}
        with translated("events:PutEvents", self._bus):
            answer = self._clients("events").put_events(Entries=[{**named, "Detail": json.dumps(event)} for event in events])
        for entry in answer.get("Entries", ()):
            if entry.get("ErrorCode"):
                raise refused("events:PutEvents", entry["ErrorCode"], entry.get("ErrorMessage", ""), self._bus)

    def _get(self, key: str) -> str | None:
        try:
            with translated("s3:GetObject", key):
                body: bytes = self._clients("s3").get_object(Bucket=self._naming.bucket("refined"), Key=key)["Body"].read()
        except NotFound:
            return None
        return body.decode("utf-8", "replace")
