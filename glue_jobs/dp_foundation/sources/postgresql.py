"""Tables of a PostgreSQL database, read by Spark's JDBC source: the SQL that the built-in `jdbc` asks. Read only, UTC.

Every column comes as the text that PostgreSQL writes for it: exact for numbers of any precision, and a column that changes its type breaks
no run; whether a value fits is the contract's to judge. Credentials go from Secrets Manager into the connection, nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from math import ceil, floor
from typing import Any

from dp_foundation.config.arguments import Connection
from dp_foundation.errors import ConfigError

DRIVER = "org.postgresql.Driver"
_SESSION = "SET TIME ZONE 'UTC'; SET DATESTYLE TO ISO; SET default_transaction_read_only TO on"
_SPLIT = "__split"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Taken in one look before the rows: the greatest value of the incremental column, of times the greatest that is not in the future;
    `newest`, the database's time in that column's type (the greatest value where it is no time), never less than it was; the range of the
    column that splits the reading. Texts, empty where there is none."""

    upper: str = ""
    newest: str = ""
    low: str = ""
    high: str = ""


class Database:
    """One connection's. `secret` is the text of the secret: a JSON object with `username` and `password`."""

    def __init__(self, spark: Any, connection: Connection, secret: str, application: str) -> None:
        user, password = _credentials(secret)
        self._spark = spark
        self._url = f"jdbc:postgresql://{connection.host}:{connection.port}/{connection.database}"
        self._properties = {
            "driver": DRIVER,
            "user": user,
            "password": password,
            "sslmode": "disable" if connection.is_loopback else "require",
            "ApplicationName": application,
            "fetchsize": "10000",
            "sessionInitStatement": _SESSION,
        }

    def columns(self, table: str) -> dict[str, str]:
        """Name → type, in the table's order, with its length: a cast to `character` alone leaves one letter. What PostgreSQL answers (no
        such table, denied) passes through."""
        where = f"attrelid = {literal(identifier(table))}::regclass AND attnum > 0 AND NOT attisdropped"
        asked = "SELECT attname::text AS name, format_type(atttypid, atttypmod) AS type, attnum AS at FROM pg_attribute"
        rows = self._query(f"{asked} WHERE {where}")
        return {row["name"]: row["type"] for row in rows.orderBy("at").collect()}

    def bounds(self, table: str, incremental: str, kind: str, split: str, newest: str = "") -> Bounds:
        """`kind`: the incremental column's type; `newest`: the last look's."""
        asked = []
        if incremental:
            name = quoted(incremental)
            top = _one(f"max({name})", table)
            # Where a row is dated ahead, by mistake or for ever, the next run must not begin: it would see nothing of what comes.
            due = _one(f"max({name})", table, f"{name} <= statement_timestamp()::{kind}") if is_time(kind) else top
            ever = [f"clock_timestamp()::{kind}" if is_time(kind) else top, *([f"{literal(newest)}::{kind}"] if newest else [])]
            asked += [f"{due}::text AS upper", f"greatest({', '.join(ever)})::text AS newest"]
        if split:
            asked += [f"{_one(f'{which}({quoted(split)})', table)}::text AS {name}" for which, name in (("min", "low"), ("max", "high"))]
        if not asked:
            return Bounds()
        row = self._query(f"SELECT {', '.join(asked)}").first().asDict()
        return Bounds(**{name: value or "" for name, value in row.items()})

    def rows(self, table: str, columns: Sequence[str], condition: str = "", split: str = "", parts: Sequence[str] = ()) -> Any:
        """The rows as text, under their names. `parts`: predicates on the column `split`, one connection for each."""
        asked = [f"{quoted(name)}::text AS {quoted(name)}" for name in columns]
        asked += [f"{quoted(split)} AS {quoted(_SPLIT)}"] if parts else []
        return self._query(_select(asked, table) + (f" WHERE {condition}" if condition else ""), parts).drop(_SPLIT)

    def _query(self, text: str, parts: Sequence[str] = ()) -> Any:
        table = f"({text}) AS asked"
        if parts:
            return self._spark.read.jdbc(self._url, table, predicates=list(parts), properties=self._properties)
        return self._spark.read.jdbc(self._url, table, properties=self._properties)


