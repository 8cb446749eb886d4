"""What a change of a shared table does to each consumer (REQUIREMENTS N7). Pure; called by the flows that reconcile and plan.

Consumers are the jobs that declare to read the table, down to columns where they say so. Own ones are warned and hold nothing: table and
job change in one manifest, by one author, in one release. A change is compared with what was last shared, not with what stands: what
readers rely on is what they were told.

breaking: a used column leaves, is renamed, gets a type that is not wider, or may be null now; the key changes; the table leaves, moves or
is no longer granted; a blocking rule on used columns goes, weighs less, or lets more values through.
safe (a warning): a wider type, a higher threshold, another filter or pattern, an older freshness, a mode that lets the data evolve.
additive: a new column. Everything else is stricter than before and says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from meshplane.model.context import Context, SharedRead
from meshplane.model.evolution import is_wider
from meshplane.model.project import Project, Table
from meshplane.model.resource import Effect
from meshplane.model.types import Field, ListType, MapType, StructType, Type, text
from meshplane.plan.digest import digest
from meshplane.plan.shares import columns_of, own_share, table_shares


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a shared table. `column`: the one that it is about, empty for the table."""

    effect: Effect
    what: str
    column: str = ""


@dataclass(frozen=True, slots=True)
class Impact:
    """What one change means for one consumer. `held`: it keeps the producer's plan back. `excuse`: why a breaking one does not.
    One whose `consumer` is the project itself warns it: of what a producer does, or of what it does to its own jobs."""

    table: str
    consumer: str
    job: str
    effect: Effect
    what: str
    held: bool = False
    excuse: str = ""

    @property
    def key(self) -> str:
        """Names this impact: an approval covers exactly it."""
        return digest(("impact", self.table, self.consumer, self.job, self.what))

    def __str__(self) -> str:
        told = f"{self.what}, which {self.consumer}.{self.job} reads"
        return f"{told} ({self.excuse})" if self.excuse else told

    def to_json(self) -> dict[str, Any]:
        """Plain data, for the plan's JSON."""
        return {
            "table": self.table, "consumer": self.consumer, "job": self.job, "effect": self.effect.name.lower(), "what": self.what,
            "held": self.held, "excuse": self.excuse,
        }  # fmt: skip


def impacts(project: Project, context: Context, before: Mapping[str, Any]) -> tuple[Impact, ...]:
    """What this project's change does to others, then what others do to it. `before`: what it last shared (its state item's `shares`)."""
    return (*_done(project, context, before), *_own(project, context, before), *_suffered(project, context))


def _done(project: Project, context: Context, before: Mapping[str, Any]) -> Iterator[Impact]:
    for name, old in before.get("tables", {}).items():
        table = project.tables.get(name)
        new = None
        if table is not None:
            physical = table.physical_name or context.naming.table(project.name, name)
            new = table_shares(table, project.name, physical, context.naming)
        for reader in sorted(set(old.get("readers", ())) & set(context.neighbours)):
            for read in context.neighbours[reader].reads:
                if (read.project, read.table) == (project.name, name):
                    for change in changes(old, new, reader, read.columns):
                        yield _impact(change, table, name, reader, read, context.today)


def _own(project: Project, context: Context, before: Mapping[str, Any]) -> Iterator[Impact]:
    """What own jobs feel, those of the manifest of now."""
    for job in project.jobs.values():
        for read in job.reads:
            old, table = before.get("own", {}).get(read.table), project.tables.get(read.table)
            if read.project != project.name or old is None or table is None:
                continue
            physical = table.physical_name or context.naming.table(project.name, read.table)
            new = own_share(table, project.name, physical, context.naming)
            for change in changes(old, new, project.name, read.columns):
                yield Impact(read.table, project.name, job.name, change.effect, change.what, False, "a job of this manifest")


def _impact(change: Change, table: Table | None, name: str, reader: str, read: SharedRead, today: date | None) -> Impact:
    excuse = ""
    if change.effect >= Effect.BREAKING and table is not None:
        until = next((day for column, day in table.deprecate.items() if column.lower() == change.column.lower()), None)
        if reader in table.allow_breaking:
            excuse = "allowBreaking names it"
        elif until is not None and today is not None and until < today:
            excuse = f"deprecated until {until.isoformat()}"
    held = change.effect >= Effect.BREAKING and not excuse
    return Impact(name, reader, read.job, change.effect, change.what, held, excuse)


def _suffered(project: Project, context: Context) -> Iterator[Impact]:
    """Warnings about tables that own jobs read: a column will leave, or is no longer there."""
    for job in project.jobs.values():
        for read in job.reads:
            neighbour = context.neighbours.get(read.project)
            shared = neighbour.tables.get(read.table) if neighbour and read.project != project.name else None
            if shared is None or project.name not in shared.readers:
                continue
            name, used = f"{read.project}.{read.table}", _Used(read.columns)
            there = {column.name.lower() for column in shared.columns}
            for column, until in shared.deprecated.items():
                if used(column) and column.lower() in there:
                    yield Impact(name, project.name, job.name, Effect.SAFE, f"will lose or change `{column}` after {until}")
            for column in read.columns:
                if there and column.lower() not in there:
                    yield Impact(name, project.name, job.name, Effect.SAFE, f"no longer has `{column}`")


class _Used:
    """Does a consumer use this column? Without a list it uses all."""

    def __init__(self, columns: Iterable[str]) -> None:
        self.names = {name.lower() for name in columns}

    def __call__(self, column: str) -> bool:
        return not self.names or column.lower() in self.names


