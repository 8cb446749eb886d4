"""`meshplane query`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from meshplane_cli.output import USAGE, CliError, emit, rows, show
from meshplane_cli.surroundings import EnvOption, JsonOption, target
from meshplane_cli.tables import Tables


def command(
    sql: Annotated[
        str, typer.Argument(help='One select. Tables are LAYER.TABLE, DATABASE.TABLE or PROJECT.TABLE: "select * from sales.orders".')
    ],
    limit: Annotated[int, typer.Option(min=1, help="Rows to show at most.")] = 50,
    env: EnvOption = "",
    as_json: JsonOption = False,
) -> None:
    """Rows of the domain's tables by SQL (DuckDB's), without starting Spark. Only the columns that are named are read; times are UTC."""
    columns, lines = asked(sql, limit, env)
    if as_json:
        emit(lines[:limit])
        return
    rows(columns, ([_cell(line[name]) for name in columns] for line in lines[:limit]), empty="no rows")
    if len(lines) > limit:
        show(f"… more rows than {limit}: --limit shows more")


def asked(sql: str, limit: int = 50, env: str = "") -> tuple[list[str], list[dict[str, Any]]]:
    """The names of the answer's columns, and at most one row more than `limit`. Raises CliError."""
    query = _parsed(sql)
    result = _run(Tables(target(env)), query, limit)
    return result.column_names, result.to_pylist()


def _parsed(sql: str) -> Any:
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        found = [one for one in sqlglot.parse(sql, read="duckdb") if one]
    except SqlglotError as error:
        raise CliError("that is not SQL", found=str(error).splitlines()[0], code=USAGE) from error
    if len(found) != 1 or not isinstance(found[0], exp.Query):
        raise CliError("only one select can be asked", found=sql, allowed="select … from sales.orders", code=USAGE)
    return found[0]


def _run(tables: Tables, query: Any, limit: int) -> Any:
    """Register every table that the query names, then let DuckDB answer."""
    import duckdb
    from sqlglot import exp

    own = {cte.alias for cte in query.find_all(exp.CTE)}
    named = None if list(query.find_all(exp.Star)) else {column.name.lower() for column in query.find_all(exp.Column)}
    connection = duckdb.connect(config={"enable_external_access": "false", "python_enable_replacements": "false"})
    known: dict[tuple[str, str], str] = {}
    for table in list(query.find_all(exp.Table)):
        if not table.db:
            if table.name and table.name not in own:  # one without a name is a function's
                raise CliError(
                    f"which {table.name}?", allowed="LAYER.TABLE, DATABASE.TABLE or PROJECT.TABLE", mend=f"sales.{table.name}", code=USAGE
                )
            continue
        key = (table.db, table.name)
        if key not in known:
            known[key] = f"t{len(known)}"
            connection.register(known[key], tables.arrow(tables.find(*key), named, None))
        alias = table.alias or table.name
        table.replace(exp.to_table(known[key]).as_(alias))
    try:
        return connection.sql(query.sql(dialect="duckdb")).limit(limit + 1).to_arrow_table()
    except duckdb.Error as error:
        raise CliError("the query cannot be answered", found=str(error).splitlines()[0], code=USAGE) from error


def _cell(value: object) -> str:
    return "" if value is None else str(value)
