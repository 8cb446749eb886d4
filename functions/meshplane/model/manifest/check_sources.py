"""Sources judged as a whole: where they call, what they send, and where their records go. Called by `judging`. Pure.

What only those have that a Glue job fetches is `check_source_jobs`.
"""

from __future__ import annotations

from datetime import date

from meshplane.model.domain import Domain
from meshplane.model.manifest import check_source_jobs, fetching
from meshplane.model.manifest.normalise import format_of
from meshplane.model.manifest.scope import Scope
from meshplane.model.manifest.source_jobs import KINDS, kinds_of
from meshplane.model.manifest.sources import RestPart, SourcePart
from meshplane.model.problems import Loc, did_you_mean
from meshplane.model.urls import LOOPBACK, Allowed, place


def check(scope: Scope) -> None:
    """Notes every fault of every accepted source."""
    for name, part in scope.document.sources.items():
        loc: Loc = ("sources", name)
        kinds = kinds_of(part)
        if len(kinds) != 1:
            if not scope.findings.is_lost(loc):
                found, allowed = " and ".join(kinds) or "none of them", ", ".join(KINDS)
                scope.findings.add("source-form", loc, "a source is exactly one of rest, jdbc, kafka, files", found=found, allowed=allowed)
        elif part.into not in (names := scope.names("tables")):
            message = f"no table '{part.into}' in this project"
            scope.findings.add("ref-table", (*loc, "into"), message, mend=did_you_mean(part.into, names))
        elif part.rest is None:
            check_source_jobs.check(scope, loc, name, part)
        else:
            _into(scope, (*loc, "into"), part.into)
            extra = sorted(part.model_fields_set & {"run", "every", "workers", "timeout"})
            for word in extra:
                message = f"'{word}' belongs to a source that a job fetches: jdbc, kafka or files"
                scope.findings.add("source-form", (*loc, word), message, found=word, mend="leave it out", at_key=True)
            _url(scope, (*loc, "rest"), part.rest)
            _forms(scope, (*loc, "rest"), part, part.rest)


def allowed_by(domain: Domain | None, url: str) -> Allowed:
    """The domain's hosts; without a domain, every name."""
    if domain is not None:
        return Allowed.of(domain.api_hosts, domain.loopback_hosts)
    host = url.partition("://")[2].partition("/")[0].partition("?")[0]
    return Allowed.of([host], LOOPBACK)


def _into(scope: Scope, loc: Loc, into: str) -> None:
    table = scope.table(into)
    if table and (table.layer != "raw" or format_of(table) != "json" or len(table.partition) > 1):
        found = f"{table.layer}, {format_of(table)}, {len(table.partition)} path columns"
        allowed = "layer: raw, format: json, with one path column or none"
        scope.findings.add("source-into", loc, f"records of an API do not go into table '{into}'", found=found, allowed=allowed)


def _url(scope: Scope, loc: Loc, rest: RestPart) -> None:
    at = (*loc, "url") if scope.findings.written((*loc, "url")) else loc
    bare = rest.url.replace("{date}", "2000-01-01")
    found, why = place(bare, allowed_by(scope.domain, bare))
    if found is None:
        hosts = ", ".join(scope.domain.api_hosts) if scope.domain else ""
        allowed = f"https:// towards {hosts}" if hosts else "https://, a host of the domain's list"
        scope.findings.add("source-url", at, f"this cannot be called: {why}", found=rest.url, allowed=allowed)
    dated = "{date}" in rest.url or any("{date}" in value for value in rest.params.values())
    if dated != (rest.dates is not None):
        mend = "dates: 2027-01-31" if dated else "{date} in the url or a parameter"
        scope.findings.add("source-form", at, "{date} and `dates` belong together", mend=mend)


def _forms(scope: Scope, loc: Loc, part: SourcePart, rest: RestPart) -> None:
    def wrong(at: Loc, message: str, allowed: str) -> None:
        scope.findings.add("source-form", at, message, allowed=allowed)

    if rest.script and (instead := sorted(rest.model_fields_set & {"paginate", "dates", "records", "keep"})):
        wrong((*loc, instead[0]), "the script says which request is next and which records an answer holds", f"script without {instead[0]}")
    if rest.incremental and bool(rest.incremental.param) == bool(rest.script):
        allowed = "{ column: updated_at }" if rest.script else "{ column: updated_at, param: since }"
        wrong((*loc, "incremental"), "the parameter that takes the cursor is declared, or the script's own query", allowed)
    if rest.paginate and len(fetching.kinds_of(rest.paginate)) != 1:
        wrong((*loc, "paginate"), "a paginator is exactly one kind", ", ".join(fetching.KINDS.values()))
    elif rest.paginate and bool(rest.paginate.cursor) != bool(rest.paginate.param):
        wrong((*loc, "paginate"), "a cursor needs the parameter that takes it, and only a cursor does", "{ cursor: next, param: cursor }")
    if rest.auth and sum(each is not None for each in (rest.auth.bearer, rest.auth.basic, rest.auth.header)) != 1:
        wrong((*loc, "auth"), "credentials are sent in exactly one way", "bearer, basic, header with key")
    elif rest.auth and (rest.auth.header is None) != (rest.auth.key is None):
        wrong((*loc, "auth"), "a header takes the value of a key", "{ header: X-Api-Key, key: token }")
    if (rest.auth is None) != (part.secret is None):
        wrong(loc, "`secret` and `rest.auth` belong together", "secret: name, auth: { bearer: key }")
    if (rest.records.key is None) != (rest.records.value is None):
        wrong((*loc, "records"), "`key` and `value` belong together", "{ at: rates, key: currency, value: rate }")
    if rest.dates and (rest.incremental or not _is_day(rest.dates.first)):
        wrong((*loc, "dates"), "a dated source begins on a day, and has no other cursor", "dates: 2027-01-31, without incremental")


def _is_day(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False
