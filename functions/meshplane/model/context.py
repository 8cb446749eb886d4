"""All that compile may know beside the project itself: frozen, so that compile is a pure function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from meshplane.model.baseline import Baseline
from meshplane.model.domain import Domain
from meshplane.model.naming import Naming
from meshplane.model.project import CsvFormat
from meshplane.model.release import PlatformRelease, Release
from meshplane.model.resource import Owner
from meshplane.model.rules import Gate, Rule, implied
from meshplane.model.types import Field


@dataclass(frozen=True, slots=True)
class SharedTable:
    """A table of another project, as its owner's last applied manifest shares it. `readers`: the projects allowed to read it."""

    database: str
    name: str
    location: str
    layer: str
    format: str
    readers: tuple[str, ...]
    columns: tuple[Field, ...] = ()
    key: tuple[str, ...] = ()
    csv: CsvFormat = field(default_factory=CsvFormat)  # a raw table that is shared reads at its reader as it reads at home
    hive_partition: tuple[str, ...] = ()
    deprecated: Mapping[str, str] = field(default_factory=dict)  # column → last day (ISO) on which consumers may rely on it
    rules: tuple[Rule, ...] = ()  # the declared ones
    allow_empty: bool = False

    def gate(self, called: str) -> Gate:
        """What a batch of it is judged by where it is read; `called`: its name there."""
        return Gate(called, implied([column.name for column in self.columns], self.key) + self.rules, allow_empty=self.allow_empty)


@dataclass(frozen=True, slots=True)
class SharedRead:
    """A table of another project that a job declares to read; `columns` empty means all."""

    job: str
    project: str
    table: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What is known of another project: its tables by logical name, its pipelines by name, what its jobs read of others.
    `published` False: not (yet) there."""

    name: str
    published: bool = False
    tables: Mapping[str, SharedTable] = field(default_factory=dict)
    pipelines: tuple[str, ...] = ()
    reads: tuple[SharedRead, ...] = ()


@dataclass(frozen=True, slots=True)
class PlaneNames:
    """ARNs of the control plane's own parts (from `template.yaml`, by environment variables) that project resources point at."""

    trigger_queue_arn: str
    target_dlq_arn: str
    scheduler_role_arn: str
    alert_topic_arn: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """One project's surroundings at one moment."""

    domain: Domain
    naming: Naming
    baseline: Baseline
    platform: PlatformRelease
    plane: PlaneNames
    release: Release = field(default_factory=Release)
    neighbours: Mapping[str, Neighbour] = field(default_factory=dict)
    asl_files: Mapping[str, str] = field(default_factory=dict)  # text of the project's own ASL files, by path
    contract_files: Mapping[str, str] = field(default_factory=dict)  # text of its contract files, by path
    today: date | None = None  # in UTC; None: no date has passed

    def owner(self, project: str) -> Owner:
        """The ownership triple of a project here."""
        return Owner(self.domain.domain_name, self.naming.env, project)
