"""Rules, contracts and deprecations judged as a whole: kinds and their options, columns and types, other tables. Called by `judging`. Pure.

SQL of rules and filters is judged twice: here by its form, which is all that the functions can do, and in the command line from
sqlglot's parsed tree (`meshplane_cli.rule_sql`): sqlglot is no part of the Lambda layer. The job runs a query only through Spark's
`SELECT` on temporary views, under a role that may write nothing but its own tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from meshplane.model.manifest.check_jobs import check_table
from meshplane.model.manifest.check_tables import KEYS
from meshplane.model.manifest.normalise import format_of
from meshplane.model.manifest.rules import OF_ALL_ROWS, OPTIONS, RulePart, columns_of, kinds_of
from meshplane.model.manifest.scope import Scope
from meshplane.model.manifest.tables import TablePart
from meshplane.model.problems import Loc, did_you_mean
from meshplane.model.rules import IMPLIED
from meshplane.model.types import Decimal, Primitive, Type, text

# What landing does of each entity's modes (docs/decisions/0012); data never make a table.
MODES = {
    "table": ("freeze",),
    **dict.fromkeys(("columns", "types", "nullability", "precision", "enum"), ("freeze", "quarantine_row", "discard_value", "evolve")),
}
_OF_FILES = ("freeze", "discard_value")  # columns of a table that is no Iceberg table
RAW_KINDS = ("row_count", "freshness", "columns", "unique")  # what can be said of files before anybody has cast them
_WHOLE, _TIMES = ("int", "long"), ("date", "timestamp", "timestamptz")
_NUMBERS = (*_WHOLE, "float", "double", "decimal")
FITTING = {
    "unique": tuple(sorted(KEYS)),
    "in_set": (*_WHOLE, "decimal", "date", "timestamp", "timestamptz", "string", "boolean"),
    "range": (*_NUMBERS, *_TIMES),
    "pattern": ("string",),
    "length": ("string",),
    "freshness": _TIMES,
    "referential": tuple(sorted(KEYS)),
    "sum": _NUMBERS,
    "avg": _NUMBERS,
    "min": _NUMBERS,  # a measure is a number: nothing else has a share by which two of them are apart
    "max": _NUMBERS,
}
NO_FILTER = {
    "columns": ("a table has a column or has it not, whichever rows one looks at", "leave it out"),
    "sql": ("the query itself says which rows it looks at", "put it into the query's WHERE"),
}
_OTHER_STATEMENTS = (
    "insert", "update", "delete", "merge", "create", "drop", "alter", "truncate", "call", "grant", "revoke", "refresh", "msck",
    "cache", "uncache", "use", "set", "reset", "load", "add", "analyze", "into", "overwrite",
)  # fmt: skip
_SILENT = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`|--[^\n]*|/\*.*?\*/", re.DOTALL)


def check(scope: Scope) -> None:
    """Notes every fault of every accepted table's promises."""
    for name, part in scope.document.tables.items():
        loc = ("tables", name)
        _modes(scope, name, part)
        for rule, form in part.rules.items():
            _rule(scope, name, part, rule, form)
        for column in part.deprecate:
            gone = {*part.dropped, *(each.renamed_from for each in part.columns.values())}
            if column not in gone:
                scope.known_column((*loc, "deprecate", column), name, column)
        scope.once((*loc, "allowBreaking"), part.allow_breaking, "project")


def _modes(scope: Scope, table: str, part: TablePart) -> None:
    for entity in MODES:
        loc, mode = ("tables", table, "contract", entity), getattr(part.contract, entity)
        if (refused := refused_mode(entity, mode, format_of(part) == "iceberg")) and not scope.findings.refused(loc):
            message, allowed = refused
            scope.findings.add("contract-mode", loc, message, found=mode, allowed=", ".join(allowed), mend=allowed[0])


def refused_mode(entity: str, mode: str, iceberg: bool) -> tuple[str, tuple[str, ...]] | None:
    """Why an entity of a table cannot have this mode, and which it can have; None where it can."""
    if entity == "columns" and not iceberg and mode not in _OF_FILES:
        return f"a table of files has no quarantine and no columns but the declared ones: '{mode}' is for Iceberg tables", _OF_FILES
    if mode in MODES[entity]:
        return None
    return "arriving data never make a table: the manifest declares it, and a job writes no other", MODES[entity]


