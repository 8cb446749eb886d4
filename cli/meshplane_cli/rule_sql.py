"""SQL of rules and filters, judged from sqlglot's parsed tree: one read-only SELECT, one condition. Called by `manifests.problems`.

sqlglot belongs to the command line; the functions judge by form (`meshplane.model.manifest.check_rules`).
"""

from __future__ import annotations

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

_READS = (exp.Select, exp.Union, exp.Intersect, exp.Except)
_WRITES = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Drop, exp.Alter, exp.Command, exp.Into)


def not_a_query(sql: str) -> str:
    """Why a text is not one read-only query; empty when it is."""
    try:
        trees = [tree for tree in sqlglot.parse(sql, read="spark") if tree is not None]
    except SqlglotError as error:
        return f"this is no SQL: {str(error).splitlines()[0]}"
    if len(trees) != 1:
        return "one statement only"
    if not isinstance(trees[0], _READS) or trees[0].find(*_WRITES):
        return "this is no query that only reads"
    return ""


def not_a_condition(sql: str) -> str:
    """Why a text is no condition on one row; empty when it is one."""
    query = f"SELECT 1 FROM one WHERE {sql}"  # noqa: S608 - parsed, never run
    if why := not_a_query(query):
        return why
    tree = sqlglot.parse_one(query, read="spark")
    given = {key for key, value in tree.args.items() if value} - {"kind", "hint", "operation_modifiers"}
    alone = given <= {"expressions", "from", "from_", "where"} and len(list(tree.find_all(exp.Select))) == 1
    return "" if alone else "a filter is one condition"
