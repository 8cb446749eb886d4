"""The authoring models of `sources:`. Read by `document`; judged by `check_sources`, made plain by `fetching`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Strict, StringConstraints

from meshplane.model.manifest.jobs import FolderPath, SecretName, Timeout, Workers
from meshplane.model.manifest.parts import Description, Names, Part, Setting, Text, Whole, duration, field, named, relative

SourceName = Annotated[str, named("source", "[a-z][a-z0-9_]*", "lower-case letters, digits and _, beginning with a letter", 64)]
HeaderName = Annotated[str, Strict(), StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]
HeaderText = Annotated[str, Strict(), StringConstraints(pattern=r"^[\x20-\x7e]{0,1024}$")]
Day = Annotated[str, Strict(), StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]
StarlarkPath = Annotated[str, relative("source's script", ".star")]
DatabaseTable = Annotated[str, Strict(), StringConstraints(pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)?$", max_length=127)]
Topic = Annotated[str, Strict(), StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
LateBy = Annotated[timedelta, duration("0s", "366d")]
Every = Annotated[timedelta, duration("1m", "12h", "1m")]
Lookback = Annotated[timedelta, duration("0d", "366d", "1d")]


class RecordsPart(Part):
    """Where the records are in an answer."""

    short = ({"type": "string"},)

    at: Text = field("Dotted path, data.items. Default: the answer itself.", default="")
    key: Text | None = field("A map there becomes a record per entry: the column that takes its key.", default=None)
    value: Text | None = field("With `key`: the column that takes its value.", default=None)

    @classmethod
    def expand(cls, value: object) -> object:
        """`data.items`."""
        return {"at": value} if isinstance(value, str) else value


class PaginatePart(Part):
    """How the next page is asked for: exactly one of headerLink, jsonLink, cursor, page, offset."""

    short = ({"const": "headerLink"},)

    header_link: bool = field("The Link header's rel=next.", default=False)
    json_link: Text | None = field("Dotted path of the next page's URL.", default=None)
    cursor: Text | None = field("Dotted path of the cursor; it is sent as `param`.", default=None)
    page: Text | None = field("The query parameter that takes the page's number.", default=None)
    offset: Text | None = field("The query parameter that takes how many records to skip.", default=None)
    param: Text | None = field("cursor: the query parameter that takes it.", default=None)
    first: Whole = field("page, offset: where it begins. Default 0.", default=0, ge=0, le=1)
    size: Whole = field("page, offset: records of a full page; a shorter one is the last. Default: an empty one is.", default=1, ge=1)

    @classmethod
    def expand(cls, value: object) -> object:
        """`headerLink`."""
        return {"headerLink": True} if value == "headerLink" else value


class AuthPart(Part):
    """Which keys of the source's secret are sent, and how: exactly one of bearer, basic, header."""

    bearer: Text | None = field("Key whose value is the bearer token.", default=None)
    basic: Names | None = field("Keys of user and password.", default=None, min_length=2, max_length=2)
    header: HeaderName | None = field("A header that takes the value of `key`.", default=None)
    key: Text | None = field("header: the secret's key.", default=None)


class IncrementalPart(Part):
    """Only what is new: asked for from the greatest value seen."""

    column: Text = field("The records' field whose greatest value is kept.")
    param: Text | None = field("The query parameter that takes it; a `script` sends it itself.", default=None)
    initial: Setting = field("Its value the first time. Default: it is left out.", default="")


class DatesPart(Part):
    """One document per day: `{date}` in the URL or a parameter."""

    short = ({"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"},)

    first: Day = field("The first day, 2027-01-31.")
    lookback: Lookback = field("How many days are asked for again: they may be restated. Default 0d.", default="0d")

    @classmethod
    def expand(cls, value: object) -> object:
        """`2027-01-31`."""
        return {"first": value} if isinstance(value, str) else value


