"""One run's own process: started with its role's credentials and nothing else of this machine's, watched, stopped for good."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from meshplane_cli.local.glue_runs.interpreters import Interpreter, Orders
from meshplane_cli.local.role_credentials import RoleKey

GRACE_SECONDS = 1.0  # between the request to end and the order
LOOK_SECONDS = 0.05

Ending = Literal["ended", "stopped", "timed out"]


@dataclass(frozen=True, slots=True)
class Result:
    """How a process ended: `message` is the script's failure, empty when it ended well."""

    ending: Ending
    message: str = ""


def environment(endpoint: str, region: str, key: RoleKey, path: Sequence[Path], extra: Mapping[str, str]) -> dict[str, str]:
    """What a job run finds: its role's credentials, the endpoint, the Region, UTC. No ENV: a job run is a Glue run."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "USER", "JAVA_HOME") if name in os.environ}
    return {
        **kept,
        "AWS_ACCESS_KEY_ID": key.access_key,
        "AWS_SECRET_ACCESS_KEY": key.secret_key,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "PYTHONUNBUFFERED": "1",
        "PYSPARK_PYTHON": sys.executable,
        "TZ": "UTC",
        **extra,
    }


def run(
    interpreter: Interpreter,
    orders: Orders,
    output: Callable[[str, str], None],
    seconds: float,
    stopping: Callable[[], bool],
) -> Result:
    """Run a script until it ends, `stopping` says so, or `seconds` are over; kill all it started."""
    process = interpreter.process
    try:
        streams = (("stdout", process.stdout), ("stderr", process.stderr))
        readers = [threading.Thread(target=_read, args=(name, stream, output), daemon=True) for name, stream in streams]
        for reader in readers:
            reader.start()
        interpreter.tell(orders)
        ending = _await(process, time.monotonic() + seconds, stopping)
        _kill_group(process)
        for reader in readers:
            reader.join(2)
    finally:
        interpreter.close()
    if ending != "ended" or process.returncode == 0:
        return Result(ending)
    outcome = Path(orders.outcome)
    message = outcome.read_text(encoding="utf-8") if outcome.exists() else f"Command failed with exit code {process.returncode}"
    return Result("ended", message)


def _await(process: subprocess.Popen[bytes], until: float, stopping: Callable[[], bool]) -> Ending:
    while True:
        try:
            process.wait(LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            if stopping():
                return "stopped"
            if time.monotonic() > until:
                return "timed out"
        else:
            return "ended"


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """The run and every child of it; what ignores the request is killed."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _read(_name: str, stream: IO[bytes], output: Callable[[str, str], None]) -> None:
    for raw in stream:
        output(_name, raw.decode(errors="replace").rstrip("\n"))
