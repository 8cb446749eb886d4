"""A validated project in one environment: what compile and every kind read. Frozen plain values, long forms only.

`model/manifest` turns the author's YAML (short forms, overlays) into this; nothing else builds it but tests.
Maps keep the order of the file. Durations are timedeltas. References are checked already, inside the project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Literal

from meshplane.model.rules import Contract, Gate, Rule, implied
from meshplane.model.sources import Source
from meshplane.model.types import Field

Layer = Literal["raw", "refined", "curated"]
Format = Literal["iceberg", "csv", "json", "parquet"]
WriteMode = Literal["append", "merge", "overwrite_window"]
Verb = Literal["observe", "create", "update", "delete"]


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """How a raw csv reads. `date_format` and `timestamp_format` are Spark patterns, empty for ISO."""

    delimiter: str = ","
    header: bool = True
    quote: str = '"'
    escape: str = "\\"
    encoding: str = "UTF-8"
    null_text: str = ""
    date_format: str = ""
    timestamp_format: str = ""


@dataclass(frozen=True, slots=True)
class Projection:
    """Partition projection of a raw table: Athena computes partitions instead of looking them up. `format` is a Java date pattern."""

    kind: Literal["date", "integer", "enum"]
    range: tuple[str, ...]
    format: str = ""
    interval: int = 1
    unit: str = ""


@dataclass(frozen=True, slots=True)
class PartitionField:
    """`day(ordered_at)`. `width` is for bucket and truncate only."""

    transform: Literal["identity", "bucket", "truncate", "year", "month", "day", "hour"]
    column: str
    width: int = 0


@dataclass(frozen=True, slots=True)
class SortField:
    """`ordered_at desc`; nulls come first when ascending and last when descending, Iceberg's defaults."""

    column: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Compaction:
    """Glue's compaction optimizer. It has no rate: AWS runs it when enough small files stand."""

    enabled: bool = True
    strategy: Literal["binpack", "sort", "z-order"] = "binpack"
    min_input_files: int = 100
    delete_file_threshold: int = 1


@dataclass(frozen=True, slots=True)
class Retention:
    """Snapshot retention: days to keep, least number to keep, hours between runs (3-168)."""

    enabled: bool = True
    days: int = 7
    keep: int = 3
    every_hours: int = 24
    clean_expired_files: bool = True


@dataclass(frozen=True, slots=True)
class Orphans:
    """Orphan file deletion: days a file must be unreferenced, hours between runs (3-168)."""

    enabled: bool = True
    days: int = 3
    every_hours: int = 168


@dataclass(frozen=True, slots=True)
class Optimizers:
    """The three optimizers that every Iceberg table gets without asking."""

    compaction: Compaction = Compaction()
    retention: Retention = Retention()
    orphans: Orphans = Orphans()


@dataclass(frozen=True, slots=True)
class Table:
    """A declared table. `columns` hold data columns only; a Hive table's partition columns are `hive_partition` (strings)."""

    name: str
    layer: Layer
    format: Format
    columns: tuple[Field, ...]
    description: str = ""
    csv: CsvFormat = CsvFormat()
    hive_partition: tuple[str, ...] = ()
    projection: Mapping[str, Projection] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    partition: tuple[PartitionField, ...] = ()
    sort: tuple[SortField, ...] = ()
    optimizers: Optimizers = Optimizers()
    readers: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    physical_name: str = ""  # set for adoption only
    format_version: int = 2
    rules: tuple[Rule, ...] = ()  # declared ones, domain-wide defaults filled in
    contract: Contract = field(default_factory=Contract)
    has_contract: bool = False  # whether the author wrote one: without, nothing is put aside
    allow_empty: bool = False
    contract_file: str = ""  # an ODCS file in the project's folder; `manifest.joining` has joined its rules when it is read
    deprecate: Mapping[str, date] = field(default_factory=dict)  # column → the last day on which consumers may rely on it
    allow_breaking: tuple[str, ...] = ()  # projects that a change may break without waiting
    versions: bool = False  # a merge keeps versions of its rows: the key is unique among the current ones

    @property
    def is_iceberg(self) -> bool:
        """Iceberg, or a Hive table of files."""
        return self.format == "iceberg"

    @property
    def gate(self) -> Gate:
        """What its data is judged by, the implied rules first."""
        own = implied([c.name for c in self.columns], self.key, self.versions)
        return Gate(self.name, own + tuple(self._weighed(rule) for rule in self.rules), self.contract, self.allow_empty)

    def _weighed(self, rule: Rule) -> Rule:
        """A set that arriving data may add to (`enum: evolve`) stops nothing: new values are counted, and told."""
        told = self.contract.enum == "evolve" and rule.kind == "in_set" and rule.severity == "block" and not rule.filter
        return replace(rule, severity="warn") if told else rule


@dataclass(frozen=True, slots=True)
class TableRef:
    """`orders` (own: project is this one) or `customers.contacts`; `columns` empty means all."""

    project: str
    table: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Write:
    """A table that a job writes, always the project's own."""

    table: str
    mode: WriteMode


