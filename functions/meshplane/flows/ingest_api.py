"""Fetch one declared source in one run: called by `handlers.ingest_api`, which a state machine's ingest step invokes.

    begin (day, cursor) → page: archived already? else ask, archive → its records under the raw table → … → cursor and prints kept

Every write is made at most once under a key that the run determines, so the step may be called again at any point: it goes on where the
last call noted that it stood, reads what was archived behind that, and leaves the same files. `reparse` reads the whole archive of an
earlier run instead of calling: only a changed reading of it leaves new files. It goes on in the same way, and once done forgets where it
stood: the next one reads all of it. An answer that is the same as in the last whole run lands no second time.

A source's own script says which request is next and which records an answer holds; every call is made here all the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Any

from meshplane.errors import Broken, IngestUnfinished, ScriptFailed, SourceFailed
from meshplane.flows.ingest_ports import IngestPorts, Script
from meshplane.model.runs import PipelinePolicy
from meshplane.model.source_script import Asked, asked, records
from meshplane.model.sources import (
    Page,
    Place,
    Response,
    Rest,
    Source,
    behind,
    days,
    document_of,
    fingerprint,
    first_url,
    following_url,
    keep_place,
    lines,
    newest,
    request_headers,
    rows,
)
from meshplane.model.windows import iso
from meshplane.ports import Clock

AGAIN = frozenset({429, 500, 502, 503, 504})
MAX_PAGES = 10_000
SPARE = timedelta(seconds=30)  # what a last answer and its writes may take
LONGEST = timedelta(minutes=2)  # a longer wait is left to the state machine
NOTED = timedelta(seconds=15)  # how much of a call is done again at most, should it be killed


@dataclass(frozen=True, slots=True)
class Ingested:
    """What the step answers: requests sent, pages read, files landed, pages that were as before, and by which script (its sha256)."""

    source: str
    requests: int = 0
    pages: int = 0
    files: int = 0
    unchanged: int = 0
    cursor: str = ""
    script: str = ""


@dataclass
class _Stand:
    """Where a run stands: how many pages are under the raw table and what they came to; `following`, the request behind them, belongs
    to the first request number `start`. `prints` are fingerprint → response hash."""

    cursor: str
    pages: int = 0
    start: int = -1
    following: Asked | None = None
    files: int = 0
    unchanged: int = 0
    prints: dict[str, str] = field(default_factory=dict)


@dataclass
class _Run:
    """One call of the step. `days` are those of a dated source, `left` is the time that was left when the stand was noted."""

    ports: IngestPorts
    source: Source
    run_id: str
    reading: bool  # only the archive is read
    begun: Mapping[str, Any]
    window: tuple[str, str]
    headers: Mapping[str, str]
    days: Sequence[str]
    stand: _Stand
    left: timedelta
    script: Script | None = None
    requests: int = 0
    asked: datetime | None = None
    noted: bool = False  # whether a stand is kept that another call would go on from

    @property
    def place(self) -> Place:
        """Where the stand is kept."""
        return "reparse" if self.reading else "stand"

    @property
    def about(self) -> Mapping[str, str]:
        """What a script is told of its run: the same however often the step is called."""
        rest = self.source.rest
        cursor = str(self.begun["cursor"]) or (rest.incremental.initial if rest.incremental else "")
        return {"began": str(self.begun["at"]), "cursor": cursor, "window_start": self.window[0], "window_end": self.window[1]}


def ingest_api(ports: IngestPorts, source: Source, run: Mapping[str, Any], reparse: bool = False) -> Ingested:
    """One source in one run (docs/contracts.md §2: `run`). Raises SourceFailed; IngestUnfinished when it is to be called again."""
    run_id, memory = str(run["run_id"]), ports.store.remembered()
    first = {"at": iso(ports.clock.now()), "cursor": memory.get("cursor", ""), "prints": memory.get("prints", {})}
    begun = ports.store.begin(run_id, {**first, "script": source.rest.script_sha256})
    if not reparse and begun.get("script", "") != source.rest.script_sha256:
        raise ScriptFailed(f"{source.rest.script or source.name}: run {run_id} began with another script; start a new run")
    secret = ports.store.secret(source.secret) if source.secret and not reparse else {}
    window = str(run.get("window_start", "")), str(run.get("window_end", ""))
    asking = days(source.rest.dates, str(begun["cursor"]), *window, _today(begun)) if source.rest.dates else []
    work = _Run(ports, source, run_id, reparse, begun, window, request_headers(source, secret), asking, _Stand(""), ports.left())
    work.stand = _stand(work)
    with _script(ports, source.rest) as work.script:
        return _ingested(work)


def _ingested(work: _Run) -> Ingested:
    """Every page's records under the raw table, then what the next run shall know."""
    source, stand = work.source, work.stand
    try:
        _read(work, _starts(work))
    except IngestUnfinished:
        _note(work)
        raise
    if source.rest.dates and not all(work.window):
        stand.cursor = behind(work.days, str(work.begun["cursor"]), stand.cursor, _today(work.begun))
    if not work.reading:
        work.ports.store.remember({"cursor": stand.cursor, "prints": stand.prints, "run_id": work.run_id})
    elif work.noted:
        work.ports.store.note(work.run_id, "reparse", {})
    return Ingested(source.name, work.requests, stand.pages, stand.files, stand.unchanged, stand.cursor, source.rest.script_sha256)


