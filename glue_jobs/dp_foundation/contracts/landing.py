"""Landing: arriving rows held against a table's contract (types, precision, nullability, enum), in one pass over the staged batch, which
counts for the gate's row rules too: it sees the rows as they will land.

A line of a file that does not parse is a row that breaks `types`; the quarantine holds it as it stands in the file, `{"__line": "…"}`. A
value that the raw table's type cannot hold as it is (`io.texts`) breaks `types` or `precision`; its row is kept as text.

Per entity the contract says: `freeze` fails the job; `quarantine_row` keeps the row out and puts it into the quarantine; `discard_value`
lets it in with a null and puts the row as it came into the quarantine. Nothing is lost: without a quarantine table all of them freeze.
The built-ins `merge` and `files` land through `landed`, jobs through `dp_foundation.contracts.land`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any
from urllib.parse import unquote

from dp_foundation.builtin import mapping
from dp_foundation.config.arguments import Column, Table
from dp_foundation.contracts import arriving, growing, quarantine
from dp_foundation.errors import DataError, SchemaMismatchError
from dp_foundation.io import keys, raw
from dp_foundation.io.align import quoted
from dp_foundation.io.merge import DELETED
from dp_foundation.io.rereading import held
from dp_foundation.io.tables import Target, find, writable
from dp_foundation.io.texts import LOCALE, TEXTS, UNFIT
from dp_foundation.logging.logger import get_logger
from dp_foundation.quality.compiler import broken
from dp_foundation.quality.tally import Tally, tallied, tell
from dp_foundation.run.current import begin, files_of

SOURCE = "__source_object"
LINE = "__line"
POSITION = raw.position(SOURCE)
ROW = "__row"
OUT = "__out"
GIVEN = "__given"
OURS = (SOURCE, LINE, POSITION, ROW, TEXTS, UNFIT)  # what readers and `replay` add to a source's columns
# Enough digits, so that an instant comes back from the quarantine as it went in; `replay` reads with the same.
JSON = {
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
    "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
    "ignoreNullFields": "false",
    **LOCALE,
}
_DEFAULTS = {"types": "quarantine_row", "nullability": "quarantine_row", "precision": "quarantine_row", "enum": "quarantine_row"}


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break the contract: `flag` is the name of a boolean column of the marked frame."""

    entity: str
    column: str
    rule: str
    mode: str
    flag: str


def line(table: Table) -> str:
    """The column in which a reader is to hand on lines that do not parse; empty where there is no quarantine to keep them."""
    return LINE if quarantine.of(table) is not None else ""


@contextmanager
def landed(
    frame: Any, mapped: Sequence[mapping.Mapped], table: Table, what: str, source: Table | None = None, known: Sequence[str] = ()
) -> Iterator[tuple[Any, int]]:
    """The rows that may land, cast, and how many; to be read as long as the context lasts (`io.rereading`). `source`: the table of files
    that they were read from, which is asked again where in its files the bad ones stand; `known`: columns of the frame that are no news
    besides. Rows that come from the quarantine bring their `ROW`.
    Raises DataError for what is frozen, and when no row at all keeps the contract."""
    place = quarantine.of(table)
    if place is None:
        with mapping.apply(frame.drop(*OURS), mapped, what) as found:
            yield found
        return
    from pyspark.sql import functions as F

    declared = (*(column.name for column in source.columns), *source.hive_partition) if source else ()
    brought = arriving.plan(frame, [*(m.name for m in mapped), *OURS, *declared, *known], table)
    grows = growing.plan(frame.sparkSession, table, mapped)
    every = (*growing.widened(mapped, grows), *(one.mapped for one in brought))
    watched = {arriving.HAS + one.mapped.name: f"{quoted(one.mapped.name)} IS NOT NULL" for one in brought}
    for one in grows:
        watched |= one.asked(any(m.name == DELETED for m in mapped))
    marked, faults = _marked(_staged(frame, every), every, table, brought)
    with held(marked) as marked:
        kept = [f for f in faults if f.mode == "quarantine_row"]
        out = F.lit(False)
        for fault in kept:
            out = out | F.col(fault.flag)
        count, counted, span = _counted(marked, faults, out, table, what, watched)
        if any(count[f.flag] for f in faults):
            bad = _bad(marked, faults)
            if source is not None and source.format in ("csv", "json") and ROW not in frame.columns:
                bad = _bad(_marked(_staged(_placed(bad, frame, source), every), every, table, brought)[0], faults)
            _put_aside(bad, table, place, again=ROW in frame.columns)
        if count["__rows"] and count["__out"] == count["__rows"]:
            raise DataError(f"{what}: each of {count['__rows']} rows breaks the contract; they are in {place.identifier}")
        written = (*mapped, *arriving.taken(frame.sparkSession, table, brought, count))
        kinds = growing.grow(frame.sparkSession, table, grows, count)
        rows = marked.where(~out).select(*(_value(m.name, faults, kinds.get(m.name, "")) for m in written))
        rows._meshplane_landed = table.logical  # told by `is_landed`
        if not grows:  # else counted in the widest type, and written in another perhaps
            tell(rows, table.gate, counted, span)
        yield rows, count["__rows"] - count["__out"]


