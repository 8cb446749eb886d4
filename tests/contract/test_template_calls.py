"""Each function's role allows what its code calls, and nothing else. Both sides are read, not written down: the operations from the
adapters' source (`translated("service:Operation")`, `pages(...)`), the methods from the flows that a handler reaches, the grants from
`template.yaml`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
CODE = ROOT / "functions" / "meshplane"
# Role → the flows that its handler and `wiring` begin with.
FLOWS = {
    "ReconcileProjectRole": ["reconcile_project", "open_runs"],
    "SweepProjectsRole": ["sweep_projects", "sweep_runs"],
    "PlanProjectRole": ["plan_project"],
    "StartRunRole": ["start_run"],
    "RecordRunRole": ["record_run", "tell_run"],
    "PublishTablesRole": ["publish_tables"],
    "RestoreTableRole": ["restore_table"],
    "WatchTablesRole": ["watch_tables"],
    "IngestApiRole": ["ingest_api"],
}
ADAPTERS = {  # a port's name in the flows → the class behind it
    "runs": ("runs_store.py", "DynamoRuns"),
    "executions": ("executions.py", "AwsExecutions"),
    "landings": ("executions.py", "RawLandings"),
    "publications": ("publisher.py", "PublishRecords"),
    "states": ("state_store.py", "DynamoStates"),
    "manifests": ("manifest_store.py", "S3Manifests"),
    "releases": ("releases.py", "SsmReleases"),
    "queue": ("queue.py", "SqsReconciles"),
    "reconciles": ("queue.py", "SqsReconciles"),
    "publisher": ("publisher.py", "AwsPublisher"),
    "restorer": ("restorer.py", "AwsRestorer"),
    "watcher": ("watcher.py", "AwsWatcher"),
    "tellings": ("tellings.py", "S3Tellings"),
    "store": ("ingest_store.py", "S3IngestStore"),
}
# What an adapter holds: the attribute → the class behind it.
HELD = {
    "_runs": ("runs_store.py", "DynamoRuns"),
    "_commits": ("iceberg/commit.py", "Commits"),
    "_publisher": ("publisher.py", "AwsPublisher"),
    "_records": ("publisher.py", "PublishRecords"),
    "_triggers": ("executions.py", "SqsTriggers"),
    "_reconciles": ("queue.py", "SqsReconciles"),
    "_states": ("state_store.py", "DynamoStates"),
    "_releases": ("releases.py", "SsmReleases"),
}
# What `wiring` asks before the flow begins.
BEFORE = {"IngestApiRole": [("runs_store.py", "DynamoRuns", ["policies"])]}
# What a flow's module holds beside what this function reaches in it, and why it is not reached.
NOT_REACHED = {
    "ReconcileProjectRole": {
        "states:StartExecution",  # the policies of a draining project are paused, and a paused pipeline starts nothing
        "glue:GetJobRun",  # only an event names a job run
    },
    "PlanProjectRole": set(),
    "RecordRunRole": set(),
    "StartRunRole": set(),
    "SweepProjectsRole": {"glue:GetJobRun"},
    "PublishTablesRole": set(),
    "RestoreTableRole": set(),
    "WatchTablesRole": set(),
    "IngestApiRole": set(),
}
# IAM's word for an operation, where it is another one.
GRANT = {
    "s3:HeadObject": ("s3:GetObject",),
    "s3:ListObjectsV2": ("s3:ListBucket",),
    "s3:ListObjectVersions": ("s3:ListBucketVersions",),
    "s3:DeleteObjects": ("s3:DeleteObject",),
    "dynamodb:TransactWriteItems": ("dynamodb:PutItem", "dynamodb:UpdateItem"),
    "resourcegroupstaggingapi:GetResources": ("tag:GetResources",),
    "iceberg:UpdateTable": (),  # pyiceberg at work in memory
}
POLLER = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"}
LOG_DELIVERY = {
    f"logs:{word}"
    for word in (
        "CreateLogDelivery",
        "GetLogDelivery",
        "UpdateLogDelivery",
        "DeleteLogDelivery",
        "ListLogDeliveries",
        "DescribeResourcePolicies",
    )
}
# What AWS asks of the caller although no code of ours calls it.
IMPLIED = {
    "ReconcileProjectRole": POLLER | LOG_DELIVERY | {"iam:PassRole"},
    "SweepProjectsRole": set(),
    "PlanProjectRole": {"s3:ListBucket"},  # an absent file answers 404 then, not 403
    "StartRunRole": POLLER,
    "RecordRunRole": {"s3:ListBucket"},
    "PublishTablesRole": {"s3:ListBucket"},
    "RestoreTableRole": set(),
    "WatchTablesRole": set(),
    "IngestApiRole": {"s3:ListBucket"},
}
ALWAYS = {"logs:CreateLogStream", "logs:PutLogEvents"}


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def operations(node: ast.AST) -> Iterator[str]:
    """The AWS operations named in the calls below a node."""
    for call in (one for one in ast.walk(node) if isinstance(one, ast.Call)):
        name = getattr(call.func, "id", "") or getattr(call.func, "attr", "")
        words = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        if name in ("translated", "_if_met") and words and ":" in words[0]:
            yield words[0]
        elif name == "pages" and len(words) >= 2:
            yield f"{words[0]}:{''.join(part.title() for part in words[1].split('_'))}"
    for text in (one for one in ast.walk(node) if isinstance(one, ast.JoinedStr)):
        if any(isinstance(part, ast.Constant) and part.value == "TableOptimizer" for part in text.values):
            yield from ("glue:CreateTableOptimizer", "glue:UpdateTableOptimizer")


def of_methods(file: str, name: str, wanted: Iterable[str]) -> set[str]:
    """The operations of a class's methods (of a module's functions where no class is named), and of everything of ours that these call:
    own methods, the module's functions, other modules of `meshplane.aws`, and what the adapter holds."""
    tree = parsed(CODE / "aws" / file)
    inside = (
        [node for each in tree.body if isinstance(each, ast.ClassDef) and each.name == name for node in each.body] if name else tree.body
    )
    known: dict[str, ast.AST] = {node.name: node for node in (*tree.body, *inside) if isinstance(node, ast.FunctionDef)}
    methods = {node.name for node in inside if isinstance(node, ast.FunctionDef)}
    todo, done, found = [one for one in wanted if one in methods], set[str](), set[str]()
    while todo:
        method = todo.pop()
        done.add(method)
        found |= set(operations(known[method]))
        called = {node.attr for node in ast.walk(known[method]) if isinstance(node, ast.Attribute)}
        called = (called & methods) | ({node.id for node in ast.walk(known[method]) if isinstance(node, ast.Name)} - methods)
        todo += [one for one in called & set(known) if one not in done]
        for node in (one for one in ast.walk(known[method]) if isinstance(one, ast.Attribute)):
            found |= _elsewhere(tree, node)
    return found


