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
    """Taken in one look before the rows: the greatest value of the incremental column, the database's time in that column's type (the
    greatest value again where it is no time), the range of the column that splits the reading. Texts, empty where there is none."""

    upper: str = ""
    now: str = ""
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
        """Name → type, in the table's order. What PostgreSQL answers (no such table, denied) passes through."""
        where = f"attrelid = {literal(identifier(table))}::regclass AND attnum > 0 AND NOT attisdropped"
        asked = "SELECT attname::text AS name, format_type(atttypid, NULL) AS type, attnum AS at FROM pg_attribute"
        rows = self._query(f"{asked} WHERE {where}")
        return {row["name"]: row["type"] for row in rows.orderBy("at").collect()}

    def bounds(self, table: str, incremental: str, kind: str, split: str) -> Bounds:
        """`kind`: the incremental column's type."""
        asked = []
        if incremental:
            time = f"clock_timestamp()::{kind}" if kind.startswith(("timestamp", "date")) else f"max({quoted(incremental)})"
            asked += [f"max({quoted(incremental)})::text AS upper", f"{time}::text AS now"]
        if split:
            asked += [f"min({quoted(split)})::text AS low", f"max({quoted(split)})::text AS high"]
        if not asked:
            return Bounds()
        row = self._query(_select(asked, table)).first().asDict()
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
    """
    name, asked = quoted(column), []
    if lower:
        value = f"{literal(lower)}::{kind}"
        asked.append(f"{name} >= " + (f"{value} - interval '{lookback} seconds'" if lookback else value))
    if upper:
        asked.append(f"{name} <= {literal(upper)}::{kind}")
    return f"({' AND '.join(asked)}) OR {name} IS NULL" if asked else ""


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
