"""How the columns of a table that stands become the columns that the manifest wants, in place: pure rules, called by `kinds/iceberg_table`.

Columns match by name, ignoring case, plus the declared `renamed_from`; a column leaves only when it is listed in `dropped`. What is
allowed is Java Iceberg's `TypeUtil.isPromotionAllowed` with add optional, rename, reorder and required → optional (aws-facts B13);
everything else is refused, with the way out. What nobody declared is `extra`: reported, never touched. Of that, what the data itself
brought (`contract: { columns: evolve }`) bears BROUGHT as its doc, and is `brought` until somebody declares it.

The target is built as one tree that keeps field ids, rather than as a list of calls on pyiceberg's UpdateSchema, which cannot alter
a renamed column, takes any decimal scale, and lets `ID` stand beside `id` (aws-facts B10).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from meshplane.model.resource import Difference, Effect
from meshplane.model.types import Decimal, Field, ListType, MapType, Primitive, StructType, Type, text

BROUGHT = "Brought by the data; the manifest does not declare it"  # the job library writes it: `dp_foundation.contracts.arriving`
_WIDER = {("int", "long"), ("float", "double")}
_OTHER_COLUMN = "add a column of the new type under another name, fill it, then list the old one in `dropped`"


@dataclass(frozen=True, slots=True)
class Evolution:
    """`columns`: the target, each field with the id it has, or 0 where it is new. `differences`: the steps in the order in which they
    hold one after the other: drop, alter, rename, add, reorder. `extra`: dotted paths that nobody declared and somebody else added,
    `brought`: what the data added or changed, `channel string`, `amount decimal(18,2), declared as decimal(12,2)`.
    `names`: dotted path as it is → as it will be, of every field that stays."""

    columns: tuple[Field, ...]
    differences: tuple[Difference, ...]
    extra: tuple[str, ...]
    brought: tuple[str, ...]
    names: Mapping[str, str]


def evolve(
    wanted: tuple[Field, ...],
    seen: tuple[Field, ...],
    dropped: Collection[str] = (),
    pinned: Collection[str] = (),
    empty: bool = False,
    changed: Collection[str] = (),
) -> Evolution:
    """From the columns as they are (`seen`, with ids) to the wanted ones.

    `dropped` and `pinned` are dotted paths as Iceberg spells them (`items.element.sku`). `pinned` are sources of any partition spec or
    sort order the table ever had: its old files name them. `empty`: nothing was ever written, so a required column harms no row.
    `changed`: what arriving data may change of a column: `types`, `precision`, `nullability`. Where it is wider, or optional, it stays so.
    """
    walk = _Walk({path.lower() for path in dropped}, {path.lower() for path in pinned}, empty, frozenset(changed))
    columns = walk.struct(wanted, seen, "", "")
    steps = (*walk.drops, *walk.alters, *walk.renames, *walk.adds, *walk.moves)
    return Evolution(columns, steps, tuple(walk.extra), tuple(walk.brought), walk.names)


def impossible(wanted: tuple[Field, ...], dropped: Collection[str] = ()) -> str:
    """Why these columns can be nobody's, known without looking at a table; empty when nothing is wrong."""
    gone = {path.lower() for path in dropped}
    for path, fields in _structs(wanted, ""):
        names = [f.name.lower() for f in fields]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            return f"{path or 'columns'}: '{twice[0]}' stands there twice; Glue, Athena and Spark do not tell upper from lower case"
        sources = [f.renamed_from.lower() for f in fields if f.renamed_from]
        again = sorted({name for name in sources if sources.count(name) > 1})
        if again:
            return f"{path or 'columns'}: two columns are renamed from '{again[0]}'; only one can keep its data"
        if cycle := _cycle({f.renamed_from.lower(): f.name.lower() for f in fields if f.renamed_from}):
            return f"{path or 'columns'}: {' and '.join(cycle)} exchange names; rename one of them to a third name first"
        back = [f.name for f in fields if _join(path, f.name).lower() in gone]
        if back:
            return f"{_join(path, back[0])} is both declared and listed in `dropped`; leave it out of one of them"
    return ""


