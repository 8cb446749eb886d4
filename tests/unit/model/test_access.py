"""The three roles' policies: what P5 allows, and what it does not, asked of the documents themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from meshplane.model import access
from meshplane.model.access import Access, canonical
from meshplane.model.context import Neighbour
from meshplane.model.project import OwnAsl, Pipeline, TableRef
from tests.unit.kinds.sample import ARN, BASELINE, CONTACTS, CONTEXT, CUSTOMERS, NAMING, PLANE, REVENUE, SALES, table

RAW, REFINED, CURATED, ARTIFACTS = (NAMING.bucket_arn(purpose) for purpose in ("raw", "refined", "curated", "artifacts"))


def GLUE(resource: str) -> str:  # noqa: N802 - a constant of the table of probes, but for its last part
    return ARN("glue", resource)


def allows(document: Mapping[str, Any], action: str, resource: str, **keys: str) -> bool:
    """IAM's allow for one request, as far as these documents use it: no Deny, string and ARN conditions only."""
    return any(_applies(statement, action, resource, keys) for statement in document["Statement"])


def _applies(statement: Mapping[str, Any], action: str, resource: str, keys: Mapping[str, str]) -> bool:
    asked = {
        "s3_prefix": "s3:prefix",
        "namespace": "cloudwatch:namespace",
        "via": "kms:ViaService",
        "subnet": "ec2:Subnet",
        "tag": "aws:TagKeys",
    }
    given = {asked[key]: value for key, value in keys.items()}
    conditions = [(key, values) for test in statement.get("Condition", {}).values() for key, values in test.items()]
    met = all(
        key in given and any(fnmatchcase(given[key], v) for v in ([values] if isinstance(values, str) else values))
        for key, values in conditions
    )
    return (
        met
        and any(fnmatchcase(action, each) for each in statement["Action"])
        and any(fnmatchcase(resource, each.replace("?", "[!/]")) for each in statement["Resource"])
    )


