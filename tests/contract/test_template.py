"""The SAM template: what reliability asks of it (reliability.md rows 17 and 33), least privilege, and what an own applier can take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from meshplane_cli.machines import with_machines

ROOT = Path(__file__).resolve().parents[2]
PARAMETERS = {"Env": "dev", "DomainAbbr": "f01", "CountryCode": "de"}
# What the embedded AWS's applier deploys; another type is a decision.
TYPES = {
    "AWS::SQS::Queue",
    "AWS::SQS::QueuePolicy",
    "AWS::DynamoDB::Table",
    "AWS::Lambda::Function",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Permission",
    "AWS::Events::Rule",
    "AWS::SNS::Topic",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::IAM::Role",
    "AWS::Logs::LogGroup",
    "AWS::StepFunctions::StateMachine",
}
FLOWS = (
    "reconcile_project",
    "sweep_projects",
    "plan_project",
    "start_run",
    "record_run",
    "publish_tables",
    "restore_table",
    "watch_tables",
    "ingest_api",
)
# Actions for which AWS defines no resource (service authorization reference), or none before it exists.
NO_RESOURCE = {
    "iam:GetAccountAuthorizationDetails",
    "tag:GetResources",
    "events:ListRules",
    "scheduler:ListSchedules",
    "logs:DescribeLogGroups",
    "states:ListStateMachines",
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:DescribeResourcePolicies",
}


class _Managed:
    def load(self) -> dict[str, str]:
        return {}


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    """The template as CloudFormation sees it."""
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")
    template = yaml_parse(with_machines((ROOT / "template.yaml").read_text(), ROOT))
    template["Globals"]["Function"]["CodeUri"] = template["Resources"]["DependencyLayer"]["Properties"]["ContentUri"] = "s3://b/k.zip"
    return dict(transform(template, dict(PARAMETERS), _Managed())["Resources"])


def of(resources: dict[str, Any], kind: str) -> dict[str, Any]:
    return {name: r["Properties"] for name, r in resources.items() if r["Type"] == kind}


def test_cfn_lint_passes() -> None:
    program = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run([program, "template.yaml"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_only_types_that_the_laptop_can_apply(resources: dict[str, Any]) -> None:
    assert {r["Type"] for r in resources.values()} <= TYPES


def test_every_flow_has_its_function_by_name_and_handler(resources: dict[str, Any]) -> None:
    functions = {f["FunctionName"]["Fn::Sub"]: f for f in of(resources, "AWS::Lambda::Function").values()}
    assert set(functions) == {f"${{DomainAbbr}}-meshplane-{flow.replace('_', '-')}-${{Env}}" for flow in FLOWS}
    for function in functions.values():
        module, _, attribute = function["Handler"].rpartition(".")
        assert callable(getattr(import_module(module), attribute))
        assert (function["Runtime"], function["Architectures"], function["Timeout"]) == ("python3.13", ["arm64"], 180)


def test_wiring_finds_every_variable_that_it_reads(resources: dict[str, Any]) -> None:
    from meshplane.wiring import Settings

    for function in of(resources, "AWS::Lambda::Function").values():
        variables = {name: json.dumps(value) for name, value in function["Environment"]["Variables"].items()}
        assert Settings.read(variables).state_table


def test_visibility_is_six_times_the_timeout_and_failures_end_in_dead_letters(resources: dict[str, Any]) -> None:
    queues = of(resources, "AWS::SQS::Queue")
    for name in ("ReconcileQueue", "TriggerQueue"):
        assert queues[name]["VisibilityTimeout"] >= 6 * 180
        dead = queues[name]["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
        assert queues[dead].get("FifoQueue", False) == queues[name].get("FifoQueue", False), "a FIFO queue's dead letters are FIFO"
    assert "FifoQueue" not in queues["TargetDeadLetters"], "a rule's dead letters must be a standard queue"
    assert queues["ReconcileQueue"]["ContentBasedDeduplication"] is True, "rules cannot set a deduplication id"
    mappings = of(resources, "AWS::Lambda::EventSourceMapping").values()
    assert [m["FunctionResponseTypes"] for m in mappings] == [["ReportBatchItemFailures"]] * 2
    assert {m["EventSourceArn"]["Fn::GetAtt"][0]: m["BatchSize"] for m in mappings}["ReconcileQueue"] == 1


def test_every_target_has_dead_letters(resources: dict[str, Any]) -> None:
    for name, rule in of(resources, "AWS::Events::Rule").items():
        for target in rule["Targets"]:
            assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": ["TargetDeadLetters", "Arn"]}, name


def test_manifests_start_a_reconcile_in_their_own_group(resources: dict[str, Any]) -> None:
    rule = of(resources, "AWS::Events::Rule")["ManifestRule"]
    assert rule["EventPattern"]["detail-type"] == ["Object Created", "Object Deleted"]
    assert rule["EventPattern"]["detail"]["object"]["key"] == [{"wildcard": "manifests/*/project.yaml"}]
    assert rule["Targets"][0]["SqsParameters"] == {"MessageGroupId": "$.detail.object.key"}


def test_every_dead_letter_queue_and_stalled_projects_raise_an_alarm(resources: dict[str, Any]) -> None:
    alarms = of(resources, "AWS::CloudWatch::Alarm").values()
    watched = {alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0] for alarm in alarms if alarm["Namespace"] == "AWS/SQS"}
    assert watched == {"ReconcileDeadLetters", "TriggerDeadLetters", "TargetDeadLetters"}
    assert "StalledProjects" in {alarm["MetricName"] for alarm in alarms}
    assert all(alarm["AlarmActions"] for alarm in alarms)


def test_every_alarm_links_a_runbook_that_is_there(resources: dict[str, Any]) -> None:
    headings = [line[3:] for line in (ROOT / "docs/runbooks.md").read_text().splitlines() if line.startswith("## ")]
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    for name, alarm in of(resources, "AWS::CloudWatch::Alarm").items():
        _, link, anchor = alarm["AlarmDescription"].partition("docs/runbooks.md#")
        assert link, name
        assert anchor in anchors, name


def test_a_machine_names_the_function_that_its_role_may_invoke(resources: dict[str, Any]) -> None:
    roles = of(resources, "AWS::IAM::Role")
    for name, machine in of(resources, "AWS::StepFunctions::StateMachine").items():
        invoked = machine["DefinitionSubstitutions"].values()
        role = roles[machine["RoleArn"]["Fn::GetAtt"][0]]
        row, *others = role["Policies"][0]["PolicyDocument"]["Statement"]
        assert row["Action"] == "lambda:InvokeFunction", name
        needed = [{"glue:StartJobRun", "glue:GetJobRun", "glue:GetJobRuns", "glue:BatchStopJobRun"}]
        asked = json.dumps(machine["DefinitionString"] if "DefinitionString" in machine else machine["Definition"])
        assert [set(other["Action"]) for other in others] == (needed if "glue:startJobRun.sync" in asked else []), name
        assert all(one == row["Resource"] for one in invoked), name
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "states.amazonaws.com"}


def test_the_state_table_is_an_index_with_the_keys_of_the_contract(resources: dict[str, Any]) -> None:
    table = of(resources, "AWS::DynamoDB::Table")["StateTable"]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["due"]


def test_logs_are_kept_for_a_stated_time(resources: dict[str, Any]) -> None:
    groups = of(resources, "AWS::Logs::LogGroup")
    assert len(groups) == len(FLOWS)
    assert all(group["RetentionInDays"] for group in groups.values())


def statements(resources: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    rows = []
    for name, role in of(resources, "AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            policy = policy["Fn::If"][1] if "Fn::If" in policy else policy
            rows += [(name, statement) for statement in policy["PolicyDocument"]["Statement"]]
    return rows


def actions(statement: dict[str, Any]) -> list[str]:
    return [statement["Action"]] if isinstance(statement["Action"], str) else list(statement["Action"])


def test_a_star_stands_only_where_the_action_takes_no_resource(resources: dict[str, Any]) -> None:
    for role, statement in statements(resources):
        assert not [action for action in actions(statement) if "*" in action], f"{role} {statement['Sid']}"
        if statement["Resource"] == "*":
            assert set(actions(statement)) <= NO_RESOURCE, f"{role} {statement['Sid']}"


def test_no_role_can_remove_data_or_a_table(resources: dict[str, Any]) -> None:
    for role, statement in statements(resources):
        assert not {"glue:DeleteTable", "glue:BatchDeleteTable", "glue:DeleteTableOptimizer", "s3:DeleteObjectVersion"} & set(
            actions(statement)
        ), role
        if "s3:DeleteObject" in actions(statement):
            assert all("-artifacts-" in resource["Fn::Sub"] for resource in statement["Resource"])


def test_no_role_can_delete_what_somebody_put_beside_a_manifest(resources: dict[str, Any]) -> None:
    """docs/decisions/0005: it is the uploader's."""
    deleting = [(role, s) for role, s in statements(resources) if "s3:DeleteObject" in actions(s)]
    assert {role for role, _ in deleting} == {"ReconcileProjectRole"}
    keys = {s["Effect"]: sorted(resource["Fn::Sub"].partition("${Env}/")[2] for resource in s["Resource"]) for _, s in deleting}
    assert keys == {"Allow": ["*/files/*", "glue-temp/*", "releases/*"], "Deny": ["manifests/*"]}


