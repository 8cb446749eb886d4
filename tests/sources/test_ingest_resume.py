"""A run that takes many calls: it goes on where it stood, and ends like one that nobody disturbed, wherever its calls were killed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from meshplane.aws.clients import Clients
from meshplane.aws.ingest_store import S3IngestStore
from meshplane.errors import IngestUnfinished, ScriptFailed
from meshplane.flows.ingest_api import NOTED, SPARE, Ingested, ingest_api
from meshplane.flows.ingest_ports import IngestPorts
from meshplane.model.sources import Dates, Incremental, Page, Paginate, Place, Response, Rest, Source
from meshplane.net.http import SafeHttp
from meshplane.sandbox.process import interpreting
from tests.sources.apis import SCRIPT, TOKEN, Shop, as_json
from tests.sources.test_source_script import scripted
from tests.sources.world import HERE, NAMING, World, orders

CALL = 180.0  # seconds of the function


class Killed(BaseException):
    """The process is gone: nothing catches this."""


@dataclass
class Slow:
    """An API, a bucket and a clock in one, of which every request takes its time and is a place to die, before and after it is done."""

    pages: int
    s3: float = 0.025
    http: float = 0.150
    now_at: float = 0.0
    ends: float = 0.0
    dies_at: int = -1  # the step of which a call does not come back: twice as many as there are requests
    steps: int = 0
    did: Counter[str] = field(default_factory=Counter)
    begun: dict[str, Any] = field(default_factory=dict)
    archived: dict[int, Page] = field(default_factory=dict)
    stood: dict[Place, dict[str, Any]] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)
    landed: dict[str, str] = field(default_factory=dict)

    def _step(self) -> None:
        self.steps += 1
        if self.steps == self.dies_at:
            raise Killed

    @contextmanager
    def _doing(self, what: str, seconds: float) -> Iterator[None]:
        self._step()
        self.now_at += seconds
        if self.now_at > self.ends:
            raise Killed  # Lambda's own end of a call
        self.did[what] += 1
        yield
        self._step()

    def now(self) -> datetime:
        return datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=self.now_at)

    def left(self) -> timedelta:
        return timedelta(seconds=self.ends - self.now_at)

    def pause(self, time: timedelta) -> None:
        self.now_at += time.total_seconds()

    def ask(self, url: str, headers: Mapping[str, str], body: str = "") -> Response:
        with self._doing("ask", self.http):
            parts = urlsplit(url)
            if parts.path.startswith("/v1/"):  # dated: every third day has none
                gone = int(parts.path[-2:]) % 3 == 0
                return Response(404 if gone else 200, {}, json.dumps({"id": parts.path[-2:]}).encode())
            number = int(parse_qs(parts.query).get("page", ["0"])[0])
            found = [{"id": f"{number:05}"}] if number < self.pages else []
            return Response(200, {}, json.dumps(found).encode())

    def begin(self, run_id: str, begun: Mapping[str, Any]) -> Mapping[str, Any]:
        with self._doing("begin", self.s3):
            self.begun = self.begun or deepcopy(dict(begun))
            return self.begun

    def page(self, run_id: str, number: int) -> Page | None:
        with self._doing("read" if number in self.archived else "look", self.s3):
            return self.archived.get(number)

    def archive(self, run_id: str, number: int, page: Page) -> None:
        with self._doing("archive", self.s3):
            self.archived.setdefault(number, page)

    def noted(self, run_id: str, place: Place) -> Mapping[str, Any]:
        with self._doing("noted", self.s3):
            return deepcopy(self.stood.get(place, {}))

    def note(self, run_id: str, place: Place, stand: Mapping[str, Any]) -> None:
        with self._doing("note", self.s3):
            self.stood[place] = json.loads(json.dumps(stand))

    def land(self, path: str, text: str) -> None:
        with self._doing("land", self.s3):
            self.landed.setdefault(path, text)

    def remembered(self) -> Mapping[str, Any]:
        with self._doing("remembered", self.s3):
            return deepcopy(self.memory)

    def remember(self, memory: Mapping[str, Any]) -> None:
        with self._doing("remember", self.s3):
            self.memory = deepcopy(dict(memory))

    def secret(self, name: str) -> Mapping[str, str]:
        return {}

    def script(self, path: str, sha256: str) -> str:
        return ""

    @contextmanager
    def interpreting(self, path: str, text: str) -> Iterator[Slow]:
        yield self

    def call(self, function: str, *given: Any) -> Any:
        """The script: pages by number, and what each holds."""
        self.did[function] += 1
        if function == "records":
            return [{"id": row["id"], "own": True} for row in given[0]]
        if function == "first":
            return {"query": {"page": 0}}
        return {"query": {"page": given[1]["query"]["page"] + 1}} if given[2]["body"] else None


PAGED = Source(
    "x",
    Rest("https://a.example.org/o", paginate=Paginate("page", param="page", size=1), incremental=Incremental("id", "since"), rate=10),
    "raw",
)
OWN = Source("x", Rest("https://a.example.org/o", incremental=Incremental("id"), script="own.star", script_sha256="0", rate=10), "raw")
DATED = Source("x", Rest("https://a.example.org/v1/{date}", dates=Dates("2029-12-20", 3), absent=(404,), rate=10), "raw")


def called(slow: Slow, source: Source, reparse: bool = False, most: int = 200) -> tuple[Ingested, int]:
    """As the state machine calls it: again, until it is done; in how many calls."""
    ports = IngestPorts(slow, slow, slow, slow.left, slow.pause, slow.interpreting)
    for number in range(1, most + 1):
        slow.ends = slow.now_at + CALL
        try:
            return ingest_api(ports, source, {"run_id": "r1"}, reparse), number
        except (IngestUnfinished, Killed):
            continue
    raise AssertionError(f"{most} calls, and {len(slow.archived)} pages")


@pytest.mark.parametrize("source", [PAGED, OWN], ids=["declared", "scripted"])
def test_a_run_of_many_pages_ends_in_the_calls_that_its_pages_take(source: Source) -> None:
    slow = Slow(pages=4000)
    done, calls = called(slow, source)
    assert (done.pages, done.files, done.cursor, len(slow.landed)) == (4001, 4000, "03999", 4000)
    alone = 4001 * (slow.http + 3 * slow.s3)
    assert calls <= alone / (CALL - SPARE.total_seconds()) + 1
    assert (slow.did["ask"], slow.did["read"]) == (4001, 0), "no page is read that was taken before"
    assert slow.did["records"] in (0, 4001)


def test_a_killed_call_loses_no_more_than_what_it_did_since_the_last_note() -> None:
    undisturbed = Slow(pages=600)
    called(undisturbed, PAGED)
    slow = Slow(pages=600, dies_at=4000)
    called(slow, PAGED)
    assert slow.landed == undisturbed.landed
    assert slow.did["ask"] - undisturbed.did["ask"] <= 1
    assert 0 < slow.did["read"] <= NOTED.total_seconds() / (slow.http + 3 * slow.s3) + 1


@pytest.mark.parametrize(("source", "pages"), [(PAGED, 12), (OWN, 12), (DATED, 0)], ids=["declared", "scripted", "dated"])
def test_a_run_ends_the_same_wherever_it_is_killed(source: Source, pages: int) -> None:
    def slow(dies_at: int = -1) -> Slow:
        made = Slow(pages, s3=1.5, http=12.0, dies_at=dies_at)  # so that notes are made, and a run takes some calls
        made.memory = {"cursor": "2029-12-22"} if source is DATED else {}
        return made

    undisturbed = slow()
    wanted, calls = called(undisturbed, source)
    assert (calls > 1, undisturbed.did["note"] > calls, undisturbed.steps > 80) == (True, True, True)
    for step in range(1, undisturbed.steps + 1):
        killed = slow(step)
        done, _ = called(killed, source)
        assert replace(done, requests=0) == replace(wanted, requests=0), step
        assert killed.landed == undisturbed.landed, step
        assert killed.memory == undisturbed.memory, step
        assert [page.url for page in killed.archived.values()] == [page.url for page in undisturbed.archived.values()], step


RESEEN = {"fetched_at": "seen"}  # another reading of the same pages: it lands files of its own


@pytest.mark.parametrize("source", [PAGED, OWN], ids=["declared", "scripted"])
def test_an_archive_of_many_pages_is_parsed_again_in_the_calls_that_its_pages_take(source: Source) -> None:
    slow = Slow(pages=8000)
    called(slow, source)
    first, stood = dict(slow.landed), deepcopy(slow.stood["stand"])
    slow.did.clear()
    done, calls, told = None, 0, []
    while done is None:
        slow.ends, calls = slow.now_at + CALL, calls + 1
        ports = IngestPorts(slow, slow, slow, slow.left, slow.pause, slow.interpreting)
        try:
            done = ingest_api(ports, replace(source, rest=replace(source.rest, **RESEEN)), {"run_id": "r1"}, reparse=True)
        except IngestUnfinished as unfinished:
            told.append(str(unfinished))
    alone = 8001 * 2 * slow.s3
    assert 1 < calls <= alone / (CALL - SPARE.total_seconds()) + 1
    assert (len(told), all("archived pages; the next call goes on" in one for one in told)) == (calls - 1, True)
    assert (done.pages, done.files, done.requests, done.cursor) == (8001, 8000, 0, "07999")
    assert (slow.did["read"], slow.did["ask"], len(slow.landed) - len(first)) == (8001, 0, 8000), "no page is read twice"
    assert (slow.stood["stand"], slow.stood["reparse"]) == (stood, {}), "the ingestion's own stand is left, that of the reparse is over"


@pytest.mark.parametrize(("source", "pages"), [(PAGED, 12), (OWN, 12), (DATED, 0)], ids=["declared", "scripted", "dated"])
def test_a_reparse_ends_the_same_wherever_it_is_killed(source: Source, pages: int) -> None:
    anew = replace(source, rest=replace(source.rest, **RESEEN))
    whole = Slow(pages, memory={"cursor": "2029-12-22"} if source is DATED else {})
    called(whole, source)

    def slow(dies_at: int = -1) -> Slow:
        left = {name: deepcopy(getattr(whole, name)) for name in ("begun", "archived", "memory", "landed")}
        return Slow(pages, s3=8.0, dies_at=dies_at, **left)

    undisturbed = slow()
    wanted, calls = called(undisturbed, anew, reparse=True)
    assert (calls > 1, undisturbed.did["note"] > calls, len(undisturbed.landed) > len(whole.landed)) == (True, True, True)
    for step in range(1, undisturbed.steps + 1):
        killed = slow(step)
        done, _ = called(killed, anew, reparse=True)
        assert done == wanted, step
        assert (killed.landed, killed.memory, killed.stood) == (undisturbed.landed, whole.memory, undisturbed.stood), step


def test_a_reparse_by_another_reading_or_window_begins_with_the_first_page() -> None:
    slow = Slow(pages=4000)
    called(slow, PAGED)
    anew = replace(PAGED, rest=replace(PAGED.rest, **RESEEN))
    for source, run in ((anew, {}), (PAGED, {}), (PAGED, {"window_start": "2030-01-01T00:00:00Z", "window_end": "2030-01-02T00:00:00Z"})):
        slow.did.clear()
        slow.ends = slow.now_at + CALL
        ports = IngestPorts(slow, slow, slow, slow.left, slow.pause, slow.interpreting)
        with pytest.raises(IngestUnfinished):
            ingest_api(ports, source, {"run_id": "r1", **run}, reparse=True)
        assert slow.stood["reparse"]["pages"] == slow.did["read"] > 2000
    again, calls = called(slow, anew, reparse=True)
    assert (calls, again.files, len(slow.landed)) == (2, 4000, 8000)


def test_a_run_whose_declaration_changed_reads_all_of_it_by_the_new_one() -> None:
    slow = Slow(pages=800)
    slow.ends = CALL
    with pytest.raises(IngestUnfinished):
        ingest_api(IngestPorts(slow, slow, slow, slow.left, slow.pause, slow.interpreting), PAGED, {"run_id": "r1"})
    before, asked = len(slow.landed), slow.did["ask"]
    done, _ = called(slow, replace(PAGED, rest=replace(PAGED.rest, fetched_at="seen")))
    assert (done.files, slow.did["ask"]) == (800, 801), "no page is asked for twice"
    assert (slow.did["read"], len(slow.landed)) == (asked, 800 + before)


def test_a_script_that_goes_round_is_found_out_whichever_call_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(pages=2000)
    go_on = slow.call

    def call(function: str, *given: Any) -> Any:
        round_again = function == "next" and given[2]["body"] == [{"id": "01500"}]
        return {"query": {"page": 3}} if round_again else go_on(function, *given)

    monkeypatch.setattr(slow, "call", call)
    with pytest.raises(ScriptFailed, match=r"asks for what this run has asked before: .*page=3"):
        called(slow, OWN)


@pytest.mark.parametrize("own", [False, True], ids=["declared", "scripted"])
def test_the_stand_is_kept_beside_the_archive(clients: Clients, shop: Shop, own: bool) -> None:
    world = scripted(clients, shop, SCRIPT) if own else World(clients, orders(shop))
    name = world.source.name
    shop.failing = [shop.answer("/orders", {}, {"Authorization": f"Bearer {TOKEN}"}), as_json({}, 429, **{"Retry-After": "3600"})]
    with pytest.raises(IngestUnfinished):
        world.ingest("r1")
    stood = json.loads(world.objects(f"sales/_pages/{name}/r1/stand.json").popitem()[1])
    assert (stood["schema"], stood["pages"], stood["files"], stood["cursor"]) == (1, 1, 1, "2030-01-01T01:39:00Z")
    assert stood["following"]["url"].endswith("limit=100&cursor=100")
    (key,) = [key for key in world.objects(f"sales/_pages/{name}/r1/0") if key.endswith("00001.json")]
    clients("s3").delete_object(Bucket=NAMING.bucket("raw"), Key=key)
    done = world.ingest("r1")
    assert (done.pages, done.files, done.requests) == (3, 3, 2), "the first page is not read again"
    assert sorted(int(row["id"]) for row in world.rows()) == list(range(250))
    assert len(json.loads(world.objects(f"sales/_pages/{name}/last.json").popitem()[1])["prints"]) == 3


@pytest.mark.parametrize("own", [False, True], ids=["declared", "scripted"])
def test_a_reparse_goes_on_where_it_stood_and_then_forgets_it(clients: Clients, shop: Shop, own: bool) -> None:
    world = scripted(clients, shop, SCRIPT) if own else World(clients, orders(shop))
    world.ingest("r1")
    before, asked, name = world.objects("sales/orders_raw/"), len(shop.asked), world.source.name
    world.source = replace(world.source, rest=replace(world.source.rest, fetched_at="seen"))
    s3, bucket = clients("s3"), NAMING.bucket("raw")

    def reparse(pages: int) -> Ingested:
        """A call whose time is up after so many pages."""
        left = iter([timedelta(seconds=180)] * (pages + 1))
        store = S3IngestStore(clients, NAMING, "sales", world.source)
        passing = IngestPorts(SafeHttp(HERE, lambda: 0.0), store, world, lambda: next(left, timedelta()), world.pause, interpreting)
        return ingest_api(passing, world.source, {"run_id": "r1"}, reparse=True)

    with pytest.raises(IngestUnfinished, match="time is up after 1 archived pages; the next call goes on"):
        reparse(2)
    stood = json.loads(world.objects(f"sales/_pages/{name}/r1/reparse.json").popitem()[1])
    assert (stood["schema"], stood["pages"], stood["files"]) == (1, 1, 1)
    first = world.objects("sales/orders_raw/").keys() - before.keys()
    ((page, body),) = world.objects(f"sales/_pages/{name}/r1/00001.json").items()
    s3.delete_object(Bucket=bucket, Key=page)
    done = world.ingest("r1", reparse=True)
    assert (done.pages, done.files, done.requests, len(shop.asked)) == (3, 3, 0, asked), "the first page is not read again"
    landed = world.objects("sales/orders_raw/")
    assert (len(first), len(landed), before.items() <= landed.items()) == (1, 6, True)
    anew = [json.loads(line) for key in landed.keys() - before.keys() for line in landed[key].splitlines()]
    assert sorted(int(row["id"]) for row in anew) == list(range(250)), "each record once"
    assert world.objects(f"sales/_pages/{name}/r1/reparse.json").popitem()[1] == "{}"
    for key in landed:
        s3.delete_object(Bucket=bucket, Key=key)
    s3.put_object(Bucket=bucket, Key=page, Body=body.encode())
    assert world.ingest("r1", reparse=True).files == 3, "the next one begins with the first page"
    assert sorted(int(row["id"]) for row in world.rows()) == list(range(250))
