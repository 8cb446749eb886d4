"""From what an author writes to a `types.Type`: text (`decimal(12,2)`, `struct<a: int>`) or the long forms `list`, `map`, `struct`.

Called by the manifest's models, and as `types.parse`. Pure. The refusals follow the type map in aws-facts (B13): what Glue 5.1 (Spark 3.5,
Iceberg 1.10) cannot read and write is named with its alternative.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

from meshplane.model.reading import shown
from meshplane.model.types import PRIMITIVES, Decimal, Field, ListType, MapType, Primitive, StructType, Type

ALLOWED = ", ".join(PRIMITIVES) + ", decimal(p,s), list, map, struct"
COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
FIELD_KEYS = ("type", "required", "doc", "renamedFrom")
LONGEST_DOC = 255  # Glue refuses a longer column comment (aws-facts B14)
_LONGEST_TEXT, _DEEPEST = 4_000, 15

# The words of SQL, Hive, Spark and Python for a type that exists under another name.
OTHER_WORDS = {
    "bigint": "long", "int8": "long", "int64": "long", "integer": "int", "int4": "int", "int32": "int", "smallint": "int", "tinyint": "int",
    "short": "int", "byte": "int", "number": "decimal(p,s)", "numeric": "decimal(p,s)", "dec": "decimal(p,s)", "bool": "boolean",
    "real": "float", "float4": "float", "float8": "double", "float64": "double", "text": "string", "str": "string", "varchar": "string",
    "char": "string", "nvarchar": "string", "clob": "string", "json": "string", "datetime": "timestamptz, or timestamp for a local time",
    "timestamp_ntz": "timestamp", "timestamp_ltz": "timestamptz", "bytes": "binary", "bytea": "binary", "blob": "binary",
    "varbinary": "binary", "array": "list", "object": "struct", "record": "struct", "row": "struct",
}  # fmt: skip
# What Iceberg knows and Glue 5.1 does not, or loses: the type to use instead.
UNSUPPORTED = {
    "uuid": "string", "time": "string, or int for seconds of the day", "fixed": "binary", "variant": "string, or a struct of what is known",
    "timestamp_ns": "timestamp", "timestamptz_ns": "timestamptz", "unknown": "string", "geometry": "binary (WKB)",
    "geography": "binary (WKB)", "interval": "long, in seconds", "void": "string",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TypeFault:
    """One thing wrong in a type; `path` leads to it inside the long form. The words are those of `errors.Problem`."""

    code: str
    message: str
    path: tuple[str, ...] = ()
    found: str = ""
    allowed: str = ""
    mend: str = ""


class NotATypeError(ValueError):
    """What was written is no type of ours; `faults` holds every reason."""

    def __init__(self, faults: tuple[TypeFault, ...]) -> None:
        self.faults = faults
        super().__init__("; ".join(fault.message for fault in faults))


def parse(of: object) -> Type:
    """The type that a text or a long form means. Raises NotATypeError with every fault in it."""
    reader = _Reader()
    result = reader.type(of, ())
    if reader.faults or result is None:
        raise NotATypeError(tuple(reader.faults))
    return result


def refused_word(word: str) -> TypeFault:
    """Why a word is no type: another spelling, a type of other systems, one that Glue 5.1 cannot do, or a slip."""
    lower = word.lower()
    if lower in UNSUPPORTED:
        return TypeFault("type-unsupported", f"type '{word}' cannot be read and written by Glue 5.1", (), word, ALLOWED, UNSUPPORTED[lower])
    right = OTHER_WORDS.get(lower) or (lower if lower in (*PRIMITIVES, "decimal", "list", "map", "struct") else "")
    if right:
        return TypeFault("type-other-word", f"type '{word}' has another name here", (), word, ALLOWED, right)
    near = get_close_matches(lower, (*PRIMITIVES, "decimal", "list", "map", "struct"), 1)
    return TypeFault("type-unknown", f"there is no type '{word}'", (), word, ALLOWED, f"did you mean '{near[0]}'?" if near else "")


class _Reader:
    """Collects every fault of one type, so that an author sees them all."""

    def __init__(self) -> None:
        self.faults: list[TypeFault] = []

    def fail(self, path: tuple[str, ...], fault: TypeFault) -> None:
        self.faults.append(replace(fault, path=path))

    def type(self, of: object, path: tuple[str, ...]) -> Type | None:
        if isinstance(of, str):
            try:
                return _Text(of).whole()
            except NotATypeError as refused:
                for fault in refused.faults:
                    self.fail(path, fault)
                return None
        if isinstance(of, Mapping) and len(of) == 1:
            word, inner = next(iter(of.items()))
            match word:
                case "list":
                    element = self.type(inner, (*path, "list"))
                    return ListType(element) if element else None
                case "map":
                    return self.map(inner, (*path, "map"))
                case "struct":
                    return self.struct(inner, (*path, "struct"))
        word = str(next(iter(of))) if isinstance(of, Mapping) and of else ""
        near = get_close_matches(word, ("list", "map", "struct"), 1)
        mend = f"did you mean '{near[0]}'?" if near and near[0] != word else ""
        fault = TypeFault("type-shape", "this is no type", (), word or shown(of), "a type's name, or one of list, map, struct", mend)
        self.fail(path, fault)
        return None

    def map(self, of: object, path: tuple[str, ...]) -> Type | None:
        if not isinstance(of, Mapping) or set(of) != {"key", "value"}:
            self.fail(
                path,
                TypeFault("type-shape", "a map is written with its key and its value", (), shown(of), "map: { key: string, value: … }"),
            )
            return None
        key, value = self.type(of["key"], (*path, "key")), self.type(of["value"], (*path, "value"))
        if key is not None and not isinstance(key, Primitive | Decimal):
            self.fail((*path, "key"), TypeFault("type-map-key", "the key of a map cannot be nested", (), shown(of["key"]), "a simple type"))
            return None
        return MapType(key, value) if key and value else None

    def struct(self, of: object, path: tuple[str, ...]) -> Type | None:
        if not isinstance(of, Mapping) or not of:
            self.fail(path, TypeFault("type-shape", "a struct is a map of its fields", (), shown(of), "struct: { name: type, … }"))
            return None
        fields = [self.field(str(name), inner, (*path, str(name))) for name, inner in of.items()]
        for name in duplicates(map(str, of)):
            fault = TypeFault("column-twice", f"field '{name}' stands twice: names are compared without case", (), name)
            self.fail((*path, name), fault)
        return StructType(tuple(f for f in fields if f)) if all(fields) else None

    def field(self, name: str, of: object, path: tuple[str, ...]) -> Field | None:
        if not COLUMN_NAME.fullmatch(name):
            self.fail(
                path,
                TypeFault("name-pattern", f"'{name}' cannot name a column", (), name, "letters, digits and _, not beginning with a digit"),
            )
            return None
        if not (isinstance(of, Mapping) and "type" in of):
            kind = self.type(of, path)
            return Field(name, kind) if kind else None
        for key in of:
            if key not in FIELD_KEYS:
                near = get_close_matches(str(key), FIELD_KEYS, 1)
                mend = f"did you mean '{near[0]}'?" if near else ""
                self.fail((*path, str(key)), TypeFault("unknown-key", f"unknown key '{key}'", (), str(key), ", ".join(FIELD_KEYS), mend))
        kind = self.type(of["type"], (*path, "type"))
        required, doc, renamed = of.get("required", False), of.get("doc", ""), of.get("renamedFrom", "")
        if not isinstance(required, bool):
            self.fail((*path, "required"), TypeFault("want-true-false", "this is true or false", (), shown(required), "true, false"))
        if not isinstance(doc, str) or len(doc) > LONGEST_DOC:
            fault = TypeFault("text-length", f"a doc has at most {LONGEST_DOC} characters (Glue's limit)", (), shown(doc), "text")
            self.fail((*path, "doc"), fault)
        if not isinstance(renamed, str):
            self.fail((*path, "renamedFrom"), TypeFault("want-text", "this is a text", (), shown(renamed), "the name it had"))
        return Field(name, kind, bool(required), str(doc), str(renamed)) if kind else None


class _Text:
    """A recursive descent over the canonical spelling of `types.text`."""

    def __init__(self, source: str) -> None:
        self.source = source
        if len(source) > _LONGEST_TEXT:
            raise NotATypeError(
                (TypeFault("type-shape", "this text is too long for a type", (), shown(source), f"{_LONGEST_TEXT} characters"),)
            )
        self.tokens = re.findall(r"[A-Za-z_]\w*|\d+|\S", source)
        self.at = 0

    def whole(self) -> Type:
        result = self.type(0)
        if self.at != len(self.tokens):
            raise self.broken()
        return result

    def broken(self) -> NotATypeError:
        mend = "list<int>, map<string, int>, struct<a: int, b: string> in quotes, or the long form"
        return NotATypeError((TypeFault("type-shape", f"'{shown(self.source)}' is no type", (), shown(self.source), ALLOWED, mend),))

    def next(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1] if self.at <= len(self.tokens) else ""

    def expect(self, token: str) -> None:
        if self.next() != token:
            raise self.broken()

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def type(self, depth: int) -> Type:
        word = self.next()
        if not re.fullmatch(r"[A-Za-z_]\w*", word) or depth > _DEEPEST:
            raise self.broken()
        if word in PRIMITIVES:
            if self.peek() == "(":
                raise NotATypeError((TypeFault("type-shape", f"'{word}' takes no length", (), shown(self.source), word, word),))
            return Primitive(word)
        if word == "decimal":
            return self.decimal()
        if word not in ("list", "map", "struct"):
            raise NotATypeError((replace(refused_word(word), found=shown(self.source)),))
        self.expect("<")
        result: Type
        if word == "list":
            result = ListType(self.type(depth + 1))
        elif word == "map":
            key = self.type(depth + 1)
            self.expect(",")
            if not isinstance(key, Primitive | Decimal):
                raise NotATypeError(
                    (TypeFault("type-map-key", "the key of a map cannot be nested", (), shown(self.source), "a simple type"),)
                )
            result = MapType(key, self.type(depth + 1))
        else:
            result = self.struct(depth)
        self.expect(">")
        return result

    def struct(self, depth: int) -> Type:
        fields: list[Field] = []
        while True:
            name = self.next()
            if not COLUMN_NAME.fullmatch(name):
                raise self.broken()
            self.expect(":")
            fields.append(Field(name, self.type(depth + 1)))
            if self.peek() != ",":
                break
            self.next()
        for twice in duplicates(f.name for f in fields):
            raise NotATypeError(
                (TypeFault("column-twice", f"field '{twice}' stands twice: names are compared without case", (), shown(self.source)),)
            )
        return StructType(tuple(fields))

    def decimal(self) -> Type:
        written = shown(self.source)
        allowed = "decimal(p,s) with 1 ≤ p ≤ 38, 0 ≤ s ≤ p"
        if self.peek() != "(":
            raise NotATypeError((TypeFault("type-decimal", "a decimal needs precision and scale", (), written, allowed, "decimal(18,2)"),))
        self.next()
        precision = self.next()
        if not precision.isdecimal():
            raise self.broken()
        if self.peek() == ")":
            raise NotATypeError(
                (TypeFault("type-decimal", "a decimal needs a scale too", (), written, allowed, f"decimal({precision},0)"),)
            )
        self.expect(",")
        scale = self.next()
        if not scale.isdecimal():
            raise self.broken()
        self.expect(")")
        p, s = int(precision[:6]), int(scale[:6])
        if not (1 <= p <= 38 and 0 <= s <= p):
            mend = (
                f"decimal(38,{min(s, 38)}), or string if the source really needs {p} digits" if p > 38 else f"decimal({max(p, s, 1)},{s})"
            )
            raise NotATypeError((TypeFault("type-decimal", f"type '{written}' is not possible", (), written, allowed, mend),))
        return Decimal(p, s)


def duplicates(names: Iterable[str]) -> list[str]:
    """Names that stood before in another spelling of upper and lower case, in their order."""
    seen: set[str] = set()
    twice = []
    for name in names:
        if name.lower() in seen:
            twice.append(name)
        seen.add(name.lower())
    return twice
