"""All functions' workers: finds a function in the embedded Lambda, keeps its process, and runs synchronous and asynchronous calls.

Functions stay where moto keeps them (environment, role, timeout, tags), so that any AWS client sees and changes them; the process is
replaced when the function's configuration changes. Used by the server, the pollers and the router.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import threading
import time
import zipfile
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from meshplane_cli.local import callers
from meshplane_cli.local.clock import FILE_VARIABLE
from meshplane_cli.local.lambdas.worker import Function, Outcome, Worker

CODE_TAG = "meshplane-local:code"
_DELIVERED = 50  # events remembered of each function
ASYNC_RETRIES = 2  # Lambda's default for asynchronous invocations
Send = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """What every worker gets beside its own configuration."""

    root: Path
    endpoint: str
    region: str
    clock_file: Path
    retry_pauses: tuple[float, ...] = field(default=(1.0, 2.0))


class Pool:
    """`on_line` (function, line) receives what functions print; `on_failure` (queue ARN, body) an asynchronous call's dead letter."""

    def __init__(self, settings: Settings, on_line: Callable[[str, str], None], on_failure: Send) -> None:
        self._settings = settings
        self._on_line = on_line
        self._on_failure = on_failure
        self._workers: dict[str, Worker] = {}
        self._delivered: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_DELIVERED))
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(16, "lambda-async")
        self._busy = 0

    @property
    def idle(self) -> bool:
        """No function is being called."""
        return self._busy == 0

    def invoke(self, account: str, region: str, name: str, payload: str) -> Outcome:
        """One synchronous call. Raises moto's ResourceNotFound for a function that is not there."""
        deployed = _deployed(account, region, name)
        self._delivered[str(deployed.function_name)].append(payload)
        worker = self._worker(deployed)
        with self._counted():
            started = time.monotonic()
            outcome = worker.invoke(payload)
        _measure(account, region, deployed.function_name, outcome, time.monotonic() - started)
        return outcome

    def delivered(self) -> dict[str, list[Any]]:
        """The newest events that each function was called with, as they came."""
        return {name: [json.loads(payload or "null") for payload in list(events)] for name, events in list(self._delivered.items())}

    def invoke_later(self, arn: str, payload: str) -> None:
        """One asynchronous call: retried twice, then handed to the function's dead-letter queue where it has one."""
        with self._lock:
            self._busy += 1
        self._threads.submit(self._invoke_until_done, arn, payload)

    def _invoke_until_done(self, arn: str, payload: str) -> None:
        _, _, _, region, account, _, name = arn.split(":")[:7]
        try:
            outcome = self.invoke(account, region, name, payload)
            for pause in self._settings.retry_pauses[:ASYNC_RETRIES]:
                if not outcome.error:
                    return
                time.sleep(pause)
                outcome = self.invoke(account, region, name, payload)
            letters = (_deployed(account, region, name).dead_letter_config or {}).get("TargetArn") if outcome.error else None
            if letters:
                self._on_failure(letters, payload)
        except Exception as fault:  # noqa: BLE001  # a thread of our own: what it cannot do is said in the function's log
            self._on_line(name, f"asynchronous invocation failed: {fault!r}")
        finally:
            with self._lock:
                self._busy -= 1

    def kill(self, name: str) -> None:
        """Kill a function's process, as a test or an operator may."""
        worker = self._workers.get(name)
        if worker is not None:
            worker.kill()

    def close(self) -> None:
        """End every process."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in list(self._workers.values()):
            worker.kill()
            worker.close()

    def _counted(self) -> Any:
        return _Counter(self)

    def _worker(self, deployed: Any) -> Worker:
        function = self._function(deployed)
        with self._lock:
            present = self._workers.get(function.name)
            if present is not None and present.function == function:
                return present
            self._workers[function.name] = made = Worker(function, self._on_line)
        if present is not None:
            present.close()
        return made

    def _function(self, deployed: Any) -> Function:
        settings, name = self._settings, str(deployed.function_name)
        folder = (deployed.tags or {}).get(CODE_TAG)
        code = settings.root / folder if folder else _unpacked(deployed, settings.clock_file.parent / "code")
        region = str(deployed.region)
        environment = {
            **callers.of_role(deployed.role),
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": settings.endpoint,
            FILE_VARIABLE: str(settings.clock_file),
            **{key: str(value) for key, value in (deployed.environment_vars or {}).items()},
        }
        arn = str(deployed.function_arn).removesuffix(":$LATEST")
        return Function(name, arn, str(deployed.handler), float(deployed.timeout or 3), code, environment)


class _Counter:
    """Counts a running call, for `Pool.idle`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def __enter__(self) -> None:
        with self._pool._lock:
            self._pool._busy += 1

    def __exit__(self, *_: object) -> None:
        with self._pool._lock:
            self._pool._busy -= 1


def _deployed(account: str, region: str, name: str) -> Any:
    from moto.awslambda.models import lambda_backends

    return lambda_backends[account][region].get_function(name, None)


def _unpacked(deployed: Any, folder: Path) -> Path:
    """The function's uploaded package as a folder named by its content: the same package is unpacked once."""
    package = bytes(deployed.code_bytes)
    there = folder / hashlib.sha256(package).hexdigest()
    if not there.is_dir():
        part = Path(tempfile.mkdtemp(dir=_made(folder)))
        with zipfile.ZipFile(io.BytesIO(package)) as archive:
            archive.extractall(part)
        with suppress(OSError):  # another call was faster: the content is the same
            part.rename(there)
    return there


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _measure(account: str, region: str, name: str, outcome: Outcome, seconds: float) -> None:
    """Lambda's own metrics of one call."""
    from meshplane_cli.local.metrics import Value, record

    dimensions = {"FunctionName": name}
    for metric, value, unit in (
        ("Invocations", 1.0, "Count"),
        ("Errors", float(bool(outcome.error)), "Count"),
        ("Duration", seconds * 1000, "Milliseconds"),
    ):
        record(account, region, Value("AWS/Lambda", metric, value, dimensions, unit))


def error_text(outcome: Outcome) -> str:
    """An outcome's error in one line, for logs."""
    try:
        said = json.loads(outcome.payload)
    except ValueError:
        return outcome.payload[:200]
    return f"{said.get('errorType')}: {said.get('errorMessage')}" if isinstance(said, dict) else outcome.payload[:200]
