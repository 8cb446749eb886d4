"""`get_logger`: JSON lines that carry project, job, run id and step; plain text on a laptop."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from dp_foundation.config.arguments import invocation
from dp_foundation.config.settings import get_config

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def get_logger(name: str, level: str = "", log_format: str = "") -> logging.Logger:
    """The logger of that name with one handler of its own on stdout. `level` and `log_format` (json | text) default to the settings."""
    logger = logging.getLogger(name or "dp_foundation")
    if logger is logging.getLogger():
        logger = logging.getLogger("dp_foundation.root")  # "root" is somebody else's
    if not any(isinstance(handler, _Handler) for handler in logger.handlers):
        settings = get_config()
        handler = _Handler()
        handler.setFormatter(_Json() if (log_format or settings["log_format"]) == "json" else _text())
        logger.addHandler(handler)
        logger.setLevel(str(level or settings["log_level"]).upper())
        logger.propagate = False
    return logger


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to what stdout is at that moment, so that a redirected stdout is followed."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stdout
        super().emit(record)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        call = invocation()
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "project": call.job.project if call.job else "",
            "job": call.job.name if call.job else "",
            "run_id": call.run.run_id if call.run else "",
            "step": call.step,
            "attempt": call.attempt,
        }
        line.update({key: value for key, value in vars(record).items() if key not in _OWN})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def _text() -> logging.Formatter:
    return logging.Formatter("%(asctime)s %(levelname)-7s %(name)s  %(message)s", "%H:%M:%S")