JOB = [
    ("own data is its own", True, "s3:PutObject", f"{REFINED}/sales/iceberg/orders/data/x.parquet", {}),
    ("raw too", True, "s3:GetObject", f"{RAW}/sales/orders_raw/dt=1/a.csv", {}),
    ("an old version, which the ledger names", True, "s3:GetObjectVersion", f"{RAW}/sales/orders_raw/dt=1/a.csv", {}),
    ("another project's data is not", False, "s3:GetObject", f"{REFINED}/finance/iceberg/x", {}),
    ("a project whose name begins alike is another", False, "s3:GetObject", f"{REFINED}/sales2/iceberg/x", {}),
    ("a shared table's data can be read", True, "s3:GetObject", f"{REFINED}/customers/iceberg/contacts/data/x", {}),
    ("but not written", False, "s3:PutObject", f"{REFINED}/customers/iceberg/contacts/data/x", {}),
    ("its neighbour's other table cannot", False, "s3:GetObject", f"{REFINED}/customers/iceberg/contacts2/data/x", {}),
    ("the same prefix in another bucket is not shared", False, "s3:GetObject", f"{RAW}/customers/iceberg/contacts/x", {}),
    ("listing needs the own prefix", True, "s3:ListBucket", REFINED, {"s3_prefix": "sales/iceberg/"}),
    ("a whole bucket cannot be listed", False, "s3:ListBucket", REFINED, {}),
    ("nor another's prefix", False, "s3:ListBucket", REFINED, {"s3_prefix": "finance/"}),
    ("nor a prefix that begins alike", False, "s3:ListBucket", REFINED, {"s3_prefix": "sales2/"}),
    ("a shared table can be listed", True, "s3:ListBucket", REFINED, {"s3_prefix": "customers/iceberg/contacts/metadata/"}),
    ("in its own bucket only", False, "s3:ListBucket", CURATED, {"s3_prefix": "customers/iceberg/contacts/"}),
    ("own files", True, "s3:GetObject", f"{ARTIFACTS}/sales/files/{'a' * 64}/daily_revenue.py", {}),
    ("own files are read only", False, "s3:PutObject", f"{ARTIFACTS}/sales/files/{'a' * 64}/daily_revenue.py", {}),
    ("the platform's files", True, "s3:GetObject", f"{ARTIFACTS}/platform/files/1/dp_foundation.zip", {}),
    ("another project's files are not", False, "s3:GetObject", f"{ARTIFACTS}/finance/files/1/x.py", {}),
    ("manifests are not a job's business", False, "s3:GetObject", f"{ARTIFACTS}/manifests/sales/project.yaml", {}),
    ("own temp can be written", True, "s3:PutObject", f"{ARTIFACTS}/glue-temp/sales/x", {}),
    ("another's temp cannot", False, "s3:PutObject", f"{ARTIFACTS}/glue-temp/finance/x", {}),
    ("own tables can be read", True, "glue:GetTable", GLUE("table/f01_de_refined/sales_orders"), {}),
    ("and written", True, "glue:UpdateTable", GLUE("table/f01_de_refined/sales_orders"), {}),
    ("never dropped: data outlives a job", False, "glue:DeleteTable", GLUE("table/f01_de_refined/sales_orders"), {}),
    ("a shared table can be read", True, "glue:GetTable", GLUE("table/f01_de_refined/customers_contacts"), {}),
    ("not written", False, "glue:UpdateTable", GLUE("table/f01_de_refined/customers_contacts"), {}),
    ("an unshared one not even read", False, "glue:GetTable", GLUE("table/f01_de_refined/customers_segments"), {}),
    ("the database default, which Spark looks up", True, "glue:GetDatabase", GLUE("database/default"), {}),
    ("no table of it", False, "glue:GetTable", GLUE("table/default/anything"), {}),
    ("databases are Terraform's", False, "glue:UpdateDatabase", GLUE("database/f01_de_refined"), {}),
    ("jobs make no jobs", False, "glue:CreateJob", GLUE("job/x"), {}),
    ("the named secret", True, "secretsmanager:GetSecretValue", ARN("secretsmanager", "secret:f01/dev/sales/fx-api-AbCdEf"), {}),
    ("no other secret", False, "secretsmanager:GetSecretValue", ARN("secretsmanager", "secret:f01/dev/sales/other-AbCdEf"), {}),
    (
        "no secret whose name is longer",
        False,
        "secretsmanager:GetSecretValue",
        ARN("secretsmanager", "secret:f01/dev/sales/fx-api-2-AbCdEf"),
        {},
    ),
    ("own parameters", True, "ssm:GetParameter", ARN("ssm", "parameter/f01/dev/sales/x"), {}),
    ("not the baseline's", False, "ssm:GetParameter", ARN("ssm", "parameter/f01/dev/baseline/kms_key_arn"), {}),
    ("an interface on a domain subnet", True, "ec2:CreateNetworkInterface", BASELINE.subnet_arns[0], {}),
    ("not on another", False, "ec2:CreateNetworkInterface", ARN("ec2", "subnet/subnet-x"), {}),
    (
        "deletes interfaces of domain subnets",
        True,
        "ec2:DeleteNetworkInterface",
        ARN("ec2", "network-interface/eni-1"),
        {"subnet": BASELINE.subnet_arns[1]},
    ),
    ("no others", False, "ec2:DeleteNetworkInterface", ARN("ec2", "network-interface/eni-1"), {"subnet": ARN("ec2", "subnet/subnet-x")}),
    ("Glue's own tag", True, "ec2:CreateTags", ARN("ec2", "network-interface/eni-1"), {"tag": "aws-glue-service-resource"}),
    ("no other tag", False, "ec2:CreateTags", ARN("ec2", "network-interface/eni-1"), {"tag": "meshplane:project"}),
    ("Glue's log groups", True, "logs:PutLogEvents", ARN("logs", "log-group:/aws-glue/jobs/output:log-stream:jr_1"), {}),
    ("no others", False, "logs:PutLogEvents", ARN("logs", "log-group:/aws/lambda/x:log-stream:y"), {}),
    ("the domain key", True, "kms:Decrypt", BASELINE.kms_key_arn, {}),
    ("no other key", False, "kms:Decrypt", ARN("kms", "key/other"), {}),
    ("metrics of Glue", True, "cloudwatch:PutMetricData", "*", {"namespace": "Glue"}),
    ("no other namespace", False, "cloudwatch:PutMetricData", "*", {"namespace": "AWS/Billing"}),
    ("assumes nothing", False, "sts:AssumeRole", f"arn:aws:iam::{NAMING.account_id}:role/any", {}),
]


