"""`use: files`: lands a file drop. New files of a folder under the project's raw location go into a raw table: as they are into a table of
files, by rows into an Iceberg table. `with:` takes `from` (the folder), `format` and `pattern` (names of files that are taken).

A file's place in a table of files follows from its key, version and day of arrival, so that landing it twice lands it once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from dp_foundation import storage
from dp_foundation.builtin import mapping, replay
from dp_foundation.builtin.declared import job, mode, one_write, options, recorded
from dp_foundation.config.arguments import Table
from dp_foundation.config.settings import get_config
from dp_foundation.contracts import arriving, landing
from dp_foundation.errors import ConfigError
from dp_foundation.io import raw
from dp_foundation.io.placing import copy_once, register
from dp_foundation.io.writers import write_iceberg
from dp_foundation.logging.logger import get_logger
from dp_foundation.run.current import begin, files_of
from dp_foundation.run.ledger import FileVersion
from dp_foundation.spark.session import get_spark


@recorded()
def run() -> None:
    """The whole job. No new files: nothing is written."""
    target, drop = one_write(), _drop()
    if (asked := replay.asked(target)) is not None:
        _land(drop, target, replay.rows(get_spark(app_name=f"replay {target.logical}"), drop, target, asked), again=True)
        return
    pattern = str(options("from", "format", "pattern").get("pattern") or "*")
    files = [file for file in files_of(drop, lambda key: fnmatchcase(key.rpartition("/")[2], pattern)) if file.size]
    if files and target.is_iceberg:
        _land_rows(drop, target, files)
    elif files:
        _land_files(drop, target, files)


def _drop() -> Table:
    """The folder as a table of files with the target's columns; its name in the records is `from`."""
    declared, target = job(), one_write()
    given = options("from", "format", "pattern")
    folder = str(given.get("from") or "").strip("/")
    form = str(given.get("format") or target.format)
    if not folder or form not in ("csv", "json", "parquet"):
        raise ConfigError(f"jobs.{declared.name}.with: found from {folder!r}, format {form!r}; allowed: a folder, and csv, json or parquet")
    if not target.is_iceberg and form != target.format:
        raise ConfigError(
            f"jobs.{declared.name}.with.format: {form} files cannot land in {target.logical}, a table of {target.format} files"
        )
    location = f"s3://{get_config().names.bucket('raw')}/{declared.project}/{folder}/"
    return replace(target, logical=f"{folder}/", layer="raw", location=location, format=form, key=())


def _land_rows(drop: Table, target: Table, files: Sequence[FileVersion]) -> None:
    spark = get_spark(app_name=f"files {target.logical}")
    more = raw.undeclared(spark, drop, files) if arriving.asked(target) else ()
    held = replace(drop, columns=(*drop.columns, *more))
    _land(drop, target, raw.read(spark, held, files, landing.SOURCE, landing.line(target)))


def _land(drop: Table, target: Table, frame: Any, again: bool = False) -> None:
    mapped = mapping.plan(landing.columns(frame), target.columns, {})
    with landing.landed(frame, mapped, target, f"files into {target.logical}", drop) as (rows, count):
        current = begin()
        if current is not None:
            current.rows[drop.logical] = count
        if count or not again:
            write_iceberg(df=rows, table=target.logical, mode=mode())


def _land_files(drop: Table, target: Table, files: Sequence[FileVersion]) -> None:
    current = begin()
    if current is not None:
        current.intend()
    source, prefix = storage.split(drop.location)
    bucket, location = storage.split(target.location)
    places = [(file, partition_of(file, prefix, target)) for file in files]
    moves = [(file, f"{location}{path}{landed_name(file)}") for file, path in places]
    storage.client("s3")
    with ThreadPoolExecutor(storage.PARALLEL) as pool:
        landed = sum(pool.map(lambda move: copy_once(source, move[0].key, bucket, move[1], _version(move[0])), moves))
    register(target, sorted({path for _, path in places if path}))
    get_logger(__name__).info("%s: %d of %d new files landed", target.logical, landed, len(files))


def partition_of(file: FileVersion, prefix: str, target: Table) -> str:
    """`dt=2026-11-20/`: from the drop's own path where it says so, else the day of arrival. Raises ConfigError where neither can be."""
    said = dict(part.split("=", 1) for part in file.key[len(prefix) :].split("/")[:-1] if "=" in part)
    if not target.hive_partition:
        return ""
    missing = [name for name in target.hive_partition if name not in said]
    if len(missing) > 1:
        raise ConfigError(f"{file.key}: no {', '.join(missing)} in its path; mend: drop files under {'=…/'.join(target.hive_partition)}=…/")
    return "".join(f"{name}={said.get(name, file.modified[:10])}/" for name in target.hive_partition)


def landed_name(file: FileVersion) -> str:
    """`orders-1a2b3c4d5e6f.csv`: a new version of a file, or one of the same name in another folder, is another file."""
    name = file.key.rpartition("/")[2]
    stem, dot, ending = name.partition(".")
    digest = hashlib.sha256(f"{file.key}@{file.version}".encode()).hexdigest()[:12]
    return f"{stem}-{digest}{dot}{ending}"


def _version(file: FileVersion) -> str:
    return "" if file.version.startswith("etag:") else file.version
