"""Fetch one declared source in one run: called by `handlers.ingest_api`, which a state machine's ingest step invokes.

    begin (day, cursor) → page: archived already? else ask, archive → its records under the raw table → … → cursor and prints kept

Every write is made at most once under a key that the run determines, so the step may be called again at any point: it goes on behind the
last archived page and leaves the same files. `reparse` reads an earlier run's archive instead of calling: only a changed reading of
it leaves new files. An answer that is the same as in the last whole run lands no second time.

A source's own script says which request is next and which records an answer holds; every call is made here all the same.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Any, Protocol

from meshplane.errors import Broken, IngestUnfinished, ScriptFailed, SourceFailed
from meshplane.model.runs import PipelinePolicy
from meshplane.model.source_script import Asked, asked, records
from meshplane.model.sources import (
    Page,
    Response,
    Rest,
    Source,
    days,
    document_of,
    fingerprint,
    first_url,
    following_url,
    lines,
    newest,
    rows,
)
from meshplane.model.windows import iso
from meshplane.ports import Clock

AGAIN = frozenset({429, 500, 502, 503, 504})
MAX_PAGES = 10_000
SPARE = timedelta(seconds=30)  # what a last answer and its writes may take
LONGEST = timedelta(minutes=2)  # a longer wait is left to the state machine


class Http(Protocol):
    """One GET, or with a body one POST of JSON. Raises Refused, Broken."""

    def ask(self, url: str, headers: Mapping[str, str], body: str = "") -> Response:
        """The answer, whatever its status."""
        ...


class Script(Protocol):
    """A source's own file, ready to be called. Raises ScriptFailed."""

    def call(self, function: str, *given: Any) -> Any:
        """What one of its functions answers, as plain values."""
        ...


class IngestStore(Protocol):
    """What an ingestion keeps, in the project's own prefix of the raw bucket. Writes are made at most once, but for `remember`."""

    def begin(self, run_id: str, begun: Mapping[str, Any]) -> Mapping[str, Any]:
        """Keep how a run began, and give back how it began first."""
        ...

    def page(self, run_id: str, number: int) -> Page | None:
        """An archived page."""
        ...

    def archive(self, run_id: str, number: int, page: Page) -> None:
        """Keep a page."""
        ...

    def land(self, path: str, text: str) -> None:
        """Put a file of records under the raw table."""
        ...

    def remembered(self) -> Mapping[str, Any]:
        """What the last whole run left: `cursor`, `prints`."""
        ...

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Leave it."""
        ...

    def secret(self, name: str) -> Mapping[str, str]:
        """A secret's keys and values."""
        ...

    def script(self, path: str, sha256: str) -> str:
        """The text of a file of the project's release. Raises NotReady where it is not there, or is another one."""
        ...


@dataclass(frozen=True, slots=True)
class IngestPorts:
    """`left` is the function's remaining time, `pause` waits, `interpreting` opens a script by its path and text."""

    http: Http
    store: IngestStore
    clock: Clock
    left: Callable[[], timedelta]
    pause: Callable[[timedelta], None]
    interpreting: Callable[[str, str], AbstractContextManager[Script]]


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
class _Run:
    """One call of the step. `about` is what a script is told of the run; `prints` are fingerprint → response hash of this run's pages."""

    ports: IngestPorts
    source: Source
    run_id: str
    reading: bool  # only the archive is read
    headers: Mapping[str, str]
    script: Script | None
    about: Mapping[str, str]
    requests: int = 0
    asked: datetime | None = None
    prints: dict[str, str] = field(default_factory=dict)


def ingest_api(ports: IngestPorts, source: Source, run: Mapping[str, Any], reparse: bool = False) -> Ingested:
    """One source in one run (docs/contracts.md §2: `run`). Raises SourceFailed; IngestUnfinished when it is to be called again."""
    run_id, memory = str(run["run_id"]), ports.store.remembered()
    first = {"at": iso(ports.clock.now()), "cursor": memory.get("cursor", ""), "prints": memory.get("prints", {})}
    begun = ports.store.begin(run_id, {**first, "script": source.rest.script_sha256})
    if not reparse and begun.get("script", "") != source.rest.script_sha256:
        raise ScriptFailed(f"{source.rest.script or source.name}: run {run_id} began with another script; start a new run")
    secret = ports.store.secret(source.secret) if source.secret and not reparse else {}
    with _script(ports, source.rest) as script:
        work = _Run(ports, source, run_id, reparse, _headers(source.rest, secret), script, _about(source.rest, begun, run))
        return _ingested(work, begun, run)


