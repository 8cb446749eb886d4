"""The three Glue table optimizers of every Iceberg table: compaction, snapshot retention, orphan file deletion (REQUIREMENTS P3).

Always the full configuration, compared after Glue's own defaults (aws-facts C3). Never deleted and recreated: orphan deletion only
considers files that are younger than the optimizer, so an undeclared one rests with `enabled=false`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace

from meshplane.kinds import iceberg_table
from meshplane.model import quarantine
from meshplane.model.context import Context
from meshplane.model.project import Optimizers, Project, Table
from meshplane.model.resource import Difference, Effect, Id, Seen, Want

NAME = "table_optimizer"
TYPES = ("compaction", "retention", "orphan_file_deletion")


@dataclass(frozen=True, slots=True)
class OptimizerSpec:
    """`settings` are the Iceberg configuration of its type in Glue's own keys, complete: strings, numbers and booleans."""

    role_arn: str
    enabled: bool = True
    settings: Mapping[str, str | int | bool] = field(default_factory=dict)
    connection: str = ""  # a Glue network connection; optimizers of this product use none


class TableOptimizer:
    """The kind."""

    name = NAME

    def desired(self, project: Project, context: Context) -> Iterable[Want[OptimizerSpec]]:
        """Three per Iceberg table, each with the role that it names: while that settles, `flows/apply` sends one canary ahead."""
        role = Id("role", context.naming.role("optimizer", project.name))
        arn = context.naming.role_arn("optimizer", project.name)
        for table in quarantine.tables(project):
            if not table.is_iceberg:
                continue
            of = iceberg_table.table_id(project, table, context)
            for kind, (enabled, settings) in configurations(table.optimizers).items():
                this = Id(NAME, f"{of.name}/{kind}", f"{table.name}/{kind}")
                yield Want(this, OptimizerSpec(arn, enabled, settings), frozenset({of, role}), refused=_refused(table, kind))

    def compare(self, want: OptimizerSpec, seen: OptimizerSpec) -> tuple[Difference, ...]:
        """Field by field; a setting is named by Glue's key."""
        out = [
            Difference(one.name, _text(was), _text(wanted), Effect.SAFE)
            for one in fields(OptimizerSpec)
            if one.name != "settings" and (was := getattr(seen, one.name)) != (wanted := getattr(want, one.name))
        ]
        keys = [*want.settings, *(key for key in seen.settings if key not in want.settings)]
        out += [
            Difference(f"settings.{key}", _text(seen.settings.get(key, "")), _text(want.settings.get(key, "")), Effect.SAFE)
            for key in keys
            if seen.settings.get(key) != want.settings.get(key)
        ]
        return tuple(out)

    def resting(self, seen: Seen[OptimizerSpec]) -> OptimizerSpec:
        """Itself, switched off."""
        if seen.spec is None:
            raise ValueError(f"{seen.id} was not read")  # the adapter reads every optimizer, there is no mark that saves it
        return replace(seen.spec, enabled=False)


KIND = TableOptimizer()


def configurations(of: Optimizers) -> Mapping[str, tuple[bool, Mapping[str, str | int | bool]]]:
    """Type → enabled and its settings, complete, in Glue's keys (botocore, TableOptimizerConfiguration)."""
    compaction, retention, orphans = of.compaction, of.retention, of.orphans
    return {
        "compaction": (
            compaction.enabled,
            {
                "strategy": compaction.strategy,
                "minInputFiles": compaction.min_input_files,
                "deleteFileThreshold": compaction.delete_file_threshold,
            },
        ),
        "retention": (
            retention.enabled,
            {
                "snapshotRetentionPeriodInDays": retention.days,
                "numberOfSnapshotsToRetain": retention.keep,
                "cleanExpiredFiles": retention.clean_expired_files,
                "runRateInHours": retention.every_hours,
            },
        ),
        "orphan_file_deletion": (
            orphans.enabled,
            {"orphanFileRetentionPeriodInDays": orphans.days, "runRateInHours": orphans.every_hours},
        ),
    }


def _refused(table: Table, kind: str) -> str:
    if kind == "compaction" and table.optimizers.compaction.strategy != "binpack" and not table.sort:
        return f"strategy {table.optimizers.compaction.strategy} sorts, and the table has no `sort`: declare one, or use binpack"
    return ""


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
