"""Faults put into a copy that was green: the gate that each names turns red, tells file and resource, and no other one does.

A fault is a text that is replaced in a file, or a file that is written. Beside it stand the gates that may also see it.
"""

# ruff: noqa: E501  # a fault a line reads as the table that it is
from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.gates import GATES, ROOT

COPIED = (
    "projects",
    "baseline_tf",
    ".github",
    "functions/meshplane/naming.json",
    "template.yaml",
    "template.checkov.yaml",
    "domain.json",
    "Dockerfile",
)
SALES, CUSTOMERS, SCRIPT = "projects/sales/project.yaml", "projects/customers/project.yaml", "projects/sales/jobs/daily_revenue.py"
DEPLOY, PR = ".github/workflows/_deploy.yml", ".github/workflows/pr.yml"
VALIDATE, CFN, ZIZMOR, SCHEMA, TF, POLICY = (
    "meshplane validate",
    "cfn-lint",
    "zizmor",
    "workflow schema",
    "checkov terraform",
    "policy lint",
)
CHECKOUT = "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2"
OWN_FILES = ("own.asl.json", "own.odcs.yaml")
OWN = '{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "nowhere"}}}'


@dataclass(frozen=True)
class Fault:
    """`old` empty: the file is written anew. `told`: what the finding names beside the file. `also`: other gates that see it."""

    what: str
    gate: str
    file: str
    old: str
    new: str
    told: str
    also: tuple[str, ...] = ()