def _ingested(work: _Run, begun: Mapping[str, Any], run: Mapping[str, Any]) -> Ingested:
    """Every page's records under the raw table, then what the next run shall know."""
    source, ports = work.source, work.ports
    cursor, number, files, unchanged = str(begun["cursor"]), 0, 0, 0
    folder = f"{source.partition}={begun['at'][:10]}/" if source.partition else ""
    for number, page in enumerate(_pages(work, begun, run), 1):
        found = _records(work, page)
        text = lines(source.rest, page, found)
        work.prints[page.fingerprint] = page.response_sha256
        cursor = newest(source.rest, found, cursor)
        if begun["prints"].get(page.fingerprint) == page.response_sha256 and not work.reading:
            unchanged += 1
        elif text:
            name = sha256(text.encode()).hexdigest()[:12]
            ports.store.land(f"{folder}{source.name}-{work.run_id}-{number:05}-{name}.json", text)
            files += 1
    cursor = max([cursor, *_days(source.rest, begun, run)])
    if not work.reading:
        ports.store.remember({"cursor": cursor, "prints": work.prints, "run_id": work.run_id})
    return Ingested(source.name, work.requests, number, files, unchanged, cursor, source.rest.script_sha256)


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


def _days(rest: Rest, begun: Mapping[str, Any], run: Mapping[str, Any]) -> list[str]:
    """The days that this run asks for; none for a source that is not dated."""
    if rest.dates is None:
        return []
    today = datetime.fromisoformat(str(begun["at"])).date()
    return days(rest.dates, str(begun["cursor"]), str(run.get("window_start", "")), str(run.get("window_end", "")), today)


def _script(ports: IngestPorts, rest: Rest) -> AbstractContextManager[Script | None]:
    if not rest.script:
        return nullcontext()
    return ports.interpreting(rest.script, ports.store.script(rest.script, rest.script_sha256))


def _about(rest: Rest, begun: Mapping[str, Any], run: Mapping[str, Any]) -> Mapping[str, str]:
    """What a script is told of its run: the same however often the step is called."""
    cursor = str(begun["cursor"]) or (rest.incremental.initial if rest.incremental else "")
    window = {name: str(run.get(name, "")) for name in ("window_start", "window_end")}
    return {"began": str(begun["at"]), "cursor": cursor, **window}


def _records(work: _Run, page: Page) -> Sequence[Mapping[str, Any]]:
    """A page's records, as they came or as the script says."""
    rest = work.source.rest
    if page.status in rest.absent:
        return ()
    if work.script is None:
        return list(rows(rest, document_of(page)))
    return records(work.script.call("records", document_of(page)), rest.script)


def _starts(work: _Run, begun: Mapping[str, Any], run: Mapping[str, Any]) -> list[Asked]:
    """The first requests: one, or one a day."""
    rest = work.source.rest
    if work.script is None:
        urls = [first_url(rest, "", day) for day in _days(rest, begun, run)] if rest.dates else [first_url(rest, str(begun["cursor"]))]
        return [Asked(url) for url in urls]
    if work.reading:  # nothing is asked: an archive begins with its first page
        return [Asked(rest.url)]
    first = asked(rest, work.script.call("first", work.about), rest.script, "first")
    return [first] if first else []


def _pages(work: _Run, begun: Mapping[str, Any], run: Mapping[str, Any]) -> Iterator[Page]:
    """Every page in order, from the archive as far as it goes."""
    number = 0
    for start in _starts(work, begun, run):
        following: Asked | None = start
        while following:
            number += 1
            if number > MAX_PAGES:
                raise SourceFailed(f"{work.source.name} has more than {MAX_PAGES} pages: a paginator without end, or ask for larger ones")
            page = work.ports.store.page(work.run_id, number)
            if page is None and work.reading:
                return
            if page is None:
                page = _fetched(work, following)
                work.ports.store.archive(work.run_id, number, page)
            yield page
            following = _after(work, page)


def _after(work: _Run, page: Page) -> Asked | None:
    """The request behind a page; None at the end."""
    if page.then is None:
        return Asked(page.following) if page.following else None
    rest = work.source.rest
    following = asked(rest, page.then, rest.script, "next")
    if following and not work.reading and fingerprint(following.url, following.sent) in work.prints:
        raise ScriptFailed(f"{rest.script}: `next` asks for what this run has asked before: {following.url}")
    return following


def _fetched(work: _Run, request: Asked) -> Page:
    """One answer that can be taken, tried as often as declared."""
    rest, url, why = work.source.rest, request.url, ""
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


def _headers(rest: Rest, secret: Mapping[str, str]) -> Mapping[str, str]:
    """The declared headers and the credentials. A message names the key that is missing, never a value."""
    needed = [key for key in (rest.auth.bearer, rest.auth.key, *rest.auth.basic) if key]
    missing = [key for key in needed if key not in secret]
    if missing and secret:
        raise SourceFailed(f"the secret has no key {', '.join(missing)}; it has: {', '.join(sorted(secret))}")
    if not secret:
        return rest.headers
    if rest.auth.bearer:
        return {**rest.headers, "Authorization": f"Bearer {secret[rest.auth.bearer]}"}
    if rest.auth.basic:
        pair = ":".join(secret[key] for key in rest.auth.basic)
        return {**rest.headers, "Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
    return {**rest.headers, rest.auth.header: secret[rest.auth.key]} if rest.auth.header else rest.headers
