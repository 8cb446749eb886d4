"""What the plane passes to a job run: `--meshplane-job`, `--meshplane-run`, `--meshplane-step`, `--meshplane-attempt`, `--meshplane-gate`.

Their shapes are docs/contracts.md §1 and §2 (`schemas/job.schema.json`, `schemas/run.schema.json`). Everything in the library that needs to
know which job, table or run this is asks `invocation()`; a process without these arguments is a plain run outside the plane.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from dp_foundation.errors import ConfigError
from dp_foundation.quality.rules import Gate, gate


@dataclass(frozen=True, slots=True)
class Column:
    """A declared column; `type` is Spark 3.5 DDL."""

    name: str
    type: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """How a raw csv reads; the patterns are Spark's, empty means ISO."""

    delimiter: str = ","
    header: bool = True
    quote: str = '"'
    escape: str = "\\"
    encoding: str = "UTF-8"
    null_text: str = ""
    date_format: str = ""
    timestamp_format: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table that the manifest declares for this job. `logical` is its key in the arguments: `orders`, `customers.contacts`."""

    logical: str
    project: str
    layer: str
    database: str
    name: str
    location: str
    format: str
    columns: tuple[Column, ...] = ()
    csv: CsvFormat = CsvFormat()
    hive_partition: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    gate: Gate | None = None

    @property
    def is_iceberg(self) -> bool:
        """Iceberg, or a Hive table of files."""
        return self.format == "iceberg"


@dataclass(frozen=True, slots=True)
class Connection:
    """A database or broker that `domain.json` declares reachable (`reachable`)."""

    name: str
    kind: str
    host: str
    port: int
    database: str = ""

    @property
    def is_loopback(self) -> bool:
        """On this machine: a laptop's, and the only one that is spoken to without TLS."""
        return self.host in ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True)
class Read:
    """A declared read; no columns means all."""

    table: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Write:
    """A declared write."""

    table: str
    mode: str


@dataclass(frozen=True, slots=True)
class Job:
    """This job as the manifest declares it."""

    name: str
    project: str
    env: str
    domain: Mapping[str, str]
    tables: Mapping[str, Table] = field(default_factory=dict)
    reads: tuple[Read, ...] = ()
    writes: tuple[Write, ...] = ()
    use: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    sql: str = ""
    columns: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)
    connections: Mapping[str, Connection] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the pipeline (or of the job alone: `pipeline` is empty). Times are ISO 8601 with `Z`, empty without a window."""

    run_id: str
    project: str
    pipeline: str = ""
    trigger: str = ""
    window_start: str = ""
    window_end: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Invocation:
    """All arguments of this process. `plain` holds every `--name value` as given, names lower-case with `_`. `attempt` is the retry,
    `round` how often the step was begun anew because `main` had moved. `audit`: what is written waits on a branch for its publication."""

    job: Job | None = None
    run: Run | None = None
    step: str = ""
    attempt: int = 0
    round: int = 0
    audit: bool = False
    plain: Mapping[str, str] = field(default_factory=dict)


def parse(argv: Sequence[str]) -> Invocation:
    """Read the arguments of a process; unknown ones are Glue's or the author's own. Raises ConfigError for one that cannot be read."""
    given = _pairs(argv)
    job = _job(_json(given, "meshplane_job")) if "meshplane_job" in given else None
    run = _run(_json(given, "meshplane_run")) if "meshplane_run" in given else None
    step = given.get("meshplane_step") or (job.name if job else "")
    told = given.get("meshplane_attempt") or "0"
    begun, _, attempt = told.rpartition("_")
    if not attempt.isdecimal() or not (begun or "0").isdecimal():
        raise ConfigError(f"--meshplane-attempt: found {told!r}; allowed: a number from 0, or two as 0_1")
    mode = given.get("meshplane_gate") or ""
    if mode not in ("", "audit"):
        raise ConfigError(f"--meshplane-gate: found {mode!r}; allowed: audit")
    return Invocation(job, run, step, int(attempt), int(begun or 0), mode == "audit", given)


@cache
def invocation() -> Invocation:
    """The arguments of this process, read once."""
    return parse(sys.argv[1:])


def _pairs(argv: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    rest = list(argv)
    while rest:
        flag = rest.pop(0)
        if not flag.startswith("--"):
            continue
        name, eq, value = flag[2:].partition("=")
        if not eq:
            # A value may itself begin with one dash, never with two: Glue writes pairs.
            value = rest.pop(0) if rest and not rest[0].startswith("--") else ""
        found[name.lower().replace("-", "_")] = value
    return found


def _json(given: Mapping[str, str], name: str) -> dict[str, Any]:
    flag = "--" + name.replace("_", "-")
    try:
        value = json.loads(given[name])
    except json.JSONDecodeError as error:
        raise ConfigError(f"{flag}: not JSON ({error}); allowed: the object of docs/contracts.md") from error
    if not isinstance(value, dict) or value.get("schema") != 1:
        raise ConfigError(
            f"{flag}: found schema {value.get('schema') if isinstance(value, dict) else value!r}; allowed: an object, schema 1"
        )
    return value


def _job(raw: Mapping[str, Any]) -> Job:
    try:
        return Job(
            name=raw["job"],
            project=raw["project"],
            env=raw["env"],
            domain=raw["domain"],
            tables={logical: _table(logical, t) for logical, t in raw.get("tables", {}).items()},
            reads=tuple(Read(r["table"], tuple(r.get("columns", ()))) for r in raw.get("reads", ())),
            writes=tuple(Write(w["table"], w["mode"]) for w in raw.get("writes", ())),
            use=raw.get("use", ""),
            options=raw.get("with", {}),
            sql=raw.get("sql", ""),
            columns=raw.get("columns", ""),
            secrets=raw.get("secrets", {}),
            connections={name: Connection(name, **told) for name, told in raw.get("connections", {}).items()},
        )
    except KeyError as error:
        raise ConfigError(f"--meshplane-job: {error} is missing; see docs/contracts.md §1") from error


def _table(logical: str, raw: Mapping[str, Any]) -> Table:
    return Table(
        logical=logical,
        project=raw["project"],
        layer=raw["layer"],
        database=raw["database"],
        name=raw["name"],
        location=raw["location"],
        format=raw["format"],
        columns=tuple(Column(c["name"], c["type"], bool(c.get("required", False))) for c in raw.get("columns", ())),
        csv=CsvFormat(**(raw.get("csv") or {})),
        hive_partition=tuple(raw.get("hive_partition", ())),
        key=tuple(raw.get("key", ())),
        gate=gate(raw["gate"]) if raw.get("gate") else None,
    )


def _run(raw: Mapping[str, Any]) -> Run:
    try:
        return Run(
            run_id=raw["run_id"],
            project=raw["project"],
            pipeline=raw.get("pipeline") or "",
            trigger=raw.get("trigger") or "",
            window_start=raw.get("window_start") or "",
            window_end=raw.get("window_end") or "",
            params=raw.get("params") or {},
        )
    except KeyError as error:
        raise ConfigError(f"--meshplane-run: {error} is missing; see docs/contracts.md §2") from error