class _Walk:
    """One descent through both trees, collecting the steps by their phase."""

    def __init__(self, dropped: set[str], pinned: set[str], empty: bool, changed: frozenset[str]) -> None:
        self.dropped, self.pinned, self.empty, self.changed = dropped, pinned, empty, changed
        self.drops: list[Difference] = []
        self.alters: list[Difference] = []
        self.renames: list[Difference] = []
        self.adds: list[Difference] = []
        self.moves: list[Difference] = []
        self.extra: list[str] = []
        self.brought: list[str] = []
        self.names: dict[str, str] = {}

    def struct(self, wanted: tuple[Field, ...], seen: tuple[Field, ...], was: str, path: str) -> tuple[Field, ...]:
        """`was` and `path`: the struct's dotted path before and after."""
        pairs = _matched(wanted, seen)
        taken = {id(old) for old in pairs.values() if old is not None}
        kept = [self._kept(new, old, was, path) if (old := pairs[new.name]) is not None else self._added(new, path) for new in wanted]
        left = [old for old in seen if id(old) not in taken]
        stays = {old.id: old for old in left if not self._leaves(old, was)}
        for old in stays.values():
            self._keep_names(old, _join(was, old.name), _join(path, old.name))
            if not was and old.doc == BROUGHT:
                self.brought.append(f"{old.name} {text(old.type)}")
            else:
                self.extra.append(_join(was, old.name))
        self._order([f.id for f in kept if f.id], [f.id for f in seen if f.id in {k.id for k in kept}], kept, seen, path)
        return _with_extras(kept, seen, stays)

    def _kept(self, new: Field, old: Field, was: str, path: str) -> Field:
        before, after = _join(was, old.name), _join(path, new.name)
        new = new if path else self._as_changed(new, old)
        self.names[before] = after
        if old.name != new.name:
            note = f"renamed; field {old.id} keeps its id and its data"
            self.renames.append(Difference(f"columns.{after}", old.name, new.name, Effect.SAFE, note))
        if old.doc != new.doc:
            self.alters.append(Difference(f"columns.{after}.doc", old.doc, new.doc))
        self._requiredness(new, old, after)
        kept = replace(old, name=new.name, doc=new.doc, required=new.required, type=self._type(new.type, old.type, before, after))
        if old.doc == BROUGHT:
            told = f"the data brought {before} as {text(old.type)} before it was declared"
            self.alters = [
                replace(one, refused=f"{told}. {one.refused}") if _is_of(one, after) and one.refused else one for one in self.alters
            ]
        return kept

    def _as_changed(self, new: Field, old: Field) -> Field:
        """The wanted column with what the data were allowed to change, and did."""
        entity = "precision" if isinstance(new.type, Decimal) else "types"
        if entity in self.changed and is_wider(old.type, new.type):
            self.brought.append(f"{new.name} {text(old.type)}, declared as {text(new.type)}")
            new = replace(new, type=old.type)
        if "nullability" in self.changed and new.required and not old.required:
            self.brought.append(f"{new.name} optional, declared as required")
            new = replace(new, required=False)
        return new

    def _requiredness(self, new: Field, old: Field, path: str) -> None:
        if old.required == new.required:
            return
        words = {True: "required", False: "optional"}
        refused = ""
        if new.required and not self.empty:
            refused = f"{path} is optional and its rows may hold null: leave it optional, and let a not-null rule judge what arrives"
        was, wanted = words[old.required], words[new.required]
        self.alters.append(Difference(f"columns.{path}.required", was, wanted, Effect.SAFE, refused=refused))

    def _type(self, new: Type, old: Type, was: str, path: str) -> Type:
        match old, new:
            case StructType(before), StructType(after):
                return StructType(self.struct(after, before, was, path))
            case ListType(before), ListType(after):
                return ListType(self._type(after, before, _join(was, "element"), _join(path, "element")))
            case MapType(key, before), MapType(new_key, after) if key == new_key:
                return MapType(key, self._type(after, before, _join(was, "value"), _join(path, "value")))
            case _ if old == new:
                return old
        refused = "" if is_wider(new, old) else _refusal(new, old, path)
        self.alters.append(Difference(f"columns.{path}", text(old), text(new), Effect.SAFE, "" if refused else "widened", refused=refused))
        return new

    def _added(self, new: Field, path: str) -> Field:
        where = _join(path, new.name)
        refused = ""
        if new.required and not self.empty:
            refused = f"{where} is new and required, but the rows that stand have no value for it: declare it optional"
        note = "required, on a table without rows" if new.required else ""
        self.adds.append(Difference(f"columns.{where}", "", text(new.type), Effect.ADDITIVE, note, refused=refused))
        return replace(new, renamed_from="", id=0)

    def _leaves(self, old: Field, was: str) -> bool:
        path = _join(was, old.name)
        if path.lower() not in self.dropped:
            return False
        below = {path.lower(), *(p for p in self.pinned if p.startswith(path.lower() + "."))}
        refused = ""
        if below & self.pinned:
            refused = f"the table is, or was, partitioned or sorted by {path}, and files written then name it: take it out of `dropped`"
        note = f"listed in `dropped`: field {old.id} is no longer read; its id is never used again"
        self.drops.append(Difference(f"columns.{path}", text(old.type), "", Effect.SAFE, note, refused=refused))
        return True

    def _order(self, wanted: list[int], now: list[int], kept: list[Field], seen: tuple[Field, ...], path: str) -> None:
        if wanted == now:
            return
        by_id = {f.id: f.name for f in kept}
        where = f"columns.{path}" if path else "columns"
        self.moves.append(Difference(f"{where}.order", ", ".join(by_id[i] for i in now), ", ".join(f.name for f in kept)))

    def _keep_names(self, old: Field, before: str, after: str) -> None:
        self.names[before] = after
        for path, fields in _structs((old,), ""):
            for inner in fields if path else ():
                below = _join(path, inner.name).split(".", 1)[1]
                self.names[f"{before}.{below}"] = f"{after}.{below}"