def _rule(scope: Scope, table: str, part: TablePart, name: str, form: RulePart) -> None:
    loc: Loc = ("tables", table, "rules", name)
    add = scope.findings.add
    if name.startswith(IMPLIED):
        add("rule-name", loc, f"names that begin with {IMPLIED} belong to the rules that every table has", found=name, at_key=True)
    kinds = kinds_of(form)
    if len(kinds) != 1:
        if not scope.findings.is_lost(loc):
            found = " and ".join(kinds) or "none of them"
            add("rule-kind", loc, "a rule is of exactly one kind", found=found, allowed=", ".join(OPTIONS), at_key=True)
        return
    (kind,) = kinds
    if part.layer == "raw" and kind not in RAW_KINDS:
        message = f"a raw table is judged as it arrives, before anything is cast: '{kind}' is for refined and curated tables"
        add("rule-layer", (*loc, kind), message, found=kind, allowed=", ".join(RAW_KINDS), at_key=True)
        return
    _options(scope, loc, kind, form)
    _columns(scope, table, part, loc, form)
    _bounds(scope, loc, kind, form)
    _literals(scope, table, loc, form)
    if form.table is not None:
        _other_table(scope, loc, table, kind, form)
    if form.sql is not None and (why := not_a_select(form.sql)):
        add("rule-sql", (*loc, "sql"), why, found=form.sql, allowed="one SELECT that changes nothing")
    if form.filter and (why := not_a_condition(form.filter)):
        add("rule-sql", (*loc, "filter"), why, found=form.filter, allowed="a condition on columns, status <> 'deleted'")


def _columns(scope: Scope, table: str, part: TablePart, loc: Loc, form: RulePart) -> None:
    (kind,) = kinds_of(form)
    for index, column in enumerate(columns_of(form, kind)):
        at = (*loc, kind, index) if isinstance(getattr(form, kind), tuple) else (*loc, kind)
        if scope.known_column(at, table, column):
            word = str(getattr(form, kind)).partition("(")[0] if kind in ("reconciliation", "change") else kind
            _fits(scope, at, word, column, scope.columns(table)[column], part)
    if isinstance(getattr(form, kind), tuple):
        scope.once((*loc, kind), getattr(form, kind), "column")


def _literals(scope: Scope, table: str, loc: Loc, form: RulePart) -> None:
    if form.in_set is not None and form.values is not None:
        given: list[tuple[Loc, object]] = [(("values", index), value) for index, value in enumerate(form.values)]
        _values(scope, loc, given, scope.columns(table).get(form.in_set))
    of = scope.columns(table).get(form.range or "")
    if form.range is not None and of != Primitive("string"):
        given = [((word,), value) for word, value in (("min", form.min), ("max", form.max)) if value is not None]
        _values(scope, loc, given, of)


def _options(scope: Scope, loc: Loc, kind: str, form: RulePart) -> None:
    needed, optional = OPTIONS[kind]
    options = {word for each in OPTIONS.values() for words in each for word in words}
    for word in form.model_fields_set & options:
        if getattr(form, word) is not None and word not in (*needed, *optional):
            of_all = ("severity", *(("threshold",) if kind not in OF_ALL_ROWS else ()), *(("filter",) if kind not in NO_FILTER else ()))
            allowed = ", ".join((*needed, *optional, *of_all))
            scope.findings.add("rule-option", (*loc, word), f"'{word}' is no option of a rule of kind {kind}", found=word, allowed=allowed,
                               mend=did_you_mean(word, (*needed, *optional)) or "leave it out", at_key=True)  # fmt: skip
    if kind in OF_ALL_ROWS and "threshold" in form.model_fields_set:
        message = f"a rule of kind {kind} is judged as a whole: rows have no share in it"
        scope.findings.add("rule-option", (*loc, "threshold"), message, found="threshold", mend="leave it out", at_key=True)
    if kind in NO_FILTER and form.filter:
        why, mend = NO_FILTER[kind]
        scope.findings.add(
            "rule-option", (*loc, "filter"), f"a rule of kind {kind} takes no filter: {why}", found=form.filter, mend=mend, at_key=True
        )
    for word in needed:
        if getattr(form, word) is None and not scope.findings.refused((*loc, word)):
            meaning = RulePart.model_fields[word].description or ""
            scope.findings.add("rule-missing", loc, f"a rule of kind {kind} needs '{word}'", mend=f"add `{word}`: {meaning}", at_key=True)


def _fits(scope: Scope, loc: Loc, word: str, column: str, of: Type | None, part: TablePart) -> None:
    fitting = FITTING.get(word)
    if of is None or fitting is None or (part.layer == "raw" and word == "freshness" and of == Primitive("string")):
        return
    name = "decimal" if isinstance(of, Decimal) else of.name if isinstance(of, Primitive) else text(of)
    if name not in fitting:
        message = f"'{column}' is of type {text(of)}, which {word} does not fit"
        scope.findings.add("rule-type", loc, message, found=text(of), allowed=", ".join(fitting))