def _read(work: _Run, starts: Sequence[Asked]) -> None:
    """Page after page in order, from the archive as far as it goes."""
    stand = work.stand
    while stand.following or stand.start + 1 < len(starts):
        if stand.following is None:
            stand.start += 1
            stand.following = starts[stand.start]
        if stand.pages == MAX_PAGES:
            raise SourceFailed(f"{work.source.name} has more than {MAX_PAGES} pages: a paginator without end, or ask for larger ones")
        if work.reading and work.ports.left() < SPARE:
            raise IngestUnfinished(
                f"{work.source.name}: the function's time is up after {stand.pages} archived pages; the next call goes on"
            )
        page = work.ports.store.page(work.run_id, stand.pages + 1)
        if page is None and work.reading:
            return
        if page is None:
            page = _fetched(work, stand.following)
            work.ports.store.archive(work.run_id, stand.pages + 1, page)
        _land(work, page)
        stand.following = _after(work, page)
        stand.pages += 1
        if work.left - work.ports.left() >= NOTED:
            _note(work)


def _land(work: _Run, page: Page) -> None:
    """A page's records under the raw table, and what it comes to."""
    source, stand, begun = work.source, work.stand, work.begun
    found = _records(work, page)
    text = lines(source.rest, page, found)
    stand.prints[page.fingerprint] = page.response_sha256
    stand.cursor = newest(source.rest, found, stand.cursor)
    if work.days and not all(work.window) and page.status not in source.rest.absent:  # a window may leave a gap before it
        stand.cursor = max(stand.cursor, work.days[stand.start])
    if begun["prints"].get(page.fingerprint) == page.response_sha256 and not work.reading:
        stand.unchanged += 1
    elif text:
        folder = f"{source.partition}={begun['at'][:10]}/" if source.partition else ""
        name = sha256(text.encode()).hexdigest()[:12]
        work.ports.store.land(f"{folder}{source.name}-{work.run_id}-{stand.pages + 1:05}-{name}.json", text)
        stand.files += 1


def _stand(work: _Run) -> _Stand:
    """As an earlier call noted it; from the first page where none did, or where it read by another declaration or for another window."""
    noted = dict(work.ports.store.noted(work.run_id, work.place))
    work.noted = bool(noted)
    if (noted.pop("schema", 0), noted.pop("source", "")) != (1, _declared(work)):
        return _Stand(str(work.begun["cursor"]))
    said, rest = noted.pop("following"), work.source.rest
    scripted = said and rest.script and not work.reading  # a script's words are judged again, like those of an archived page
    following = asked(rest, said["words"], rest.script, "next") if scripted else Asked(said["url"]) if said else None
    return _Stand(**noted, following=following)


def _note(work: _Run) -> None:
    """The stand, so that the next call need not read every archived page again to come to it."""
    work.ports.store.note(work.run_id, work.place, {"schema": 1, "source": _declared(work), **asdict(work.stand)})
    work.noted, work.left = True, work.ports.left()


def _declared(work: _Run) -> str:
    read_by = {**work.source.to_json(), "window": work.window}
    return sha256(json.dumps(read_by, sort_keys=True).encode()).hexdigest()


def _today(begun: Mapping[str, Any]) -> date:
    return datetime.fromisoformat(str(begun["at"])).date()


def source_of(pipelines: Mapping[str, PipelinePolicy], pipeline: str, source: str, script: str = "") -> Source:
    """The source as the last reconcile left it with its pipeline; `script`: the content of its own script that the caller began with.

    Raises SourceFailed for one that is not declared there.
    """
    policy = pipelines.get(pipeline)
    stored = policy.sources.get(source) if policy else None
    if policy is None or stored is None:
        raise SourceFailed(f"pipeline {pipeline} has no applied source {source}")
    if policy.paused:
        raise SourceFailed(f"pipeline {pipeline} is paused: {policy.paused}")
    found = Source.from_json(stored)
    return replace(found, rest=replace(found.rest, script_sha256=script)) if script and found.rest.script else found


