"""Every physical name, from one file of patterns (REQUIREMENTS D2): `naming.json`, which Terraform and the job library read too.

Elsewhere in the code no bucket, role, ARN or key is put together. Too long is refused by `check_length`, never cut.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

PURPOSES = ("raw", "refined", "curated", "artifacts", "logs")
LAYERS = ("raw", "refined", "curated")
RESERVED_PROJECTS = frozenset({"baseline", "manifests", "meshplane", "platform", "releases", "status"})

# Longest physical name each service takes: IAM, EventBridge, Scheduler, Step Functions, Glue, CloudWatch and S3 quota pages.
MAX_LENGTH = {
    "role": 64,
    "event_rule": 64,
    "schedule_group": 64,
    "schedule": 64,
    "state_machine": 80,
    "glue_job": 255,
    "table": 255,
    "log_group": 512,
    "alarm": 255,
    "bucket": 63,
}


def is_project(name: str) -> bool:
    """May a project be called so? 2-20 lower-case letters and digits, beginning with a letter, and not reserved (D2)."""
    return bool(re.fullmatch(r"[a-z][a-z0-9]{1,19}", name)) and name not in RESERVED_PROJECTS


@cache
def patterns() -> dict[str, str]:
    """The patterns of `naming.json`, by the name of what they name."""
    text = files("meshplane").joinpath("naming.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def check_length(resource: str, name: str) -> int:
    """How many characters a physical name has too many, 0 when it fits; `resource` is a key of MAX_LENGTH. Nothing is ever cut."""
    return max(0, len(name) - MAX_LENGTH[resource])


@dataclass(frozen=True, slots=True)
class Naming:
    """The names of one domain in one environment; every method is a pure function of its arguments and these fields."""

    abbr: str
    country_code: str
    account_id: str
    region: str
    env: str

    def of(self, pattern: str, **parts: str) -> str:
        """Fill the named pattern. Raises KeyError for a pattern or a part that does not exist: a fault of ours."""
        domain = {"abbr": self.abbr, "country_code": self.country_code, "account_id": self.account_id, "env": self.env}
        return patterns()[pattern].format(**{**domain, **parts})

    def bucket(self, purpose: str) -> str:
        """`f01-raw-390403879405-de-dev`; purpose is one of PURPOSES."""
        return self.of("bucket", purpose=purpose)

    def database(self, layer: str) -> str:
        """`f01_de_refined`; layer is one of LAYERS."""
        return self.of("database", layer=layer)

    def table(self, project: str, table: str) -> str:
        """`sales_orders`."""
        return self.of("table", project=project, table=table)

    def table_location(self, project: str, table: str, layer: str, iceberg: bool) -> str:
        """`s3://f01-refined-…/sales/iceberg/orders` for Iceberg, `s3://f01-raw-…/sales/orders_raw/` for Hive."""
        prefix = self.of("iceberg_prefix" if iceberg else "hive_prefix", project=project, table=table)
        return f"s3://{self.bucket(layer)}/{prefix}"

    def job(self, project: str, job: str) -> str:
        """`f01-sales-daily-load-dev`."""
        return self.of("job", project=project, job=job)

    def state_machine(self, project: str, pipeline: str) -> str:
        """`f01-sales-pipeline-ingest-dev`."""
        return self.of("state_machine", project=project, pipeline=pipeline)

    def pipeline_log_group(self, project: str, pipeline: str) -> str:
        """`/aws/vendedlogs/states/f01-sales-pipeline-ingest-dev`."""
        return self.of("pipeline_log_group", state_machine=self.state_machine(project, pipeline))

    def rule(self, project: str, pipeline: str, trigger: str) -> str:
        """`f01-sales-daily-landed-dev`."""
        return self.of("rule", project=project, pipeline=pipeline, trigger=trigger)

    def schedule_group(self, project: str) -> str:
        """`f01-sales-dev`."""
        return self.of("schedule_group", project=project)

    def alarm(self, project: str, alarm: str) -> str:
        """`f01-sales-stalled-dev`."""
        return self.of("alarm", project=project, alarm=alarm)

    def dashboard(self, project: str) -> str:
        """`f01-sales-dev`; dashboards are the account's, in no Region."""
        return self.of("dashboard", project=project)

    def role(self, purpose: str, project: str) -> str:
        """purpose is `job`, `optimizer` or `pipeline`: `f01-glue-sales-dev`, `f01-optimizer-sales-dev`, `f01-pipeline-sales-dev`."""
        return self.of(f"{purpose}_role", project=project)

    def role_arn(self, purpose: str, project: str) -> str:
        """The role's ARN, its path included."""
        return f"arn:aws:iam::{self.account_id}:role{self.of('role_path')}{self.role(purpose, project)}"

    def arn(self, service: str, resource: str) -> str:
        """An ARN of this account and region: `arn('glue', 'job/f01-…')`."""
        return f"arn:aws:{service}:{self.region}:{self.account_id}:{resource}"

    def bucket_arn(self, purpose: str, key: str = "") -> str:
        """`arn:aws:s3:::bucket`, with `/key` when a key (or key pattern) is given."""
        return f"arn:aws:s3:::{self.bucket(purpose)}" + (f"/{key}" if key else "")

    def manifest_key(self, project: str) -> str:
        """`manifests/sales/project.yaml` in the artifacts bucket."""
        return self.of("manifest_key", project=project)

    def project_file(self, project: str, sha256: str, name: str) -> str:
        """The content-addressed key of a project's file in the artifacts bucket."""
        return self.of("project_file", project=project, sha256=sha256, name=name)
