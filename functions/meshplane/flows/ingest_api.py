"""Fetch one declared source in one run: called by `handlers.ingest_api`, which a state machine's ingest step invokes.

    begin (day, cursor) → page: archived already? else ask, archive → its records under the raw table → … → cursor and prints kept

Every write is made at most once under a key that the run determines, so the step may be called again at any point: it goes on behind the
last archived page and leaves the same files. `reparse` reads an earlier run's archive instead of calling: only a changed reading of
it leaves new files. An answer that is the same as in the last whole run lands no second time.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Any, Protocol

from meshplane.errors import Broken, IngestUnfinished, SourceFailed
from meshplane.model.runs import PipelinePolicy
from meshplane.model.sources import (
    Page,
    Response,
    Rest,
    Source,
    days,
    document_of,
    first_url,
    following_url,
    lines,
    newest,
)
from meshplane.model.windows import iso
from meshplane.ports import Clock

AGAIN = frozenset({429, 500, 502, 503, 504})
MAX_PAGES = 10_000
SPARE = timedelta(seconds=30)  # what a last answer and its writes may take
LONGEST = timedelta(minutes=2)  # a longer wait is left to the state machine


class Http(Protocol):
    """One GET. Raises Refused, Broken."""

    def get(self, url: str, headers: Mapping[str, str]) -> Response:
        """The answer, whatever its status."""
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


@dataclass(frozen=True, slots=True)
class IngestPorts:
    """`left` is the function's remaining time, `pause` waits."""

    http: Http
    store: IngestStore
    clock: Clock
    left: Callable[[], timedelta]
    pause: Callable[[timedelta], None]


@dataclass(frozen=True, slots=True)
class Ingested:
    """What the step answers: requests sent, pages read, files landed, pages that were as before."""

    source: str
    requests: int = 0
    pages: int = 0
    files: int = 0
    unchanged: int = 0
    cursor: str = ""


@dataclass
class _Run:
    """One call of the step. `prints` are fingerprint → response hash of this run's pages."""

    ports: IngestPorts
    source: Source
    run_id: str
    reading: bool  # only the archive is read
    headers: Mapping[str, str]
    requests: int = 0
    asked: datetime | None = None
    prints: dict[str, str] = field(default_factory=dict)


def ingest_api(ports: IngestPorts, source: Source, run: Mapping[str, Any], reparse: bool = False) -> Ingested:
    """One source in one run (docs/contracts.md §2: `run`). Raises SourceFailed; IngestUnfinished when it is to be called again."""
    run_id, memory = str(run["run_id"]), ports.store.remembered()
    first = {"at": iso(ports.clock.now()), "cursor": memory.get("cursor", ""), "prints": memory.get("prints", {})}
    begun = ports.store.begin(run_id, first)
    secret = ports.store.secret(source.secret) if source.secret and not reparse else {}
    work = _Run(ports, source, run_id, reparse, _headers(source.rest, secret))
    cursor, number, files, unchanged = str(begun["cursor"]), 0, 0, 0
    folder = f"{source.partition}={begun['at'][:10]}/" if source.partition else ""
    for number, page in enumerate(_pages(work, begun, run), 1):
        text = lines(source.rest, page)
        work.prints[page.fingerprint] = page.response_sha256
        cursor = newest(source.rest, page, cursor)
        if begun["prints"].get(page.fingerprint) == page.response_sha256 and not reparse:
            unchanged += 1
        elif text:
            name = sha256(text.encode()).hexdigest()[:12]
            ports.store.land(f"{folder}{source.name}-{run_id}-{number:05}-{name}.json", text)
            files += 1
    cursor = max([cursor, *_days(source.rest, begun, run)])
    if not reparse:
        ports.store.remember({"cursor": cursor, "prints": work.prints, "run_id": run_id})
    return Ingested(source.name, work.requests, number, files, unchanged, cursor)


def source_of(pipelines: Mapping[str, PipelinePolicy], pipeline: str, source: str) -> Source:
    """The source as the last reconcile left it with its pipeline. Raises SourceFailed for one that is not declared there."""
    policy = pipelines.get(pipeline)
    stored = policy.sources.get(source) if policy else None
    if policy is None or stored is None:
        raise SourceFailed(f"pipeline {pipeline} has no applied source {source}")
    if policy.paused:
        raise SourceFailed(f"pipeline {pipeline} is paused: {policy.paused}")
    return Source.from_json(stored)


def _days(rest: Rest, begun: Mapping[str, Any], run: Mapping[str, Any]) -> list[str]:
    """The days that this run asks for; none for a source that is not dated."""
    if rest.dates is None:
        return []
    today = datetime.fromisoformat(str(begun["at"])).date()
    return days(rest.dates, str(begun["cursor"]), str(run.get("window_start", "")), str(run.get("window_end", "")), today)


def _pages(work: _Run, begun: Mapping[str, Any], run: Mapping[str, Any]) -> Iterator[Page]:
    """Every page in order, from the archive as far as it goes."""
    rest, cursor, number = work.source.rest, str(begun["cursor"]), 0
    starts = [first_url(rest, "", day) for day in _days(rest, begun, run)] if rest.dates else [first_url(rest, cursor)]
    for url in starts:
        following = url
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
            following = page.following


def _fetched(work: _Run, url: str) -> Page:
    """One answer that can be taken, tried as often as declared."""
    rest, why = work.source.rest, ""
    for attempt in range(rest.retries + 1):
        _paced(work)
        try:
            answer = work.ports.http.get(url, work.headers)
        except Broken as broken:
            why, wait = str(broken), _backoff(attempt)
        else:
            if answer.status == 200 or answer.status in rest.absent:
                return _page(rest, url, answer, work.ports.clock)
            why, wait = f"{url} answered {answer.status}", _asked_wait(answer, work.ports.clock) or _backoff(attempt)
            if answer.status not in AGAIN:
                raise SourceFailed(why)
        if attempt < rest.retries:
            _wait(work, wait, why)
    raise SourceFailed(f"{why}, {rest.retries + 1} times")


def _page(rest: Rest, url: str, answer: Response, clock: Clock) -> Page:
    try:
        body = answer.body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceFailed(f"{url} answered text that is no UTF-8") from error
    page = Page(url, answer.status, iso(clock.now()), body)
    if answer.status in rest.absent:
        return page
    return replace(page, following=following_url(rest, url, answer, document_of(page)))


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
