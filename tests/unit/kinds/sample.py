"""A domain and two projects as values, for tests of kinds and adapters: built by hand, complete, without a manifest."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from meshplane.model.baseline import Baseline
from meshplane.model.context import Context, Neighbour, PlaneNames, SharedTable
from meshplane.model.domain import Domain
from meshplane.model.project import (
    FilesTrigger,
    Job,
    JobStep,
    Parallel,
    Pipeline,
    PipelineTrigger,
    Project,
    ScheduleTrigger,
    Sequence,
    Table,
    TableRef,
    Write,
)
from meshplane.model.release import PlatformRelease, Release
from meshplane.model.types import Decimal, Field, Primitive

ACCOUNT, REGION = "390403879405", "eu-central-1"
DOMAIN = Domain(domain_name="retail", domain_abbr="f01", aws_region=REGION, country_code="de", accounts={"dev": ACCOUNT})
NAMING = DOMAIN.naming("dev")


def ARN(service: str, resource: str) -> str:  # noqa: N802 - stands among the constants of the account
    """An ARN of this account and Region."""
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


BASELINE = Baseline(
    kms_key_arn=ARN("kms", "key/0a1b2c3d-0000-4000-8000-00000000000a"),
    connections=("f01-a-dev", "f01-b-dev"),
    subnet_arns=(ARN("ec2", "subnet/subnet-a"), ARN("ec2", "subnet/subnet-b")),
    security_group_arns=(ARN("ec2", "security-group/sg-1"),),
    boundary_arn=f"arn:aws:iam::{ACCOUNT}:policy/f01-project-boundary-dev",
)
PLANE = PlaneNames(
    trigger_queue_arn=ARN("sqs", "f01-meshplane-triggers-dev"),
    target_dlq_arn=ARN("sqs", "f01-meshplane-targets-dead-dev"),
    scheduler_role_arn=f"arn:aws:iam::{ACCOUNT}:role/f01-meshplane-scheduler-dev",
    alert_topic_arn=ARN("sns", "f01-meshplane-alerts-dev"),
)
RELEASE = Release(
    digest="d" * 64,
    files={
        "jobs/daily_revenue.py": "a" * 64,
        "sql/top.sql": "b" * 64,
        "lib/x.jar": "e" * 64,
        "wheels/phonenumbers-9.0.1-py2.py3-none-any.whl": "f" * 64,
    },
    bundles={"lib/": "c" * 64},
    wheels={"phonenumbers==9.0.1": ("phonenumbers-9.0.1-py2.py3-none-any.whl",)},
)
PLATFORM = PlatformRelease(
    library="platform/files/1111/dp_foundation.zip",
    jobs={"merge": "platform/files/2222/merge.py", "sql": "platform/files/3333/sql.py", "files": "platform/files/4444/files.py"},
)


def table(name: str, layer: Any = "refined", **fields: Any) -> Table:
    """Two columns, key order_id; Iceberg unless it says otherwise."""
    columns = (Field("order_id", Primitive("long")), Field("amount", Decimal(12, 2)))
    return replace(Table(name, layer, "iceberg", columns, key=("order_id",)), **fields)


RAW = Table("orders_raw", "raw", "csv", (Field("order_id", Primitive("string")),), hive_partition=("dt",))
MERGE = Job("load_orders", use="merge", reads=(TableRef("sales", "orders_raw"),), writes=(Write("orders", "merge"),))
REVENUE = Job(
    "daily_revenue",
    script="jobs/daily_revenue.py",
    reads=(TableRef("sales", "orders"), TableRef("customers", "contacts", ("customer_id", "country"))),
    writes=(Write("daily_revenue", "merge"),),
    timeout=timedelta(minutes=30),
    packages=("phonenumbers==9.0.1",),
    modules=("lib/",),
    jars=("lib/x.jar",),
    spark={"spark.sql.shuffle.partitions": "64"},
    secrets={"rates": "fx-api"},
    arguments={"country": "DE"},
    description="Revenue per day",
)
TOP = Job("top", sql="sql/top.sql", reads=(TableRef("sales", "daily_revenue"),), writes=(Write("daily_revenue", "overwrite_window"),))
DAILY = Pipeline(
    "daily",
    steps=(JobStep("load_orders"), JobStep("daily_revenue", retry=2)),
    triggers=(
        FilesTrigger("landed", "orders_raw"),
        PipelineTrigger("after_customers", "customers", "daily"),
        ScheduleTrigger("nightly", "cron(0 6 * * ? *)", "Europe/Berlin"),
    ),
    notify="domain",
)
SALES = Project(
    "sales",
    tables={"orders_raw": RAW, "orders": table("orders"), "daily_revenue": table("daily_revenue", "curated")},
    jobs={"load_orders": MERGE, "daily_revenue": REVENUE, "top": TOP},
    pipelines={"daily": DAILY},
)
CONTACTS = SharedTable(
    NAMING.database("refined"),
    "customers_contacts",
    NAMING.table_location("customers", "contacts", "refined", True),
    "refined",
    "iceberg",
    ("sales",),
    (Field("customer_id", Primitive("long")), Field("country", Primitive("string"))),
    ("customer_id",),
)
CUSTOMERS = Neighbour("customers", True, {"contacts": CONTACTS}, ("daily",))
CONTEXT = Context(DOMAIN, NAMING, BASELINE, PLATFORM, PLANE, RELEASE, {"customers": CUSTOMERS})


def with_steps(*steps: Any, notify: str = "") -> Pipeline:
    """The pipeline `daily` with other steps and no trigger."""
    return Pipeline("daily", steps=steps, notify=notify)


def side_by_side(*branches: Any) -> Parallel:
    """Each branch a step, or a sequence of steps."""
    return Parallel(tuple(branch.steps if isinstance(branch, Sequence) else (branch,) for branch in branches))