def is_wider(new: Type, old: Type) -> bool:
    """Whether every value of `old` is one of `new` and old files stay readable: int→long, float→double, decimal(p,s)→decimal(P,s)."""
    match old, new:
        case Primitive(before), Primitive(after):
            return (before, after) in _WIDER
        case Decimal(before, scale), Decimal(after, new_scale):
            # pyiceberg 0.12 compares a scale with itself and takes any: readers then misread every value (iceberg-python #3613).
            return after > before and scale == new_scale
    return False


def _refusal(new: Type, old: Type, path: str) -> str:
    if is_wider(old, new):
        return f"{path} is {text(old)} and cannot be narrowed to {text(new)}: declare {text(old)}"
    if isinstance(old, Decimal) and isinstance(new, Decimal) and old.scale != new.scale:
        return f"{path} keeps its scale {old.scale}, files hold the digits without it: {_OTHER_COLUMN}"
    if isinstance(old, MapType) and isinstance(new, MapType):
        return f"{path}: the key of a map cannot change: {_OTHER_COLUMN}"
    return f"{path} is {text(old)}, and files hold it so; {text(new)} cannot be read from them: {_OTHER_COLUMN}"


def _matched(wanted: tuple[Field, ...], seen: tuple[Field, ...]) -> dict[str, Field | None]:
    """Wanted name → the field that it is. A rename holds when the new name is free, or becomes free by another rename that holds."""
    there = {old.name.lower(): old for old in seen}
    renames: dict[str, str] = {}  # new name → old name
    while True:
        leaving = set(renames.values())
        more = {
            new.name.lower(): new.renamed_from.lower()
            for new in wanted
            if new.renamed_from.lower() in there
            and new.renamed_from.lower() != new.name.lower()
            and new.name.lower() not in renames
            and (new.name.lower() not in there or new.name.lower() in leaving)
        }
        if not more:
            break
        renames |= more
    claimed = set(renames.values())
    return {
        new.name: there[renames[new.name.lower()]]
        if new.name.lower() in renames
        else (there.get(new.name.lower()) if new.name.lower() not in claimed else None)
        for new in wanted
    }


def _with_extras(kept: list[Field], seen: tuple[Field, ...], stays: Mapping[int, Field]) -> tuple[Field, ...]:
    """The wanted order, each extra field behind the one that it stands behind today."""
    out, last = list(kept), 0
    places = {f.id for f in kept if f.id}
    for old in seen:
        if old.id in stays:
            at = next((i + 1 for i, f in enumerate(out) if last and f.id == last), 0)
            out.insert(at, stays[old.id])
        if old.id in stays or old.id in places:
            last = old.id
    return tuple(out)


def _structs(fields: tuple[Field, ...], path: str) -> Iterator[tuple[str, tuple[Field, ...]]]:
    """Every struct of the tree with its dotted path, the columns themselves first."""
    yield path, fields
    for f in fields:
        yield from _inside(f.type, _join(path, f.name))


def _inside(of: Type, path: str) -> Iterator[tuple[str, tuple[Field, ...]]]:
    match of:
        case StructType(fields):
            yield from _structs(fields, path)
        case ListType(element):
            yield from _inside(element, _join(path, "element"))
        case MapType(key, value):
            yield from _inside(key, _join(path, "key"))
            yield from _inside(value, _join(path, "value"))


def _cycle(renames: Mapping[str, str]) -> list[str]:
    for start in renames:
        chain, at = [start], renames[start]
        while at in renames and at not in chain:
            chain.append(at)
            at = renames[at]
        if at == start and len(chain) > 1:
            return sorted(chain)
    return []


def _is_of(one: Difference, path: str) -> bool:
    return one.field == f"columns.{path}" or one.field.startswith(f"columns.{path}.")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