def _elsewhere(tree: ast.Module, call: ast.Attribute) -> set[str]:
    """The operations behind `module.function` or `self._held.method`."""
    if isinstance(call.value, ast.Attribute) and call.value.attr in HELD:
        return of_methods(*HELD[call.value.attr], [call.attr])
    imported = [(node.module, alias) for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    for module, alias in imported:
        if (
            isinstance(call.value, ast.Name)
            and call.value.id == (alias.asname or alias.name)
            and (module or "").startswith("meshplane.aws.")
        ):
            path = Path(*str(module).split(".")[2:], f"{alias.name}.py")
            return of_methods(str(path), "", [call.attr]) if (CODE / "aws" / path).is_file() else set()
    return set()


def reached(flows: Iterable[str]) -> list[str]:
    """The source of the flows and of every flow that they import."""
    todo, done = list(flows), dict[str, str]()
    while todo:
        flow = todo.pop()
        done[flow] = (CODE / "flows" / f"{flow}.py").read_text(encoding="utf-8")
        todo += [name for name in re.findall(r"from meshplane\.flows\.(\w+) import", done[flow]) if name not in done]
    return list(done.values())


def called(role: str) -> set[str]:
    """IAM's words for every operation that the function's code may send."""
    sources = reached(FLOWS[role])
    found: set[str] = set()
    for port, (file, name) in ADAPTERS.items():
        methods = {method for source in sources for method in re.findall(rf"\b{port}\.(\w+)\(", source)}
        found |= of_methods(file, name, methods)
    for file, name, methods in BEFORE.get(role, ()):
        found |= of_methods(file, name, methods)
    if role in ("ReconcileProjectRole", "PlanProjectRole"):
        kinds = [*(CODE / "aws" / "kinds").glob("*.py"), *(CODE / "aws" / "iceberg").glob("*.py"), CODE / "aws" / "listings.py"]
        looking = ("Get", "List", "Describe", "BatchGet", "Head")
        at_kinds = {one for path in kinds for one in operations(parsed(path))}
        found |= {one for one in at_kinds if role == "ReconcileProjectRole" or one.split(":")[1].startswith(looking)}
    return {grant for one in found for grant in GRANT.get(one, (one,))} - NOT_REACHED[role]


@pytest.fixture(scope="module")
def granted() -> dict[str, set[str]]:
    """Every role's actions, the domain key's apart: S3 and the queues ask for those."""
    resources: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
    out = {}
    for role in FLOWS:
        policies = [policy for policy in resources[role]["Properties"]["Policies"] if "Fn::If" not in policy]
        statements = [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]
        rows = [statement["Action"] for statement in statements if statement["Effect"] == "Allow"]
        out[role] = {action for row in rows for action in ([row] if isinstance(row, str) else row)}
    return out


@pytest.mark.parametrize("role", FLOWS)
def test_every_call_is_granted(granted: dict[str, set[str]], role: str) -> None:
    assert called(role) - granted[role] == set()


@pytest.mark.parametrize("role", FLOWS)
def test_every_grant_is_called(granted: dict[str, set[str]], role: str) -> None:
    assert granted[role] - called(role) - IMPLIED[role] - ALWAYS == set()


def test_the_extraction_sees_what_it_is_to_see() -> None:
    assert {"s3:ListBucket", "glue:CreateTableOptimizer", "iam:DetachRolePolicy", "dynamodb:Query"} <= called("ReconcileProjectRole")
    assert {"glue:GetTable", "glue:UpdateTable", "s3:GetObject", "dynamodb:GetItem", "events:PutEvents"} <= called("PublishTablesRole")
    assert {"secretsmanager:GetSecretValue", "s3:PutObject", "dynamodb:GetItem"} <= called("IngestApiRole")
    assert {"dynamodb:BatchWriteItem", "states:StartExecution", "s3:ListBucketVersions"} <= called("SweepProjectsRole")


@pytest.mark.parametrize("layer", ["raw", "refined", "curated"])
def test_a_creation_may_list_every_warehouse(layer: str) -> None:
    """Without s3:ListBucket S3 answers 403 for a file that is not there, and no Iceberg table could be made."""
    role = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]["ReconcileProjectRole"]["Properties"]
    rows = [row for policy in role["Policies"] if "Fn::If" not in policy for row in policy["PolicyDocument"]["Statement"]]
    lists = [str(row["Resource"]) for row in rows if row["Action"] == "s3:ListBucket"]
    assert any(f"-{layer}-" in resource for resource in lists)