def changes(old: Mapping[str, Any], new: Mapping[str, Any] | None, reader: str, columns: Iterable[str] = ()) -> tuple[Change, ...]:
    """What differs between two shared forms of a table, for a reader that uses `columns` (empty: all); None: it is no longer declared."""
    if new is None:
        return (Change(Effect.BREAKING, "leaves"),)
    if reader not in new["readers"]:
        return (Change(Effect.BREAKING, "is no longer granted"),)
    used = _Used(columns)
    whole = [f"{key} {old[key]} → {new[key]}" for key in ("database", "name", "location", "format") if old[key] != new[key]]
    found = [Change(Effect.BREAKING, f"moves: {', '.join(whole)}")] if whole else []
    if old.get("key", []) != new.get("key", []):
        found.append(Change(Effect.BREAKING, f"changes its key from {_list(old.get('key', []))} to {_list(new.get('key', []))}"))
    found += _columns(columns_of(old), columns_of(new), used)
    found += _rules(old.get("rules", ()), new.get("rules", ()), used)
    was, now = old.get("contract", {}), new.get("contract", {})
    found += [
        Change(Effect.SAFE, f"lets arriving data change its {entity}")
        for entity in ("columns", "types", "nullability", "precision", "enum")
        if now.get(entity) == "evolve" and was.get(entity) != "evolve"
    ]
    return tuple(found)


def _list(names: Iterable[str]) -> str:
    return f"[{', '.join(names)}]"


def _columns(old: tuple[Field, ...], new: tuple[Field, ...], used: _Used) -> Iterator[Change]:
    there = {field.name.lower(): field for field in new}
    for was in old:
        now = there.get(was.name.lower())
        if not used(was.name):
            continue
        if now is None:
            yield Change(Effect.BREAKING, f"drops or renames `{was.name}`", was.name)
            continue
        if now.type != was.type:
            effect = _type(was.type, now.type)
            yield Change(effect, f"changes `{was.name}` from {text(was.type)} to {text(now.type)}", was.name)
        if was.required and not now.required:
            yield Change(Effect.BREAKING, f"lets `{was.name}` be null", was.name)
    known = {field.name.lower() for field in old}
    if old:  # readers were told nothing of columns before they were readers
        yield from (Change(Effect.ADDITIVE, f"adds `{field.name}`", field.name) for field in new if field.name.lower() not in known)


def _type(was: Type, now: Type) -> Effect:
    """Safe when every value of before still reads as it did: wider, or a struct with more fields."""
    match was, now:
        case StructType(before), StructType(after):
            there = {field.name.lower(): field for field in after}
            pairs = [(field, there.get(field.name.lower())) for field in before]
            if any(other is None or (field.required and not other.required) for field, other in pairs):
                return Effect.BREAKING
            return max((_type(field.type, other.type) for field, other in pairs if other is not None), default=Effect.SAFE)
        case ListType(before), ListType(after):
            return _type(before, after)
        case MapType(key, before), MapType(new_key, after) if key == new_key:
            return _type(before, after)
    return Effect.SAFE if was == now or is_wider(now, was) else Effect.BREAKING


def _rules(old: Iterable[Mapping[str, Any]], new: Iterable[Mapping[str, Any]], used: _Used) -> Iterator[Change]:
    now = {(rule["kind"], tuple(rule["columns"])): rule for rule in new} | {rule["name"]: rule for rule in new}
    for was in old:
        if was["severity"] != "block" or (was["columns"] and not any(map(used, was["columns"]))):
            continue
        same = now.get(was["name"])
        if same is None or (same["kind"], same["columns"]) != (was["kind"], was["columns"]):
            same = now.get((was["kind"], tuple(was["columns"])))
        column = was["columns"][0] if len(was["columns"]) == 1 else ""
        what = f"rule {was['name']} ({was['kind']}{' of ' + ', '.join(was['columns']) if was['columns'] else ''})"
        if same is None:
            yield Change(Effect.BREAKING, f"no longer promises {what}", column)
        elif same["severity"] != "block":
            yield Change(Effect.BREAKING, f"no longer blocks by {what}", column)
        elif wider := _wider(was, same):
            yield Change(Effect.BREAKING, f"lets more through {what}: {wider}", column)
        elif _looser(was, same):
            yield Change(Effect.SAFE, f"weakens or alters {what}", column)


def _wider(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Values that were impossible and are not any more; empty when there are none."""
    old, new = was["params"], now["params"]
    if was["kind"] == "in_set":
        return ", ".join(str(value) for value in new["values"] if value not in old["values"])
    if was["kind"] in ("range", "length", "row_count"):
        return ", ".join(word for word in ("min", "max") if word in old and (word not in new or _outside(word, old[word], new[word])))
    return ""


def _outside(word: str, old: Any, new: Any) -> bool:
    """Bounds of one kind compare; of two kinds (a number, a date) they are another promise."""
    if isinstance(old, str) != isinstance(new, str):
        return True
    return bool(new < old) if word == "min" else bool(new > old)


def _looser(was: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    if was["filter"] != now["filter"] or now["threshold_rows"] > was["threshold_rows"]:
        return True
    if float(now["threshold_percent"] or 0) > float(was["threshold_percent"] or 0):
        return True
    if was["kind"] == "freshness":
        return bool(now["params"]["within"] > was["params"]["within"])
    return was["kind"] in ("pattern", "referential", "reconciliation", "change", "sql") and was["params"] != now["params"]