def land_frame(df: Any, table: str) -> Any:
    """`dp_foundation.contracts.land`; a staged batch that is kept in memory stays there until the process ends."""
    target = writable(find(table))
    if target.table is None:
        raise SchemaMismatchError(f"{target.identifier} is not declared: only the manifest's tables have a contract")
    names = {column.name.lower() for column in target.table.columns}
    extra = [name for name in columns(df) if name.lower() not in names]
    mode = arriving.mode(target.table)
    if extra and mode != "discard_value" and not arriving.asked(target.table):
        raise SchemaMismatchError(
            f"{target.identifier} has no column {', '.join(extra)} (contract.columns: {mode}); mend: declare it in the manifest"
        )
    if extra and mode == "discard_value":
        get_logger(__name__).warning("%s: columns that are not declared are left out: %s", target.identifier, ", ".join(extra))
    mapped = mapping.plan(columns(df), target.table.columns, {})
    context = landed(df, mapped, target.table, f"landing in {target.table.logical}")
    return context.__enter__()[0]


def is_landed(frame: Any, table: Table) -> bool:
    """Whether the frame is what landing gave for this table, as it gave it."""
    return bool(frame.__dict__.get("_meshplane_landed") == table.logical)


def columns(frame: Any) -> list[str]:
    """The source's own columns of a frame that a reader gave."""
    return [name for name in frame.columns if name not in OURS]


def _staged(frame: Any, mapped: Sequence[mapping.Mapped]) -> Any:
    from pyspark.sql import functions as F

    return frame.select(*(F.expr(f"{m.expression} AS `{m.name}`") for m in mapped), *_around(frame))


def _placed(bad: Any, frame: Any, source: Table) -> Any:
    """The files that hold bad rows once more, each record with its position."""
    known = {name.lower() for name in (*(column.name for column in source.columns), *source.hive_partition, *OURS)}
    more = [Column(field.name, field.dataType.simpleString()) for field in frame.schema.fields if field.name.lower() not in known]
    source = replace(source, columns=(*source.columns, *more))
    held = [row[0] for row in bad.select(SOURCE).distinct().collect()]
    files = [file for file in files_of(source) if any(unquote(path).endswith(f"/{file.key}") for path in held)]
    lines = LINE if LINE in frame.columns else ""
    return raw.numbered(frame.sparkSession, source, files, SOURCE, lines).select(*frame.columns)


def _around(frame: Any) -> list[Any]:
    """The row as it came, and where it came from, beside the mapped columns."""
    from pyspark.sql import functions as F

    have = set(frame.columns)
    row = F.col(ROW) if ROW in have else F.struct(*map(quoted, columns(frame))).alias(GIVEN)
    source = F.col(SOURCE) if SOURCE in have else F.lit(None).cast("string").alias(SOURCE)
    return [row, source, *(F.col(name) for name in (LINE, POSITION, TEXTS, UNFIT) if name in have)]


def _told(marked: Any, faults: Sequence[Fault]) -> Any:
    """The marked frame with the text of the rows that break something; making one of every row would cost more than all the rest."""
    from pyspark.sql import functions as F

    if GIVEN not in marked.columns:
        return marked.drop(LINE, TEXTS, UNFIT)
    text = F.to_json(GIVEN, JSON)
    if UNFIT in marked.columns:  # a row with such a value as it stood in the file
        given, texts, unfit = (marked.schema[name].dataType.fieldNames() for name in (GIVEN, TEXTS, UNFIT))
        as_it_stood = F.struct(*(F.col(TEXTS if name in texts else GIVEN)[name].alias(name) for name in given))
        any_unfit = reduce(lambda a, b: a | b, (F.col(UNFIT)[name] for name in unfit))
        text = F.when(any_unfit, F.to_json(as_it_stood, JSON)).otherwise(text)
    if LINE in marked.columns:
        text = F.when(F.col(LINE).isNull(), text).otherwise(F.to_json(F.struct(LINE)))
    broken_at_all = reduce(lambda a, b: a | b, (F.col(f.flag) for f in faults), F.lit(False))
    return marked.withColumn(ROW, F.when(broken_at_all, text)).drop(GIVEN, LINE, TEXTS, UNFIT)


