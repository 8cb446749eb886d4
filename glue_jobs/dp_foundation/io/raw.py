"""Rows of raw files (csv, json, parquet) by their declared columns; `readers` calls it with the files to read.

Nothing is guessed: columns and types are the declared ones, a csv is read by its header's names whatever their order, and a line that does
not parse fails the job instead of turning into nulls, or is handed on as it stands in the file. Partition columns are text, from the path.
"""

from __future__ import annotations

import bz2
import csv
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial, reduce
from typing import Any

from dp_foundation import storage
from dp_foundation.config.arguments import Column, Table
from dp_foundation.errors import SchemaMismatchError
from dp_foundation.io import texts
from dp_foundation.io.align import quoted
from dp_foundation.logging.logger import get_logger
from dp_foundation.run.ledger import FileVersion

_HEADER_BYTES = 65536
_CORRUPT = "__corrupt"
_FLAT = ("boolean", "bigint", "double")  # what Spark infers of json, but for text
_BZ2_BYTES = 2 * 1024 * 1024  # a block of bzip2 opens only as a whole, and holds 900 KB
_GLOB = re.compile(r"([\\{}\[\]*?^])")


def read(
    spark: Any, table: Table, files: Sequence[FileVersion], source_file: str = "", malformed: str = "", pieces: Sequence[str] = ()
) -> Any:
    """A DataFrame of the declared columns, then the partition columns, then `source_file` (`position` beside it) and `malformed` when asked
    for; empty when there are no files. `malformed` names the column of lines (csv, json) that do not parse, null for the others, with which
    come `texts.TEXTS` and `texts.UNFIT`; without it such lines and values fail the job. `pieces` is `numbered`'s. The frame remembers its
    files for `lacking`.

    Raises SchemaMismatchError for a csv without a required column.
    """
    bucket, prefix = storage.split(table.location)
    held = [file for file in files if file.size > 0]
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    headers = list(_headers(table, bucket, [file.key for file in held]))
    for key, header in headers:
        groups.setdefault((header, _path_columns(key[len(prefix) :])), []).append(key)
    frames = [_group(spark, table, header, path, keys, malformed) for (header, path), keys in groups.items()]
    frames = [_shaped(frame, table, source_file, malformed, pieces) for frame in frames] or [_empty(spark, table, source_file, malformed)]
    frame = texts.typed(reduce(lambda a, b: a.unionByName(b), frames), table, table.format, bool(malformed))
    frame._meshplane_lacking = partial(_lacking, spark, table, headers)  # told by `lacking`
    return frame


def lacking(frame: Any) -> Callable[[Sequence[str]], Mapping[str, str]] | None:
    """What says of the files behind this very frame of `read` which of some columns not all of them bring, and where each is missing.

    The frame cannot say it: a column that no file brings is null in it, as one without values is. A csv is asked for its header (one
    without has the columns that the manifest says), parquet for each file's own schema, json for the keys of all records together, and
    a partition column stands in the path."""
    found: Callable[[Sequence[str]], Mapping[str, str]] | None = frame.__dict__.get("_meshplane_lacking")
    return found


def _lacking(spark: Any, table: Table, headers: Sequence[tuple[str, tuple[str, ...]]], names: Sequence[str]) -> dict[str, str]:
    bucket, prefix = storage.split(table.location)
    wanted = [name for name in names if name not in table.hive_partition]
    brought = _brought(spark, table, bucket, headers) if wanted else [()] * len(headers)
    told = {}
    for name in names:
        if name in table.hive_partition:
            without = [key for key, _ in headers if name not in _path_columns(key[len(prefix) :])]
        else:
            same = name if table.format == "json" else name.lower()  # as Spark reads them
            without = [key for (key, _), has in zip(headers, brought, strict=True) if same not in has]
        if without:
            told[name] = f"in {len(without)} of {len(headers)} file(s), {without[0]}"
    return told


def _brought(spark: Any, table: Table, bucket: str, headers: Sequence[tuple[str, tuple[str, ...]]]) -> list[Collection[str]]:
    """The columns of each file but those of its path, in lower case; of json, where a record need not have every key, those of them all."""
    if table.format == "csv":
        known = tuple(column.name for column in table.columns)
        return [{name.lower() for name in (header if table.csv.header else known)} for _, header in headers]

    def columns(*keys: str) -> list[str]:
        reader = spark.read.options(**_options(table, _CORRUPT)).option("recursiveFileLookup", "true")  # without those of the path
        frame = reader.format(table.format).load([_escaped(bucket, key) for key in keys])
        return list(frame.columns)

    keys = [key for key, _ in headers]
    if table.format == "json":
        return [set(columns(*keys))] * len(keys) if keys else []
    with ThreadPoolExecutor(storage.PARALLEL) as pool:  # a footer a file: a job of one small task each
        return [{name.lower() for name in found} for found in pool.map(columns, keys)]


