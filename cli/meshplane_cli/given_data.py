"""`run-local --data TABLE=PATH`: a job's declared reads, answered from files of this machine instead of the domain's own tables.

The files go to a folder of this one run in the embedded AWS's raw bucket, and the job is told that its table lies there, as files with
the declared columns. Iceberg tables are read that way too. Nothing else of the job changes, and no table's own data is touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from meshplane.aws.faults import translated
from meshplane_cli.output import USAGE, CliError
from meshplane_cli.surroundings import Target

FORMATS = {".csv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet"}


def parsed(given: Iterable[str]) -> dict[str, Path]:
    """`orders_raw=orders.csv` → table and path. Raises CliError for anything else, or a path that is not there."""
    found: dict[str, Path] = {}
    for pair in given:
        table, equals, path = pair.partition("=")
        if not equals or not table or not path:
            raise CliError(f"--data: '{pair}' is not TABLE=PATH", mend="--data orders_raw=samples/orders.csv", code=USAGE)
        if table in found:
            raise CliError(f"--data: {table} is given twice", mend="put its files into one folder and name that", code=USAGE)
        found[table] = Path(path).expanduser()
        if not found[table].exists():
            raise CliError(f"--data: there is no {path}", found=str(found[table].resolve()), code=USAGE)
    return found


def placed(found: Target, description: Mapping[str, Any], data: Mapping[str, Path], run_id: str) -> dict[str, Any]:
    """The job's description with these tables lying where the files were uploaded to. Raises CliError."""
    if data and not found.local:
        raise CliError("--data is for the embedded AWS only", found=f"{found.env}, an account", mend="meshplane local up", code=USAGE)
    written = {write["table"] for write in description["writes"]}
    reads = [read["table"] for read in description["reads"] if read["table"] not in written]  # what is written has to be the table itself
    unknown = [table for table in data if table not in reads]
    if unknown:
        raise CliError(f"--data: {description['job']} does not read {unknown[0]}", allowed=", ".join(reads) or "it reads none", code=USAGE)
    tables = {
        table: _placed(found, description["tables"][table], path, _folder(found, description, run_id, table))
        for table, path in data.items()
    }
    return {**description, "tables": {**description["tables"], **tables}}


def _folder(found: Target, description: Mapping[str, Any], run_id: str, table: str) -> str:
    return f"{found.naming.of('data_prefix', project=description['project'])}_given/{run_id}/{table}/"


def _placed(found: Target, table: Mapping[str, Any], path: Path, prefix: str) -> dict[str, Any]:
    files = {path.name: path} if path.is_file() else {file.relative_to(path).as_posix(): file for file in sorted(path.rglob("*"))}
    files = {name: file for name, file in files.items() if file.is_file() and not any(part[0] in "._" for part in name.split("/"))}
    formats = {FORMATS.get(file.suffix.lower(), "") for file in files.values()}
    if len(formats) != 1 or "" in formats:
        told = ", ".join(sorted({file.suffix or file.name for file in files.values()})) or "no file"
        raise CliError(f"--data: {path} must hold files of one format", found=told, allowed=", ".join(sorted(FORMATS)), code=USAGE)
    bucket = found.naming.bucket("raw")
    for name, file in files.items():
        key = f"{prefix}{_partition(table, name)}{name}"
        with translated("s3:PutObject", f"{bucket}/{key}"):
            found.clients("s3").upload_file(str(file), bucket, key)
    return {**table, "format": formats.pop(), "location": f"s3://{bucket}/{prefix}"}


def _partition(table: Mapping[str, Any], name: str) -> str:
    """A file whose path names no partition arrives today, as a dropped file does."""
    wanted = table["hive_partition"]
    return f"{wanted[0]}={datetime.now(UTC):%Y-%m-%d}/" if len(wanted) == 1 and f"{wanted[0]}=" not in name else ""
