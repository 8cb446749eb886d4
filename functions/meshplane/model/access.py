"""The policy documents of a project's three roles, exactly as REQUIREMENTS P5 says. Pure; called by `kinds/role`.

Documents are built as objects and serialised once by `canonical`, never put together as text. `*` as a resource stands only where
the action takes no resource (Service Authorization Reference); names come from `model/naming`, whose alphabet has no wildcard.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from meshplane.model.asl_ingest import sources_of
from meshplane.model.context import Context, SharedTable
from meshplane.model.gating import gated_jobs, publish_function
from meshplane.model.project import Job, Pipeline, Project, Table, TableRef

Statement = Mapping[str, Any]

INLINE_LIMIT = 10_240  # characters of all inline policies of one role, white space not counted (IAM quotas)

_CATALOG_READ = ("glue:BatchGetPartition", "glue:GetPartition", "glue:GetPartitions", "glue:GetTable", "glue:GetTables")
_CATALOG_WRITE = (
    "glue:BatchCreatePartition",
    "glue:BatchDeletePartition",
    "glue:CreatePartition",
    "glue:CreateTable",
    "glue:DeletePartition",
    "glue:UpdatePartition",
    "glue:UpdateTable",
)
_OBJECTS = (
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
)
_LAYERS = ("curated", "raw", "refined")

# Own ASL may call these beside its jobs: service of the target's ARN → the action that the integration needs.
TARGET_ACTIONS: Mapping[str, str] = {
    "events": "events:PutEvents",
    "lambda": "lambda:InvokeFunction",
    "sns": "sns:Publish",
    "sqs": "sqs:SendMessage",
    "states": "states:StartExecution",
}


def canonical(document: Mapping[str, Any] | str) -> str:
    """A policy document as one comparable text: sorted keys, every list of names sorted and never a bare scalar.

    IAM gives a document back with another order of keys, and a list of one as it was sent; meaning is what is compared.
    """
    body = json.loads(document) if isinstance(document, str) else document
    return json.dumps(_normal(body), sort_keys=True, separators=(",", ":"))


def _normal(value: Any, key: str = "") -> Any:
    if key == "Statement":
        statements = [_normal(each) for each in (value if isinstance(value, list | tuple) else [value])]
        return sorted(statements, key=lambda each: json.dumps(each, sort_keys=True))
    if isinstance(value, Mapping):
        return {name: _normal(inner, name) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return sorted(str(each) for each in value)
    return str(value) if key in ("Version", "Id", "Sid", "Effect") else [str(value)]


def _allow(sid: str, actions: Iterable[str], resources: Iterable[str], **condition: Mapping[str, object]) -> Statement:
    statement: dict[str, Any] = {"Sid": sid, "Effect": "Allow", "Action": sorted(actions), "Resource": sorted(set(resources))}
    return {**statement, "Condition": condition} if condition else statement


def _document(statements: Iterable[Statement | None]) -> Mapping[str, Any]:
    return {"Version": "2012-10-17", "Statement": [each for each in statements if each is not None]}


def trust(service: str, context: Context, source_arn: str = "") -> Mapping[str, Any]:
    """Only this service, acting for this account (and for `source_arn`, where the service sends it), may assume the role."""
    condition: dict[str, Any] = {"StringEquals": {"aws:SourceAccount": context.naming.account_id}}
    if source_arn:
        condition["ArnLike"] = {"aws:SourceArn": source_arn}
    principal = {"Service": f"{service}.amazonaws.com"}
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", "Condition": condition}],
    }


def foreign_table(ref: TableRef, reader: str, context: Context) -> tuple[SharedTable | None, str]:
    """The shared table that `reader` may read as `ref`, or why not (a stated wait): both sides must say so.

    Unpublished project, undeclared table and read not granted read the same to a stranger: nothing of it is granted yet.
    """
    owner = context.neighbours.get(ref.project)
    name = f"{ref.project}.{ref.table}"
    if owner is None or not owner.published:
        return None, f"waits for project '{ref.project}' to be published: it reads {name}"
    found = owner.tables.get(ref.table)
    if found is None:
        return None, f"waits for project '{ref.project}' to declare and apply table '{ref.table}'"
    if reader not in found.readers:
        return None, f"waits for project '{ref.project}' to grant the read: tables.{ref.table}.readers does not name '{reader}'"
    return found, ""


def granted_reads(project: Project, context: Context) -> Sequence[SharedTable]:
    """The tables of other projects that jobs of this one declare to read and their owners share with it, each once."""
    refs = (ref for job in project.jobs.values() for ref in job.reads if ref.project != project.name)
    found = (foreign_table(ref, project.name, context)[0] for ref in refs)
    return sorted({(t.database, t.name): t for t in found if t is not None}.values(), key=lambda t: (t.database, t.name))


class Access:
    """The documents of one project in one context. Every method is pure."""

    def __init__(self, project: Project, context: Context) -> None:
        self.project, self.context, self.naming = project, context, context.naming
        self.prefix = self.naming.of("data_prefix", project=project.name)

    def job(self) -> Mapping[str, Any]:
        """What a job's run may do (P5)."""
        foreign = granted_reads(self.project, self.context)
        return _document(
            (
                *self._data(_OBJECTS),
                *self._foreign_data(foreign),
                *self._artifacts(),
                self._catalog_read(foreign),
                self._catalog_write(),
                self._secrets(),
                self._parameters(),
                *self._network(),
                self._logs(),
                self._key(),
                _allow("Metrics", ("cloudwatch:PutMetricData",), ("*",), StringEquals={"cloudwatch:namespace": "Glue"}),
            )
        )

    def optimizer(self) -> Mapping[str, Any]:
        """What Glue's table optimizers may do: the same S3 scope, own tables, no network, no parameters."""
        read = _allow("Catalog", ("glue:GetTable", "glue:UpdateTable"), self._catalog(self._own_tables()))
        return _document(
            (*self._data(("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject")), read, self._logs(), self._key())
        )

    def pipeline(self) -> Mapping[str, Any]:
        """What a state machine's execution may do: run the project's own jobs, give notice, call the listed targets."""
        jobs = [self.naming.arn("glue", f"job/{self.naming.job(self.project.name, job)}") for job in self.project.jobs]
        run = _allow("RunJobs", ("glue:BatchStopJobRun", "glue:GetJobRun", "glue:GetJobRuns", "glue:StartJobRun"), jobs) if jobs else None
        topics = {topic(pipeline, self.context) for pipeline in self.project.pipelines.values()} - {""}
        notify = _allow("Notify", ("sns:Publish",), topics) if topics else None
        via = {"kms:ViaService": f"sns.{self.naming.region}.amazonaws.com"}
        encrypt = _allow("NotifyEncrypted", ("kms:Decrypt", "kms:GenerateDataKey"), (self.context.baseline.kms_key_arn,), StringEquals=via)
        return _document((run, notify, encrypt if topics else None, self._ingest(), self._publish(), *self._targets(), _log_delivery()))

    def _publish(self) -> Statement | None:
        """The plane's function that moves `main`, where a job writes a gated table."""
        function = publish_function(self.naming)
        return _allow("Publish", ("lambda:InvokeFunction",), (function, f"{function}:*")) if gated_jobs(self.project) else None

    def _ingest(self) -> Statement | None:
        """The plane's function that fetches sources, where a step does."""
        fetching = any(sources_of(pipeline.steps) for pipeline in self.project.pipelines.values())
        function = self.naming.arn("lambda", f"function:{self.naming.of('ingest_function')}")
        return _allow("Ingest", ("lambda:InvokeFunction",), (function,)) if fetching else None

    def _data(self, actions: Iterable[str]) -> Iterable[Statement]:
        buckets = [self.naming.bucket_arn(layer) for layer in _LAYERS]
        yield _allow("OwnData", actions, [f"{bucket}/{self.prefix}*" for bucket in buckets])
        yield _allow("ListOwnData", ("s3:ListBucket", "s3:ListBucketVersions"), buckets, StringLike={"s3:prefix": [f"{self.prefix}*"]})
        yield _allow("BucketLocation", ("s3:GetBucketLocation",), buckets)

    def _foreign_data(self, foreign: Sequence[SharedTable]) -> Iterable[Statement]:
        if not foreign:
            return
        yield _allow("SharedData", ("s3:GetObject", "s3:GetObjectVersion"), [f"{_s3_arn(t)}/*" for t in foreign])
        # One statement per bucket: a prefix shared in one bucket must not open the same prefix in another.
        for bucket in sorted({_bucket(t) for t in foreign}):
            prefixes = sorted(f"{_key(t)}/*" for t in foreign if _bucket(t) == bucket)
            sid = "ListShared" + next(t.layer for t in foreign if _bucket(t) == bucket).title()
            yield _allow(sid, ("s3:ListBucket", "s3:ListBucketVersions"), (f"arn:aws:s3:::{bucket}",), StringLike={"s3:prefix": prefixes})

    def _artifacts(self) -> Iterable[Statement]:
        own = self.naming.of("project_file", project=self.project.name, sha256="*", name="*")
        platform = self.naming.of("platform_file", sha256="*", name="*")
        temp = self.naming.of("temp_prefix", project=self.project.name)
        bucket = self.naming.bucket_arn("artifacts")
        yield _allow("Files", ("s3:GetObject",), (f"{bucket}/{own}", f"{bucket}/{platform}"))
        actions = ("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject")
        yield _allow("Temp", actions, (f"{bucket}/{temp}*",))
        yield _allow("ListTemp", ("s3:ListBucket",), (bucket,), StringLike={"s3:prefix": [f"{temp}*"]})

    def _catalog(self, tables: Iterable[str]) -> Sequence[str]:
        """The catalog and the domain's databases, which every catalog action asks for beside its tables."""
        databases = [self.naming.arn("glue", f"database/{self.naming.database(layer)}") for layer in _LAYERS]
        return [self.naming.arn("glue", "catalog"), *databases, *tables]

    def _own_tables(self) -> Sequence[str]:
        """By the project's prefix only: a name that a manifest chose may be another project's table."""
        pattern = self.naming.table(self.project.name, "*")
        return [self.naming.arn("glue", f"table/{self.naming.database(layer)}/{pattern}") for layer in _LAYERS]

    def _catalog_read(self, foreign: Sequence[SharedTable]) -> Statement:
        default = self.naming.arn("glue", "database/default")  # Spark's Hive client looks it up at the start of each session
        shared = [self.naming.arn("glue", f"table/{t.database}/{t.name}") for t in foreign]
        actions = (*_CATALOG_READ, "glue:GetDatabase", "glue:GetDatabases", "glue:GetUserDefinedFunctions")
        return _allow("CatalogRead", actions, (*self._catalog(self._own_tables()), default, *shared))

    def _catalog_write(self) -> Statement:
        return _allow("CatalogWrite", _CATALOG_WRITE, self._catalog(self._own_tables()))

    def _secrets(self) -> Statement | None:
        names = {secret_name(name, self.project, self.context) for job in self.project.jobs.values() for name in job.secrets.values()}
        # Secrets Manager ends every secret's ARN with a dash and six characters of its own.
        arns = [self.naming.arn("secretsmanager", f"secret:{name}-??????") for name in names]
        return _allow("Secrets", ("secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"), arns) if arns else None

    def _parameters(self) -> Statement:
        path = self.naming.of("parameter", project=self.project.name, name="*")
        actions = ("ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath")
        return _allow("Parameters", actions, (self.naming.arn("ssm", f"parameter{path}"),))

    def _network(self) -> Iterable[Statement]:
        baseline, interfaces = self.context.baseline, self.naming.arn("ec2", "network-interface/*")
        subnets = {"ec2:Subnet": list(baseline.subnet_arns)}
        places = (interfaces, *baseline.subnet_arns, *baseline.security_group_arns)
        yield _allow("CreateInterfaces", ("ec2:CreateNetworkInterface",), places)
        yield _allow("DeleteInterfaces", ("ec2:DeleteNetworkInterface",), (interfaces,), ArnEquals=subnets)
        # The one tag with which Glue marks the interfaces that it made for a run.
        tags = {"aws:TagKeys": ["aws-glue-service-resource"]}
        yield _allow("TagInterfaces", ("ec2:CreateTags",), (interfaces,), **{"ForAllValues:StringEquals": tags})
        describe = ("NetworkInterfaces", "RouteTables", "SecurityGroups", "Subnets", "VpcEndpoints")
        yield _allow("DescribeNetwork", [f"ec2:Describe{what}" for what in describe], ("*",))
        connections = [self.naming.arn("glue", f"connection/{name}") for name in baseline.connections]
        yield _allow("Connections", ("glue:GetConnection",), (self.naming.arn("glue", "catalog"), *connections))

    def _logs(self) -> Statement:
        actions = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
        return _allow("Logs", actions, (self.naming.arn("logs", "log-group:/aws-glue/*"),))

    def _key(self) -> Statement:
        return _allow("Key", ("kms:Decrypt", "kms:GenerateDataKey"), (self.context.baseline.kms_key_arn,))

    def _targets(self) -> Iterable[Statement]:
        targets = {target for pipeline in self.project.pipelines.values() if pipeline.asl for target in pipeline.asl.targets}
        for service, action in TARGET_ACTIONS.items():
            arns = [target for target in targets if target.split(":")[2:3] == [service]]
            if arns:
                # A function is invoked by its ARN or by that of a version or alias of it.
                yield _allow(f"Call{service.title()}", (action,), [*arns, *(f"{arn}:*" for arn in arns if service == "lambda")])


