"""Sources of the shape `rest`: what is declared, which request comes next, and which records a page holds. Pure.

`manifest.normalise` builds them, the reconcile stores them with their pipeline (`PipelinePolicy.sources`), `flows.ingest_api` follows them.
The words are the field's (dlt's and Airbyte's REST sources): paginator, cursor, incremental, records.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from meshplane.errors import SourceFailed

Pagination = Literal["", "headerLink", "jsonLink", "page", "offset", "cursor"]
MAX_DATES = 400  # documents of one run; the next run goes on


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; `headers` by lower-case name, `body` decoded from its transfer encoding."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Paginate:
    """How the next page is asked for. `at`: dotted path of the link or cursor in the answer; `param`: the query parameter that takes the
    page, offset or cursor; `first` its first value, `size` the records of a full page (page, offset)."""

    kind: Pagination = ""
    at: str = ""
    param: str = ""
    first: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Auth:
    """`bearer`: key of the secret whose value is sent as a bearer token; `basic`: user and password keys; `header` with `key`."""

    bearer: str = ""
    basic: tuple[str, ...] = ()
    header: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Incremental:
    """Ask for what changed since the greatest value of `column` seen; `initial` before there is one.

    A script sends it itself: no `param`.
    """

    column: str
    param: str = ""
    initial: str = ""


@dataclass(frozen=True, slots=True)
class Dates:
    """One document per day, `{date}` in the URL. `first` is the first day, `lookback` how many days are asked for again."""

    first: str
    lookback: int = 0


@dataclass(frozen=True, slots=True)
class Rest:
    """An HTTP API that answers JSON. `records` is a dotted path; with `key` and `value` a map there becomes a row per entry.

    `script`: the project's own file that pages and yields records, `script_sha256` its content as the reconcile found it in the release.
    """

    url: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    records: str = ""
    key: str = ""
    value: str = ""
    keep: tuple[str, ...] = ()
    fetched_at: str = ""
    paginate: Paginate = Paginate()
    auth: Auth = Auth()
    incremental: Incremental | None = None
    dates: Dates | None = None
    absent: tuple[int, ...] = ()
    rate: int = 10
    retries: int = 6
    script: str = ""
    script_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A declared source. `into` is an own raw table of json, `partition` its one path column (the day of the run) or empty."""

    name: str
    rest: Rest
    into: str
    partition: str = ""
    secret: str = ""
    description: str = ""

    def to_json(self) -> dict[str, Any]:
        """What stands with the pipeline in the state item."""
        return asdict(self)

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> Source:
        """The inverse of `to_json`; numbers may come as DynamoDB's Decimal, tuples as lists."""
        rest = dict(stored["rest"])
        page = {**rest["paginate"], "first": int(rest["paginate"]["first"]), "size": int(rest["paginate"]["size"])}
        auth = {**rest["auth"], "basic": tuple(rest["auth"]["basic"])}
        dates = rest["dates"] and Dates(rest["dates"]["first"], int(rest["dates"]["lookback"]))
        made = {
            **rest,
            "paginate": Paginate(**page),
            "auth": Auth(**auth),
            "incremental": rest["incremental"] and Incremental(**rest["incremental"]),
            "dates": dates or None,
            "keep": tuple(rest["keep"]),
            "absent": tuple(int(status) for status in rest["absent"]),
            "rate": int(rest["rate"]),
            "retries": int(rest["retries"]),
        }
        return Source(**{**stored, "rest": Rest(**made)})


