"""Queues to functions, as Lambda's pollers do it (developer guide, "Using Lambda with Amazon SQS"): one thread per enabled mapping.

Batches up to the batch size or window; deletes what succeeded; leaves what failed to its visibility timeout and the queue's redrive
policy. With ReportBatchItemFailures an item that is not in the batch fails the whole batch.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import Any

from meshplane_cli.local.lambdas.pool import Pool, error_text

log = logging.getLogger("meshplane.pollers")


class Pollers:
    """Keeps one thread for each mapping that moto holds as enabled; `refresh` follows what was created, changed or deleted."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._running: dict[str, _Poller] = {}
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Start and stop threads so that they match the mappings."""
        from moto.awslambda.models import lambda_backends

        with self._lock:
            mappings = {
                mapping.uuid: mapping
                for _, _, backend in lambda_backends.iter_backends()
                for mapping in backend._event_source_mappings.values()
                if mapping.enabled and ":sqs:" in mapping.event_source_arn
            }
            for gone in set(self._running) - set(mappings):
                self._running.pop(gone).stop()
            for new in set(mappings) - set(self._running):
                self._running[new] = _Poller(mappings[new], self._pool)

    def queues(self) -> list[Any]:
        """moto's queues that are polled."""
        with self._lock:
            return [poller.queue for poller in self._running.values() if poller.queue is not None]

    @property
    def idle(self) -> bool:
        """No batch is being handled, and no message of a polled queue can be received."""
        from meshplane_cli.local.repairs.sqs import receivable

        with self._lock:
            pollers = list(self._running.values())
        return not any(poller.busy or (poller.queue is not None and receivable(poller.queue)) for poller in pollers)

    def close(self) -> None:
        """Stop every thread after its present batch."""
        with self._lock:
            for poller in self._running.values():
                poller.stop()
            self._running.clear()


class _Poller:
    def __init__(self, mapping: Any, pool: Pool) -> None:
        self._mapping = mapping
        self._pool = pool
        self._stopped = threading.Event()
        self.busy = False
        threading.Thread(target=self._run, name=f"poller-{mapping.function_arn.split(':')[6]}", daemon=True).start()

    @property
    def queue(self) -> Any | None:
        account, region, name = self._source()
        return _backend(account, region).queues.get(name)

    def stop(self) -> None:
        self._stopped.set()

    def _source(self) -> tuple[str, str, str]:
        _, _, _, region, account, name = self._mapping.event_source_arn.split(":")
        return account, region, name

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                batch = self._batch()
                if batch:
                    self.busy = True
                    self._handle(batch)
            except Exception:
                log.exception("poller of %s", self._mapping.event_source_arn)
                self._stopped.wait(1)
            finally:
                self.busy = False

    def _batch(self) -> list[Any]:
        """The first messages that arrive, then more until the window closes or the batch is full."""
        size, window = int(self._mapping.batch_size), float(self._mapping.max_batch_window or 0)
        batch = self._receive(min(size, 10), 1)
        if not batch:
            return []
        self.busy = True
        closes = time.monotonic() + window
        while window and len(batch) < size and (left := closes - time.monotonic()) > 0 and not self._stopped.is_set():
            batch += self._receive(min(size - len(batch), 10), left)
        return batch

    def _receive(self, count: int, wait: float) -> list[Any]:
        account, region, name = self._source()
        queue = self.queue
        if queue is None:
            self._stopped.wait(0.5)
            return []
        got: list[Any] = _backend(account, region).receive_message(name, count, wait, queue.visibility_timeout, ["All"])
        return got

    def _handle(self, batch: list[Any]) -> None:
        account, region, name = self._source()
        function = self._mapping.function_arn.split(":")[6]
        records = [_record(message, self._mapping.event_source_arn, region) for message in batch]
        outcome = self._pool.invoke(account, region, function, json.dumps({"Records": records}))
        if outcome.error:
            log.warning("%s failed on %d message(s): %s", function, len(batch), error_text(outcome))
            return
        failed = self._failed(outcome.payload, {message.id for message in batch})
        backend = _backend(account, region)
        for message in batch:
            if message.id not in failed:
                backend.delete_message(name, message.receipt_handle)

    def _failed(self, payload: str, sent: set[str]) -> set[str]:
        if "ReportBatchItemFailures" not in (self._mapping.function_response_types or []):
            return set()
        try:
            answer = json.loads(payload) or {}
            failed = {str(item["itemIdentifier"]) for item in answer.get("batchItemFailures") or []}
        except (ValueError, KeyError, TypeError, AttributeError):
            return sent  # an answer that is not of the agreed shape fails the batch
        return failed if failed <= sent else sent


def _backend(account: str, region: str) -> Any:
    from moto.sqs.models import sqs_backends

    return sqs_backends[account][region]


def _record(message: Any, source: str, region: str) -> dict[str, Any]:
    """One record in the shape that Lambda sends."""
    attributes = {
        "ApproximateReceiveCount": str(message.approximate_receive_count),
        "SentTimestamp": str(message.sent_timestamp),
        "SenderId": message.sender_id,
        "ApproximateFirstReceiveTimestamp": str(message.approximate_first_receive_timestamp),
    }
    if message.group_id:
        attributes["MessageGroupId"] = message.group_id
    if message.sequence_number:
        attributes |= {"MessageDeduplicationId": message.deduplication_id or "", "SequenceNumber": message.sequence_number}
    return {
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": attributes,
        "messageAttributes": {name: _attribute(value) for name, value in message.message_attributes.items()},
        "md5OfBody": message.body_md5,
        "eventSource": "aws:sqs",
        "eventSourceARN": source,
        "awsRegion": region,
    }


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    shown = {"stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
    return {**shown, "stringValue": value["StringValue"]} if "StringValue" in value else {**shown, "binaryValue": value.get("BinaryValue")}
