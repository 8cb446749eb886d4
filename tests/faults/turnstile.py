"""The AWS of the fault plans: every write of a writer passes here, those to the catalog in a seeded order, and at some of them it ends.

It stands in front of the server, so that boto3, pyarrow and Spark's Java clients are held and killed alike. Who asks is known by the
access key of the signature.
"""

from __future__ import annotations

import json
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

READS = ("Get", "List", "Describe", "BatchGet", "Query", "Scan", "Head")
_CREDENTIAL = re.compile(r"Credential=([^/,]+)/")
_STEPS = (
    (re.compile(r"/_runs/_ledger/"), "ledger"),
    (re.compile(r"/_runs/_lineage/"), "lineage"),
    (re.compile(r"/_runs/[^/]+/publish-[^/]+\.json$"), "publish record"),
    (re.compile(r"/_runs/[^/]+/[^/]+\.json$"), "run record"),
    (re.compile(r"\.parquet$"), "data"),
    (re.compile(r"/snap-[^/]+\.avro$"), "manifest list"),
    (re.compile(r"\.avro$"), "manifest"),
    (re.compile(r"\.metadata\.json$"), "metadata"),
)
PROCESS = "0"  # the life of a process of its own, which nobody has to outlaw: it is killed
DEAD = json.dumps({"__type": "AccessDeniedException", "message": "this writer is dead"}).encode()


class Mode(StrEnum):
    """What happens at one request, once."""

    BEFORE = "dies before it"
    AFTER = "dies after it"
    LOST = "its reply is lost"  # the caller sees a 503 for something that was done


@dataclass
class Turn:
    """One writer's life: what it may still do, and what it suffers at which of its writes (numbered from 1 over all its lives)."""

    faults: Mapping[int, Mode] = field(default_factory=dict)
    done: int = 0
    life: int = 1
    dead: bool = False
    kill: Callable[[], None] = lambda: None  # a process of its own is killed at once


class Turnstile:
    """A WSGI application around another. With `rng` writers take turns at the catalog, drawn from it; without they run freely.

    Files wait for no turn: their keys are their writer's own, so their order changes nothing; and while one of its requests is held,
    Arrow makes no other client of S3 in that process.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.suffered: Counter[tuple[str, str]] = Counter()  # (step, mode) → how often, since `begin`
        self.judge: Callable[[str, str], None] = lambda step, path: None  # after each write that took effect
        self._writers: dict[str, Turn] = {}
        self._lock = threading.Condition()
        self._rng: random.Random | None = None
        self._waiting: list[tuple[str, object]] = []
        self._chosen: object | None = None
        self._live: set[str] = set()

    def begin(self, rng: random.Random | None, writers: Mapping[str, Turn]) -> None:
        """A new plan. A writer asks with the access key `<name>x<life>`, where it is a process `<name>x0`."""
        with self._lock:
            self._rng, self._writers, self._live = rng, dict(writers), set(writers)
            self._waiting, self._chosen = [], None
            self.suffered.clear()

    def ended(self, name: str) -> None:
        """A writer does nothing any more: nobody waits for it."""
        with self._lock:
            self._live.discard(name)
            self._draw()

    def revive(self, name: str) -> None:
        """A new life, with the faults that are left."""
        with self._lock:
            self._writers[name].life += 1
            self._writers[name].dead = False

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        found = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        name, _, life = (found[1] if found else "").partition("x")
        writer = self._writers.get(name)
        if writer is None or not life:
            return self._through(environ, start_response)[1]
        if writer.dead or life not in (PROCESS, str(writer.life)):
            return _refuse(start_response, "403 Forbidden")
        step = _step(environ)
        if not step:
            return self._through(environ, start_response)[1]
        if step == "catalog":
            self._take_turn(name)
        writer.done += 1
        mode = writer.faults.get(writer.done)
        if mode is not None:
            self.suffered[step, mode] += 1
        if mode is Mode.BEFORE:
            return self._die(writer, start_response)
        status, body = self._through(environ, start_response if mode is None else _nothing)
        if status < "300":
            self.judge(step, environ["PATH_INFO"])
        if mode is Mode.AFTER:
            return self._die(writer, start_response)
        return body if mode is None else _refuse(start_response, "503 Service Unavailable")

    def _die(self, writer: Turn, start_response: Any) -> Iterable[bytes]:
        writer.dead = True
        writer.kill()
        return _refuse(start_response, "403 Forbidden")

    def _through(self, environ: dict[str, Any], start_response: Any) -> tuple[str, Iterable[bytes]]:
        told = []

        def start(status: str, headers: Any, *more: Any) -> Any:
            told.append(status)
            return start_response(status, headers, *more)

        body = list(self.inner(environ, start))
        return told[0], body

    def _take_turn(self, name: str) -> None:
        if self._rng is None:
            return
        ticket = object()
        with self._lock:
            self._waiting.append((name, ticket))
            self._draw()
            if not self._lock.wait_for(lambda: self._chosen is ticket, 60):
                raise AssertionError(f"{name} waited a minute for its turn: {self._waiting}, {self._live}")
            self._chosen = None
            self._waiting.remove((name, ticket))

    def _draw(self) -> None:
        """When every living writer waits, one of them goes on: the order is the seed's, not the machine's."""
        if self._rng is None or self._chosen is not None or not self._waiting or not self._live <= {name for name, _ in self._waiting}:
            return
        name = self._rng.choice(sorted({name for name, _ in self._waiting}))
        self._chosen = next(ticket for other, ticket in self._waiting if other == name)
        self._lock.notify_all()


def _nothing(*_: Any) -> Any:
    return lambda _: None


def _refuse(start_response: Any, status: str) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(DEAD)))])
    return [DEAD]


def _step(environ: Mapping[str, Any]) -> str:
    """The name of what would be written; empty for what only reads."""
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        operation = target.rpartition(".")[2]
        return "" if operation.startswith(READS) else ("catalog" if operation == "UpdateTable" else operation)
    if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
        return ""
    query = environ["QUERY_STRING"]
    if query == "uploads" or query.startswith("partNumber"):
        return ""  # of an object in parts only the completion writes
    path = environ["PATH_INFO"]
    if environ["REQUEST_METHOD"] == "DELETE" or path.endswith("/"):
        return "cleanup"  # pyiceberg's, of what it could not commit; Arrow leaves the folder's own key
    return next((step for pattern, step in _STEPS if pattern.search(path)), f"{environ['REQUEST_METHOD']} {path.rpartition('/')[2]}")
