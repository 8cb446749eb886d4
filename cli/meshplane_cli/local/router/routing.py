"""One router for every producer: S3, PutEvents, Step Functions, Glue, alarms, schedules.

Delivery is on a thread of its own, in the order of arrival, so that no producer's request waits for a consumer's. `Chaos` makes
the next deliveries late, double or out of order, as AWS may (REQUIREMENTS N11).
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import random
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meshplane_cli.local.clock import CLOCK
from meshplane_cli.local.router.targets import Targets
from meshplane_cli.local.router.transform import rendered

log = logging.getLogger("meshplane.router")
BURST = 10  # deliveries whose order is drawn together


@dataclass(frozen=True, slots=True)
class Chaos:
    """What the router may do to deliveries: each twice; each small burst in a drawn order (by `seed`)."""

    duplicate: bool = False
    reorder: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one target."""

    target: Mapping[str, Any]
    body: str
    event: Mapping[str, Any]


class Router:
    """Matches events with rules (moto's EventPattern) and delivers. `start` it once; before that deliveries wait."""

    def __init__(self) -> None:
        self.targets = Targets(self.publish)
        self.chaos = Chaos()
        self._waiting: queue.Queue[Delivery] = queue.Queue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to deliver."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._deliver_all, name="router", daemon=True)
            self._thread.start()

    @property
    def idle(self) -> bool:
        """Nothing waits for delivery and nothing is being delivered."""
        return self._waiting.unfinished_tasks == 0

    def publish(self, account: str, region: str, event: Mapping[str, Any], bus: str = "default") -> None:
        """Hand in one event; what it leaves out of the envelope (id, time, account, region) is filled here."""
        from moto.events.models import events_backends

        whole = envelope(account, region, event)
        found = events_backends[account][region].event_buses.get(bus)
        for rule in list(found.rules.values()) if found else []:
            # A rule with a schedule only has no pattern, and moto's matcher says yes to everything.
            if rule.state != "DISABLED" and rule.event_pattern.get_pattern() and rule.event_pattern.matches_event(whole):
                self.to_targets(rule, whole)

    def to_targets(self, rule: Any, event: Mapping[str, Any]) -> None:
        """Send the event to every target of a rule that has matched or is due."""
        for target in list(rule.targets):
            try:
                self.deliver(Delivery(dict(target), rendered(target, event), event))
            except Exception:  # one target's faulty transformer must not stop its siblings
                log.exception("rule %s: target %s could not be rendered", rule.name, target.get("Id"))

    def deliver(self, delivery: Delivery) -> None:
        """Queue one delivery."""
        for _ in range(2 if self.chaos.duplicate else 1):
            self._waiting.put(delivery)

    def _deliver_all(self) -> None:
        while True:
            burst = [self._waiting.get()]
            if self.chaos.reorder:
                self._gather(burst)
            for delivery in burst:
                self._deliver(delivery)
                self._waiting.task_done()

    def _gather(self, burst: list[Delivery]) -> None:
        """Wait a moment for more, then draw an order."""
        with contextlib.suppress(queue.Empty):
            while len(burst) < BURST:
                burst.append(self._waiting.get(timeout=0.2))
        random.Random(self.chaos.seed).shuffle(burst)  # noqa: S311  # an order, not a secret

    def _deliver(self, delivery: Delivery) -> None:
        try:
            self.targets.send(delivery.target, delivery.body, delivery.event)
        except Exception as fault:  # noqa: BLE001  # whatever a target raises, its event belongs in the dead-letter queue
            log.warning("delivery to %s failed: %r", delivery.target["Arn"], fault)
            letters = delivery.target.get("DeadLetterConfig", {}).get("Arn")
            if letters:
                self._bury(letters, delivery)

    def _bury(self, letters: str, delivery: Delivery) -> None:
        try:
            self.targets.send({"Arn": letters}, json.dumps(delivery.event), delivery.event)
        except Exception:
            log.exception("the dead-letter queue %s refused the event too: it is lost", letters)


def envelope(account: str, region: str, event: Mapping[str, Any]) -> dict[str, Any]:
    """The event as EventBridge completes it."""
    head = {"version": "0", "id": str(uuid.uuid4()), "detail-type": "", "source": "", "account": account}
    return {**head, "time": CLOCK.now().strftime("%Y-%m-%dT%H:%M:%SZ"), "region": region, "resources": [], "detail": {}, **event}


ROUTER = Router()
"""The one router of the server's process."""
