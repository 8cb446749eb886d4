"""From the authoring models of `sources` to `model.sources`. Called by `normalise`. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from meshplane.model import sources as plain
from meshplane.model.manifest.sources import AuthPart, PaginatePart, RestPart, SourcePart
from meshplane.model.manifest.tables import TablePart

KINDS = {"header_link": "headerLink", "json_link": "jsonLink", "cursor": "cursor", "page": "page", "offset": "offset"}


def source(name: str, part: SourcePart, called: RestPart, tables: Mapping[str, TablePart]) -> plain.Source:
    """A source of the shape `rest` with its table's path column."""
    partition = tables[part.into].partition
    return plain.Source(name, rest(called), part.into, partition[0].column if partition else "", part.secret or "", part.description)


def rest(part: RestPart) -> plain.Rest:
    """Its requests."""
    more, dated = part.incremental, part.dates
    return plain.Rest(
        url=part.url,
        params=part.params,
        headers=part.headers,
        records=part.records.at,
        key=part.records.key or "",
        value=part.records.value or "",
        keep=part.keep,
        fetched_at=part.fetched_at or "",
        paginate=paginate(part.paginate),
        auth=auth(part.auth),
        incremental=plain.Incremental(more.column, more.param or "", more.initial) if more else None,
        dates=plain.Dates(dated.first, dated.lookback.days) if dated else None,
        absent=part.absent or ((404,) if dated else ()),
        rate=part.rate,
        retries=part.retries,
        script=part.script or "",
    )


def kinds_of(part: PaginatePart) -> list[str]:
    """The kind words that it has; exactly one is right."""
    return [word for field, word in KINDS.items() if getattr(part, field)]


def paginate(part: PaginatePart | None) -> plain.Paginate:
    """Its one kind."""
    if part is None:
        return plain.Paginate()
    if part.header_link:
        return plain.Paginate("headerLink")
    if part.json_link:
        return plain.Paginate("jsonLink", part.json_link)
    if part.cursor:
        return plain.Paginate("cursor", part.cursor, part.param or "")
    return plain.Paginate("page" if part.page else "offset", "", part.page or part.offset or "", part.first, part.size)


def auth(part: AuthPart | None) -> plain.Auth:
    """Its one kind."""
    return plain.Auth(part.bearer or "", part.basic or (), part.header or "", part.key or "") if part else plain.Auth()
