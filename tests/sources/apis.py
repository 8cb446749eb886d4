"""Real HTTP servers on loopback: a shop's cursor-paged API that throttles and fails, and an exchange-rate API of dated documents."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "s3cr3t-t0ken"  # of a server that lives as long as a test
# How a source's own script pages the shop.
SCRIPT = """\
def first(run):
    query = {"limit": 100}
    if run["cursor"]:
        query["since"] = run["cursor"]
    return {"path": "/orders", "query": query}

def next(run, request, answer):
    if answer["body"]["next"] == None:
        return None
    return dict(request, query = dict(request["query"], cursor = answer["body"]["next"]))

def records(body):
    return body["data"]["items"]
"""
Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Api:
    """`asked` lists every request's path and query; `answer` is what a test programs."""

    asked: list[str] = field(default_factory=list)
    failing: list[Answer] = field(default_factory=list)  # what the next requests get instead
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, path: str, query: dict[str, str], headers: Any) -> Answer:
        raise NotImplementedError


def as_json(document: Any, status: int = 200, **headers: str) -> Answer:
    return status, headers, json.dumps(document).encode()


@dataclass
class Shop(Api):
    """250 orders, 100 a page; from the third page on `amount` is a number and a column `channel` is there."""

    changed: dict[int, str] = field(default_factory=dict)
    garbled: dict[int, str] = field(default_factory=dict)  # order → an amount that is none

    def orders(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for number in range(250):
            at = f"2030-01-01T{number // 60:02}:{number % 60:02}:00Z"
            row: dict[str, Any] = {"id": str(number), "amount": f"{number}.50", "updated_at": at}
            if number >= 200:
                row |= {"amount": number + 0.5, "channel": "app"}
            if number in self.changed:
                row |= {"amount": "0.01", "updated_at": self.changed[number]}
            if number in self.garbled:
                row |= {"amount": self.garbled[number]}
            rows.append(row)
        return sorted(rows, key=lambda row: str(row["updated_at"]))

    def answer(self, path: str, query: dict[str, str], headers: Any) -> Answer:
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return as_json({"error": "who are you"}, 401)
        rows = [row for row in self.orders() if str(row["updated_at"]) > query.get("since", "")]
        start = int(query.get("cursor", "0"))
        following = start + 100 if start + 100 < len(rows) else None
        return as_json({"data": {"items": rows[start : start + 100]}, "next": following})


@dataclass
class Rates(Api):
    """A document per day; 404 on weekends and for what is not published yet; a day may be restated."""

    restated: dict[str, float] = field(default_factory=dict)
    published: str = "9999-12-31"  # the last day that has its document yet
    odd: dict[str, dict[str, str]] = field(default_factory=dict)  # day → what stands there instead of rates

    def answer(self, path: str, query: dict[str, str], headers: Any) -> Answer:
        day = path.rsplit("/", 1)[1]
        if date.fromisoformat(day).weekday() >= 5 or day > self.published:
            return as_json({"error": "no rates on a holiday, or none yet"}, 404)
        return as_json({"base": "EUR", "date": day, "rates": {"USD": self.restated.get(day, 1.1), "CHF": 0.95, **self.odd.get(day, {})}})


@contextmanager
def serving(api: Api) -> Iterator[Api]:
    """The API behind a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            api.asked.append(self.path)
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            self.tell(*(api.failing.pop(0) if api.failing else api.answer(parts.path, query, self.headers)))

        def do_POST(self) -> None:
            api.asked.append(self.path)
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            query = {name: str(value) for name, value in sent.items()}
            self.tell(*(api.failing.pop(0) if api.failing else api.answer(urlsplit(self.path).path, query, self.headers)))

        def tell(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *said: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