def _marked(
    staged: Any, mapped: Sequence[mapping.Mapped], table: Table, brought: Sequence[arriving.Brought] = ()
) -> tuple[Any, list[Fault]]:
    """The cast columns, each way of breaking the contract as a flag, the row as text where it breaks something."""
    modes = {**_DEFAULTS, **(table.gate.contract if table.gate else {})}
    names, broken_by = set(staged.columns), mapping.breaks(staged, mapped)
    required = {column.name for column in table.columns if column.required} | set(table.key)
    deletes = any(m.name == DELETED for m in mapped)
    flags: list[str] = []
    faults: list[Fault] = []

    def fault(entity: str, column: str, condition: str, mode: str = "") -> None:
        # A required column has no null to fall back to.
        mode = "quarantine_row" if modes[entity] == "discard_value" and column in required else mode or modes[entity]
        mode = "quarantine_row" if mode == "evolve" else mode  # what no column can become
        faults.append(Fault(entity, column, "", mode, f"__f{len(faults)}"))
        flags.append(f"coalesce({condition}, false) AS `{faults[-1].flag}`")

    if LINE in names:  # it has no value of its own that could be discarded
        mode = "freeze" if modes["types"] == "freeze" else "quarantine_row"
        faults.append(Fault("line", "", "", mode, "__f0"))
        flags.append(f"`{LINE}` IS NOT NULL AS `__f0`")
    unfit = _unfit(staged, mapped)
    for entity, column, condition, alone in unfit:
        fault(entity, column, condition, "" if alone or modes[entity] == "freeze" else "quarantine_row")
    for m in mapped:
        for entity, condition in broken_by.get(m.name, {}).items():
            fault(entity, m.name, condition)
        if m.name in required and (modes["nullability"] != "evolve" or m.name in table.key):
            # A row that asks for a deletion needs its key alone.
            asked = "" if m.name in table.key or not deletes else f" AND NOT `{DELETED}`"
            told = "".join(f" AND NOT {condition}" for _, column, condition, _ in unfit if column == m.name)
            fault("nullability", m.name, f"`{m.name}` IS NULL{asked}{told}")
    for one in brought:
        if one.mode != "evolve":
            fault("columns", one.mapped.name, f"{quoted(one.mapped.name)} IS NOT NULL", one.mode)
    kept = [f"`{name}`" for name in (ROW, GIVEN, SOURCE, LINE, POSITION, TEXTS, UNFIT) if name in names]
    marked = staged.selectExpr(*(mapping.cast(m, broken_by) for m in mapped), *kept, *flags)
    for rule in table.gate.rules if table.gate else ():
        if rule.kind == "in_set" and rule.severity == "block" and not rule.filter and modes["enum"] != "freeze":
            # A frozen set is judged by the gate alone, which stops the run.
            mode = "quarantine_row" if set(rule.columns) & required or len(rule.columns) > 1 else modes["enum"]
            faults.append(Fault("enum", rule.columns[0], rule.name, mode, f"__f{len(faults)}"))
            marked = marked.withColumn(faults[-1].flag, broken(rule, marked))
    return _told(marked, faults), faults


