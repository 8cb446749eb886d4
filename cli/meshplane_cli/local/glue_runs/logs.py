"""A run's output as Glue keeps it: CloudWatch Logs, one stream per run in `/aws-glue/jobs/output` and in `/aws-glue/jobs/error`."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from meshplane_cli.local.clock import CLOCK

log = logging.getLogger("meshplane.glue_runs")

GROUPS = {"stdout": "/aws-glue/jobs/output", "stderr": "/aws-glue/jobs/error"}
FLUSH_SECONDS = 0.3
BATCH = 1000  # events; PutLogEvents allows 10,000 and 1 MiB
LONGEST = 200_000  # characters; one event holds 256 KiB


class RunLogs:
    """`write` from any thread; lines arrive within FLUSH_SECONDS. `close` sends the rest."""

    def __init__(self, client: Any, stream: str) -> None:
        self._client, self._stream = client, stream
        self._lines: dict[str, list[dict[str, Any]]] = {name: [] for name in GROUPS}
        self._made: set[str] = set()
        self._lock, self._sending = threading.Lock(), threading.Lock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._flush_often, name="run-logs", daemon=True)
        self._thread.start()

    def write(self, name: str, line: str) -> None:
        """One line of `stdout` or `stderr`. An empty one is kept as a blank, since an event may not be empty."""
        event = {"timestamp": round(CLOCK.now().timestamp() * 1000), "message": line[:LONGEST] or " "}
        with self._lock:
            self._lines[name].append(event)

    def flush(self) -> None:
        """Send what is there. Logs that cannot be written do not fail the run, as in Glue."""
        with self._sending:
            for name, group in GROUPS.items():
                with self._lock:
                    waiting, self._lines[name] = self._lines[name], []
                try:
                    for start in range(0, len(waiting), BATCH):
                        self._send(group, waiting[start : start + BATCH])
                except (ClientError, BotoCoreError):
                    log.warning("the log of %s could not be written to %s", self._stream, group, exc_info=True)

    def _send(self, group: str, events: list[dict[str, Any]]) -> None:
        self._make(group)
        self._client.put_log_events(logGroupName=group, logStreamName=self._stream, logEvents=events)

    def _make(self, group: str) -> None:
        if group in self._made:
            return
        for make, names in (("create_log_group", {}), ("create_log_stream", {"logStreamName": self._stream})):
            try:
                getattr(self._client, make)(logGroupName=group, **names)
            except self._client.exceptions.ResourceAlreadyExistsException:
                continue
        self._made.add(group)

    def _flush_often(self) -> None:
        while not self._done.wait(FLUSH_SECONDS):
            self.flush()

    def close(self) -> None:
        """Nothing is written after this."""
        self._done.set()
        self._thread.join()
        self.flush()
        with contextlib.suppress(ClientError, BotoCoreError):
            for group in GROUPS.values():  # a run without errors has an empty error stream, not none
                self._make(group)
