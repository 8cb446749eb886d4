"""A plan of any length at a pull request: against a server that keeps comments as GitHub does, its limit included."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from meshplane_cli.delivery.comments import LIMIT, PullRequest, split
from meshplane_cli.delivery.github import GitHub
from meshplane_cli.output import CliError


class _GitHub(BaseHTTPRequestHandler):
    """Issue comments of one pull request: list by pages, create, update, delete; a body over the limit is 422."""

    comments: dict[int, str]
    calls: list[str]

    def _answer(self, status: int, body: Any = None) -> None:
        text = json.dumps(body).encode() if body is not None else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _do(self) -> None:
        self.calls.append(self.command)
        assert self.headers["Authorization"] == "Bearer secret"
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size))["body"] if size else ""
        number = re.search(r"/issues/comments/(\d+)$", self.path)
        if len(body) > 65536:
            return self._answer(422, {"message": "body is too long (maximum is 65536 characters)"})
        if self.command == "GET":
            page = int(re.search(r"[?&]page=(\d+)", self.path)[1])  # type: ignore[index]
            rows = [{"id": key, "body": text} for key, text in self.comments.items()]
            return self._answer(200, rows[(page - 1) * 100 : page * 100])
        if self.command == "POST":
            key = max(self.comments, default=0) + 1
            self.comments[key] = body
            return self._answer(201, {"id": key})
        assert number is not None
        if self.command == "DELETE":
            del self.comments[int(number[1])]
            return self._answer(204)
        self.comments[int(number[1])] = body
        return self._answer(200, {"id": int(number[1])})

    do_GET = do_POST = do_PATCH = do_DELETE = _do  # noqa: N815  # http.server's names

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def github() -> Iterator[tuple[PullRequest, type[_GitHub]]]:
    handler = type("GitHub", (_GitHub,), {"comments": {}, "calls": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield PullRequest(GitHub(f"http://127.0.0.1:{server.server_port}", "secret", "owner/mesh"), 7), handler
    server.shutdown()
    server.server_close()


def _plan(lines: int) -> str:
    return "# Plan\n```diff\n" + "\n".join(f"+ table {number:06d} additive " + "x" * 60 for number in range(lines)) + "\n```\nthe end"


def test_300_kilobytes_arrive_whole(github: tuple[PullRequest, type[_GitHub]]) -> None:
    request, server = github
    text = _plan(3600)
    assert len(text) > 300_000
    assert set(request.keep("plan-dev", text)) == {"created"}
    bodies = list(server.comments.values())
    assert len(bodies) == 5
    assert all(len(body) <= LIMIT for body in bodies)
    for number in (0, 1700, 3599):
        assert sum(f"{number:06d}" in body for body in bodies) == 1
    assert [re.search(r"part (\d) of (\d)", body).groups() for body in bodies] == [(str(n), "5") for n in range(1, 6)]  # type: ignore[union-attr]
    assert all(body.count("```") % 2 == 0 for body in bodies), "a fence that is cut is closed and opened again"


def test_the_next_push_updates_in_place(github: tuple[PullRequest, type[_GitHub]]) -> None:
    request, server = github
    server.comments.update(dict.fromkeys(range(1, 130), "somebody's words"))  # more than a page of others
    request.keep("plan-dev", _plan(3600))
    ours = {key for key, body in server.comments.items() if "meshplane: plan-dev" in body}
    assert request.keep("plan-dev", _plan(3600)) == ["unchanged"] * 5
    assert request.keep("plan-dev", _plan(10)) == ["updated", *["deleted"] * 4]
    assert {key for key, body in server.comments.items() if "meshplane: plan-dev" in body} == {min(ours)}
    assert request.keep("plan-int", "short") == ["created"], "each name has comments of its own"
    assert sum(body == "somebody's words" for body in server.comments.values()) == 129


def test_what_github_refuses_is_said(github: tuple[PullRequest, type[_GitHub]]) -> None:
    request, server = github
    server.calls.clear()
    with pytest.raises(CliError) as caught:
        request.github.ask("POST", "issues/7/comments", {"body": "x" * 70_000})
    assert "422" in caught.value.found
    assert "too long" in caught.value.found


@pytest.mark.parametrize("limit", [600, 1000, 65_536])
def test_nothing_is_lost_by_the_cuts(limit: int) -> None:
    text = "a\n" + "b" * 3000 + "\n```\nc\nd\n```\n\ne"
    parts = split(text, "p", limit)
    assert all(len(part) <= limit for part in parts)
    letters = "".join(re.sub(r"<!--.*-->|\*\*.*\*\*|```", "", part) for part in parts)
    assert "".join(letters.split()) == "a" + "b" * 3000 + "cde"
