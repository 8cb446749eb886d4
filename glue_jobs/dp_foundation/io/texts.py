"""Columns of text files in the types that their table declares: Spark reads text, and what a type would change is told, not made another.

Spark's own readers round decimals, take `12,5` for 125, cut a time of day off a date and a second off behind its microseconds. So csv and
json are read as text here (a json number with a fraction, which would be text by way of a double, as the widest decimal) and cast by the
conditions of `casting`. What breaks them fails the job that meets it, or, where whoever reads keeps rows aside, is null in its column and
told in two columns beside: TEXTS, a struct of what stood in the file, and UNFIT, a struct of booleans named `entity:column`.

A float or double is the nearest one to its digits, as everywhere, unless a whole number becomes another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dp_foundation.config.arguments import Column, CsvFormat, Table
from dp_foundation.io import casting
from dp_foundation.io.align import quoted

TEXTS = "__texts"
UNFIT = "__unfit"
# Its numbers have a point and no commas: in a quoted json number Spark would leave them out, and make 125 of "12,5".
LOCALE = {"locale": "de-CH"}
_FLAT = ("tinyint", "smallint", "int", "bigint", "float", "double", "boolean", "date", "timestamp", "timestamp_ntz")
_TIMES = ("timestamp", "timestamp_ntz")
_DIGITS = 38
_THOUSANDS = "^ *[-+]?[0-9]{1,3}(,[0-9]{3})+([.][0-9]*)? *$"
_SECONDS = "^-?[0-9]{5,12}$"


def schema(spark: Any, columns: Sequence[Column], form: str) -> Any:
    """What Spark is to read these columns of a `csv` or `json` as: a pyspark StructType. Other forms bring their own types."""
    from pyspark.sql.types import StringType, StructField, StructType

    def reading(column: Column, kind: Any) -> Any:
        if form not in ("csv", "json") or "`" in column.name:
            return kind
        if column.type in _FLAT or (form == "csv" and column.type.startswith("decimal")):
            return StringType()
        return _widest(kind) if form == "json" else kind

    declared = _declared(spark, columns).fields
    return StructType([StructField(c.name, reading(c, field.dataType)) for c, field in zip(columns, declared, strict=True)])


def _declared(spark: Any, columns: Sequence[Column]) -> Any:
    """Spark itself reads the types, so that there is one way of writing them."""
    from pyspark.sql import functions as F

    return spark.range(0).select(*(F.lit(None).cast(column.type).alias(column.name) for column in columns)).schema


def _widest(kind: Any) -> Any:
    """The type that reads every digit of json, of nested values too."""
    from pyspark.sql import types as T

    if isinstance(kind, T.DecimalType):
        return T.DecimalType(_DIGITS, _DIGITS - (kind.precision - kind.scale))
    if isinstance(kind, T.DateType | T.TimestampType | T.TimestampNTZType):
        return T.StringType()
    if isinstance(kind, T.ArrayType):
        return T.ArrayType(_widest(kind.elementType), kind.containsNull)
    if isinstance(kind, T.MapType):
        return T.MapType(kind.keyType, _widest(kind.valueType), kind.valueContainsNull)
    if isinstance(kind, T.StructType):
        return T.StructType([T.StructField(f.name, _widest(f.dataType), f.nullable) for f in kind.fields])
    return kind


def typed(frame: Any, table: Table, form: str, keep: bool = False) -> Any:
    """A frame that was read by `schema`, its columns in the types that the table declares; its other columns stay. `keep`: with TEXTS and
    UNFIT beside them, where anything could be unfit; else such a value fails whoever looks at it. `form`: `csv` and `json` of files, or
    `given` for json that we wrote."""
    wanted = {field.name: field.dataType.simpleString() for field in _declared(frame.sparkSession, table.columns)}
    have = {field.name: field.dataType.simpleString() for field in frame.schema.fields}
    kinds = {column.name: column.type for column in table.columns if have[column.name] != wanted[column.name]}
    if not kinds:
        return frame
    dialect = table.csv if form == "csv" else CsvFormat()
    if keep and any(_pattern(kind, dialect) for kind in kinds.values()):
        # By default Spark fails where the parser of its second version would have read something.
        frame.sparkSession.conf.set("spark.sql.legacy.timeParserPolicy", "CORRECTED")
    made = [f"{_read(one, have[one], kinds[one], form, dialect)} AS `{one}`" if one in kinds else quoted(one) for one in frame.columns]
    texts = ", ".join(f"{_shown(one, have[one], kinds[one], form)} AS `{one}`" for one in kinds)
    staged = frame.selectExpr(*made, f"struct({texts}) AS {TEXTS}")
    broken = _broken(staged, kinds, form, dialect)

    def cast(one: str) -> str:
        return casting.cast(one, kinds[one], kinds) if one in kinds else quoted(one)

    if keep:
        flags = [f"coalesce({text}, false) AS `{entity}:{one}`" for one, told in broken.items() for entity, text in told.items()]
        beside = [TEXTS, f"struct({', '.join(flags)}) AS {UNFIT}"] if flags else []
        return staged.selectExpr(*map(cast, frame.columns), *beside)
    failing = {one: _or_failing(one, kinds[one], " OR ".join(told.values()), table.logical) for one, told in broken.items() if told}
    return staged.selectExpr(*(failing.get(one) or cast(one) for one in frame.columns))


def _shown(name: str, have: str, kind: str, form: str) -> str:
    """The text of a value as the file has it; of a json number its digits, and thousands without their separators."""
    if not have.startswith("decimal"):
        return _read(name, have, kind, form, CsvFormat()) if kind.startswith("decimal") else f"`{name}`"
    text = f"CAST(`{name}` AS string)"
    return f"if(instr({text}, '.') > 0 AND instr({text}, 'E') = 0, rtrim('.', rtrim('0', {text})), {text})"


def _read(name: str, have: str, kind: str, form: str, dialect: CsvFormat) -> str:
    """The value that is cast: of the text, or what a pattern of the dialect reads in it."""
    text, pattern = f"`{name}`", _pattern(kind, dialect)
    if have != "string":
        return text
    if pattern:
        return f"CAST(try_to_timestamp({text}, {literal(pattern)}) AS {kind if kind in _TIMES else 'timestamp'})"
    if form == "csv" and kind.startswith("decimal"):
        return f"if({text} RLIKE '{_THOUSANDS}', replace({text}, ',', ''), {text})"
    if form == "json" and kind in _TIMES:  # a number is a second, as for Spark
        return f"if({text} RLIKE '{_SECONDS}', CAST(timestamp_seconds(try_cast({text} AS bigint)) AS string), {text})"
    return text


def _pattern(kind: str, dialect: CsvFormat) -> str:
    return dialect.date_format if kind == "date" else dialect.timestamp_format if kind in _TIMES else ""


def _broken(staged: Any, kinds: Mapping[str, str], form: str, dialect: CsvFormat) -> dict[str, dict[str, str]]:
    """Column → entity of the contract → the condition of a value that breaks it, over `staged`."""
    floats = {one: "double" for one, kind in kinds.items() if kind == "float"}
    broken = casting.breaks(staged, kinds)
    nearest = casting.breaks(staged, floats)
    for one in floats:
        broken[one] = {entity: (broken if entity == "types" else nearest)[one][entity] for entity in nearest[one]}
    for one, kind in kinds.items():
        text = f"{TEXTS}.`{one}`"
        if pattern := _pattern(kind, dialect):
            cut = {"precision": f"{text} RLIKE '[.,][0-9]{{6}}[0-9]*[1-9]'"} if "SSSSSSS" in pattern else broken.get(one, {})
            broken[one] = {**cut, "types": f"{text} IS NOT NULL AND `{one}` IS NULL"}
        elif form == "json" and kind in ("float", "double"):  # json has no word for it: a number that is too large became this text
            broken[one] = {**broken[one], "types": f"{broken[one]['types']} OR {text} RLIKE '[iI]nf'"}
    return broken


def _or_failing(name: str, kind: str, condition: str, table: str) -> str:
    told = literal(f"{table}.{name}: ")
    mend = literal(f" does not fit {kind}; mend: declare it as string, or as what it is, or put the file right")
    text = f"concat({told}, coalesce(CAST(to_json(struct({TEXTS}.`{name}`)) AS string), ''), {mend})"
    return f"if(coalesce({condition}, false), CAST(raise_error({text}) AS {kind}), try_cast(`{name}` AS {kind})) AS `{name}`"


def literal(text: str) -> str:
    """The text as a literal of Spark's SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