@pytest.mark.parametrize(("reason", "expected", "action", "resource", "keys"), JOB, ids=[row[0] for row in JOB])
def test_a_job_may_do_what_p5_says_and_no_more(reason: str, expected: bool, action: str, resource: str, keys: dict[str, str]) -> None:
    assert allows(Access(SALES, CONTEXT).job(), action, resource, **keys) is expected, reason


OPTIMIZER = [
    ("rewrites own data", True, "s3:PutObject", f"{REFINED}/sales/iceberg/orders/data/x"),
    ("own tables only", False, "glue:UpdateTable", GLUE("table/f01_de_refined/customers_contacts")),
    ("commits to own tables", True, "glue:UpdateTable", GLUE("table/f01_de_curated/sales_daily_revenue")),
    ("no shared data", False, "s3:GetObject", f"{REFINED}/customers/iceberg/contacts/data/x"),
    ("no network", False, "ec2:CreateNetworkInterface", BASELINE.subnet_arns[0]),
    ("no parameters", False, "ssm:GetParameter", ARN("ssm", "parameter/f01/dev/sales/x")),
    ("no secrets", False, "secretsmanager:GetSecretValue", ARN("secretsmanager", "secret:f01/dev/sales/fx-api-AbCdEf")),
]


@pytest.mark.parametrize(("reason", "expected", "action", "resource"), OPTIMIZER, ids=[row[0] for row in OPTIMIZER])
def test_an_optimizer_may_do_less(reason: str, expected: bool, action: str, resource: str) -> None:
    assert allows(Access(SALES, CONTEXT).optimizer(), action, resource) is expected, reason


PIPELINE = [
    ("runs an own job", True, "glue:StartJobRun", GLUE("job/f01-sales-load_orders-dev"), {}),
    ("no other project's", False, "glue:StartJobRun", GLUE("job/f01-customers-load-dev"), {}),
    ("tells the domain's topic", True, "sns:Publish", PLANE.alert_topic_arn, {}),
    ("no other topic", False, "sns:Publish", ARN("sns", "other"), {}),
    ("uses the key through SNS only", False, "kms:Decrypt", BASELINE.kms_key_arn, {}),
    ("through SNS", True, "kms:Decrypt", BASELINE.kms_key_arn, {"via": "sns.eu-central-1.amazonaws.com"}),
    ("PutResourcePolicy would be an escalation", False, "logs:PutResourcePolicy", "*", {}),
    ("touches no data", False, "s3:GetObject", f"{REFINED}/sales/x", {}),
]


@pytest.mark.parametrize(("reason", "expected", "action", "resource", "keys"), PIPELINE, ids=[row[0] for row in PIPELINE])
def test_a_pipeline_runs_its_jobs_and_gives_notice(reason: str, expected: bool, action: str, resource: str, keys: dict[str, str]) -> None:
    assert allows(Access(SALES, CONTEXT).pipeline(), action, resource, **keys) is expected, reason


def test_own_asl_may_call_the_listed_targets_and_no_more() -> None:
    function = ARN("lambda", "function:score")
    own = Pipeline("own", asl=OwnAsl("pipelines/own.asl.json", (function,)))
    document = Access(replace(SALES, pipelines={"own": own}), CONTEXT).pipeline()
    assert allows(document, "lambda:InvokeFunction", function)
    assert allows(document, "lambda:InvokeFunction", f"{function}:live")
    assert not allows(document, "lambda:InvokeFunction", ARN("lambda", "function:other"))
    assert not allows(document, "sns:Publish", PLANE.alert_topic_arn), "no pipeline of this project gives notice"


# Actions that take no resource, by the Service Authorization Reference; PutMetricData is bound by its namespace instead.
WITHOUT_RESOURCE = {
    "cloudwatch:PutMetricData",
    *(f"ec2:Describe{what}" for what in ("NetworkInterfaces", "RouteTables", "SecurityGroups", "Subnets", "VpcEndpoints")),
    *(f"logs:{what}" for what in ("CreateLogDelivery", "DeleteLogDelivery", "DescribeLogGroups", "DescribeResourcePolicies")),
    *(f"logs:{what}" for what in ("GetLogDelivery", "ListLogDeliveries", "UpdateLogDelivery")),
}


