"""The reconcile queue (SQS FIFO): the adapter behind `ports.ReconcileQueue`.

Messages have the shape of the rule's (an S3 event), in the group that the rule takes from the object key, so that the handler knows one
form and one project's reconciles never overlap. Each has a deduplication id of its own: an identical body within five minutes is lost.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any
from uuid import uuid4

from meshplane.aws.faults import translated
from meshplane.errors import ServiceFault
from meshplane.model.naming import Naming


class SqsReconciles:
    """`client` is an SQS client, `url` the queue's."""

    def __init__(self, client: Any, url: str, naming: Naming) -> None:
        self._client, self._url, self._naming = client, url, naming

    def send(self, projects: Collection[str]) -> None:
        """Ten messages a request. Raises ServiceFault when one was not taken."""
        entries = [self._entry(number, project) for number, project in enumerate(projects)]
        for at in range(0, len(entries), 10):
            with translated("sqs:SendMessage", self._url):
                answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries[at : at + 10])
            if answer.get("Failed"):
                raise ServiceFault(f"{len(answer['Failed'])} messages were not taken by the reconcile queue")

    def _entry(self, number: int, project: str) -> dict[str, str]:
        key = self._naming.manifest_key(project)
        body = {"source": "meshplane", "detail": {"bucket": {"name": self._naming.bucket("artifacts")}, "object": {"key": key}}}
        return {"Id": str(number), "MessageBody": json.dumps(body), "MessageGroupId": key, "MessageDeduplicationId": uuid4().hex}