@dataclass(frozen=True, slots=True)
class Job:
    """A Glue job. Exactly one of `script`, `sql`, `use`; paths are relative to the project's folder."""

    name: str
    script: str = ""
    sql: str = ""
    use: str = ""  # a built-in: merge | files | check | maintain
    reads: tuple[TableRef, ...] = ()
    writes: tuple[Write, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)  # `with:` of a built-in, validated, plain JSON values
    worker_type: str = "G.1X"
    workers: int = 2
    timeout: timedelta = timedelta(hours=1)
    packages: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    jars: tuple[str, ...] = ()
    spark: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, str] = field(default_factory=dict)
    max_concurrent_runs: int = 10
    glue_version: str = "5.1"
    description: str = ""


@dataclass(frozen=True, slots=True)
class ScheduleTrigger:
    """cron(...), rate(...) or at(...) in a time zone."""

    name: str
    expression: str
    timezone: str = "UTC"
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class FilesTrigger:
    """Files arrived under an own raw table. A run starts when nothing has arrived for `settle`."""

    name: str
    table: str
    settle: timedelta = timedelta(seconds=10)
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class PipelineTrigger:
    """Another pipeline (of this or of another project) succeeded."""

    name: str
    project: str
    pipeline: str
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class TableTrigger:
    """A table (of this or of another project) was published: `main` moved to judged data."""

    name: str
    project: str
    table: str
    enabled: bool = True


Trigger = ScheduleTrigger | FilesTrigger | PipelineTrigger | TableTrigger


@dataclass(frozen=True, slots=True)
class JobStep:
    """Run a job. `retry`: how often again after a failure (the only retry there is); `arguments` are extra Glue arguments."""

    job: str
    retry: int = 0
    retry_after: timedelta = timedelta(seconds=30)
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IngestStep:
    """Fetch a source with the `ingest_api` function. It repeats what is only unfinished by itself; `retry` is for failures."""

    source: Source
    retry: int = 0
    retry_after: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Parallel:
    """Branches side by side; each branch is a sequence."""

    branches: tuple[tuple[Step, ...], ...]


@dataclass(frozen=True, slots=True)
class Sequence:
    """Steps one after the other, as one step (useful inside parallel)."""

    steps: tuple[Step, ...]


Step = JobStep | IngestStep | Parallel | Sequence


@dataclass(frozen=True, slots=True)
class OwnAsl:
    """The project's own state machine. `file` is relative; `targets` are the ARNs that it may call beside its own jobs."""

    file: str
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a pipeline's run; `default` None means it must be given."""

    type: Literal["string", "int", "date", "boolean"]
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Steps, or an own ASL file, with what starts it and how runs live beside each other."""

    name: str
    steps: tuple[Step, ...] = ()
    asl: OwnAsl | None = None
    triggers: tuple[Trigger, ...] = ()
    window: Literal["", "hour", "day", "month"] = ""
    params: Mapping[str, Param] = field(default_factory=dict)
    concurrency: int = 1
    when_busy: Literal["queueOne", "queue", "skip"] = "queueOne"
    notify: str = ""  # "" nobody | "domain" | an SNS topic's ARN
    description: str = ""


@dataclass(frozen=True, slots=True)
class Lateness:
    """An alarm for a pipeline of which no run has succeeded on a day, in `timezone`, by `by` (`08:00`)."""

    name: str
    pipeline: str
    by: str
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Alarms:
    """The project's alarms beside the default ones; `off` names default ones that it does without."""

    late: tuple[Lateness, ...] = ()
    off: tuple[str, ...] = ()

    def expected(self, pipeline: str) -> tuple[Lateness, ...]:
        """Those that watch this pipeline."""
        return tuple(one for one in self.late if one.pipeline == pipeline and one.name not in self.off)


@dataclass(frozen=True, slots=True)
class Widget:
    """A graph of one metric of `model.metrics`; `of` narrows it to these jobs, pipelines or tables (empty: all of the project).
    `emitted`: a metric that the jobs in `of` print themselves (`emit_metric`). `statistic` empty: the metric's own."""

    title: str
    metric: str = ""
    of: tuple[str, ...] = ()
    statistic: str = ""
    emitted: str = ""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The project's dashboard: `standard` widgets, then the project's own."""

    enabled: bool = True
    standard: bool = True
    widgets: tuple[Widget, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """What the plane may do, and how."""

    manage: tuple[Verb, ...] = ("observe", "create", "update", "delete")
    drift: Literal["heal", "report"] = "heal"
    adopt: Literal["never", "named"] = "never"
    approve: str = ""
    while_running: Literal["finish", "stop"] = "finish"


@dataclass(frozen=True, slots=True)
class Project:
    """One project in one environment, overlay applied."""

    name: str
    title: str = ""
    owner: str = ""
    description: str = ""
    sources: Mapping[str, Source] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    jobs: Mapping[str, Job] = field(default_factory=dict)
    pipelines: Mapping[str, Pipeline] = field(default_factory=dict)
    alarms: Alarms = Alarms()
    dashboard: Dashboard = Dashboard()
    policy: Policy = Policy()