def _unfit(staged: Any, mapped: Sequence[mapping.Mapped]) -> list[tuple[str, str, str, bool]]:
    """(entity, column, condition, whether the value goes into that column alone) of what the raw table's types could not hold."""
    if UNFIT not in staged.columns:
        return []
    found = []
    for flag in staged.schema[UNFIT].dataType.fieldNames():
        entity, _, name = flag.partition(":")
        users = [m for m in mapped if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", m.expression, re.IGNORECASE)]
        alone = len(users) == 1 and users[0].expression.lower() == f"`{name}`".lower()
        found.append((entity, users[0].name if alone else name, f"`{UNFIT}`.`{flag}`", alone))
    return found


def _counted(
    marked: Any, faults: Sequence[Fault], out: Any, table: Table, what: str, watched: Mapping[str, str]
) -> tuple[dict[str, int], Tally | None, keys.Span | None]:
    """How many rows there are, how many stay out, break what, and of those that land meet each of the `watched` conditions; and what
    the gate's row rules count in those that land, where none of them asks for a deletion, with the bounds of their key."""
    from pyspark.sql import functions as F

    has = {name: ~out & F.expr(condition) for name, condition in watched.items()}
    values = [_value(name, faults) for name in marked.columns if not name.startswith("__")]
    marks = {OUT: out, **has, **{f.flag: F.col(f.flag) for f in faults}}
    frame = marked.select(*values, *(mark.alias(name) for name, mark in marks.items()))
    asked = {"__rows": F.count(F.lit(1)), **{name: F.count(F.when(F.col(quoted(name)), 1)) for name in marks}}
    counted, found, span = None, None, None
    if table.gate is not None and DELETED not in marked.columns:
        bounds = keys.asked(frame, table.key, ~F.col(OUT))
        counted, found = tallied(frame, table.gate, ~F.col(OUT), [*asked.values(), *bounds], _kept_by_landing(faults, table))
        found, bounds = found[: len(asked)], found[len(asked) :]
        span = keys.Span(table.key[0], bounds[0], bounds[1], counted.rows, bounds[2]) if bounds else None
    found = found or list(frame.agg(*asked.values()).first())
    count = {name: int(value) for name, value in zip(asked, found, strict=True)}
    frozen = [f for f in faults if f.mode == "freeze" and count[f.flag]]
    if frozen:
        lines = [
            f"{f.column or 'the file'}: {count[f.flag]} row(s) break {f.entity}, which the contract leaves at {f.mode}" for f in frozen
        ]
        raise DataError(f"{what}: rows that break the contract:\n  " + "\n  ".join(lines))
    current = begin()
    if current is not None:
        broke = {f.rule: count[f.flag] for f in faults if f.rule}
        kept = {f.rule: count[f.flag] for f in faults if f.rule and f.mode == "quarantine_row"}
        current.turned_away.setdefault(table.logical, Tally()).add(Tally(violations=broke, looked=kept))
        current.quarantined[table.logical] = current.quarantined.get(table.logical, 0) + count["__out"]
    return count, counted, span


def _kept_by_landing(faults: Sequence[Fault], table: Table) -> frozenset[str]:
    """The rules that no row breaks which lands, because rows that would are kept out: nobody has to count them."""
    filled = {f.column.lower() for f in faults if (f.entity, f.mode) == ("nullability", "quarantine_row")}
    listed = {f.rule for f in faults if f.rule and f.mode == "quarantine_row"}
    filled_by = (
        {r.name for r in table.gate.rules if r.kind == "not_null" and {c.lower() for c in r.columns} <= filled} if table.gate else set()
    )
    return frozenset(listed | filled_by)


def _bad(marked: Any, faults: Sequence[Fault]) -> Any:
    """The rows that break something, with their `__reasons`."""
    from pyspark.sql import functions as F

    why = [F.when(F.col(f.flag), F.struct(*(F.lit(v).alias(k) for k, v in _reason(f).items()))) for f in faults]
    return marked.withColumn("__reasons", F.filter(F.array(*why), lambda reason: reason.isNotNull())).where(F.size("__reasons") > 0)


def _put_aside(bad: Any, table: Table, place: Target, again: bool) -> None:
    from pyspark.sql import functions as F

    current, gate = begin(), table.gate
    rows = bad.select(
        F.col("__reasons").alias("reasons"),
        F.lit(gate.digest if gate else "").alias("rule_fingerprint"),
        F.lit(gate.contract.get("version", "") if gate else "").alias("contract_version"),
        F.col(SOURCE).alias("source_object"),
        (F.col(POSITION) if POSITION in bad.columns else F.lit(None).cast("bigint")).alias("source_position"),
        F.lit(current.run.run_id if current else "").alias("run_id"),
        F.col(ROW).alias("row"),
        F.lit("").alias("replayed_by"),
    )
    # Rows without a position (of an Iceberg table, or a job's own frame) that are equal to the letter are one row in the quarantine.
    quarantine.put(rows.dropDuplicates(["row", "source_object", "source_position"]), place, again)


def _reason(fault: Fault) -> dict[str, str]:
    return {"entity": fault.entity, "column": fault.column, "rule": fault.rule, "mode": fault.mode}


def _value(name: str, faults: Sequence[Fault], kind: str = "") -> Any:
    from pyspark.sql import functions as F

    column = F.col(f"`{name}`")
    for fault in faults:
        if fault.column == name and fault.mode == "discard_value":
            column = F.when(~F.col(fault.flag), column)
    return (column.cast(kind) if kind else column).alias(name)
