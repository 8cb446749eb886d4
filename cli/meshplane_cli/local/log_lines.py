"""Where functions' printed lines go: CloudWatch Logs, a file under .meshplane/log, and, when they are metric lines, the metrics."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from typing import Any

from meshplane_cli.local.clock import CLOCK
from meshplane_cli.local.metrics import from_line
from meshplane_cli.local.repairs.locks import of


class LogLines:
    """One stream per function and server process."""

    def __init__(self, account: str, region: str, folder: Path) -> None:
        self._account, self._region, self._folder = account, region, folder
        self._stream = f"[$LATEST]{uuid.uuid4().hex}"
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, function: str, line: str) -> None:
        """One line that `function` printed."""
        from moto.logs.models import logs_backends

        with self._lock, (self._folder / f"{function}.log").open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        group, stream = f"/aws/lambda/{function}", f"{CLOCK.now():%Y/%m/%d}/{self._stream}"
        with of("logs"):
            backend: Any = logs_backends[self._account][self._region]
            backend.ensure_log_group(group)
            if stream not in backend.groups[group].streams:
                backend.create_log_stream(group, stream)
            backend.put_log_events(group, stream, [{"timestamp": int(CLOCK.millis()), "message": line}])
        with of("cloudwatch"):
            from_line(self._account, self._region, line)
