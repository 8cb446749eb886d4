"""What comes stays as it came: numbers, texts, query parameters. And credentials go where they belong, and into no message."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from meshplane.aws.clients import Clients
from meshplane.errors import Refused, ScriptFailed, SourceFailed
from meshplane.model.json_text import Written, line, read
from meshplane.model.sources import (
    Auth,
    Incremental,
    Page,
    Paginate,
    Response,
    Rest,
    Source,
    document_of,
    first_url,
    following_url,
    keep_place,
    newest,
    request_headers,
    with_params,
)
from tests.sources.apis import SCRIPT, TOKEN, Answer, Api, Shop, as_json, serving
from tests.sources.world import NAMING, World, orders

NUMBERS = [
    "12345678901234567.89",
    "1.10",
    "1e3",
    "1E-7",
    "0.1",
    "-0",
    "-0.0",
    "7",
    "123456789012345678901234567890",
    "1e400",
    "0.30000000000000004",
]
SECRET = "s3cr3t-of-nobody"


@dataclass
class Told(Api):
    """It answers `bodies` in turn, and notes the credentials that came."""

    bodies: list[bytes] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    credentials: list[str] = field(default_factory=list)

    def answer(self, path: str, query: dict[str, str], headers: Any) -> Answer:
        self.credentials.append(headers.get("Authorization", ""))
        return 200, self.headers, self.bodies.pop(0)


def source(api: Api, **rest: Any) -> Source:
    return Source("shop", Rest(f"{api.url}/x", rate=100, **rest), "orders_raw")


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_written_as_it_came(number: str) -> None:
    assert line(read(f'{{"a": [{number}, {{"b": {number}}}]}}')) == f'{{"a": [{number}, {{"b": {number}}}]}}'


def test_what_is_no_number_is_written_as_json_dumps_does() -> None:
    value = {"a": None, "b": [True, False, [], {}], 'é\u2028"\\\n': "😀\x00\x7f", "c": 1.5, "d": -7, "e": {"f": ["g"]}}
    assert line(value) == json.dumps(value, ensure_ascii=False)
    assert line(read(json.dumps(value))) == line(value)
    assert json.dumps({"a": read("1.10")}) == '{"a": 1.1}', "what a script gets is a float"


def test_values_land_as_they_came(clients: Clients) -> None:
    body = '{"meta": {"rate": 1.10}, "items": [{"id": 1, "amount": 12345678901234567.89, "price": 1.10, "name": "é \\ud83d"}]}'
    with serving(Told(bodies=[body.encode()])) as api:
        world = World(clients, source(api, records="items", keep=("meta.rate",), fetched_at="seen"))
        world.ingest("r1")
    (text,) = world.objects("sales/orders_raw/").values()
    seen = "2030-01-09T06:00:00Z"
    assert text == f'{{"id": 1, "amount": 12345678901234567.89, "price": 1.10, "name": "é \\ud83d", "rate": 1.10, "seen": "{seen}"}}\n'


def test_a_map_s_values_land_as_they_came(clients: Clients) -> None:
    with serving(Told(bodies=[b'{"USD": 1.10, "CHF": 0.950}'])) as api:
        world = World(clients, source(api, key="currency", value="rate"))
        world.ingest("r1")
    (text,) = world.objects("sales/orders_raw/").values()
    assert text == '{"currency": "USD", "rate": 1.10}\n{"currency": "CHF", "rate": 0.950}\n'


def test_what_is_nested_without_end_is_the_source_s_failure() -> None:
    for body in ("[" * 100_000, "[" * 600 + "]" * 600):
        with pytest.raises((SourceFailed, ValueError), match=r"no JSON|nested too deep"):
            line(document_of(Page("https://x.example.org/", 200, "", body)))


@pytest.mark.parametrize(
    ("before", "values", "wanted"),
    [
        ("", "[1.10, 1.2]", "1.2"),
        ("1.2", "[1.10]", "1.2"),
        ("", "[1.10]", "1.10"),
        ("999.5", "[1e3]", "1000.0"),  # as it was always asked for
        ("1234567890123456789", "[1234567890123456790, 1234567890123456788]", "1234567890123456790"),  # no float tells them apart
        ("b", '["a", "c\\ud83d"]', "b"),  # by half a pair nothing can be asked for
    ],
)
def test_the_cursor_is_the_greatest_value_as_it_came(before: str, values: str, wanted: str) -> None:
    rest = Rest("https://x.example.org/a", incremental=Incremental("a", "since"))
    assert newest(rest, [{"a": value} for value in read(values)], before) == wanted


@pytest.mark.parametrize("end", ["0", "0.0", "-0", '""', "null", "false"])
def test_a_cursor_that_is_nothing_ends_the_paging(end: str) -> None:
    rest = Rest("https://x.example.org/a", paginate=Paginate("cursor", "next", "c"))
    assert following_url(rest, rest.url, Response(200, {}, b""), read(f'{{"next": {end}}}')) == ""
    assert following_url(rest, rest.url, Response(200, {}, b""), read('{"next": 1.10}')).endswith("?c=1.10")


def test_what_no_url_can_hold_is_the_source_s_failure() -> None:
    document, answer = read('{"next": "/a?p=\\ud83d", "odd": "https://[x"}'), Response(200, {}, b"")
    for paginate in (Paginate("cursor", "next", "c"), Paginate("jsonLink", "next"), Paginate("jsonLink", "odd")):
        with pytest.raises(SourceFailed, match=r"https://x.example.org/a"):
            following_url(Rest("u", paginate=paginate), "https://x.example.org/a", answer, document)


def test_a_script_s_half_a_pair_fails_in_words(clients: Clients, shop: Shop) -> None:
    world = World(clients, replace(orders(shop), rest=Rest(shop.url, rate=100, auth=Auth(bearer="token"))))
    world.publish(SCRIPT)
    shop.failing = [(200, {}, b'{"data": {"items": [{"id": "\\ud83d"}]}, "next": null}')]
    with pytest.raises(ScriptFailed, match=r"`next` failed: .*hex escape"):
        world.ingest("r1")


@pytest.mark.parametrize(
    ("url", "params", "wanted"),
    [
        ("https://x.example.org/o?status=paid&status=open", {"page": "2"}, "status=paid&status=open&page=2"),
        ("https://x.example.org/o?a=1&page=1&b=&page=9&a=2", {"page": "2"}, "a=1&page=2&b=&a=2"),
        ("https://x.example.org/o", {"a": "1", "b": "2"}, "a=1&b=2"),
    ],
)
def test_a_query_parameter_that_stands_there_twice_is_kept(url: str, params: dict[str, str], wanted: str) -> None:
    assert with_params(url, params) == f"https://x.example.org/o?{wanted}"


def test_every_page_has_the_repeated_parameters() -> None:
    rest = Rest(
        "https://x.example.org/o?s=paid&s=open", paginate=Paginate("page", param="page", size=1), incremental=Incremental("a", "since")
    )
    first = first_url(rest, "7")
    assert first == "https://x.example.org/o?s=paid&s=open&since=7&page=0"
    assert following_url(rest, first, Response(200, {}, b""), [{}]) == "https://x.example.org/o?s=paid&s=open&since=7&page=1"


@pytest.mark.parametrize("paginate", [Paginate("headerLink"), Paginate("jsonLink", "next")], ids=lambda one: one.kind)
def test_a_link_to_another_place_is_refused_and_no_credentials_go_there(clients: Clients, paginate: Paginate) -> None:
    with serving(Told()) as bad, serving(Told(bodies=[b"[]"])) as other:
        assert isinstance(bad, Told)
        assert isinstance(other, Told)
        bad.headers = {"Link": f'<{other.url}/collect>; rel="next"'}
        bad.bodies = [json.dumps({"items": [{"id": "1"}], "next": f"{other.url}/collect"}).encode()] * 2
        made = replace(source(bad, records="items", paginate=paginate, auth=Auth(bearer="token")), secret="shop-api")
        world = World(clients, made)
        for _ in range(2):  # the page is in the archive then, with its link
            with pytest.raises(Refused, match=f"{bad.url} names {other.url} as the place of its next page"):
                world.ingest("r1")
        assert (bad.credentials, other.asked) == ([f"Bearer {TOKEN}"], [])
        assert not world.objects("sales/_pages/shop/last.json")


def test_what_the_same_place_is() -> None:
    for url in ("https://x.example.org/b", "https://x.example.org:443/b"):
        keep_place("https://x.example.org/a", url)
    for url in (
        "https://y.example.org/b",
        "http://x.example.org/b",
        "https://x.example.org:8443/",
        "https://x.example.org.evil.example.net/",
    ):
        with pytest.raises(Refused):
            keep_place("https://x.example.org/a", url)
    with pytest.raises(Refused, match=r"names https://evil\.example\.net as"):
        keep_place("https://x.example.org/a", "https://user:pw@evil.example.net/")


AUTHS = [Auth(bearer="token"), Auth(header="X-Key", key="token"), Auth(basic=("user", "token"))]


@pytest.mark.parametrize("auth", AUTHS, ids=["bearer", "header", "basic"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\nX-Other: 1", "\x00", "\x7f", "\ud83d", "\t"])
def test_credentials_that_no_header_takes_are_refused_by_secret_and_key(auth: Auth, end: str) -> None:
    made = Source("shop", Rest("https://x.example.org/", auth=auth), "t", secret="shop-api")
    with pytest.raises(SourceFailed, match=r"the secret shop-api: the value of token is not all printable") as failed:
        request_headers(made, {"user": "u", "token": SECRET + end})
    assert SECRET not in str(failed.value)
    assert failed.value.__cause__ is failed.value.__context__ is None, "no other error stands behind it, with the value"


def test_letters_beyond_ascii_go_only_where_they_are_encoded() -> None:
    def headers(auth: Auth) -> Any:
        return request_headers(
            Source("shop", Rest("https://x.example.org/", auth=auth), "t", secret="s"), {"user": "ü", "token": "päss wörd"}
        )

    for auth in AUTHS[:2]:
        with pytest.raises(SourceFailed, match="printable ASCII"):
            headers(auth)
    assert base64.b64decode(headers(AUTHS[2])["Authorization"].removeprefix("Basic ")).decode() == "ü:päss wörd"


def test_a_secret_with_a_line_end_fails_before_anything_is_asked(clients: Clients, shop: Shop) -> None:
    world = World(clients, orders(shop))
    secret = NAMING.of("secret", project="sales", name="shop-api")
    clients("secretsmanager").put_secret_value(SecretId=secret, SecretString=json.dumps({"token": f"{TOKEN}\n"}))
    with pytest.raises(SourceFailed, match="the secret shop-api: the value of token") as failed:
        world.ingest("r1")
    assert (TOKEN in str(failed.value), shop.asked) == (False, [])


def test_a_number_that_is_written_otherwise_is_still_a_float() -> None:
    found = read("1.10")
    assert isinstance(found, Written)
    assert (found, str(found), repr(found), bool(read("0.00"))) == (1.1, "1.10", "1.1", False)
    assert as_json({"a": found})[2] == b'{"a": 1.1}'