def _bounds(scope: Scope, loc: Loc, kind: str, form: RulePart) -> None:
    """The least and the most: at least one of them, in order; lengths are whole numbers."""
    if kind not in ("range", "length", "row_count"):
        return
    holder = form.row_count if form.row_count is not None else form
    at = (*loc, kind) if kind == "row_count" else loc
    low, high = holder.min, holder.max
    if any(scope.findings.refused((*at, word)) for word in ("min", "max")):
        return
    if low is None and high is None:
        scope.findings.add("rule-bounds", at, f"{kind} needs a least, a most, or both", mend="add min: or max:", at_key=True)
    whole = all(bound is None or (isinstance(bound, int) and bound >= 0) for bound in (low, high))
    if kind == "length" and not whole:
        scope.findings.add("rule-bounds", at, "a length is a whole number of characters", found=f"{low} to {high}", at_key=True)
    elif low is not None and high is not None and type(low) is type(high) and low > high:
        scope.findings.add(
            "rule-bounds", at, "the least is more than the most", found=f"{low} to {high}", mend="exchange them", at_key=True
        )


def _values(scope: Scope, loc: Loc, values: Iterable[tuple[Loc, object]], of: Type | None) -> None:
    """Values and bounds are such as the column can hold: nothing else would ever be found equal."""
    for where, value in values:
        allowed = _wanted(of, value) if of is not None else ""
        if allowed:
            message = f"a column of type {text(of) if of else ''} never holds this"
            scope.findings.add("rule-value", (*loc, *where), message, found=str(value), allowed=allowed)


def _wanted(of: Type, value: object) -> str:
    """What a literal for this type looks like; empty where `value` is one."""
    name = "decimal" if isinstance(of, Decimal) else of.name if isinstance(of, Primitive) else ""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in _WHOLE:
        return "" if isinstance(value, int) and number else "whole numbers"
    if name in ("decimal", "float", "double"):
        return "" if number else "numbers"
    if name == "boolean":
        return "" if isinstance(value, bool) else "true, false"
    if name == "string":
        return "" if isinstance(value, str) else f'texts: "{value}"'
    if name in _TIMES:
        return "" if isinstance(value, str) and _is_time(value, name) else "2027-01-31" if name == "date" else "2027-01-31T12:00:00Z"
    return ""


def _is_time(value: str, name: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return name != "date" or len(value) == 10


def _other_table(scope: Scope, loc: Loc, table: str, kind: str, form: RulePart) -> None:
    other = str(form.table)
    check_table(scope, (*loc, "table"), other)
    own = "." not in other
    if own and other not in scope.names("tables"):
        return
    if kind == "referential":
        names = form.column if form.column is not None else form.referential or ()
        if len(names) != len(form.referential or ()):
            message = "as many columns of the other table as of this one"
            scope.findings.add("rule-columns", (*loc, "column"), message, found=", ".join(names), allowed=", ".join(form.referential or ()))
        elif own:
            for index, column in enumerate(names):
                at = (*loc, "column", index) if form.column is not None else (*loc, "referential", index)
                scope.known_column(at, other, column)
    elif own:
        word = "measure" if form.measure is not None else "reconciliation"
        inner = str(form.measure or form.reconciliation).partition("(")[2][:-1]
        if inner != "*":
            scope.known_column((*loc, word), other, inner)
    for name, job in scope.document.jobs.items():
        writes = table in {each.table for each in job.writes}
        if writes and other != table and other not in {each.table for each in job.reads} and not scope.findings.is_lost(("jobs", name)):
            message = f"job '{name}' writes this table and does not read '{other}', so it cannot judge by it"
            found = ", ".join(each.table for each in job.reads)
            scope.findings.add("rule-read", (*loc, "table"), message, found=found, mend=f"add {other} to jobs.{name}.reads")


def not_a_select(sql: str) -> str:
    """Why a text cannot be one read-only SELECT, by its form; empty when it can."""
    bare = _SILENT.sub(" '' ", sql).strip().rstrip(";").lower()
    words = re.findall(r"[a-z_]\w*", bare)
    if not words or words[0] not in ("select", "with"):
        return "a rule's SQL begins with SELECT or WITH"
    return _changes(bare, words)


def not_a_condition(sql: str) -> str:
    """Why a text cannot be a condition on one row, by its form; empty when it can."""
    bare = _SILENT.sub(" '' ", sql).lower()
    words = re.findall(r"[a-z_]\w*", bare)
    if "select" in words:
        return "a filter looks at one row: a query has no place in it"
    return _changes(bare, words)


def _changes(bare: str, words: list[str]) -> str:
    if ";" in bare:
        return "one statement only: a semicolon ends it"
    # A column may be called `set` or `add`; what is called (`replace(`) or follows a dot is no statement either.
    others = [word for word in _OTHER_STATEMENTS if re.search(rf"(?<![\w.`]){word}\s+(?!(as|from|and|or|is|in|=|<|>|,|\))\b)[a-z_`]", bare)]
    if others and any(word in words for word in others):
        return f"this changes something: {others[0].upper()} is no part of a query"
    return ""
