"""Sources of the shape `rest`: what is declared, which request comes next, and which records a page holds. Pure.

`manifest.normalise` builds them, the reconcile stores them with their pipeline (`PipelinePolicy.sources`), `flows.ingest_api` follows them.
The words are the field's (dlt's and Airbyte's REST sources): paginator, cursor, incremental, records.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from meshplane.errors import Refused, SourceFailed
from meshplane.model import json_text
from meshplane.model.windows import moment

Pagination = Literal["", "headerLink", "jsonLink", "page", "offset", "cursor"]
MAX_DATES = 400  # documents of one run without a window; the next run goes on
_PLAIN = re.compile(r"-?\d+(\.\d+)?")


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


Place = Literal["stand", "reparse"]
"""Which of a run's two stands: that of the ingestion, or that of a later reparse, which must not put the first one back."""


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


def request_headers(source: Source, secret: Mapping[str, str]) -> Mapping[str, str]:
    """The declared headers and the credentials. A message names the key that is missing or wrong, never a value."""
    rest, auth = source.rest, source.rest.auth
    needed = [key for key in (auth.bearer, auth.key, *auth.basic) if key]
    missing = [key for key in needed if key not in secret]
    if missing and secret:
        raise SourceFailed(f"the secret has no key {', '.join(missing)}; it has: {', '.join(sorted(secret))}")
    if not secret:
        return rest.headers
    # What a field takes as it is (RFC 9110). The two parts of basic go encoded, and may have all but control characters (RFC 7617).
    wrong = [key for key in needed if not secret[key].isprintable() or not (auth.basic or secret[key].isascii())]
    if wrong:
        takes = "printable characters" if auth.basic else "printable ASCII"
        raise SourceFailed(f"the secret {source.secret}: the value of {', '.join(wrong)} is not all {takes} (a line end at its end?)")
    if auth.bearer:
        return {**rest.headers, "Authorization": f"Bearer {secret[auth.bearer]}"}
    if auth.basic:
        pair = ":".join(secret[key] for key in auth.basic)
        return {**rest.headers, "Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
    return {**rest.headers, auth.header: secret[auth.key]} if auth.header else rest.headers


def with_params(url: str, params: Mapping[str, str]) -> str:
    """The URL with these query parameters set, each once, and others kept as often as they are there. Raises SourceFailed."""
    parts, left = urlsplit(url), dict(params)
    query: list[tuple[str, str]] = []
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in params:
            query.append((name, value))
        elif name in left:
            query.append((name, left.pop(name)))
    try:
        return urlunsplit(parts._replace(query=urlencode([*query, *left.items()])))
    except UnicodeEncodeError as error:
        raise SourceFailed(f"{url}: what is to be asked next is no text that a URL can hold") from error


def keep_place(declared: str, url: str) -> None:
    """Raises Refused for a request that leads elsewhere than the declared URL: it would bring this source's credentials there."""
    here, there = _place(declared), _place(url)
    if here != there:
        raise Refused(f"{here} names {there[:200]} as the place of its next page, which is not followed")


def _place(url: str) -> str:
    """Scheme, host and port. Whatever a URL may not have beside them is judged when it is called (`model.urls`)."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host.removesuffix(':443') if parts.scheme == 'https' else host}"


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
    """The request after this one; empty at the end. A page that leads to itself, or to what is no URL, ends in SourceFailed."""
    page = rest.paginate
    found = ""
    match page.kind:
        case "headerLink":
            found = _linked(url, _next_link(response.headers.get("link", "")))
        case "jsonLink":
            found = _linked(url, str(at(document, page.at) or ""))
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


def _linked(url: str, link: str) -> str:
    try:
        found = urljoin(url, link) if link else ""
        found.encode()
    except ValueError as error:  # half a pair of JSON's escapes is one, too
        raise SourceFailed(f"{url} names a next page that is no URL") from error
    return found


def _next_link(header: str) -> str:
    for link in re.finditer(r"<([^>]*)>([^,<]*)", header):  # RFC 8288
        if re.search(r';\s*rel\s*=\s*"?([^";]*\s)?next[\s";]?', link[2] + ";"):
            return link[1]
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
    """The records of a page as JSON lines, in their order, numbers as they came; empty when there are none. Raises SourceFailed."""
    stamp = {rest.fetched_at: page.fetched_at} if rest.fetched_at else {}
    try:
        return "".join(json_text.line({**row, **stamp}) + "\n" for row in found)
    except ValueError as error:
        raise SourceFailed(f"{page.url} answered a record that is nested too deep") from error


def document_of(page: Page) -> Any:
    """The answer read as JSON, its numbers as they came. Raises SourceFailed."""
    try:
        return json_text.read(page.body)
    except ValueError as error:
        raise SourceFailed(f"{page.url} answered no JSON") from error


def newest(rest: Rest, found: Sequence[Mapping[str, Any]], before: str) -> str:
    """The greatest value of the incremental column, these records' and `before`'s. Numbers are compared as numbers."""
    if rest.incremental is None:
        return before
    values = [row[rest.incremental.column] for row in found if row.get(rest.incremental.column) is not None]
    told = [repr(value) if isinstance(value, json_text.Written) and not _PLAIN.fullmatch(str(value)) else str(value) for value in values]
    texts = [text for text in (before, *told) if text and not json_text.LONE.search(text)]  # by half a pair nothing can be asked for
    numeric = all(_PLAIN.fullmatch(text) for text in texts)
    return max(texts, key=(lambda text: Decimal(text)) if numeric else (lambda text: text), default="")


def days(dates: Dates, cursor: str, start: str, end: str, today: date) -> list[str]:
    """The days to ask for: those of the run's window and no others, else from the day after the cursor (less the lookback) up to today."""
    if start and end:
        one, last = moment(start).date(), (moment(end) - timedelta(seconds=1)).date()
        return _each(one, (last - one).days + 1)
    first = date.fromisoformat(dates.first)
    one = max(first, date.fromisoformat(cursor) + timedelta(days=1 - dates.lookback)) if cursor else first
    return _each(one, min(MAX_DATES, (today - one).days + 1))


def _each(one: date, count: int) -> list[str]:
    return [(one + timedelta(days=each)).isoformat() for each in range(count)]


def behind(asked: Sequence[str], before: str, answered: str, today: date) -> str:
    """The cursor of a dated source behind a run without a window: the last day that was `answered` with a document.

    A day that was absent behind that one may be late, and is asked for again. Only where a run was full of days and brought no new
    document the next one goes on behind them: else a gap of MAX_DATES days would be asked for for ever.
    """
    full = bool(asked) and asked[-1] < today.isoformat()
    return asked[-1] if full and answered == before else answered
