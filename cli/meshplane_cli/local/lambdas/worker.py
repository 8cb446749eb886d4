"""One function's process: started when first needed, asked one invocation at a time, killed when it overruns its timeout.

Its environment is what Lambda gives (developer guide, "Defined runtime environment variables"), with the function's own variables and
its role's credentials. Lines that it prints go to `on_line`. Called by `pool`.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from meshplane_cli.local.lambdas.runtime_api import Invocation, RuntimeApi


@dataclass(frozen=True, slots=True)
class Function:
    """A deployed function, as far as running it needs. `timeout` in seconds; `code` is the directory that holds its import root."""

    name: str
    arn: str
    handler: str
    timeout: float
    code: Path
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Payload as JSON text; `error` is empty or Lambda's word in X-Amz-Function-Error."""

    payload: str
    error: str = ""
    request_id: str = ""


class Worker:
    """The process of one function. Not for concurrent use beyond `invoke`, which takes turns."""

    def __init__(self, function: Function, on_line: Callable[[str, str], None]) -> None:
        self.function = function
        self._on_line = on_line
        self._turn = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._api: RuntimeApi | None = None

    def invoke(self, payload: str) -> Outcome:
        """Call the handler. Never raises for what the function does: that is in the outcome."""
        with self._turn:
            request = str(uuid.uuid4())
            process, api = self._running()
            deadline = time.time() + self.function.timeout
            api.mailbox.inbox.put(Invocation(request, payload.encode(), self.function.arn, int(deadline * 1000)))
            return self._awaited(process, api, request, deadline)

    def _awaited(self, process: subprocess.Popen[str], api: RuntimeApi, request: str, deadline: float) -> Outcome:
        while time.time() < deadline:
            try:
                answer = api.mailbox.outbox.get(timeout=0.05 if process.poll() is not None else min(0.5, max(0.01, deadline - time.time())))
            except queue.Empty:
                if process.poll() is not None:
                    return self._died(process, api, request)
                continue
            if answer.request_id == request:
                return Outcome(answer.payload.decode(), "Unhandled" if answer.error else "", request)
        self._kill()
        text = f"{request} Task timed out after {self.function.timeout:.2f} seconds"
        self._on_line(self.function.name, text)
        return Outcome(json.dumps({"errorType": "Sandbox.Timedout", "errorMessage": f"RequestId: {text}"}), "Unhandled", request)

    def _died(self, process: subprocess.Popen[str], api: RuntimeApi, request: str) -> Outcome:
        said = api.mailbox.init_error.decode()
        code = process.returncode
        self._kill()
        text = f"RequestId: {request} Error: Runtime exited with error: " + (f"signal: {-code}" if code < 0 else f"exit status {code}")
        return Outcome(said or json.dumps({"errorType": "Runtime.ExitError", "errorMessage": text}), "Unhandled", request)

    def close(self) -> None:
        """End the process; a later `invoke` starts another."""
        with self._turn:
            self._kill()

    def kill(self) -> None:
        """End the process at once, whatever it is doing: what an operator or a test does to it."""
        process = self._process
        if process is not None:
            _end(process)
            process.wait()  # or the next call would be handed to the dying one

    def _running(self) -> tuple[subprocess.Popen[str], RuntimeApi]:
        if self._process is None or self._process.poll() is not None or self._api is None:
            self._kill()
            self._api = RuntimeApi()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "meshplane_cli.local.lambdas.boot", self.function.handler],
                env=self._environment(self._api.address),
                cwd=self.function.code,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        return self._process, self._api

    def _read(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            self._on_line(self.function.name, line.rstrip("\n"))

    def _environment(self, address: str) -> dict[str, str]:
        function = self.function
        own = Path(__file__).parents[3]  # so that `boot` is found; the function's code comes first
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PYTHONPATH": f"{function.code}{os.pathsep}{own}",
            "PYTHONUNBUFFERED": "1",
            "_HANDLER": function.handler,
            "LAMBDA_TASK_ROOT": str(function.code),
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
            **function.environment,
            "AWS_LAMBDA_RUNTIME_API": address,
        }

    def _kill(self) -> None:
        if self._process is not None:
            _end(self._process)
            self._process.wait()
            self._process = None
        if self._api is not None:
            self._api.close()
            self._api = None


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # its own session: children go with it