def _log_delivery() -> Statement:
    # None of these takes a resource. PutResourcePolicy, which the documented set has too, would be an escalation: the groups lie
    # under /aws/vendedlogs/states/, which the baseline's one resource policy covers.
    words = ("CreateLogDelivery", "DeleteLogDelivery", "DescribeLogGroups", "DescribeResourcePolicies", "GetLogDelivery")
    more = ("ListLogDeliveries", "UpdateLogDelivery")
    return _allow("LogDelivery", [f"logs:{word}" for word in (*words, *more)], ("*",))


def topic(pipeline: Pipeline, context: Context) -> str:
    """The SNS topic that hears of a pipeline's failure; empty when nobody does."""
    return context.plane.alert_topic_arn if pipeline.notify == "domain" else pipeline.notify


def secret_name(name: str, project: Project, context: Context) -> str:
    """The secret's physical name: `f01/dev/sales/fx-api`."""
    return context.naming.of("secret", project=project.name, name=name)


def table_name(table: Table, project: Project, context: Context) -> str:
    """`f01_de_refined.sales_orders`: the id of a table's resource, too."""
    return f"{context.naming.database(table.layer)}.{table.physical_name or context.naming.table(project.name, table.name)}"


def waits(job: Job, project: Project, context: Context) -> Sequence[str]:
    """Why a job cannot be made yet: each read that its owner has not granted, or whose project is not there."""
    return [why for ref in job.reads if ref.project != project.name for _, why in [foreign_table(ref, project.name, context)] if why]


def _bucket(table: SharedTable) -> str:
    return table.location.removeprefix("s3://").partition("/")[0]


def _key(table: SharedTable) -> str:
    return table.location.removeprefix("s3://").partition("/")[2].rstrip("/")


def _s3_arn(table: SharedTable) -> str:
    return f"arn:aws:s3:::{_bucket(table)}/{_key(table)}"
