"""What surrounds `start_run` and `record_run`: the trigger queue on the world's clock, and events that Lambda tries again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.sqs.models import sqs_backends

from meshplane.flows.record_run import record_run
from meshplane.flows.start_run import read_and_start
from meshplane_cli.local.repairs.sqs import next_change
from tests.crash import executions
from tests.crash.platform import Platform
from tests.crash.tap import Mode

ASYNC_RETRY = timedelta(minutes=1)  # Lambda's first wait before it tries an event again
BATCH = 10


@dataclass
class Triggers:
    """`tell` puts a message into the queue as a rule's target does; `deliver` works it off, delayed messages included."""

    platform: Platform
    landed: list[Mapping[str, Any]] = field(default_factory=list)

    def land(self, project: str, table: str, name: str) -> None:
        """A file in the raw bucket; `landed` holds its event."""
        world = self.platform.world
        world.clock(timedelta(seconds=1))
        bucket, key = world.naming.bucket("raw"), world.naming.of("hive_prefix", project=project, table=table) + name
        put = world.clients("s3").put_object(Bucket=bucket, Key=key, Body=name.encode())
        found = {"key": key, "version-id": put["VersionId"], "size": len(name)}
        self.landed.append({"id": f"landed-{name}", "time": world.clock.now().isoformat(), "detail": {"object": found}})

    def tell(self, project: str, trigger: str, kind: str, event: Mapping[str, Any]) -> None:
        """One message about the pipeline `daily`."""
        world = self.platform.world
        body = {"schema": 1, "project": project, "pipeline": "daily", "trigger": trigger, "kind": kind, "event": event}
        world.clients("sqs").send_message(QueueUrl=world.trigger_url, MessageBody=json.dumps(body))

    def deliver(self) -> None:
        """Until nothing is visible, delayed or in flight."""
        world = self.platform.world
        queue = sqs_backends[world.naming.account_id][world.naming.region].queues[world.trigger_url.rpartition("/")[2]]
        while True:
            asked = {"QueueUrl": world.trigger_url, "MaxNumberOfMessages": BATCH, "AttributeNames": ["All"]}
            messages = world.clients("sqs").receive_message(**asked).get("Messages", [])
            if messages:
                self._batch(messages)
            elif (soonest := next_change([queue])) is not None:
                world.clock.at = datetime.fromtimestamp(soonest / 1000, UTC) + timedelta(milliseconds=1)
            else:
                return

    def ended(self, arn: str, at: datetime) -> Mapping[str, Any]:
        """An execution succeeds; `record_run` hears of it, again when it died, unless this copy's message never comes again."""
        world, tap = self.platform.world, self.platform.tap
        world.clock.at = max(world.clock.at, at + timedelta(seconds=1))
        event = executions.end(world, arn, at)
        self._leave(json.loads(event["detail"]["input"])["run"])
        while not self.platform.image(lambda: record_run(world.run_ports, world.queue, event)) and tap.fault is not Mode.FORGOTTEN:
            world.clock(ASYNC_RETRY)
        self.deliver()
        return event

    def _leave(self, run: Mapping[str, Any]) -> None:
        """The record of a step that found nothing to do: what a success proves itself by, where no job runs."""
        world = self.platform.world
        key = f"{world.naming.of('runs_prefix', project=run['project'])}{run['run_id']}/load.json"
        record = {"state": "nothing", "step": "load", "outputs": []}
        world.clients("s3").put_object(Bucket=world.naming.bucket("refined"), Key=key, Body=json.dumps(record).encode())

    def _batch(self, messages: list[dict[str, Any]]) -> None:
        world, tap = self.platform.world, self.platform.tap
        records = [
            (one["MessageId"], one["Body"], datetime.fromtimestamp(int(one["Attributes"]["SentTimestamp"]) / 1000, UTC)) for one in messages
        ]
        refused: set[str] = {one[0] for one in records}

        def start() -> None:
            came_back = {refusal.id for refusal in read_and_start(world.run_ports, records)}
            refused.intersection_update(came_back)

        before = tap.fault
        self.platform.image(start)
        forgotten = tap.fault is Mode.FORGOTTEN and before is None
        for one in messages:
            if one["MessageId"] not in refused or forgotten:
                world.clients("sqs").delete_message(QueueUrl=world.trigger_url, ReceiptHandle=one["ReceiptHandle"])
