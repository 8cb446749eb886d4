"""Python processes for job runs. One is kept ready, with what nearly every script imports: a third of a second less per run.

Each serves one run and ends with it. `process` tells it what to be; until then it waits. Called by `worker`.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

LOADED = ("boto3", "pyspark.sql")
# What these bring: a run that has any of it among its own libraries gets a process that has loaded nothing.
_BROUGHT = ("boto3", "botocore", "certifi", "dateutil", "jmespath", "py4j", "pyspark", "s3transfer", "six", "typing_extensions", "urllib3")

# What differs from run to run, and is read only once the script runs.
_OWN = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET"})


@dataclass(frozen=True, slots=True)
class Orders:
    """What a run's process is to be: `path` goes before Python's own modules, `outcome` is where it says how the script failed."""

    script: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    path: tuple[str, ...]
    folder: str
    outcome: str


class Interpreter:
    """One process that waits for its orders. It ends when this process does, or `close` is called: its orders' pipe is its lifeline."""

    def __init__(self, environment: Mapping[str, str], modules: Sequence[str] = ()) -> None:
        read_end, self._orders = os.pipe()
        try:
            self.process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("run_script.py")), str(read_end), *modules],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(environment),
                pass_fds=[read_end],
                start_new_session=True,
            )
        except BaseException:
            self.close()
            raise
        finally:
            os.close(read_end)

    def tell(self, orders: Orders) -> None:
        """Let it begin."""
        told: dict[str, Any] = {name: getattr(orders, name) for name in Orders.__slots__}
        with contextlib.suppress(BrokenPipeError), open(self._orders, "wb", buffering=0, closefd=False) as pipe:
            pipe.write(json.dumps(told).encode() + b"\n")

    def close(self) -> None:
        """Nobody waits for it any more."""
        os.close(self._orders)


class Interpreters:
    """The one that is ready, where `prepare` was called. `environment`: some run's; what is its own counts for nothing."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = _shared(environment)
        self._lock = threading.Lock()
        self._ready: Interpreter | None = None
        self._closed = False

    def prepare(self) -> None:
        """Have one ready for the next run."""
        with self._lock:
            if self._ready is None and not self._closed:
                self._ready = Interpreter(self._environment, LOADED)

    def take(self, environment: Mapping[str, str], path: Sequence[Path]) -> Interpreter:
        """A process for a run with these variables and libraries: the one that is ready, if the run could not tell it from a new one."""
        if _shared(environment) == self._environment and not _brings(path):
            with self._lock:
                ready, self._ready = self._ready, None
            if ready is not None:
                if ready.process.poll() is None:
                    return ready
                _end(ready)
        return Interpreter({name: text for name, text in environment.items() if name != "PYTHONPATH"})  # `Orders.path` has it

    def close(self) -> None:
        """None is made ready any more."""
        with self._lock:
            self._closed = True
            ready, self._ready = self._ready, None
        if ready is not None:
            _end(ready)


def _shared(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in environment.items() if name not in _OWN}


def _brings(path: Sequence[Path]) -> bool:
    places = [str(place) for place in path]
    return any(PathFinder.find_spec(name, places) is not None for name in _BROUGHT)


def _end(waiting: Interpreter) -> None:
    waiting.close()
    waiting.process.kill()
    for stream in (waiting.process.stdout, waiting.process.stderr):
        if stream is not None:
            stream.close()
    waiting.process.wait()