def test_roles_are_made_only_on_the_projects_path_and_with_the_boundary(resources: dict[str, Any]) -> None:
    for role, statement in statements(resources):
        if any(
            action.startswith("iam:") and not action.startswith(("iam:Get", "iam:List", "iam:PassRole")) for action in actions(statement)
        ):
            assert role == "ReconcileProjectRole"
            assert ":role/meshplane/projects/" in statement["Resource"]["Fn::Sub"]
        if "iam:CreateRole" in actions(statement):
            assert statement["Condition"]["Fn::If"][1] == {"StringEquals": {"iam:PermissionsBoundary": {"Ref": "BoundaryArn"}}}


def test_roles_are_passed_to_one_service_each(resources: dict[str, Any]) -> None:
    passing = [statement for _, statement in statements(resources) if "iam:PassRole" in actions(statement)]
    assert {s["Condition"]["StringEquals"]["iam:PassedToService"] for s in passing} == {
        "glue.amazonaws.com",
        "states.amazonaws.com",
        "scheduler.amazonaws.com",
    }


def test_planning_and_sweeping_write_nothing_to_projects(resources: dict[str, Any]) -> None:
    reading = ("Get", "List", "Describe", "BatchGet", "Query", "Validate", "Decrypt", "GenerateDataKey")
    for role, statement in statements(resources):
        if role == "PlanProjectRole" and statement["Sid"] != "Log":
            assert all(action.split(":")[1].startswith(reading) for action in actions(statement)), statement["Sid"]