@dataclass(frozen=True, slots=True)
class Page:
    """One archived answer: what was asked, where it goes on (`following`, empty at the end), and the answer itself.

    Paged by a script: `script` is its sha256, `sent` the body of the request (empty for a GET), `then` what it says to ask next.
    """

    url: str
    status: int
    fetched_at: str
    body: str
    following: str = ""
    sent: str = ""
    then: Mapping[str, Any] | None = None
    script: str = ""

    @property
    def fingerprint(self) -> str:
        """Of the request."""
        return fingerprint(self.url, self.sent)

    @property
    def response_sha256(self) -> str:
        """Of the answer."""
        return hashlib.sha256(self.body.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """What stands in the archive."""
        prints = {"fingerprint": self.fingerprint, "response_sha256": self.response_sha256}
        return {"schema": 1, **asdict(self), **prints}

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> Page:
        """The inverse. Raises SourceFailed when the archive is not what it was."""
        page = Page(**{name: stored[name] for name in Page.__slots__ if name in stored})
        if page.response_sha256 != stored["response_sha256"]:
            raise SourceFailed(f"the archived answer of {page.url} was changed")
        return page


def fingerprint(url: str, sent: str = "") -> str:
    """Of a request, the body of a POST included."""
    return hashlib.sha256((f"POST {url}\n{sent}" if sent else f"GET {url}").encode()).hexdigest()


def with_params(url: str, params: Mapping[str, str]) -> str:
    """The URL with these query parameters set, others kept."""
    parts = urlsplit(url)
    query = {**dict(parse_qsl(parts.query, keep_blank_values=True)), **params}
    return urlunsplit(parts._replace(query=urlencode(query)))


def first_url(rest: Rest, cursor: str, day: str = "") -> str:
    """The first request: of the run, or of one day."""
    params = {name: value.replace("{date}", day) for name, value in rest.params.items()}
    if rest.incremental and (since := cursor or rest.incremental.initial):
        params[rest.incremental.param] = since
    page = rest.paginate
    if page.kind in ("page", "offset"):
        params[page.param] = str(page.first)
    url = rest.url.replace("{date}", day)
    return with_params(url, params) if params else url


def following_url(rest: Rest, url: str, response: Response, document: Any) -> str:
    """The request after this one; empty at the end. A page that leads to itself ends in SourceFailed."""
    page = rest.paginate
    found = ""
    match page.kind:
        case "headerLink":
            found = _header_link(url, response.headers.get("link", ""))
        case "jsonLink":
            link = at(document, page.at)
            found = urljoin(url, str(link)) if link else ""
        case "cursor":
            cursor = at(document, page.at)
            found = with_params(url, {page.param: str(cursor)}) if cursor not in (None, "", False) else ""
        case "page" | "offset":
            count = sum(1 for _ in rows(rest, document))
            now = int(dict(parse_qsl(urlsplit(url).query)).get(page.param, page.first))
            step = 1 if page.kind == "page" else count
            found = with_params(url, {page.param: str(now + step)}) if count and count >= page.size else ""
    if found == url:
        raise SourceFailed(f"{url} names itself as its next page")
    return found


def _header_link(url: str, header: str) -> str:
    for link in re.finditer(r"<([^>]*)>([^,<]*)", header):  # RFC 8288
        if re.search(r';\s*rel\s*=\s*"?([^";]*\s)?next[\s";]?', link[2] + ";"):
            return str(urljoin(url, link[1]))
    return ""


def at(document: Any, path: str) -> Any:
    """What stands at a dotted path; None where the way ends."""
    for name in path.split(".") if path else ():
        document = document.get(name) if isinstance(document, dict) else None
    return document


def rows(rest: Rest, document: Any) -> Iterator[dict[str, Any]]:
    """The records of an answer, as they came. Raises SourceFailed when what should be records is none."""
    found = at(document, rest.records)
    kept = {name.rpartition(".")[2]: at(document, name) for name in rest.keep}
    if rest.key and isinstance(found, dict):
        found = [{rest.key: name, rest.value: value} for name, value in found.items()]
    elif isinstance(found, dict):
        found = [found]
    if not isinstance(found, list):
        raise SourceFailed(f"there are no records at '{rest.records}' of the answer; found: {type(found).__name__}")
    for record in found:
        if not isinstance(record, dict):
            raise SourceFailed(f"a record is an object; found: {type(record).__name__}")
        yield {**record, **kept}


def lines(rest: Rest, page: Page, found: Sequence[Mapping[str, Any]]) -> str:
    """The records of a page as JSON lines, in their order; empty when there are none."""
    stamp = {rest.fetched_at: page.fetched_at} if rest.fetched_at else {}
    return "".join(json.dumps({**row, **stamp}, ensure_ascii=False) + "\n" for row in found)


def document_of(page: Page) -> Any:
    """The answer read as JSON. Raises SourceFailed."""
    try:
        return json.loads(page.body)
    except ValueError as error:
        raise SourceFailed(f"{page.url} answered no JSON") from error


def newest(rest: Rest, found: Sequence[Mapping[str, Any]], before: str) -> str:
    """The greatest value of the incremental column, these records' and `before`'s. Numbers are compared as numbers."""
    if rest.incremental is None:
        return before
    values = [row[rest.incremental.column] for row in found if row.get(rest.incremental.column) is not None]
    texts = [str(value) for value in values] + ([before] if before else [])
    numeric = all(re.fullmatch(r"-?\d+(\.\d+)?", text) for text in texts)
    return max(texts, key=(lambda text: float(text)) if numeric else (lambda text: text), default="")


def days(dates: Dates, cursor: str, start: str, end: str, today: date) -> list[str]:
    """The days to ask for: the run's window, else from the day after the last one (less the lookback) up to today."""
    if start and end:
        one, last = date.fromisoformat(start[:10]), date.fromisoformat(end[:10]) - timedelta(days=1)
    else:
        first, last = date.fromisoformat(dates.first), today
        one = max(first, date.fromisoformat(cursor) + timedelta(days=1 - dates.lookback)) if cursor else first
    return [(one + timedelta(days=each)).isoformat() for each in range(min(MAX_DATES, max(0, (last - one).days + 1)))]