def undeclared(spark: Any, table: Table, files: Sequence[FileVersion]) -> tuple[Column, ...]:
    """The columns that the files have and the table does not: of a csv its header's, as text; of json every key of a record, by a read of
    their own; of parquet what each file says of itself. What is nested in json is its text. Raises SchemaMismatchError where files differ
    in a column's type, or a key is spelled almost as a declared column is."""
    bucket, _ = storage.split(table.location)
    keys = [file.key for file in files if file.size > 0]
    if table.format == "csv":
        found = [dict.fromkeys(header, "string") for _, header in _headers(table, bucket, keys)]
    elif table.format == "json" and keys:
        read = spark.read.options(**_options(table, _CORRUPT)).option("basePath", table.location)
        kinds = _kinds(read.json([_escaped(bucket, key) for key in keys]))
        found = [{name: kind if kind in _FLAT else "string" for name, kind in kinds.items() if name != _CORRUPT}]
    else:
        found = [_kinds(spark.read.option("basePath", table.location).parquet(_escaped(bucket, key))) for key in keys]
    return _agreed(found, table)


def _kinds(frame: Any) -> dict[str, str]:
    return {field.name: field.dataType.simpleString() for field in frame.schema.fields}


def _agreed(found: Sequence[Mapping[str, str]], table: Table) -> tuple[Column, ...]:
    declared = {name.lower(): name for name in (*(column.name for column in table.columns), *table.hive_partition)}
    columns: dict[str, Column] = {}
    for name, kind in ((name, kind) for one in found for name, kind in one.items() if name):
        folded = name.lower()
        known = Column(declared[folded], kind) if folded in declared else columns.setdefault(folded, Column(name, kind))
        if table.format == "json" and known.name != name:
            raise SchemaMismatchError(f"{table.logical}: the key {name} is spelled {known.name} elsewhere; mend: spell it in one way")
        if known.type != kind:
            raise SchemaMismatchError(
                f"{table.logical}: {name} is {known.type} in one file and {kind} in another; mend: declare the column, or land them apart"
            )
    return tuple(columns.values())


def _headers(table: Table, bucket: str, keys: list[str]) -> Iterable[tuple[str, tuple[str, ...]]]:
    if table.format != "csv" or not table.csv.header:
        return [(key, ()) for key in keys]
    storage.client("s3")
    with ThreadPoolExecutor(storage.PARALLEL) as pool:
        return list(zip(keys, pool.map(lambda key: header_of(start_of(bucket, key), table), keys), strict=True))


def start_of(bucket: str, key: str) -> bytes:
    """The first bytes of a file as Spark reads it: unpacked, by its name's ending. Raises SchemaMismatchError for another compression."""
    ending = key.rpartition(".")[2].lower()
    if ending == "gz":
        return zlib.decompressobj(wbits=31).decompress(storage.read(bucket, key, _HEADER_BYTES), _HEADER_BYTES)
    if ending == "bz2":
        return bz2.BZ2Decompressor().decompress(storage.read(bucket, key, _BZ2_BYTES), _HEADER_BYTES)
    if ending in ("zst", "lz4", "snappy", "deflate", "zip", "xz", "z"):
        raise SchemaMismatchError(f"{key}: a csv with a header is read plain, or compressed as .gz or .bz2; found: .{ending}")
    return storage.read(bucket, key, _HEADER_BYTES)


def header_of(start: bytes, table: Table) -> tuple[str, ...]:
    """The names in the first line of a csv, in its order. Raises SchemaMismatchError when one stands there twice."""
    text = start.decode(table.csv.encoding, errors="replace").removeprefix("\ufeff")
    rows = csv.reader(text.splitlines(), delimiter=table.csv.delimiter, quotechar=table.csv.quote or None)
    names = tuple(name.strip() for name in next(rows, []))
    folded = [name.lower() for name in names]
    twice = sorted({name for name in folded if folded.count(name) > 1})
    if twice:
        raise SchemaMismatchError(f"{table.logical}: a csv's header has {', '.join(twice)} twice; found: {', '.join(names)}")
    return names


def _path_columns(path: str) -> tuple[str, ...]:
    return tuple(part.partition("=")[0] for part in path.split("/")[:-1] if "=" in part)


def file_schema(table: Table, header: Sequence[str]) -> list[tuple[str, str]]:
    """(name, type) of the columns as a file has them: a csv's in its header's order, undeclared ones as text; else as declared.

    Raises SchemaMismatchError when a required column is not in the header.
    """
    declared = {column.name.lower(): column for column in table.columns}
    if not header:
        return [(column.name, column.type) for column in table.columns]
    missing = [c.name for c in table.columns if c.name.lower() not in {name.lower() for name in header}]
    required = [name for name in missing if declared[name.lower()].required]
    if required:
        raise SchemaMismatchError(f"{table.logical}: a csv lacks the required {', '.join(required)}; its header is {', '.join(header)}")
    unknown = [name for name in header if name.lower() not in declared]
    if missing:
        get_logger(__name__).info("%s: no %s in a csv's header: null in its rows", table.logical, ", ".join(missing))
    if unknown:
        get_logger(__name__).warning("%s: columns that are not declared are left out: %s", table.logical, ", ".join(unknown))
    return [
        (declared[name.lower()].name, declared[name.lower()].type) if name.lower() in declared else (name or f"_column_{at}", "string")
        for at, name in enumerate(header)
    ]