FAULTS = (
    # what an author gets wrong (C6)
    Fault("an unknown key", VALIDATE, SALES, "  title: Sales", "  titel: Sales", "metadata.titel"),
    Fault("a type that cannot be", VALIDATE, SALES, "decimal(12,2)", "decimal(40,2)", "tables.orders.columns.amount"),
    Fault("a script that is not there", VALIDATE, SALES, "jobs/daily_revenue.py", "jobs/daily_revenu.py", "jobs.daily_revenue.script"),
    Fault("a script that imports awsglue", VALIDATE, SCRIPT, "from pyspark.sql import DataFrame", "import awsglue", "jobs.daily_revenue: imports awsglue"),
    Fault("a script that is no Python", VALIDATE, SCRIPT, "def main() -> None:", "def main( -> None:", "jobs.daily_revenue: is not Python 3.11"),
    Fault("a script that names another environment", VALIDATE, SCRIPT, '"sales-daily-revenue"', '"f01-raw-390403879405-de-prod"', "daily_revenue.py"),
    Fault("a job that reads no table", VALIDATE, SALES, "reads: orders_raw", "reads: order_raw", "jobs.load_orders.reads"),
    Fault("a key twice", VALIDATE, SALES, "  owner: sales", "  title: Again\n  owner: sales", "metadata.title"),
    Fault("a step of no job", VALIDATE, SALES, "      - load_orders\n", "      - load_order\n", "pipelines.daily.steps"),
    Fault("a worker type that prod alone has", VALIDATE, SALES, "10 x G.2X", "10 x G.99X", "environments.prod"),
    Fault("a rule on no column", VALIDATE, SALES, "range: amount", "range: amont", "tables.orders.rules.amounts"),
    Fault("a value that the column never holds", VALIDATE, SALES, "values: [EUR, USD, CHF]", "values: [EUR, 7]", "tables.orders.rules.currencies"),
    Fault("a rule that changes something", VALIDATE, SALES, "in_euro: { not_null: revenue_eur }", "in_euro: { sql: delete from daily_revenue }", "rules.in_euro"),
    Fault("a filter that is no condition", VALIDATE, SALES, "{ range: amount, min: 0 }", "{ range: amount, min: 0, filter: select 1 }", "rules.amounts"),
    Fault("a grant to itself", VALIDATE, CUSTOMERS, "readers: [sales]", "readers: [sales, sales]", "readers"),
    Fault("a duration without a unit", VALIDATE, SALES, "timeout: 30m", "timeout: 30", "jobs.daily_revenue.timeout"),
    Fault("a schedule that cannot be", VALIDATE, SALES, "cron(0 4 * * ? *)", "cron(0 4 * * * *)", "triggers.nightly.schedule"),
    Fault("a state machine with a missing target", VALIDATE, SALES, "    steps:\n      - load_orders\n      - { job: daily_revenue, retry: 2 }\n", "    asl: { file: own.asl.json }\n", "own.asl.json  States.A.Next"),
    Fault("a contract that is none", VALIDATE, SALES, "contract: { columns: freeze, types: quarantine_row, enum: quarantine_row }", "contract: own.odcs.yaml", "own.odcs.yaml"),
    # workflows
    Fault("a step's misspelt word", SCHEMA, PR, "        run: ./dev security", "        rum: ./dev security", "pr.yml"),
    Fault("an event that GitHub has not", SCHEMA, PR, "  pull_request:\n", "  pull_reqest:\n", "pr.yml"),
    Fault("an action by its tag", ZIZMOR, DEPLOY, CHECKOUT, "actions/checkout@v4", "unpinned-uses"),
    Fault("credentials left in the checkout", ZIZMOR, DEPLOY, "          persist-credentials: false\n", "          fetch-depth: 1\n", "artipacked"),
    Fault("an expression in a shell line", ZIZMOR, PR, 'run: ./dev security', 'run: echo ${{ github.event.pull_request.title }}', "template-injection"),
    Fault("a token with every right", ZIZMOR, PR, "permissions: {}", "permissions: write-all", "excessive-permissions"),
    Fault("a trigger that runs a fork's code with our token", ZIZMOR, PR, "  pull_request:\n", "  pull_request_target:\n", "dangerous-triggers"),
    Fault("every secret handed on", ZIZMOR, ".github/workflows/deploy-dev.yml", "    secrets:\n      AWS_ROLE_ARN: ${{ secrets.AWS_ROLE_ARN_DEV }}\n", "    secrets: inherit\n", "secrets-inherit"),
    # the template
    Fault("a property that is none", CFN, "template.yaml", "    MemorySize: 1024", "    MemorySise: 1024", "MemorySise"),
    Fault("a reference to nothing", CFN, "template.yaml", "Queues: [!Ref ReconcileQueue,", "Queues: [!Ref ReconcileQeue,", "ReconcileQeue"),
    Fault("an attribute that is none", CFN, "template.yaml", "deadLetterTargetArn: !GetAtt ReconcileDeadLetters.Arn", "deadLetterTargetArn: !GetAtt ReconcileDeadLetters.Address", "ReconcileQueue"),
    Fault("a billing mode that is none", CFN, "template.yaml", "BillingMode: PAY_PER_REQUEST", "BillingMode: PAY_PER_REQEST", "StateTable"),
    Fault("a parameter of no type", CFN, "template.yaml", "  Release:\n    Type: String", "  Release:\n    Type: Text", "Release"),
    Fault("a queue that is not encrypted and a table that cannot be restored", "checkov template", "template.yaml", "PointInTimeRecoveryEnabled: true", "PointInTimeRecoveryEnabled: false", "StateTable"),
    # the baseline
    Fault("a key that is never rotated", TF, "baseline_tf/key.tf", "enable_key_rotation     = true", "enable_key_rotation     = false", "aws_kms_key.domain"),
    Fault("buckets that can be made public", TF, "baseline_tf/buckets.tf", "block_public_policy     = true", "block_public_policy     = false", "aws_s3_bucket_public_access_block.this"),
    Fault("a bucket without versions", TF, "baseline_tf/state.tf", 'status = "Enabled"', 'status = "Suspended"', "aws_s3_bucket.state"),
    Fault("a bucket without the domain's key", TF, "baseline_tf/state.tf", 'sse_algorithm     = "aws:kms"', 'sse_algorithm     = "AES256"', "aws_s3_bucket.state"),
    Fault("logs without the key", TF, "baseline_tf/flow_logs.tf", "  kms_key_id        = aws_kms_key.domain.arn\n", "", "aws_cloudwatch_log_group.flow"),
    Fault("a wildcard resource", POLICY, "baseline_tf/policies/ci_plan.json.tftpl", '"arn:aws:s3:::${state_bucket}/${state_key}"', '"*"', "ci_plan.json.tftpl: TerraformState", (TF,)),
    Fault("a misspelt condition key", POLICY, "baseline_tf/policies/ci_deploy.json.tftpl", "iam:PassedToService", "iam:PassedToServices", "ci_deploy.json.tftpl: PassToItsService"),
    Fault("a misspelt action", POLICY, "baseline_tf/policies/ci_plan.json.tftpl", "glue:GetConnection", "glue:GetConection", "ci_plan.json.tftpl: Catalog"),
    Fault("a role that may do everything", POLICY, "baseline_tf/policies/ci_plan.json.tftpl", '"Action": "lambda:InvokeFunction"', '"Action": "*"', "ci_plan.json.tftpl: PlanProjects", (TF,)),
    # the image
    Fault("an image that runs as root", "checkov dockerfile", "Dockerfile", "USER meshplane", "USER root", "CKV_DOCKER_8"),
    Fault("an image that adds from anywhere", "checkov dockerfile", "Dockerfile", "COPY --chown=meshplane . .", "ADD . .", "CKV_DOCKER_4"),
)  # fmt: skip


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("faults")
    for name in COPIED:
        source, there = ROOT / name, root / name
        there.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, there, ignore=shutil.ignore_patterns("__pycache__", ".terraform*"))
        else:
            shutil.copy(source, there)
    (root / "projects/sales/own.asl.json").write_text(OWN, encoding="utf-8")
    (root / "projects/sales/own.odcs.yaml").write_text("kind: Nothing\n", encoding="utf-8")
    return root


@pytest.fixture
def broken(checkout: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    fault: Fault = request.param
    path = checkout / fault.file
    text = path.read_text(encoding="utf-8")
    assert fault.old in text, f"{fault.file} has no {fault.old!r} to break"
    path.write_text(text.replace(fault.old, fault.new, 1), encoding="utf-8")
    yield checkout
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("gate", GATES)
def test_the_copy_is_green(checkout: Path, gate: str) -> None:
    assert GATES[gate].find(checkout) == []


@pytest.mark.parametrize(
    ("broken", "fault"), [(fault, fault) for fault in FAULTS], indirect=["broken"], ids=[fault.what for fault in FAULTS]
)
def test_its_gate_turns_red_and_no_other(broken: Path, fault: Fault) -> None:
    red = {name: gate.find(broken) for name, gate in GATES.items() if gate.looks_at(fault.file)}
    found = red.pop(fault.gate)
    named = (Path(fault.file).name, *OWN_FILES)
    assert any(fault.told in line and any(name in line for name in named) for line in found), found
    assert {name for name, lines in red.items() if lines} <= set(fault.also), red


def test_there_are_forty_and_every_gate_has_one() -> None:
    assert len(FAULTS) >= 40
    assert {fault.gate for fault in FAULTS} == set(GATES)
