"""The deliberate faults: a text that is replaced in a file, the gate that turns red by it, what its finding names.

A table of `test_deliberate_faults`, which asks every gate that is quick, and of `tests/baseline/test_plan_faults.py`, which asks the plan.
"""

# ruff: noqa: E501  # a fault a line reads as the table that it is
from __future__ import annotations

from dataclasses import dataclass

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
TEMPLATE, ROLES, MACHINES, PLAN = "checkov template", "template policies", "statelint", "plan promises"
WATCHDOG, GROUPS = "statemachines/watchdog.asl.json", "baseline_tf/security_groups.tf"
CHECKOUT = "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2"
OWN_FILES = ("own.asl.json", "own.odcs.yaml", "own.sql")
OWN = '{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "nowhere"}}}'
WORKERS_S3 = 'resource "aws_vpc_security_group_egress_rule" "workers_s3" {'
ANYWHERE = """resource "aws_vpc_security_group_egress_rule" "anywhere" {
  security_group_id = aws_security_group.workers.id
  description       = "Anywhere"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

"""


@dataclass(frozen=True)
class Fault:
    """`told`: what the finding names beside the file. `also`: other gates that may see it."""

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
    Fault("an SQL file that is no SQL", VALIDATE, SALES, "    script: jobs/daily_revenue.py", "    sql: own.sql", "jobs.daily_revenue.sql"),
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
    Fault("a property that is none", CFN, "template.yaml", "    MemorySize: 1024", "    MemorySise: 1024", "MemorySise", (ROLES,)),
    Fault("a reference to nothing", CFN, "template.yaml", "Queues: [!Ref ReconcileQueue,", "Queues: [!Ref ReconcileQeue,", "ReconcileQeue"),
    Fault("an attribute that is none", CFN, "template.yaml", "deadLetterTargetArn: !GetAtt ReconcileDeadLetters.Arn", "deadLetterTargetArn: !GetAtt ReconcileDeadLetters.Address", "ReconcileQueue"),
    Fault("a billing mode that is none", CFN, "template.yaml", "BillingMode: PAY_PER_REQUEST", "BillingMode: PAY_PER_REQEST", "StateTable"),
    Fault("a parameter of no type", CFN, "template.yaml", "  Release:\n    Type: String", "  Release:\n    Type: Text", "Release"),
    Fault("a table that cannot be restored", TEMPLATE, "template.yaml", "PointInTimeRecoveryEnabled: true", "PointInTimeRecoveryEnabled: false", "StateTable"),
    Fault("a role without boundary", ROLES, "template.yaml", "                Condition: !If [HasBoundary, { StringEquals: { iam:PermissionsBoundary: !Ref BoundaryArn } }, !Ref AWS::NoValue]\n", "", "reconcile-project: BoundedRoles: iam:CreateRole", (CFN,)),
    Fault("a role that is passed to no service", ROLES, "template.yaml", "{ StringEquals: { iam:PassedToService: states.amazonaws.com } }", "{ StringEquals: { iam:PassedToServices: states.amazonaws.com } }", "reconcile-project: PassToStates"),
    # its state machines
    Fault("a platform's machine with a missing target", MACHINES, WATCHDOG, '"Next": "Judge"', '"Next": "Juge"', "Juge"),
    Fault("a state of no type", MACHINES, WATCHDOG, '"Type": "Map"', '"Type": "Maps"', "State Machine.States.Judge.Type"),
    # the baseline
    Fault("a key that is never rotated", TF, "baseline_tf/key.tf", "enable_key_rotation     = true", "enable_key_rotation     = false", "aws_kms_key.domain", (PLAN,)),
    Fault("buckets that can be made public", TF, "baseline_tf/buckets.tf", "block_public_policy     = true", "block_public_policy     = false", "aws_s3_bucket_public_access_block.this", (PLAN,)),
    Fault("a bucket without versions", TF, "baseline_tf/state.tf", 'status = "Enabled"', 'status = "Suspended"', "aws_s3_bucket.state", (PLAN,)),
    Fault("a bucket without the domain's key", TF, "baseline_tf/state.tf", 'sse_algorithm     = "aws:kms"', 'sse_algorithm     = "AES256"', "aws_s3_bucket.state", (PLAN,)),
    Fault("logs without the key", TF, "baseline_tf/flow_logs.tf", "  kms_key_id        = aws_kms_key.domain.arn\n", "", "aws_cloudwatch_log_group.flow", (PLAN,)),
    Fault("a wildcard resource", POLICY, "baseline_tf/policies/ci_plan.json.tftpl", '"arn:aws:s3:::${state_bucket}/${state_key}"', '"*"', "ci_plan.json.tftpl: TerraformState", (TF,)),
    Fault("a misspelt condition key", POLICY, "baseline_tf/policies/ci_deploy.json.tftpl", "iam:PassedToService", "iam:PassedToServices", "ci_deploy.json.tftpl: PassToItsService", (PLAN,)),
    Fault("a misspelt action", POLICY, "baseline_tf/policies/ci_plan.json.tftpl", "glue:GetConnection", "glue:GetConection", "ci_plan.json.tftpl: Catalog"),
    Fault("a role that may do everything", POLICY, "baseline_tf/policies/ci_plan.json.tftpl", '"Action": "lambda:InvokeFunction"', '"Action": "*"', "ci_plan.json.tftpl: PlanProjects", (TF, PLAN)),
    Fault("a role without boundary that CI may make", POLICY, "baseline_tf/policies/ci_deploy.json.tftpl", '"arn:aws:iam::${account_id}:role/${abbr}-meshplane-*-${env}", ', '"arn:aws:iam::${account_id}:role/*", ', "ci_deploy.json.tftpl: RolesOfThePlatform: iam:CreateRole"),
    # the image
    Fault("an image that runs as root", "checkov dockerfile", "Dockerfile", "USER meshplane", "USER root", "CKV_DOCKER_8"),
    Fault("an image that adds from anywhere", "checkov dockerfile", "Dockerfile", "COPY --chown=meshplane . .", "ADD . .", "CKV_DOCKER_4"),
)  # fmt: skip

# What the text of no file shows, but the plan of them all.
PLANNED = (
    Fault("0.0.0.0/0 egress", PLAN, GROUPS, WORKERS_S3, ANYWHERE + WORKERS_S3, "aws_vpc_security_group_egress_rule: B3 the way out"),
    Fault("a role that any branch assumes", PLAN, "baseline_tf/github.tf", "repo:${var.repository}:environment:${var.env}", "repo:${var.repository}:*", "aws_iam_role: B4 exact subjects"),
    Fault("a boundary that the plane never learns of", PLAN, "baseline_tf/parameters.tf", '    boundary_arn        = { type = "String", value = aws_iam_policy.boundary.arn }\n', "", "aws_ssm_parameter: B4 parameters"),
    Fault("an endpoint that private Glue lacks", PLAN, "baseline_tf/endpoints.tf", '"ssm", "sts"]', '"ssm"]', "aws_vpc_endpoint: B3 endpoints that private Glue needs"),
    Fault("workers that cannot talk to each other", PLAN, GROUPS, "  to_port                      = 65535", "  to_port                      = 1024", "aws_vpc_security_group_ingress_rule: B3 Glue's nodes talk to each other"),
)  # fmt: skip
