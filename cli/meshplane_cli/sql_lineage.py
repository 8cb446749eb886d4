"""Which columns a job's SQL file makes of which, read from sqlglot's parsed tree. Called by `releases.build`; the job's lineage tells it.

sqlglot belongs to the command line: the job library imports nothing but pyspark, and the plan of a DataFrame stays untouched (decision 9).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.lineage import Node, lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

from dp_foundation.builtin.sql import view_name, with_views
from dp_foundation.errors import ConfigError
from meshplane.model import types
from meshplane.model.project import Job, Project

Parts = list[tuple[str, str, bool]]


def columns_json(text: str, job: Job, project: Project) -> bytes:
    """The file that a release carries beside the SQL: `{"day": [["orders", "ordered_at", true]]}`, column → read, its column, whether it
    was computed. Empty where the tree tells nothing."""
    reads = {
        (ref.table if ref.project == project.name else f"{ref.project}.{ref.table}"): _columns(project, ref.project, ref.table)
        or dict.fromkeys(ref.columns, "string")
        for ref in job.reads
    }
    made = columns_of(text, reads)
    return json.dumps(made, sort_keys=True, separators=(",", ":")).encode() if made else b""


def columns_of(text: str, reads: Mapping[str, Mapping[str, str]]) -> dict[str, Parts]:
    """Output column → read, its column, whether it was computed. `reads`: a declared read → its columns and Spark types, as far as known;
    a column that could be of several reads is left out."""
    views = {view_name(read): read for read in reads}
    schema = {view: dict(reads[read]) for view, read in views.items() if reads[read]}
    try:
        parsed = sqlglot.parse_one(with_views(text, reads), read="spark")
        tree = qualify(parsed, schema=schema, dialect="spark", validate_qualify_columns=False, identify=False)
        scope = build_scope(tree)
        named = scope.expression.named_selects if scope else []
        found = {name: lineage(name, tree, schema=schema, dialect="spark", scope=scope) for name in named if name != "*"}
    except (SqlglotError, ConfigError, ValueError, KeyError):  # a file that cannot be understood claims no columns; `validate` judges it
        return {}
    known = {view.lower(): (read, {column.lower(): column for column in reads[read]}) for view, read in views.items()}
    made = {name: list(dict.fromkeys(_leaves(node, known))) for name, node in found.items()}
    return {name: parts for name, parts in made.items() if parts}


def _leaves(node: Node, views: Mapping[str, tuple[str, Mapping[str, str]]], computed: bool = False) -> Iterator[tuple[str, str, bool]]:
    """The columns of declared reads that a column comes from, as they are declared."""
    if isinstance(node.expression, exp.Table):
        read, spelled = views.get(node.expression.name.lower(), ("", {}))
        column = node.name.rpartition(".")[2].strip('`"')
        if read:
            yield read, spelled.get(column.lower(), column), computed
        return
    computed = computed or not isinstance(node.expression.unalias(), exp.Column)
    for below in node.downstream:
        yield from _leaves(below, views, computed)


def _columns(project: Project, owner: str, table: str) -> dict[str, str]:
    own = project.tables.get(table) if owner == project.name else None
    if own is None:
        return {}
    return {**{column.name: types.spark(column.type) for column in own.columns}, **dict.fromkeys(own.hive_partition, "string")}