def _script(ports: IngestPorts, rest: Rest) -> AbstractContextManager[Script | None]:
    if not rest.script:
        return nullcontext()
    return ports.interpreting(rest.script, ports.store.script(rest.script, rest.script_sha256))


def _records(work: _Run, page: Page) -> Sequence[Mapping[str, Any]]:
    """A page's records, as they came or as the script says."""
    rest = work.source.rest
    if page.status in rest.absent:
        return ()
    if work.script is None:
        return list(rows(rest, document_of(page)))
    return records(work.script.call("records", document_of(page)), rest.script)


def _starts(work: _Run) -> list[Asked]:
    """The first requests: one, or one a day."""
    rest = work.source.rest
    if work.script is None:
        urls = [first_url(rest, "", day) for day in work.days] if rest.dates else [first_url(rest, str(work.begun["cursor"]))]
        return [Asked(url) for url in urls]
    if work.reading:  # nothing is asked: an archive begins with its first page
        return [Asked(rest.url)]
    first = asked(rest, work.script.call("first", work.about), rest.script, "first")
    return [first] if first else []


def _after(work: _Run, page: Page) -> Asked | None:
    """The request behind a page; None at the end."""
    if page.then is None:
        return Asked(page.following) if page.following else None
    rest = work.source.rest
    following = asked(rest, page.then, rest.script, "next")
    if following and not work.reading and fingerprint(following.url, following.sent) in work.stand.prints:
        raise ScriptFailed(f"{rest.script}: `next` asks for what this run has asked before: {following.url}")
    return following


def _fetched(work: _Run, request: Asked) -> Page:
    """One answer that can be taken, tried as often as declared."""
    rest, url, why = work.source.rest, request.url, ""
    keep_place(rest.url.replace("{date}", work.days[work.stand.start]) if work.days else rest.url, url)
    for attempt in range(rest.retries + 1):
        _paced(work)
        try:
            answer = work.ports.http.ask(url, work.headers, request.sent)
        except Broken as broken:
            why, wait = str(broken), _backoff(attempt)
        else:
            if answer.status == 200 or answer.status in rest.absent:
                return _page(work, request, answer)
            why, wait = f"{url} answered {answer.status}", _asked_wait(answer, work.ports.clock) or _backoff(attempt)
            if answer.status not in AGAIN:
                raise SourceFailed(why)
        if attempt < rest.retries:
            _wait(work, wait, why)
    raise SourceFailed(f"{why}, {rest.retries + 1} times")


def _page(work: _Run, request: Asked, answer: Response) -> Page:
    """The answer as it is archived, with the request behind it."""
    rest, url = work.source.rest, request.url
    try:
        body = answer.body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceFailed(f"{url} answered text that is no UTF-8") from error
    page = Page(url, answer.status, iso(work.ports.clock.now()), body, sent=request.sent, script=rest.script_sha256)
    absent = answer.status in rest.absent
    if work.script is None:
        return page if absent else replace(page, following=following_url(rest, url, answer, document_of(page)))
    told = {"status": answer.status, "headers": dict(answer.headers), "body": None if absent else document_of(page)}
    then = work.script.call("next", work.about, request.words, told)
    following = asked(rest, then, rest.script, "next")
    return replace(page, following=following.url, then=then) if following else page


def _paced(work: _Run) -> None:
    """No more requests a second than declared, and none that could not be worked through."""
    now, gap = work.ports.clock.now(), timedelta(seconds=1 / work.source.rest.rate)
    if work.asked is not None and now - work.asked < gap:
        work.ports.pause(gap - (now - work.asked))
    if work.ports.left() < SPARE:
        raise IngestUnfinished(f"{work.source.name}: the function's time is up after {work.requests} requests; the next call goes on")
    work.asked = work.ports.clock.now()
    work.requests += 1


def _wait(work: _Run, wait: timedelta, why: str) -> None:
    if wait > LONGEST or wait + SPARE > work.ports.left():
        raise IngestUnfinished(f"{why}, and asks to wait {wait.total_seconds():.0f} s")
    work.ports.pause(wait)


def _backoff(attempt: int) -> timedelta:
    return timedelta(seconds=min(60.0, 0.5 * 2**attempt))


def _asked_wait(answer: Response, clock: Clock) -> timedelta | None:
    """`Retry-After`: seconds or a date (RFC 9110); None when it says nothing that can be read."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return timedelta(seconds=min(int(text), 86_400))
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(timedelta(), (until if until.tzinfo else until.replace(tzinfo=UTC)) - clock.now())
