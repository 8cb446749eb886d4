"""A Starlark file in a child process, asked through pipes: the adapter behind `flows.ingest_ports.Script`, made by `wiring`.

What it may take is bounded on both sides: time by killing it, memory by the kernel's limit, the answer by what is read of it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from meshplane.errors import ScriptFailed

_CHILD = Path(__file__).with_name("child.py")
_CHUNK = 64 * 1024
_MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bounds:
    """`seconds` of one call; `memory` of the whole process and `answer`, what it may tell, in bytes."""

    seconds: int = 20
    memory: int = 512 * _MEGABYTE
    answer: int = 32 * _MEGABYTE


DEFAULT_BOUNDS = Bounds()


@contextmanager
def interpreting(
    file: str,
    text: str,
    environment: Mapping[str, str] | None = None,
    bounds: Bounds = DEFAULT_BOUNDS,
    tick: Callable[[], float] = monotonic,
) -> Iterator[Interpreter]:
    """The file, read and ready to be called; the process ends with the block. `environment` is all that the child gets.

    Raises ScriptFailed, with its line, for a text that is no Starlark or whose top level fails.
    """
    found = importlib.util.find_spec("starlark")
    if found is None or not found.submodule_search_locations:
        raise ScriptFailed(f"{file}: the interpreter is not installed")
    folder = str(Path(found.submodule_search_locations[0]).parent)
    command = [sys.executable, "-I", "-S", str(_CHILD), folder]
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=null, env=dict(environment or {}), cwd="/")  # noqa: S603
    try:
        interpreter = Interpreter(child, file, bounds, tick)
        interpreter.ask({"file": file, "text": text, "memory": bounds.memory, "seconds": bounds.seconds}, "it")
        yield interpreter
    finally:
        child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout):
            if stream:
                stream.close()


class Interpreter:
    """One file in one process. A call leaves nothing for the next one; a call that broke a bound ends the process."""

    def __init__(self, child: subprocess.Popen[bytes], file: str, bounds: Bounds, tick: Callable[[], float]) -> None:
        self._child, self._file, self._bounds, self._tick = child, file, bounds, tick
        if child.stdin is None or child.stdout is None:
            raise ValueError("a child has pipes")
        self._in, self._out = child.stdin.fileno(), child.stdout.fileno()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)

    def call(self, function: str, *given: Any) -> Any:
        """What one function of the file answers to plain values of JSON, as such. Raises ScriptFailed."""
        return self.ask({"call": function, "given": given}, f"`{function}`")

    def ask(self, message: Mapping[str, Any], what: str) -> Any:
        """One line there, one back."""
        ends = self._tick() + self._bounds.seconds
        self._send(json.dumps(message).encode() + b"\n", ends, what)
        line = self._line(ends, what)
        try:
            told = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ScriptFailed(f"{self._file}: what {what} answered cannot be read") from error
        if "value" in told:
            return told["value"]
        if "memory" in told:
            raise self._no_memory(what)
        raise failed(self._file, str(told["error"]), what)

    def _send(self, data: bytes, ends: float, what: str) -> None:
        view = memoryview(data)
        while view:
            self._wait(self._in, select.POLLOUT, ends, what)
            try:
                view = view[os.write(self._in, view[:_CHUNK]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise self._died(what) from None

    def _line(self, ends: float, what: str) -> bytes:
        held = bytearray()
        while not held.endswith(b"\n"):
            self._wait(self._out, select.POLLIN, ends, what)
            chunk = os.read(self._out, _CHUNK)
            if not chunk:
                raise self._died(what)
            held += chunk
            if len(held) > self._bounds.answer:
                self._child.kill()
                raise ScriptFailed(f"{self._file}: {what} answered more than {self._bounds.answer // _MEGABYTE} MB; ask for smaller pages")
        return bytes(held)

    def _wait(self, descriptor: int, event: int, ends: float, what: str) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        if not poll.poll(max(0.0, ends - self._tick()) * 1000):
            self._child.kill()
            raise self._too_long(what)

    def _died(self, what: str) -> ScriptFailed:
        code = -self._child.wait()
        if code == signal.SIGXCPU:
            return self._too_long(what)
        if code == signal.SIGABRT:  # how the interpreter ends when memory is refused
            return self._no_memory(what)
        return ScriptFailed(f"{self._file}: {what} ended the interpreter (signal {code}): values nested too deep, or a fault of its own")

    def _too_long(self, what: str) -> ScriptFailed:
        return ScriptFailed(f"{self._file}: {what} took longer than {self._bounds.seconds} s")

    def _no_memory(self, what: str) -> ScriptFailed:
        return ScriptFailed(f"{self._file}: {what} needs more than {self._bounds.memory // _MEGABYTE} MB; ask for smaller pages")


def failed(file: str, told: str, what: str) -> ScriptFailed:
    """The interpreter's own report as one line with its place: `error: …`, then ` --> file:line:column`."""
    message = re.search(r"^error: (?:Parse error: |fail: )?(.*)$", told, re.MULTILINE)
    place = re.search(r"^ *--> .*:(\d+):(\d+)$", told, re.MULTILINE)
    line, column = (int(place[1]), int(place[2])) if place else (0, 0)
    absent = re.search(r"Module has no symbol `(\w+)`", told)
    reason = f"there is no function `{absent[1]}`" if absent else message[1] if message else told.strip().partition("\n")[0]
    at = f"{file}:{line}:{column}" if line else file
    return ScriptFailed(f"{at}: {what} failed: {reason}", reason, line, column)
