"""The encrypted log group of each pipeline. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from meshplane.kinds.comparing import differences
from meshplane.model.context import Context
from meshplane.model.project import Project
from meshplane.model.resource import Difference, Id, Seen, Want

RETENTION_DAYS = 90  # as long as the baseline keeps its flow logs (REQUIREMENTS B3)


@dataclass(frozen=True, slots=True)
class LogGroupSpec:
    """As wanted, both are set. As seen, `retention_days` 0 means for ever, and an empty `kms_key` the service's own key."""

    kms_key: str
    retention_days: int


def log_group_id(project: str, pipeline: str, context: Context) -> Id:
    """/aws/vendedlogs/states/…: the prefix that keeps the log-delivery resource policy short (aws-facts B14)."""
    return Id("log_group", context.naming.pipeline_log_group(project, pipeline), pipeline)


class LogGroup:
    """One per pipeline."""

    name = "log_group"

    def desired(self, project: Project, context: Context) -> Iterable[Want[LogGroupSpec]]:
        """Encrypted with the domain's key, kept 90 days."""
        spec = LogGroupSpec(context.baseline.kms_key_arn, RETENTION_DAYS)
        return [Want(log_group_id(project.name, name, context), spec) for name in project.pipelines]

    def compare(self, want: LogGroupSpec, seen: LogGroupSpec) -> tuple[Difference, ...]:
        """Key and retention."""
        return differences(want, seen)

    def resting(self, seen: Seen[LogGroupSpec]) -> LogGroupSpec | None:
        """Deleted, logs included: the run records in S3 stay."""
        return None


KIND = LogGroup()