def _select(asked: Sequence[str], table: str) -> str:
    return f"SELECT {', '.join(asked)} FROM {identifier(table)}"  # noqa: S608  names are quoted, values are literals


def _one(value: str, table: str, condition: str = "") -> str:
    """One value of a table, by a query of its own: an index answers it, which it does not for an aggregate with a filter."""
    return f"({_select([value], table)}{f' WHERE {condition}' if condition else ''})"


def is_time(kind: str) -> bool:
    """Whether a column of that type holds a point in time, or a day."""
    return kind == "date" or kind.startswith("timestamp")


def quoted(name: str) -> str:
    """A name as SQL takes it whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def identifier(table: str) -> str:
    """`public.orders` → `"public"."orders"`."""
    return ".".join(quoted(part) for part in table.split("."))


def literal(text: str) -> str:
    """A text as SQL takes it."""
    return "'" + text.replace("'", "''") + "'"


def since(column: str, kind: str, lower: str, upper: str, lookback: int) -> str:
    """The condition of what is new: from `lower` (less the look back, in seconds) to `upper`, both included, and rows without a value.

    Equal values may come later, in a transaction that was open: so the last value is asked for again, and what is known is left out after.
    Of times everything from `lower` on is asked for: what is dated in the future lies above every `upper`, and may never come due.
    """
    name, asked = quoted(column), []
    if lower:
        value = f"{literal(lower)}::{kind}"
        asked.append(f"{name} >= " + (f"{value} - interval '{lookback} seconds'" if lookback else value))
    if upper and not is_time(kind):
        asked.append(f"{name} <= {literal(upper)}::{kind}")
    return f"({' AND '.join(asked)}) OR {name} IS NULL" if asked else ""


def later(column: str, time: str) -> str:
    """Spark's condition of PostgreSQL's text for a point in time later than `time`. What Spark cannot read, `infinity` and years before
    Christ, is told apart by its letters."""
    read = f"try_cast(`{column}` AS timestamp_ntz) > CAST('{time}' AS timestamp_ntz)"
    return f"`{column}` IS NOT NULL AND coalesce({read}, `{column}` > '{time}')"


def ends(column: str, time: str, kind: str) -> str:
    """Spark's expression of the points in time at which a row ends: `time`, or the next instant after the greatest of the texts in the
    array where that is later. What Spark cannot read, `infinity`, stands beside it as it is: for whoever keeps the text."""
    read = "try_cast(text AS timestamp_ntz)"
    greatest = f"array_max(transform(`{column}`, text -> {read}))"
    # "For ever" is often the last instant of a year of four digits, and most readers take no more of them.
    following = f"least({greatest}, TIMESTAMP_NTZ '9999-12-31 23:59:59.999998') + INTERVAL '0.000001' SECOND"
    after = f"CAST(greatest({greatest}, {following}) AS string)"
    if kind == "date":
        after = f"CAST(CAST({greatest} AS date) AS string)"
    elif kind.endswith("with time zone"):
        after = f"concat({after}, '+00')"
    one = f"CASE WHEN {greatest} > CAST('{time}' AS timestamp_ntz) THEN {after} ELSE '{time}' END"
    return f"concat(array({one}), filter(`{column}`, text -> {read} IS NULL))"


def split_by(low: str, high: str, parts: int) -> list[str]:
    """Predicates that cut a column of numbers into `parts` ranges of one width; rows without a value go with the first."""
    if parts < 2 or not low:
        return []
    first, last = floor(Decimal(low)), ceil(Decimal(high))
    width = max(1, ceil((last - first + 1) / parts))
    cuts = [first + width * at for at in range(1, parts) if first + width * at <= last]
    name = quoted(_SPLIT)
    if not cuts:
        return []
    between = [f"{name} >= {one} AND {name} < {two}" for one, two in pairwise(cuts)]
    return [f"{name} < {cuts[0]} OR {name} IS NULL", *between, f"{name} >= {cuts[-1]}"]


def _credentials(secret: str) -> tuple[str, str]:
    try:
        told = dict(json.loads(secret))
        return str(told["username"]), str(told["password"])
    except (ValueError, TypeError, KeyError):
        raise ConfigError("the source's secret is no JSON object with username and password") from None
