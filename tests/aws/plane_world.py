"""A whole plane against moto in this process: buckets, state table, queue, baseline, and one call per look. Used by the plane's tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from meshplane.aws.clients import Clients
from meshplane.aws.executions import AwsExecutions, SqsTriggers
from meshplane.aws.kinds import adapters
from meshplane.aws.listings import Listings
from meshplane.aws.manifest_store import S3Manifests
from meshplane.aws.publisher import PublishRecords
from meshplane.aws.queue import SqsReconciles
from meshplane.aws.releases import SsmReleases
from meshplane.aws.runs_store import DynamoRuns
from meshplane.aws.state_store import DynamoStates
from meshplane.flows.converge import Tools
from meshplane.flows.open_runs import ProjectRuns
from meshplane.flows.plan_project import PlanPorts
from meshplane.flows.preparation import Here, Surroundings
from meshplane.flows.reconcile_project import Ports, Report, reconcile_project
from meshplane.flows.run_slots import RunPorts
from meshplane.flows.sweep_projects import Swept, sweep_projects
from meshplane.kinds import all_kinds
from meshplane.model.context import PlaneNames
from meshplane.model.domain import Domain

ROOT = Path(__file__).resolve().parents[2]
READS = ("Get", "List", "Describe", "BatchGet", "Query", "Head", "Scan")


class Inline:
    """Workers one after the other."""

    def each(self, call: Any, over: Any) -> list[Any]:
        return [call(item) for item in over]


@dataclass
class Moving:
    """A clock that a test moves."""

    at: datetime = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def __call__(self, time: timedelta) -> None:
        """As a Pause: let it pass."""
        self.at += time


@dataclass
class World:
    """`calls` lists `service:Operation` of every request since the last `forget`."""

    clients: Clients
    clock: Moving = field(default_factory=Moving)
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.domain = Domain.model_validate_json((ROOT / "domain.json").read_text())
        self.naming = self.domain.naming("dev")
        self.clients.session.events.register("before-call.*.*", self._note)  # clients made from now on have it
        self._infrastructure()

    def _note(self, model: Any, **_: Any) -> None:
        self.calls.append(f"{model.service_model.endpoint_prefix}:{model.name}")

    def _infrastructure(self) -> None:
        s3, place = self.clients("s3"), {"LocationConstraint": self.naming.region}
        for purpose in ("raw", "refined", "curated", "artifacts", "logs"):
            s3.create_bucket(Bucket=self.naming.bucket(purpose), CreateBucketConfiguration=place)
            s3.put_bucket_versioning(Bucket=self.naming.bucket(purpose), VersioningConfiguration={"Status": "Enabled"})
        for layer in ("raw", "refined", "curated"):
            self.clients("glue").create_database(DatabaseInput={"Name": self.naming.database(layer)})
        key = self.clients("kms").create_key()["KeyMetadata"]["Arn"]
        subnet = self.naming.arn("ec2", "subnet/subnet-1")
        group = self.naming.arn("ec2", "security-group/sg-1")
        parameters = {"kms_key_arn": key, "connections": "f01-glue-a", "subnet_arns": subnet, "security_group_arns": group}
        for name, value in parameters.items():
            self.clients("ssm").put_parameter(Name=self.naming.of("baseline_parameter", name=name), Value=value, Type="String")
        jobs = {name: self.naming.of("platform_file", sha256="a" * 64, name=f"{name}.py") for name in ("merge", "sql", "files")}
        platform = {"library": self.naming.of("platform_file", sha256="b" * 64, name="dp_foundation.zip"), "jobs": jobs}
        name = self.naming.of("platform_parameter", name="release")
        self.clients("ssm").put_parameter(Name=name, Value=json.dumps(platform), Type="String")
        template = yaml_parse((ROOT / "template.yaml").read_text())
        table = dict(template["Resources"]["StateTable"]["Properties"])
        for unused in ("PointInTimeRecoverySpecification", "TimeToLiveSpecification", "SSESpecification"):
            table.pop(unused)
        self.clients("dynamodb").create_table(**{**table, "TableName": self.naming.of("state_table")})
        fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
        self.queue_url = self.clients("sqs").create_queue(QueueName="f01-meshplane-reconcile-dev.fifo", Attributes=fifo)["QueueUrl"]
        self.trigger_url = self.clients("sqs").create_queue(QueueName="f01-meshplane-trigger-dev")["QueueUrl"]

    @property
    def states(self) -> DynamoStates:
        return DynamoStates(self.clients("dynamodb"), self.naming.of("state_table"))

    @property
    def manifests(self) -> S3Manifests:
        return S3Manifests(self.clients, self.naming)

    @property
    def queue(self) -> SqsReconciles:
        return SqsReconciles(self.clients("sqs"), self.queue_url, self.naming)

    @property
    def run_ports(self) -> RunPorts:
        runs = DynamoRuns(self.clients("dynamodb"), self.naming.of("state_table"))
        records = PublishRecords(self.clients, self.naming)
        return RunPorts(runs, AwsExecutions(self.clients), SqsTriggers(self.clients, self.trigger_url), self.clock, records)

    @property
    def surroundings(self) -> Surroundings:
        plane = PlaneNames(
            self.naming.arn("sqs", "f01-meshplane-trigger-dev"),
            self.naming.arn("sqs", "f01-meshplane-target-dlq-dev"),
            f"arn:aws:iam::{self.naming.account_id}:role/f01-meshplane-scheduler-dev",
            self.naming.arn("sns", "f01-meshplane-alerts-dev"),
        )
        here = Here(self.domain, self.naming, plane)
        return Surroundings(here, self.manifests, SsmReleases(self.clients, self.naming), self.states)

    @property
    def tools(self) -> Tools:
        def opened(provenance: Any) -> Mapping[str, Any]:
            return adapters(self.clients, Listings(self.clients, self.naming), self.naming, provenance, self.clock)

        return Tools(opened, all_kinds(), Inline(), self.clock, lambda: timedelta(seconds=170), self.clock)

    @property
    def ports(self) -> Ports:
        return Ports(self.states, self.manifests, self.queue, ProjectRuns(self.run_ports), self.surroundings, self.tools)

    @property
    def plan_ports(self) -> PlanPorts:
        return PlanPorts(self.states, self.surroundings, self.tools)

    def put(self, project: str, text: str, release: str = "") -> str:
        """Upload a manifest as a plain client does; its version id."""
        more = {"Metadata": {"release": release}} if release else {}
        answer = self.clients("s3").put_object(
            Bucket=self.naming.bucket("artifacts"), Key=self.naming.manifest_key(project), Body=text.encode(), **more
        )
        return str(answer["VersionId"])

    def put_file(self, project: str, path: str, content: bytes) -> None:
        """Upload a file beside the manifest, as `aws s3 sync` does."""
        self.clients("s3").put_object(Bucket=self.naming.bucket("artifacts"), Key=f"manifests/{project}/{path}", Body=content)

    def drop(self, project: str) -> None:
        """Delete the manifest."""
        self.clients("s3").delete_object(Bucket=self.naming.bucket("artifacts"), Key=self.naming.manifest_key(project))

    def look(self, project: str, holder: str = "") -> Report:
        """One reconcile, a second after the last."""
        self.clock(timedelta(seconds=1))
        self.calls.clear()
        return reconcile_project(self.ports, project, holder)

    def sweep(self) -> Swept:
        """One sweep of projects."""
        return sweep_projects(self.states, self.manifests, self.queue, self.clock, lambda projects: {})

    def queued(self) -> list[str]:
        """Takes the messages off the reconcile queue; their groups."""
        groups: list[str] = []
        while True:
            answer = self.clients("sqs").receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10, AttributeNames=["All"])
            messages = answer.get("Messages", [])
            if not messages:
                return sorted(groups)
            for message in messages:
                groups.append(message["Attributes"]["MessageGroupId"].split("/")[1])
                self.clients("sqs").delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])

    def status(self, project: str) -> dict[str, Any]:
        """The status document as an author reads it."""
        body = self.clients("s3").get_object(Bucket=self.naming.bucket("artifacts"), Key=f"status/{project}.json")["Body"]
        return dict(json.loads(body.read()))

    def status_text(self, project: str) -> str:
        """The text beside it."""
        body = self.clients("s3").get_object(Bucket=self.naming.bucket("artifacts"), Key=f"status/{project}.txt")["Body"]
        return str(body.read().decode())

    def writes(self) -> list[str]:
        """Mutating requests of the last look, the state item's own apart."""
        return [call for call in self.calls if not call.split(":")[1].startswith(READS) and not call.startswith("dynamodb:")]

    def wipe_state(self) -> None:
        """Lose every item of the state table."""
        table, dynamodb = self.naming.of("state_table"), self.clients("dynamodb")
        for item in dynamodb.scan(TableName=table)["Items"]:
            with suppress(dynamodb.exceptions.ResourceNotFoundException):
                dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})
