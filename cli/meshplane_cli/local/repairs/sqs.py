"""Queues as SQS keeps them: FIFO order after a visibility timeout, five minutes of deduplication, one receiver per message.

moto skips the head of a FIFO group whose batch timed out, forgets deduplication ids once a message is deleted, sets no sequence number,
hands one message to two receivers under load, and calls functions inside SendMessage (our pollers do that).
"""

from __future__ import annotations

import itertools
import time
from copy import deepcopy
from typing import Any

import moto.sqs.models as models

from meshplane_cli.local.clock import CLOCK
from meshplane_cli.local.repairs.locks import of

DEDUPLICATION_MS = 300_000
_sequence = itertools.count(1)
_lock = of("sqs-messages")
_state: dict[str, Any] = {}


def _add_message(self: Any, message: Any) -> None:
    with _lock:
        if self.fifo_queue:
            recent: dict[str, float] = self.__dict__.setdefault("recent_deduplication", {})
            for old in [key for key, sent in recent.items() if message.sent_timestamp - sent >= DEDUPLICATION_MS]:
                del recent[old]
            message.sequence_number = f"{_state['epoch'] + next(_sequence):020d}"
            if message.deduplication_id and message.deduplication_id in recent:
                return  # accepted, and never delivered again: what SQS does with a duplicate
            if message.deduplication_id:
                recent[message.deduplication_id] = message.sent_timestamp
        self._messages.append(message)
    with self._messages_lock:
        self._messages_lock.notify_all()


def _take(queue: Any, count: int, visibility: int, names: list[str]) -> list[Any]:
    """Up to `count` messages in order. A group with a message in flight, or a delayed one in front, is left alone."""
    most = queue.redrive_policy["maxReceiveCount"] if queue.dead_letter_queue is not None and queue.redrive_policy else None
    oldest = CLOCK.millis() - int(queue.message_retention_period) * 1000
    blocked: set[str] = set()
    taken: list[Any] = []
    for message in list(queue._messages):
        if len(taken) >= count:
            break
        group = message.group_id if queue.fifo_queue else None
        if message.sent_timestamp < oldest:
            queue._messages.remove(message)
        elif not message.visible or message.delayed or group in blocked:
            blocked |= {group} if group else set()
        elif most is not None and message.approximate_receive_count >= most:
            queue._messages.remove(message)
            queue.dead_letter_queue._messages.append(message)
        else:
            message.mark_received(visibility_timeout=visibility)
            shown = deepcopy(message)
            models._filter_message_attributes(shown, names)
            taken.append(shown)
    return taken


def _receive_message(
    self: Any,
    queue_name: str,
    count: int,
    wait_seconds_timeout: int,
    visibility_timeout: int,
    message_attribute_names: list[str] | None = None,
) -> list[Any]:
    queue = self.get_queue(queue_name)
    end = time.monotonic() + (wait_seconds_timeout or 0)
    while True:
        with _lock:
            taken = _take(queue, count, visibility_timeout, message_attribute_names or [])
        left = end - time.monotonic()
        if taken or left <= 0:
            return taken
        with queue._messages_lock:  # woken by a send; a visibility timeout or a delay that ends is seen at the next look
            queue._messages_lock.wait(min(0.1, left))


def _locked(original: Any) -> Any:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _lock:
            return original(self, *args, **kwargs)

    return call


def receivable(queue: Any) -> bool:
    """Whether a receive would get something now."""
    with _lock:
        blocked: set[str] = set()
        for message in queue._messages:
            group = message.group_id if queue.fifo_queue else None
            if message.visible and not message.delayed and group not in blocked:
                return True
            blocked |= {group} if group else set()
        return False


def next_change(queues: list[Any]) -> float | None:
    """When the earliest delayed or invisible message of `queues` becomes visible, in milliseconds; None when none does."""
    now = CLOCK.millis()
    moments = [at for queue in queues for message in queue._messages for at in (message.visible_at, message.delayed_until) if at > now]
    return min(moments, default=None)


def apply() -> None:
    """Mend moto's SQS in this process; a second call changes nothing."""
    if _state:
        return
    _state["epoch"] = int(CLOCK.millis()) * 1000  # sequence numbers grow across restarts too
    models.unix_time_millis = CLOCK.millis
    models.Queue.add_message = _add_message
    models.SQSBackend.receive_message = _receive_message
    for name in ("delete_message", "change_message_visibility"):
        setattr(models.SQSBackend, name, _locked(getattr(models.SQSBackend, name)))
