"""Delivery of one rendered event to one target. Raises when the target refuses it; `routing` then tries the dead-letter queue."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from meshplane_cli.local.router.transform import at

InvokeFunction = Callable[[str, str], None]
"""function ARN, payload: queues one asynchronous invocation, with the service's own retries."""


class Targets:
    """The services that a rule or a schedule can reach. `invoke` is set when the workers are up; `forward` by the router."""

    def __init__(self, forward: Callable[[str, str, Mapping[str, Any], str], None]) -> None:
        self._forward = forward
        self.invoke: InvokeFunction | None = None

    def send(self, target: Mapping[str, Any], body: str, event: Mapping[str, Any]) -> None:
        """Deliver `body`. `event` is what parameters such as a FIFO group are read from."""
        service = target["Arn"].split(":", 5)[2]
        senders = {
            "sqs": self._sqs,
            "lambda": self._lambda,
            "states": self._states,
            "sns": self._sns,
            "logs": self._logs,
            "events": self._bus,
        }
        if service not in senders:
            raise NotImplementedError(f"the embedded AWS delivers to {', '.join(sorted(senders))}, not to {service}")
        senders[service](target, body, event)

    def _sqs(self, target: Mapping[str, Any], body: str, event: Mapping[str, Any]) -> None:
        from moto.sqs.models import sqs_backends

        _, _, _, region, account, name = target["Arn"].split(":", 5)
        group = target.get("SqsParameters", {}).get("MessageGroupId")
        if group and group.startswith("$"):
            found = at(group, event)
            if found is None:
                raise ValueError(f"the event has nothing at {group}, which names the message group")
            group = str(found)
        # EventBridge gives each delivery to a FIFO queue the event's id, so that its own retries are one message.
        once = event.get("id", str(uuid.uuid4())) if name.endswith(".fifo") else None
        sqs_backends[account][region].send_message(queue_name=name, message_body=body, group_id=group, deduplication_id=once)

    def _lambda(self, target: Mapping[str, Any], body: str, event: Mapping[str, Any]) -> None:
        if self.invoke is None:
            raise RuntimeError("the functions' workers are not up")
        self.invoke(target["Arn"], body)

    def _states(self, target: Mapping[str, Any], body: str, event: Mapping[str, Any]) -> None:
        from moto.stepfunctions.responses import get_backend

        _, _, _, region, account, _ = target["Arn"].split(":", 5)
        json.loads(body)  # an input that is not JSON is refused by StartExecution
        get_backend(account, region).start_execution(state_machine_arn=target["Arn"], name=str(uuid.uuid4()), execution_input=body)

    def _sns(self, target: Mapping[str, Any], body: str, event: Mapping[str, Any]) -> None:
        from moto.sns.models import sns_backends

        _, _, _, region, account, _ = target["Arn"].split(":", 5)
        sns_backends[account][region].publish(message=body, arn=target["Arn"])

    def _logs(self, target: Mapping[str, Any], body: str, event: Mapping[str, Any]) -> None:
        from moto.logs.models import logs_backends

        from meshplane_cli.local.clock import CLOCK

        _, _, _, region, account, rest = target["Arn"].split(":", 5)
        group, stream = rest.split(":")[1], str(uuid.uuid4())
        backend = logs_backends[account][region]
        backend.create_log_stream(group, stream)
        backend.put_log_events(group, stream, [{"timestamp": int(CLOCK.millis()), "message": body}])

    def _bus(self, target: Mapping[str, Any], body: str, event: Mapping[str, Any]) -> None:
        _, _, _, region, account, rest = target["Arn"].split(":", 5)
        self._forward(account, region, event, rest.split("/", 1)[1])