def _group(spark: Any, table: Table, header: tuple[str, ...], path: tuple[str, ...], keys: list[str], malformed: str) -> Any:
    fields = [*file_schema(table, header), *((name, "string") for name in table.hive_partition if name in path)]
    fields += [(malformed, "string")] if malformed and table.format != "parquet" else []
    schema = texts.schema(spark, [Column(*field) for field in fields], table.format)
    bucket, _ = storage.split(table.location)
    paths = [_escaped(bucket, key) for key in keys]
    reader = spark.read.format(table.format).schema(schema).options(**_options(table, malformed)).option("basePath", table.location)
    return reader.load(paths)


def _escaped(bucket: str, key: str) -> str:
    """Spark takes paths as patterns: what would be one is escaped."""
    return f"s3://{bucket}/" + _GLOB.sub(r"\\\1", key)


def _options(table: Table, malformed: str) -> dict[str, str]:
    if table.format == "parquet":
        return {}
    options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": malformed} if malformed else {"mode": "FAILFAST"}
    if table.format == "csv":
        how = table.csv
        options |= {
            "sep": how.delimiter,
            "header": str(how.header).lower(),
            "quote": how.quote,
            "escape": how.escape,
            "encoding": how.encoding,
            "nullValue": how.null_text,
        }
    elif table.format == "json":
        options |= texts.LOCALE
    return options


def _shaped(frame: Any, table: Table, source_file: str, malformed: str, pieces: Sequence[str]) -> Any:
    from pyspark.sql import functions as F

    have = {name.lower() for name in frame.columns}
    columns = [
        F.col(quoted(f.name)) if f.name.lower() in have else F.lit(None).cast(f.dataType).alias(f.name)
        for f in _wanted(frame.sparkSession, table)
    ]
    extra = [F.col("_metadata.file_path").alias(source_file)] if source_file else []
    if source_file:
        place = F.col("_metadata.row_index") + 1 if table.format == "parquet" else F.lit(None)
        extra.append(place.cast("bigint").alias(position(source_file)))
    if pieces:
        extra += [F.col("_metadata.file_block_start").alias(pieces[0]), F.monotonically_increasing_id().alias(pieces[1])]
    if malformed:
        extra.append(F.col(malformed) if malformed.lower() in have else F.lit(None).cast("string").alias(malformed))
    return frame.select(*columns, *extra)


def position(source_file: str) -> str:
    """The column beside `source_file`: which record of its file a row is, from 1. Parquet knows it; of text it is null until `numbered`."""
    return f"{source_file}_position"


def numbered(spark: Any, table: Table, files: Sequence[FileVersion], source_file: str, malformed: str = "") -> Any:
    """What `read` gives, with the position of every record of text files; into how many pieces Spark cuts a file makes no difference.

    Spark says where a piece begins, and a task's own count grows by one: the records of the pieces before are counted in another scan. That
    count makes the frame one that a MERGE does not take as its source, and costs: it is for the files of which a position is asked.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    piece, order, place = "__piece", "__order", position(source_file)
    frame = read(spark, table, files, source_file, malformed, (piece, order))
    before = Window.partitionBy(source_file).orderBy(piece).rowsBetween(Window.unboundedPreceding, -1)
    pieces = frame.groupBy(source_file, piece).agg(F.min(order).alias("__first"), F.count(F.lit(1)).alias("__held"))
    pieces = pieces.withColumn("__before", F.coalesce(F.sum("__held").over(before), F.lit(0))).drop("__held")
    number = F.col("__before") + F.col(order) - F.col("__first") + 1
    return frame.join(F.broadcast(pieces), [source_file, piece]).withColumn(place, number).drop(piece, order, "__first", "__before")


def _empty(spark: Any, table: Table, source_file: str, malformed: str) -> Any:
    from pyspark.sql import functions as F

    more = [(source_file, "string"), (position(source_file), "bigint")] if source_file else []
    more += [(malformed, "string")] if malformed else []
    wanted = [*((field.name, field.dataType) for field in _wanted(spark, table)), *more]
    return spark.range(0).select(*(F.lit(None).cast(kind).alias(name) for name, kind in wanted))


def _wanted(spark: Any, table: Table) -> Any:
    """The columns of every frame, as they are read (pyspark StructFields): the declared ones, then those of the path."""
    return texts.schema(spark, [*table.columns, *(Column(name, "string") for name in table.hive_partition)], table.format)
