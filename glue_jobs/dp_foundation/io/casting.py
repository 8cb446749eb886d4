"""What a cast would lose: the condition of a value that breaks `types` or `precision` of a contract, by the types it is between.

What two types prove safe is not looked at: every look costs each row. A double is taken by the 15 digits that it holds for certain, a
float by 6: what a decimal rounds away behind them is noise, as in 0.1 + 0.2. Text for a double is the nearest one, as everywhere, unless
it is a whole number and becomes another. `builtin.mapping` asks of source and target, `io.declared` of a file's text and its raw table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dp_foundation.errors import SchemaMismatchError
from dp_foundation.io import align

_WHOLE = ("tinyint", "smallint", "int", "bigint")
_FLOATS = {"float": 6, "double": 15}  # digits that come back whatever they are
_TIMES = ("timestamp", "timestamp_ntz")
_NESTED = ("struct", "array", "map")
_INFINITE = "CAST('Infinity' AS double)"
_GAPS = "9007199254740992D"  # 2^53: from here on a double skips whole numbers
_BEYOND = "9.223372036854775808E18D"  # 2^63, of which a cast to bigint makes one less and says nothing


def cast(name: str, kind: str, broken: Mapping[str, Any]) -> str:
    """The column in the type, of what `breaks` told; null where it cannot be."""
    return f"try_cast(`{name}` AS {kind}) AS `{name}`" if name in broken else f"`{name}`"


def breaks(staged: Any, kinds: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Each column of a frame (→ the type it is to have) that has to be cast → entity of the contract → the condition of a value that breaks
    it; none where the types prove that there is no such value. Raises SchemaMismatchError for nested values that the cast would put into
    another shape."""
    from pyspark.sql import functions as F

    have = {field.name: field.dataType for field in staged.schema.fields}
    differ = {name: kind for name, kind in kinds.items() if have[name].simpleString() != kind}
    want = staged.select(*(F.lit(None).cast(kind).alias(name) for name, kind in differ.items())).schema.fields if differ else []
    told = {}
    for name, field in zip(differ, want, strict=True):
        if have[name].simpleString() != field.dataType.simpleString():
            types, precision = _broken(f"`{name}`", have[name], field.dataType, name)
            told[name] = {entity: text for entity, text in (("types", types), ("precision", precision)) if text}
    return told


def _broken(value: str, have: Any, want: Any, path: str, depth: int = 0) -> tuple[str, str]:
    """The conditions of a value, or of one within it, that breaks `types` and `precision`; empty where none can."""
    kinds = have.typeName(), want.typeName()
    if kinds[0] == "void" or have == want:
        return "", ""
    if not {*kinds} & {*_NESTED}:
        a, b = have.simpleString(), want.simpleString()
        return ("", "") if align.atomic(a, b) == "safe" else (_unfit(value, a, b), _changed(value, a, b))
    names = [[field.name.lower() for field in kind.fields] for kind in (have, want)] if kinds == ("struct", "struct") else [[], []]
    if kinds[0] != kinds[1] or names[0] != names[1]:
        # Spark goes by the fields' order, and makes of a list a text that nobody can read back.
        raise SchemaMismatchError(
            f"{path}: {have.simpleString()} does not go into {want.simpleString()}; mend: make it in `map`, where its meaning is known"
        )
    if kinds[0] == "struct":
        fields = zip(have.fields, want.fields, strict=True)
        found = [_broken(f"{value}.{align.quoted(a.name)}", a.dataType, b.dataType, f"{path}.{b.name}", depth) for a, b in fields]
    elif kinds[0] == "array":
        found = [_within(value, have.elementType, want.elementType, f"{path}[]", depth)]
    else:
        found = [
            _within(f"map_keys({value})", have.keyType, want.keyType, f"{path}.key", depth),
            _within(f"map_values({value})", have.valueType, want.valueType, f"{path}.value", depth),
        ]
    types, precision = (" OR ".join(text for text in texts if text) for texts in zip(*found, strict=True))
    return types, precision


def _within(values: str, have: Any, want: Any, path: str, depth: int) -> tuple[str, str]:
    types, precision = (text and f"exists({values}, v{depth} -> {text})" for text in _broken(f"v{depth}", have, want, path, depth + 1))
    return types, precision


def _unfit(value: str, have: str, want: str) -> str:
    """The condition of a value that is not of the type, or too large for it."""
    made = f"try_cast({value} AS {want})"
    more = ""
    if want in _FLOATS and have in ("string", "double"):
        finite = f"{value} NOT RLIKE '[iI][nN][fF]'" if have == "string" else f"abs({value}) < {_INFINITE}"
        more = _where(f"abs({made}) = {_INFINITE}", finite)
    elif want == "boolean" and have != "string":
        more = f"{value} NOT IN (0, 1)"  # any number but 0 would be true
    elif want == "bigint" and have in _FLOATS:
        more = f"{value} >= {_BEYOND}"
    elif (have, want) == ("bigint", "timestamp"):
        more = f"try_cast({made} AS bigint) <> {value}"  # a second that no instant has becomes the last one
    elif (have, want) == ("string", "date"):
        # Spark reads past whatever stands behind a date.
        more = _where(f"octet_length({value}) > 10", f"{made} IS NOT NULL AND try_cast({value} AS timestamp_ntz) IS NULL")
    elif (have, want) == ("string", "timestamp"):
        more = f"instr({value}, ':') BETWEEN 1 AND 5"  # a time alone would be one of today
    elif (have, want) == ("string", "timestamp_ntz"):
        # Spark leaves the offset out, which makes other times of day the same.
        more = _where(f"octet_length({value}) > 19", f"CAST(try_cast({value} AS timestamp) AS timestamp_ntz) <> {made}")
    return f"({value} IS NOT NULL AND {made} IS NULL)" + (f" OR ({more})" if more else "")


