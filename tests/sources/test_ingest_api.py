"""`ingest_api` against real servers on loopback and the raw bucket in moto: pages, throttling, resuming, dates, re-parsing."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from meshplane.aws.clients import Clients
from meshplane.errors import Broken, IngestUnfinished, Refused, SourceFailed
from meshplane.model.sources import Auth, Dates, Incremental, Page, Paginate, Response, Rest, Source, following_url
from meshplane.net.http import Limits, SafeHttp
from tests.sources.apis import TOKEN, Rates, Shop, as_json
from tests.sources.world import HERE, World, orders


def fx(rates: Rates) -> Source:
    rest = Rest(
        f"{rates.url}/v1/{{date}}", records="rates", key="currency", value="rate", keep=("base", "date"), fetched_at="seen", absent=(404,)
    )
    return Source("fx", replace(rest, dates=Dates("2030-01-01", 7), rate=100), "orders_raw")


def test_every_page_lands_once_through_throttling_failures_and_a_changed_shape(clients: Clients, shop: Shop) -> None:
    world = World(clients, orders(shop))
    later = {"Retry-After": "Wed, 09 Jan 2030 06:01:00 GMT"}
    shop.failing = [as_json({}, 429, **{"Retry-After": "7"}), as_json({}, 500), (503, later, b"")]
    done = world.ingest("r1")
    assert (done.pages, done.files, done.requests) == (3, 3, 6)
    assert [wait for wait in world.waits if wait >= 1] == [7.0, 1.0, pytest.approx(52, abs=1)]
    rows = world.rows()
    assert sorted(int(row["id"]) for row in rows) == list(range(250))
    assert {type(row["amount"]) for row in rows} == {str, float}
    assert sum("channel" in row for row in rows) == 50
    assert all("/dt=2030-01-09/" in key for key in world.objects("sales/orders_raw/"))


def test_a_second_run_asks_only_for_what_is_new_and_lands_nothing_twice(clients: Clients, shop: Shop) -> None:
    world = World(clients, orders(shop))
    world.ingest("r1")
    before = world.objects("sales/orders_raw/")
    again = world.ingest("r2")
    assert (again.files, again.cursor) == (0, "2030-01-01T04:09:00Z")
    assert world.objects("sales/orders_raw/") == before
    shop.changed = {17: "2030-01-02T00:00:00Z"}
    third = world.ingest("r3")
    assert (third.files, third.cursor) == (1, "2030-01-02T00:00:00Z")
    assert [row["id"] for row in world.rows() if row["amount"] == "0.01"] == ["17"]


def test_a_step_that_is_called_again_goes_on_behind_the_last_page(clients: Clients, shop: Shop) -> None:
    world = World(clients, orders(shop))
    shop.failing = [shop.answer("/orders", {}, {"Authorization": f"Bearer {TOKEN}"}), as_json({}, 429, **{"Retry-After": "3600"})]
    with pytest.raises(IngestUnfinished):
        world.ingest("r1")
    asked = len(shop.asked)
    assert world.ingest("r1").files == 3
    assert len(shop.asked) == asked + 2, "the first page came from the archive"
    world.left = timedelta(seconds=5)
    assert world.ingest("r1").requests == 0, "a whole run is only read"
    with pytest.raises(IngestUnfinished):
        world.ingest("r2")


def test_the_archive_names_request_cursor_and_hash_and_is_parsed_again_without_a_call(clients: Clients, shop: Shop) -> None:
    world = World(clients, orders(shop))
    world.ingest("r1")
    archived = {key: json.loads(text) for key, text in world.objects("sales/_pages/shop/r1/0").items()}
    assert len(archived) == 3
    for stored in archived.values():
        page = Page.from_json(stored)
        assert (stored["fingerprint"], stored["response_sha256"]) == (page.fingerprint, page.response_sha256)
    assert [stored["following"].rpartition("cursor=")[2] for stored in archived.values()] == ["100", "200", ""]
    assert TOKEN not in "".join(world.objects("").values())
    asked, files = len(shop.asked), len(world.objects("sales/orders_raw/"))
    assert world.ingest("r1", reparse=True).requests == 0
    assert len(world.objects("sales/orders_raw/")) == files, "the same reading leaves the same files"
    world.source = replace(world.source, rest=replace(world.source.rest, keep=("next",)))
    assert world.ingest("r1", reparse=True).files == 3
    assert (len(shop.asked), len(world.objects("sales/orders_raw/"))) == (asked, files + 3)
    with pytest.raises(SourceFailed, match="was changed"):
        Page.from_json({**next(iter(archived.values())), "body": "{}"})


def test_dated_documents_with_holidays_and_a_restated_day(clients: Clients, rates: Rates) -> None:
    world = World(clients, fx(rates))
    first = world.ingest("r1")
    assert (first.pages, first.files, first.cursor) == (9, 7, "2030-01-09"), "5 and 6 January 2030 are a weekend"
    assert {(row["date"], row["currency"], row["base"]) for row in world.rows()} >= {("2030-01-09", "USD", "EUR")}
    again = world.ingest("r2")
    assert (again.files, again.pages) == (0, 7)
    rates.restated = {"2030-01-08": 1.2}
    world.at += timedelta(days=1)
    third = world.ingest("r3")
    assert third.files == 2, "the restated day and the new one"
    latest = {(row["date"], row["currency"]): row["rate"] for row in sorted(world.rows(), key=lambda row: str(row["seen"]))}
    assert (latest["2030-01-08", "USD"], latest["2030-01-07", "USD"]) == (1.2, 1.1)


def test_a_run_with_a_window_asks_for_its_days_only(clients: Clients, rates: Rates) -> None:
    world = World(clients, fx(rates))
    world.ingest("r1", window_start="2030-01-02T00:00:00Z", window_end="2030-01-04T00:00:00Z")
    assert rates.asked == ["/v1/2030-01-02", "/v1/2030-01-03"]


def test_what_cannot_be_taken_fails_with_a_reason_and_without_the_secret(clients: Clients, shop: Shop) -> None:
    world = World(clients, orders(shop))
    for answer, says in (
        (as_json({}, 401), "answered 401"),
        (as_json([1]), "found: NoneType"),
        (as_json({"data": {"items": [1]}}), "a record is an object"),
        ((200, {}, b"<html>"), "no JSON"),
        ((200, {}, b"\xff\xfe"), "no UTF-8"),
    ):
        shop.failing = [answer]
        with pytest.raises(SourceFailed, match=says) as failed:
            world.ingest(f"r-{says[-4:].strip()}")
        assert TOKEN not in str(failed.value)
    world.source = replace(world.source, rest=replace(world.source.rest, auth=Auth(bearer="other")))
    with pytest.raises(SourceFailed, match="no key other; it has: token"):
        world.ingest("r9")


def get(api: Shop, limits: Limits | None = None, ticks: list[float] | None = None) -> Response:
    times = iter(ticks or [0.0] * 10_000)
    return SafeHttp(HERE, lambda: next(times), limits=limits or Limits()).ask(f"{api.url}/x", {})


def test_redirects_stay_at_their_host_and_answers_are_capped(shop: Shop) -> None:
    shop.failing = [as_json({}, 302, Location="/y"), as_json({"ok": 1})]
    assert json.loads(get(shop).body) == {"ok": 1}
    for target in ("http://127.0.0.1:1/", "https://api.example.org/", "//169.254.169.254/", "http://localhost/", "file:///etc/passwd"):
        shop.failing = [as_json({}, 302, Location=target)]
        with pytest.raises(Refused):
            get(shop)
    shop.failing = [as_json({}, 302, Location="/y")] * 4
    with pytest.raises(Refused, match="redirects more than"):
        get(shop)
    shop.failing = [(200, {"Content-Encoding": "gzip"}, gzip.compress(b" " * 2_000_000))]
    with pytest.raises(Refused, match="more than 1000000 bytes"):
        get(shop, Limits(bytes=1_000_000))
    shop.failing = [as_json({})]
    with pytest.raises(Broken, match="longer than"):
        get(shop, Limits(seconds=1), [0.0, 2.0, 2.0])
    with pytest.raises(Broken, match="the connection failed"):
        SafeHttp(HERE, lambda: 0.0).ask("http://127.0.0.1:1/", {})


@pytest.mark.parametrize(
    ("paginate", "headers", "document", "wanted"),
    [
        (Paginate("headerLink"), {"link": '</a?p=1>; rel="prev", </a?p=3>; rel="next"'}, {"a": 1}, "https://x.example.org/a?p=3"),
        (Paginate("headerLink"), {"link": "</a?p=1>; rel=prev"}, {"a": 1}, ""),
        (Paginate("jsonLink", "links.next"), {}, {"links": {"next": "/a?p=3"}}, "https://x.example.org/a?p=3"),
        (Paginate("jsonLink", "links.next"), {}, {"links": {"next": None}}, ""),
        (Paginate("page", param="p", size=1), {}, {"a": 1}, "https://x.example.org/a?p=3"),
        (Paginate("page", param="p", size=2), {}, {"a": 1}, ""),
        (Paginate("offset", param="p", size=1), {}, {"a": 1}, "https://x.example.org/a?p=3"),
        (Paginate("cursor", "c", "p"), {}, {"c": "z&="}, "https://x.example.org/a?p=z%26%3D"),
        (Paginate(), {}, {"a": 1}, ""),
    ],
)
def test_paginators(paginate: Paginate, headers: dict[str, str], document: Any, wanted: str) -> None:
    rest = Rest("https://x.example.org/a", paginate=paginate)
    assert following_url(rest, "https://x.example.org/a?p=2", Response(200, headers, b""), document) == wanted


def test_a_page_that_names_itself_ends_the_run() -> None:
    rest = Rest("https://x.example.org/a", paginate=Paginate("jsonLink", "next"))
    with pytest.raises(SourceFailed, match="its next page"):
        following_url(rest, "https://x.example.org/a", Response(200, {}, b""), {"next": "/a"})


def test_a_source_is_stored_and_read_back() -> None:
    rest = Rest("u", incremental=Incremental("a", "b"), auth=Auth(basic=("user", "pw")), dates=Dates("2030-01-01", 3), absent=(404,))
    source = Source("s", rest, "t")
    assert Source.from_json(json.loads(json.dumps(source.to_json()))) == source
