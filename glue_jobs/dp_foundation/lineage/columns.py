"""Which source columns a target column is made of, for the jobs whose manifest says it: merge, files, jdbc, kafka; and of an SQL file as
`publish` read it. `lineage.records` asks.

An expression is read by its tokens, not by an engine: every name in it that is a column of the source counts as used, names of functions,
types after AS, fields behind a dot, quoted text and comments do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from dp_foundation import storage
from dp_foundation.config.arguments import Job, Table
from dp_foundation.contracts import quarantine

_TOKENS = re.compile(
    r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|--[^\n]*|/\*.*?\*/"""  # text and comments
    r"""|\bas\s+[a-z_]\w*"""  # the type of a cast
    r"""|(?<![\w.`])(?:`(?P<quoted>[^`]+)`|(?P<plain>[a-z_]\w*)(?!\w|\s*\())""",
    re.DOTALL | re.IGNORECASE,
)
IDENTITY = ("files", "jdbc", "kafka")  # they write columns as they are called in the source


def used(expression: str, columns: Iterable[str]) -> tuple[str, ...]:
    """The columns that an expression of Spark SQL uses, each once, as the source spells them."""
    have = {column.lower(): column for column in columns}
    names = (found["quoted"] or found["plain"] for found in _TOKENS.finditer(expression))
    return tuple(dict.fromkeys(have[name.lower()] for name in names if name and name.lower() in have))


def made_of(job: Job, target: Table, inputs: Sequence[str]) -> Mapping[str, Sequence[tuple[str, str, bool]]]:
    """Target column → (input, its column, whether it was computed). Empty for jobs whose columns only their own code knows.

    `inputs` are those of the run's record: what a source fetches is no declared read."""
    if job.columns:
        return _published(job, target)
    sources = [read.table for read in job.reads] or list(dict.fromkeys(inputs))
    if job.use not in ("merge", *IDENTITY) or len(sources) != 1:
        return {}
    source = sources[0]
    read = job.tables.get(source)
    have = [column.name for column in read.columns] + list(read.hive_partition) if read else [column.name for column in target.columns]
    given = {name.lower(): str(text) for name, text in (job.options.get("map") or {}).items()}
    lower = {name.lower(): name for name in have}
    found: dict[str, Sequence[tuple[str, str, bool]]] = {}
    for column in target.columns:
        expression = given.get(column.name.lower())
        same = lower.get(column.name.lower())
        if expression is not None:
            found[column.name] = [(source, name, expression.strip().strip("`").lower() != name.lower()) for name in used(expression, have)]
        elif same:
            found[column.name] = [(source, same, False)]
    if (aside := f"{target.logical}{quarantine.ENDING}") in inputs:  # a replay reads the rows' text
        return {name: [(aside, "row", True)] for name, parts in found.items() if parts}
    return {name: parts for name, parts in found.items() if parts}


def _published(job: Job, target: Table) -> Mapping[str, Sequence[tuple[str, str, bool]]]:
    """What the command line read from the SQL file (docs/contracts.md §1); the SELECT's columns become the target's by name."""
    told = storage.read_json(*storage.split(job.columns)) or {}
    given = {name.lower(): parts for name, parts in told.items()}
    lower = {column.name: column.name.lower() for column in target.columns}
    return {name: [(read, column, bool(how)) for read, column, how in given[low]] for name, low in lower.items() if low in given}