def _changed(value: str, have: str, want: str) -> str:
    """The condition of a value of which the cast loses digits, a fraction or a time of day; empty where it cannot."""
    made = f"try_cast({value} AS {want})"
    if have == "timestamp" and (want in _WHOLE or want in _FLOATS or want.startswith("decimal")):
        return f"abs(unix_micros({value}) - CAST({made} AS double) * 1e6D) >= 0.5D"
    if want.startswith("decimal"):
        return _rounded(value, have, want)
    if want in _FLOATS:
        return _nearest(value, have, want)
    if want in _WHOLE and have in _FLOATS:
        return f"{made} <> {value}"
    if want in _WHOLE and have.startswith("decimal") and align.decimal(have)[1]:
        return _not_back(value, have, want)
    if want == "date" and have in _TIMES:
        return f"CAST({made} AS {have}) <> {value}"
    if (have, want) == ("string", "date"):
        return _where(f"octet_length({value}) > 10", f"try_cast({value} AS timestamp_ntz) <> CAST({made} AS timestamp_ntz)")
    if have == "string" and want in _TIMES:
        return _where(f"octet_length({value}) > 26", _digits_after(value, 6))
    if want == "timestamp" and have in _FLOATS:
        return f"abs({value} - CAST({made} AS double)) > 1e-{_FLOATS[have]}D * abs({value})"
    if want == "timestamp" and have.startswith("decimal"):
        return f"NOT (try_cast({made} AS decimal(38,6)) <=> {value}) AND {made} IS NOT NULL"
    return ""


def _rounded(value: str, have: str, want: str) -> str:
    """A number that the decimal would round."""
    made, scale = f"try_cast({value} AS {want})", align.decimal(want)[1]
    if have.startswith("decimal"):
        return _not_back(value, have, want) if align.decimal(have)[1] > scale else ""
    if have in _FLOATS:
        return f"abs({value} - CAST({made} AS double)) > 1e-{_FLOATS[have]}D * abs({value})"
    if have != "string":
        return ""
    # By its letters: no decimal holds every text. With an exponent they do not tell, and less than a double sees of it may be lost.
    more = _digits_after(value, scale)
    by_number = f"try_cast({value} AS double) <> CAST({made} AS double)"
    return _where(f"{more} OR instr({value}, '-') > 1", f"{made} IS NOT NULL AND if({value} RLIKE '[eE]', {by_number}, {more})")


def _nearest(value: str, have: str, want: str) -> str:
    """A number that becomes another one when it is made a float or double."""
    made = f"try_cast({value} AS {want})"
    if have in ("int", "bigint"):
        return f"{made} >= {_BEYOND} OR try_cast({made} AS bigint) <> {value}"
    if have.startswith("decimal"):
        return f"NOT {_held(value, have, made)} AND {made} IS NOT NULL" if align.decimal(have)[0] > _FLOATS[want] else ""
    reads = f"CAST({made} AS string) <> CAST(try_cast({value} AS double) AS string)"
    other = _where(f"{made} <> try_cast({value} AS double)", f"abs({made}) < {_INFINITE} AND {reads}")
    if have == "double":
        return other
    if have != "string":
        return ""
    number = f"try_cast({value} AS decimal(38,0))"
    changed = f"{value} NOT RLIKE '[.eE]' AND {number} IS NOT NULL AND NOT {_held(number, 'decimal(38,0)', made)}"
    whole = _where(f"abs({made}) >= {_GAPS}", changed)
    return whole if want == "double" else f"{whole} OR {other}"


def _held(number: str, kind: str, made: str) -> str:
    """Whether a float or double is this decimal, as it reads or to the last unit."""
    return (
        f"(try_cast(CAST({made} AS string) AS {kind}) <=> {number} OR abs({made}) < {_BEYOND} AND try_cast({made} AS bigint) <=> {number})"
    )


def _not_back(value: str, have: str, want: str) -> str:
    made = f"try_cast({value} AS {want})"
    return f"{made} IS NOT NULL AND NOT (try_cast({made} AS {have}) <=> {value})"


def _where(rare: str, condition: str) -> str:
    """Both, the second worked out only in such rows: what stands twice in a chain of ANDs, Spark works out beforehand, for every row."""
    return f"if({rare}, {condition}, false)"


def _digits_after(value: str, places: int) -> str:
    return f"{value} RLIKE '[.][0-9]{{{places}}}[0-9]*[1-9]'"
