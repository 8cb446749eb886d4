"""A source's own Starlark script: it pages and yields records like the declared paginator, and nothing that it says breaks out."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from meshplane.aws.clients import Clients
from meshplane.errors import IngestUnfinished, NotReady, Refused, ScriptFailed, SourceFailed
from meshplane.flows import ingest_api as flow
from meshplane.model.source_script import asked, records, wrong_functions
from meshplane.model.sources import Auth, Incremental, Page, Rest, Source
from meshplane.sandbox.process import Bounds, interpreting
from tests.sources.apis import SCRIPT, TOKEN, Shop, as_json
from tests.sources.world import World, orders

POSTED = """\
def first(run):
    return {"path": "/search", "body": {"since": run["cursor"]}}

def next(run, request, answer):
    cursor = answer["body"]["next"]
    return {"path": "/search", "body": dict(request["body"], cursor = cursor)} if cursor else None

def records(body):
    return body["data"]["items"]
"""
SMALL = Bounds(seconds=1, memory=256 * 1024 * 1024, answer=1024 * 1024)


def scripted(clients: Clients, shop: Shop, text: str = SCRIPT) -> World:
    rest = Rest(shop.url, auth=Auth(bearer="token"), incremental=Incremental("updated_at"), rate=100)
    world = World(clients, Source("own", rest, "orders_raw", "dt", "shop-api"))
    world.publish(text)
    return world


@pytest.mark.parametrize("text", [SCRIPT, POSTED], ids=["get", "post"])
def test_a_script_lands_what_the_declared_paginator_lands_through_throttling_and_failures(clients: Clients, shop: Shop, text: str) -> None:
    world = scripted(clients, shop, text)
    own, world.source = world.source, replace(orders(shop), into="declared_raw")
    world.ingest("r1")
    declared = [text for _, text in sorted(world.objects("sales/declared_raw/").items())]
    world.source = own
    shop.failing = [as_json({}, 429, **{"Retry-After": "7"}), as_json({}, 500)]
    done = world.ingest("r1")
    assert (done.pages, done.files, done.requests, done.script) == (3, 3, 5, own.rest.script_sha256)
    assert 7.0 in world.waits
    landed = world.objects("sales/orders_raw/")
    assert [text for _, text in sorted(landed.items())] == declared
    again = world.ingest("r2")
    assert (again.files, again.cursor) == (0, "2030-01-01T04:09:00Z")
    assert world.objects("sales/orders_raw/") == landed
    shop.changed = {17: "2030-01-02T00:00:00Z"}
    assert (world.ingest("r3").files, [row["id"] for row in world.rows() if row["amount"] == "0.01"]) == (1, ["17"])


def test_the_archive_names_the_script_and_another_reading_of_it_calls_nobody(clients: Clients, shop: Shop) -> None:
    world = scripted(clients, shop, POSTED)
    world.ingest("r1")
    archived = [json.loads(text) for text in world.objects("sales/_pages/own/r1/0").values()]
    assert [page["sent"] for page in archived] == ['{"since": ""}', '{"since": "", "cursor": 100}', '{"since": "", "cursor": 200}']
    assert len({page["fingerprint"] for page in archived}) == 3
    assert {page["script"] for page in archived} == {world.source.rest.script_sha256}
    assert Page.from_json(archived[0]).then == {"path": "/search", "body": {"since": "", "cursor": 100}}
    called, files = len(shop.asked), len(world.objects("sales/orders_raw/"))
    assert world.ingest("r1", reparse=True).script == archived[0]["script"]
    assert len(world.objects("sales/orders_raw/")) == files, "the same reading leaves the same files"
    world.publish(SCRIPT.replace('["items"]', '["items"][:1]'))
    done = world.ingest("r1", reparse=True)
    assert (done.files, done.requests, done.pages, done.script) == (3, 0, 3, world.source.rest.script_sha256)
    assert (done.script != archived[0]["script"], len(shop.asked)) == (True, called)
    with pytest.raises(ScriptFailed, match="r1 began with another script; start a new run"):
        world.ingest("r1")


def test_a_step_that_is_called_again_goes_on_behind_the_last_page(clients: Clients, shop: Shop) -> None:
    world = scripted(clients, shop)
    shop.failing = [shop.answer("/orders", {}, {"Authorization": f"Bearer {TOKEN}"}), as_json({}, 429, **{"Retry-After": "3600"})]
    with pytest.raises(IngestUnfinished):
        world.ingest("r1")
    called = len(shop.asked)
    assert (world.ingest("r1").files, len(shop.asked)) == (3, called + 2)
    world.left = timedelta(seconds=5)
    assert world.ingest("r1").requests == 0, "a whole run is only read"


def test_an_absent_document_is_the_script_s_to_go_on_from(clients: Clients, shop: Shop) -> None:
    gone = 'if answer["status"] == 404: return {"path": "/orders", "query": {"cursor": 200}}\n    '
    world = scripted(clients, shop, SCRIPT.replace("if answer", gone.replace(": return", ":\n        return") + "if answer", 1))
    world.source = replace(world.source, rest=replace(world.source.rest, absent=(404,)))
    shop.failing = [as_json({}, 404)]
    assert (world.ingest("r1").pages, len(world.rows())) == (2, 50)


FAULTS: list[tuple[str, str, str]] = [  # what stands in the script, what instead, what is said
    (
        'return body["data"]["items"]',
        'return body["data"]["none"]',
        r'sources/shop.star:13:12: `records` failed: Key `"none"` was not found',
    ),
    ('return body["data"]["items"]', 'return body["data"]', "`records` answered dict; allowed: a list of objects"),
    ('return body["data"]["items"]', "return [1]", "a list with something else in it"),
    ('return body["data"]["items"]', "fail('no such field')", "`records` failed: no such field"),
    ("return dict(request", "return request\n    x = dict(request", "`next` asks for what this run has asked before"),
    ("return dict(request", "return 7\n    x = dict(request", "`next` answered no request: 7; allowed: {'path': '/orders'"),
    ("def next(", "def following(", "there is no function `next`"),
    ("def first(run):", "def first(run)", "sources/shop.star:1:15: it failed: unexpected new line here"),
    ("def first(run)", "def first(run, more)", "`first` failed: Missing parameter `more`"),
    ('"limit": 100', '"limit": limit', "Variable `limit` not found"),
]


@pytest.mark.parametrize(("old", "new", "says"), FAULTS, ids=[says[:30] for _, _, says in FAULTS])
def test_a_script_that_fails_ends_the_run_and_nothing_half_read_counts(clients: Clients, shop: Shop, old: str, new: str, says: str) -> None:
    world = scripted(clients, shop, SCRIPT.replace(old, new))
    with pytest.raises(ScriptFailed, match=says):
        world.ingest("r1")
    assert not world.objects("sales/_pages/own/last.json"), "the next run asks for all of it again"
    world.publish(SCRIPT)
    world.ingest("r2")
    assert {row["id"] for row in world.rows()} == {str(number) for number in range(250)}


def test_a_chain_without_end_is_cut(clients: Clients, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "MAX_PAGES", 4)
    endless = 'return {"path": "/orders", "query": {"page": request["query"].get("page", 0) + 1}}\n    if answer'
    world = scripted(clients, shop, SCRIPT.replace("if answer", endless, 1))
    with pytest.raises(SourceFailed, match="more than 4 pages"):
        world.ingest("r1")
    assert not world.objects("sales/_pages/own/last.json")


def test_a_script_that_is_not_what_was_published_is_not_run(clients: Clients, shop: Shop) -> None:
    world = scripted(clients, shop)
    for sha, says in (("", "is in no release"), ("0" * 64, "is not in the artifacts bucket")):
        world.source = replace(world.source, rest=replace(world.source.rest, script_sha256=sha))
        with pytest.raises(NotReady, match=says):
            world.ingest(f"r-{sha}")
    assert shop.asked == []


def test_a_script_sees_no_credentials(clients: Clients, shop: Shop) -> None:
    world = scripted(clients, shop, SCRIPT.replace("if answer", "fail(str([run, request, answer]))\n    if answer", 1))
    with pytest.raises(ScriptFailed, match="window_start") as failed:
        world.ingest("r1")
    assert TOKEN not in str(failed.value)
    assert TOKEN not in "".join(world.objects("").values())


HOSTILE: list[Any] = [
    {"url": "https://evil.example.net/"},
    {"host": "evil.example.net"},
    {"headers": {"Authorization": "Bearer x"}},
    {"method": "DELETE"},
    {"path": "https://evil.example.net/"},
    {"path": "//evil.example.net/"},
    {"path": "@evil.example.net/"},
    {"path": ".evil.example.net/"},
    {"path": ":8443/"},
    {"path": "/.."},
    {"path": "/a/../../b"},
    {"path": "/%2e%2e/b"},
    {"path": "/a%2f..%2fb"},
    {"path": "/a%5cb"},
    {"path": "/a%0d%0aHost:x"},
    {"path": "/a\\b"},
    {"path": "/a?b=c"},
    {"path": "/a#b"},
    {"path": "/a b"},
    {"path": "/a\r\nHost: evil"},
    {"path": "/é"},
    {"path": ["/a"]},
    {"query": "a=b"},
    {"query": {"a": None}},
    {"query": {"a": True}},
    {"query": {"a": {"b": 1}}},
    {"query": {"a": "x" * 9000}},
    "/orders",
    [],
    7,
    True,
]


@pytest.mark.parametrize("words", HOSTILE, ids=lambda words: str(words)[:40])
def test_a_request_that_is_more_than_path_query_and_body_is_refused_and_not_made(words: Any) -> None:
    with pytest.raises(ScriptFailed, match=r"`first` answered .*; allowed: \{'path'"):
        asked(Rest("https://api.example.org/v1", {"limit": "5"}), words, "sources/x.star", "first")


@pytest.mark.parametrize(
    ("words", "url"),
    [
        ({}, "https://api.example.org/v1?limit=5"),
        ({"path": "/orders"}, "https://api.example.org/v1/orders?limit=5"),
        ({"path": "/a%20b/c:d/"}, "https://api.example.org/v1/a%20b/c:d/?limit=5"),
        ({"query": {"a": "b&c=d#e", "n": 7, "limit": 9}}, "https://api.example.org/v1?limit=9&a=b%26c%3Dd%23e&n=7"),
        ({"query": {"u": "https://evil.example.net/"}}, "https://api.example.org/v1?limit=5&u=https%3A%2F%2Fevil.example.net%2F"),
    ],
)
def test_a_request_stays_below_the_declared_url(words: Mapping[str, Any], url: str) -> None:
    found = asked(Rest("https://api.example.org/v1", {"limit": "5"}), words, "sources/x.star", "first")
    assert found is not None
    assert (found.url, found.sent) == (url, "")
    assert asked(Rest("https://api.example.org/v1"), None, "x", "next") is None


def test_redirects_of_a_scripted_request_stay_where_they_are(clients: Clients, shop: Shop) -> None:
    world = scripted(clients, shop)
    for target in ("http://169.254.169.254/latest/meta-data/", "http://127.0.0.1:1/", "https://evil.example.net/"):
        shop.failing = [as_json({}, 302, Location=target)]
        with pytest.raises(Refused):
            world.ingest(f"r-{target[-8:-1]}")
    world.publish(POSTED)
    shop.failing = [as_json({}, 307, Location="/elsewhere")]
    with pytest.raises(Refused, match="redirects a request with a body"):
        world.ingest("r-post")


BOUNDS: list[tuple[str, str]] = [
    ("for i in range(1000000):\n    for j in range(1000000):\n      pass", "`f` took longer than 1 s"),
    ("return len([0] * 1000000000)", "`f` needs more than 256 MB"),
    ("x = 'a' * 10\n  for i in range(100):\n    x = x + x\n  return len(x)", "`f` needs more than 256 MB"),
    ("return 'x'.join(['a' * 1000000] * 1000000)", "`f` needs more than 256 MB"),
    ("return 'a' * 3000000", "`f` answered more than 1 MB"),
    ("x = []\n  for i in range(100000):\n    x = [x]\n  return x", "`f` failed: Maximum depth"),
    ("x = []\n  x.append(x)\n  return x", "`f` failed: Cycle detected"),
    ("return f()", "Starlark call stack overflow"),
    ("return f", "not supported on type `function`"),
    ("return open('/etc/passwd')", "Variable `open` not found"),
    ("return print('x')", "Variable `print` not found"),
    ("SEEN.append(1)", "`f` failed: Immutable"),
]


@pytest.mark.parametrize(("body", "says"), BOUNDS, ids=[says for _, says in BOUNDS])
def test_what_a_script_may_take_is_bounded(body: str, says: str) -> None:
    begun = time.monotonic()
    with (
        pytest.raises(ScriptFailed, match=says),
        interpreting("sources/x.star", f"SEEN = []\ndef f():\n  {body}\n", bounds=SMALL) as script,
    ):
        script.call("f")
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize("text", ["load('a.star', 'b')", "import os", "while True:\n  pass", "for i in range(9):\n  pass", "x = json"])
def test_a_script_loads_and_runs_nothing_by_itself(text: str) -> None:
    with pytest.raises(ScriptFailed, match=r"sources/x\.star:1:\d+: it failed"), interpreting("sources/x.star", text):
        raise AssertionError("it was read")


def test_the_interpreter_has_nothing_and_can_open_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", TOKEN)
    with interpreting("sources/x.star", "def f(x):\n  return x\n") as script:
        assert script.call("f", {"a": [1.5, 2**70, "é\u2028", None, True]}) == {"a": [1.5, 2**70, "é\u2028", None, True]}
        child = Path(f"/proc/{script._child.pid}")  # what the kernel says of it
        assert (child / "environ").read_bytes() == b""
        assert sorted(path.name for path in (child / "fd").iterdir()) == ["0", "1", "2"]
        limits = {line[:25].strip(): line[26:].split()[:2] for line in (child / "limits").read_text().splitlines()}
        assert limits["Max address space"] == [str(512 * 1024 * 1024)] * 2
        for name in ("Max open files", "Max processes", "Max file size", "Max core file size"):
            assert limits[name] == ["0", "0"]
        pid = script._child.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_file_s_functions_are_told_apart_before_it_runs() -> None:
    assert list(wrong_functions(SCRIPT)) == []
    wrong = list(wrong_functions("def first(window):\n  return None\ndef records(body, *more):\n  return []\n"))
    assert [(one.name, one.line, one.found, one.allowed) for one in wrong] == [
        ("first", 1, "def first(window):", "def first(run):"),
        ("next", 0, "first, records", "def next(run, request, answer):"),
        ("records", 3, "def records(body, *more):", "def records(body):"),
    ]
    with pytest.raises(ScriptFailed):
        records({}, "x")


def test_the_page_s_script_asks_by_post_for_what_comes_behind_the_last_one() -> None:
    text = (Path(__file__).parents[1] / "snippets/projects/calling/sources/visits.star").read_text(encoding="utf-8")
    assert list(wrong_functions(text)) == []

    def visits(start: int, count: int) -> dict[str, Any]:
        nodes = [{"id": str(number), "page": "/", "shop": {"name": "north"}} for number in range(start, start + count)]
        return {"data": {"visits": [{"node": node} for node in nodes]}}

    with interpreting("sources/visits.star", text) as script:
        first = script.call("first", {"cursor": "40"})
        assert (first["path"], first["body"]["variables"]) == ("/graphql", {"after": 40, "limit": 500})
        full = script.call("next", {}, first, {"status": 200, "headers": {}, "body": visits(41, 500)})
        assert full["body"]["variables"] == {"after": 540, "limit": 500}
        assert script.call("next", {}, full, {"status": 200, "headers": {}, "body": visits(541, 3)}) is None
        assert script.call("records", visits(541, 1)) == [{"id": "541", "page": "/", "shop": "north"}]