class RestPart(Part):
    """An HTTP API that answers JSON, called by GET."""

    short = ({"type": "string"},)

    url: Text = field("https://…, its host on the domain's list (`api_hosts`).", overlay=True)
    params: dict[Text, Setting] = field("Query parameters.", default_factory=dict)
    headers: dict[HeaderName, HeaderText] = field("Headers; credentials belong to `auth`.", default_factory=dict)
    records: RecordsPart = field("Where the records are, data.items. Default: the answer itself.", default_factory=dict)
    keep: Names = field("Paths of values outside of the records that each record gets, under their last name.", default=())
    fetched_at: Text | None = field("A column that gets the time of the answer.", default=None)
    script: StarlarkPath | None = field(
        "Own Starlark file, sources/x.star, that says the next request and the records, in place of paginate, dates, records and keep.",
        default=None,
    )
    paginate: PaginatePart | None = field("How the next page is asked for. Default: there is one.", default=None)
    auth: AuthPart | None = field("How the secret is sent. Default: not at all.", default=None)
    incremental: IncrementalPart | None = field("Only what is new. Default: everything each time.", default=None)
    dates: DatesPart | None = field("One document per day. Default: one for all.", default=None)
    absent: tuple[Whole, ...] = field("Statuses that mean: no records. Default none; 404 with dates.", default=())
    rate: Whole = field("Requests per second at most. Default 10.", overlay=True, default=10, ge=1, le=100)
    retries: Whole = field("How often again after 429, 500, 502, 503, 504 or a broken connection. Default 6.", default=6, ge=0, le=20)

    @classmethod
    def expand(cls, value: object) -> object:
        """`rest: https://api.example.org/orders`."""
        return {"url": value} if isinstance(value, str) else value


class DeletesPart(Part):
    """Rows that the table no longer has, found by comparing all its keys with those of the last run."""

    key: Names = field("The table's key; columns of the raw table as well.", min_length=1)
    mark: Text = field("A column of the raw table that is true in the row of a key that has gone, else false.")


class JdbcPart(Part):
    """A table of a PostgreSQL database."""

    connection: Text = field("A database that domain.json declares reachable.", overlay=True)
    table: DatabaseTable = field("The table, public.orders.", overlay=True)
    incremental_by: Text | None = field("A column that grows with every change: only what is new is asked for. Default: all.", default=None)
    initial: Setting = field("incrementalBy: where the first run begins, as the database writes it. Default: everything.", default="")
    lookback: LateBy = field("incrementalBy, a time: how far back each run looks again, for what was committed late.", default="0s")
    split_by: Text | None = field("A column of numbers by whose range the reading is split.", default=None)
    parts: Whole = field("splitBy: into how many, each a connection of its own. Default 4.", overlay=True, default=4, ge=2, le=64)
    deletes: DeletesPart | None = field("Tell what was deleted. Default: it is not looked for.", default=None)
    fetched_at: Text | None = field(
        "A column of the raw table that gets the time at which the row was taken; of a deletion the later one at which the keys were read.",
        default=None,
    )


class KafkaPart(Part):
    """A topic of a Kafka broker."""

    connection: Text = field("A broker that domain.json declares reachable.", overlay=True)
    topic: Topic = field("The topic.", overlay=True)
    format: Literal["json", "text"] = field("json: the column `fault` says which records are no JSON object. Default text.", default="text")
    batch: Whole = field("Records of one commit at most. Default 500000.", overlay=True, default=500_000, ge=1)


class FilesPart(Part):
    """Files that somebody drops under the project's raw location."""

    short = ({"type": "string"},)

    from_: FolderPath = field("The folder of the drop, `inbox/vendor/`.", alias="from")
    pattern: Text = field("Names of files that are taken, with * and ?. Default *.", default="*")
    format: Literal["csv", "json", "parquet"] | None = field("What is dropped. Default: the format of `into`.", default=None)

    @classmethod
    def expand(cls, value: object) -> object:
        """`inbox/vendor/`."""
        return {"from": value} if isinstance(value, str) else value


class SourcePart(Part):
    """What comes from outside, by a step `ingest:`: exactly one of rest, jdbc, kafka, files."""

    rest: RestPart | None = field("An HTTP API that answers JSON.", default=None)
    jdbc: JdbcPart | None = field("A table of a PostgreSQL database.", default=None)
    kafka: KafkaPart | None = field("A topic of a Kafka broker.", default=None)
    files: FilesPart | None = field("Files of a drop.", default=None)
    into: Text = field("An own raw table: of json (rest), parquet or json (jdbc), Iceberg (kafka), any (files); at most one path column.")
    secret: SecretName | None = field("The project's secret in Secrets Manager, a JSON object.", overlay=True, default=None)
    description: Description = field("What it is, for people.", default="")
    run: Literal["drain", "continuous"] = field(
        "kafka: a step takes what is there and ends, or goes on for `every` and is then begun anew. Default drain.", default="drain"
    )
    every: Every = field("continuous: how long a run listens before its next steps publish. Default 15m.", overlay=True, default="15m")
    workers: Workers = field("jdbc, kafka, files: size of the job. Default 2 x G.1X.", overlay=True, default="2 x G.1X")
    timeout: Timeout = field("jdbc, kafka, files: longest run. Default 1h.", overlay=True, default="1h")