@pytest.mark.parametrize("role", ["job", "optimizer", "pipeline"])
def test_no_star_where_the_action_takes_a_resource(role: str) -> None:
    document = getattr(Access(SALES, CONTEXT), role)()
    for statement in document["Statement"]:
        assert all(":" in action and "*" not in action for action in statement["Action"]), "actions are named one by one"
        if "*" in statement["Resource"]:
            assert set(statement["Action"]) <= WITHOUT_RESOURCE, statement["Sid"]


@pytest.mark.parametrize("role", ["job", "optimizer", "pipeline"])
def test_the_documents_as_they_are(role: str, snapshot: SnapshotAssertion) -> None:
    assert json.dumps(getattr(Access(SALES, CONTEXT), role)(), indent=1) == snapshot


@pytest.mark.parametrize("service", ["glue", "states"])
def test_only_this_account_may_make_the_service_assume_the_role(service: str) -> None:
    document = access.trust(service, CONTEXT, ARN("states", "stateMachine:f01-sales-pipeline-*-dev") if service == "states" else "")
    (statement,) = document["Statement"]
    assert statement["Principal"] == {"Service": f"{service}.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": NAMING.account_id}
    assert ("ArnLike" in statement["Condition"]) is (service == "states")


WAITS = [
    ("not granted", replace(CUSTOMERS, tables={"contacts": replace(CONTACTS, readers=("finance",))}), "readers does not name 'sales'"),
    ("not declared", replace(CUSTOMERS, tables={}), "to declare and apply table 'contacts'"),
    ("not published", Neighbour("customers"), "'customers' to be published"),
    ("not known", None, "'customers' to be published"),
]


@pytest.mark.parametrize(("case", "neighbour", "text"), WAITS, ids=[row[0] for row in WAITS])
def test_a_read_that_is_not_granted_is_a_stated_wait_and_opens_nothing(case: str, neighbour: Neighbour | None, text: str) -> None:
    context = replace(CONTEXT, neighbours={"customers": neighbour} if neighbour else {})
    (why,) = access.waits(REVENUE, SALES, context)
    assert text in why
    document = Access(SALES, context).job()
    assert not allows(document, "s3:GetObject", f"{REFINED}/customers/iceberg/contacts/data/x")
    assert not allows(document, "glue:GetTable", GLUE("table/f01_de_refined/customers_contacts"))


def test_a_shared_table_that_no_job_reads_stays_closed() -> None:
    silent = replace(SALES, jobs={"daily_revenue": replace(REVENUE, reads=(TableRef("sales", "orders"),))})
    assert not allows(Access(silent, CONTEXT).job(), "s3:GetObject", f"{REFINED}/customers/iceberg/contacts/data/x")


def test_a_physical_name_grants_nothing() -> None:
    """It may be another project's table: only what begins with the project's own name is its own."""
    evil = replace(SALES, tables={"orders": table("orders", physical_name="customers_contacts")})
    document = Access(evil, CONTEXT).job()
    for action in ("glue:UpdateTable", "glue:BatchCreatePartition"):
        assert not allows(document, action, GLUE("table/f01_de_refined/customers_contacts"))
    assert allows(document, "glue:UpdateTable", GLUE("table/f01_de_refined/sales_orders"))


SAME = [
    ("order of keys", {"Version": "1", "Statement": []}, {"Statement": [], "Version": "1"}),
    ("one statement without its list", {"Statement": {"Action": "a:B"}}, {"Statement": [{"Action": ["a:B"]}]}),
    ("a scalar is a list of one", {"Statement": [{"Resource": "r"}]}, {"Statement": [{"Resource": ["r"]}]}),
    ("order of actions", {"Statement": [{"Action": ["b", "a"]}]}, {"Statement": [{"Action": ["a", "b"]}]}),
    ("a condition's scalar", {"Statement": [{"Condition": {"T": {"k": "v"}}}]}, {"Statement": [{"Condition": {"T": {"k": ["v"]}}}]}),
]


@pytest.mark.parametrize(("reason", "one", "other"), SAME, ids=[row[0] for row in SAME])
def test_documents_of_one_meaning_have_one_text(reason: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    assert canonical(one) == canonical(json.dumps(other)) == canonical(canonical(one)), reason


def test_documents_of_other_meaning_have_another_text() -> None:
    allow, deny = ({"Statement": [{"Effect": effect, "Action": "a", "Resource": "r"}]} for effect in ("Allow", "Deny"))
    assert canonical(allow) != canonical(deny)
