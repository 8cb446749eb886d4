"""The door of the embedded AWS: a WSGI application before moto's.

It refuses at once what is not on the list of tested operations (501, in the protocol's own error shape, so that every SDK shows
`NotImplemented` and does not try again) and what the caller's role does not allow (`access`), counts and logs each request with its
caller, and serves the administration's own routes.
"""

from __future__ import annotations

import io
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from meshplane_cli.local.access import Judge, UnknownKey, refusals
from meshplane_cli.local.callers import DEVELOPER_KEY, caller_of
from meshplane_cli.local.wire import Asked, asked_of

ADMIN = "/meshplane-local/"
_KEPT = 200_000  # requests remembered for the counts of tests and benchmarks
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Administer = Callable[[str, Mapping[str, Any]], Any]


@cache
def tested() -> Mapping[str, frozenset[str]]:
    """Signing name of a service → the operations that are tested against AWS's documentation (`operations.json`)."""
    text = files("meshplane_cli.local").joinpath("operations.json").read_text(encoding="utf-8")
    return {service: frozenset(names) for service, names in json.loads(text).items()}


@dataclass(frozen=True, slots=True)
class Seen:
    """One request that the server answered. `number` counts from 1; `seconds` is the time at the server."""

    number: int
    service: str
    operation: str
    caller: str
    status: int
    reads: bool
    seconds: float


class Front:
    """`inner` is moto's application, `administer` answers the routes under /meshplane-local/; without a `judge` everybody may all."""

    def __init__(self, inner: Application, administer: Administer, account: str, log: Path, judge: Judge | None = None) -> None:
        self._judge = judge
        self._inner, self._administer, self._account = inner, administer, account
        self._seen: deque[Seen] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()
        self._count = 0
        self.changes = 0  # requests that may have changed something
        self._log = log.open("a", encoding="utf-8", buffering=1)

    def requests(self, since: int) -> list[dict[str, Any]]:
        """What was answered after request number `since`."""
        with self._lock:
            return [asdict(seen) for seen in self._seen if seen.number > since]

    @property
    def count(self) -> int:
        """How many requests were answered."""
        return self._count

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """One request."""
        path = environ.get("PATH_INFO", "/")
        if path.startswith(ADMIN):
            return self._admin(path.removeprefix(ADMIN), environ, start_response)
        asked = asked_of(environ, lambda: _body(environ))
        if asked.operation not in tested().get(asked.service, ()):
            name = f"{asked.service}:{asked.operation or environ['REQUEST_METHOD'] + ' ' + path}"
            text = f"The embedded AWS does not offer {name}: it is not among its tested operations."
            return self._refuse(asked, environ, start_response, ("501 Not Implemented", "NotImplemented"), text)
        refusal = self._judged(asked, environ)
        if refusal is not None:
            return self._refuse(asked, environ, start_response, *refusal)
        started = time.perf_counter()
        status, headers, body = _whole(self._inner, environ)
        self._note(asked, int(status.split(" ", 1)[0]), time.perf_counter() - started)
        start_response(status, headers)
        return [body]

    def _judged(self, asked: Asked, environ: dict[str, Any]) -> tuple[tuple[str, str], str] | None:
        """How and with which words to refuse; None where the caller may."""
        if self._judge is None or asked.access_key == DEVELOPER_KEY:  # the person's own key may do everything
            return None
        try:
            denial = self._judge.judge(asked, environ, lambda: _bytes(environ))
        except UnknownKey:
            if not self._judge.enforces:
                return None
            return refusals.unknown_key(asked.service), "The AWS access key ID that was provided does not exist in our records."
        return (refusals.denial(asked.service), denial.text) if denial is not None and self._judge.enforces else None

    def _refuse(
        self, asked: Asked, environ: Mapping[str, Any], start_response: Callable[..., Any], how: tuple[str, str], text: str
    ) -> Iterable[bytes]:
        status, code = how
        self._note(asked, int(status.split(" ", 1)[0]), 0.0)
        body, headers = refusals.body(asked, environ, code, text)
        start_response(status, headers)
        return [body]

    def _note(self, asked: Asked, status: int, seconds: float) -> None:
        caller = caller_of(asked.access_key, self._account)
        with self._lock:
            self._count += 1
            self.changes += not asked.reads
            seen = Seen(self._count, asked.service, asked.operation, caller, status, asked.reads, round(seconds, 4))
            self._seen.append(seen)
        self._log.write(json.dumps(asdict(seen)) + "\n")

    def _admin(self, route: str, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            answer, status = self._administer(route, json.loads(_body(environ) or "{}")), "200 OK"
        except (KeyError, ValueError) as fault:
            answer, status = {"error": str(fault)}, "400 Bad Request"
        body = json.dumps(answer).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]


def _whole(inner: Application, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    """Status, headers and body of moto's answer, with its length: the server then sends one piece (`EmbeddedAws._serve`)."""
    told: list[Any] = []
    pieces = inner(environ, lambda *words: told.append(words))
    try:
        body = b"".join(pieces)
    finally:
        if hasattr(pieces, "close"):
            pieces.close()
    status, headers = told[-1][0], list(told[-1][1])  # PEP 3333: a later call, for an error, takes the place of the first
    bodiless = environ["REQUEST_METHOD"] == "HEAD" or status.startswith(("1", "204", "304"))  # RFC 9110, 6.4.1
    if not bodiless and all(name.lower() != "content-length" for name, _ in headers):
        headers.append(("Content-Length", str(len(body))))
    return status, headers, body


def _body(environ: dict[str, Any]) -> str:
    """The body's text; the request can still be read by the next."""
    return _bytes(environ).decode("utf-8", "replace")


def _bytes(environ: dict[str, Any]) -> bytes:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body: bytes = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    return body
