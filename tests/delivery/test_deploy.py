"""`meshplane deploy` against an embedded AWS with nothing but a baseline: everything, nothing, and each kind of change."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from botocore.exceptions import ClientError

from meshplane_cli.local.stack import Stack

pytestmark = pytest.mark.local


class Account(Protocol):
    """The fixture of conftest."""

    root: Path
    stack: Stack
    count: int

    def run(self, *words: str, **env: str) -> Any: ...
    def writes(self, since: int) -> list[str]: ...


Change = Callable[[str, Callable[[str], str]], None]


def test_from_a_bare_baseline_everything_is_there(account: Account) -> None:
    told = account.run("deploy", "--json")
    assert told.code == 0, told.err
    assert set(told.json["projects"]["changed"]) == {"customers", "sales"}
    changes = told.json["plane"]["changes"]
    assert len(changes) > 40
    assert all(line.startswith("+") for line in changes)
    stacks = account.stack.client("cloudformation").describe_stacks()["Stacks"]
    assert [(row["StackName"], row["StackStatus"]) for row in stacks] == [("f01-meshplane-dev", "CREATE_COMPLETE")]
    assert {row["OutputKey"]: row["OutputValue"] for row in stacks[0]["Outputs"]}["Release"] == told.json["plane"]["release"]
    jobs = account.stack.client("glue").list_jobs()["JobNames"]
    assert "f01-sales-daily_revenue-dev" in jobs
    function = account.stack.client("lambda").get_function(FunctionName="f01-meshplane-plan-project-dev")
    assert "meshplane-local:code" not in function.get("Tags", {}), "what runs is the uploaded package, not the checkout"


def test_a_second_time_nothing_is_written(account: Account) -> None:
    since = account.count
    told = account.run("deploy")
    assert told.code == 0, told.err
    assert account.writes(since) == []
    assert "0 changed, 0 removed" in told.err


def test_a_changed_script_changes_its_project_alone(account: Account, change: Change) -> None:
    change("projects/sales/jobs/daily_revenue.py", lambda text: text + "\n# changed\n")
    since = account.count
    told = account.run("deploy", "manifests", "--json")
    assert told.code == 0, told.err
    assert told.json["changed"] == ["sales"]
    assert account.writes(since) == ["s3:PutObject"] * 3, "script, index, manifest"


def test_a_changed_function_is_an_update_of_the_stack(account: Account, change: Change) -> None:
    change(
        "template.yaml",
        lambda text: text.replace(
            "LogRetentionDays:\n    Type: Number\n    Default: 90", "LogRetentionDays:\n    Type: Number\n    Default: 30"
        ),
    )
    told = account.run("deploy", "plane", "--json")
    assert told.code == 0, told.err
    assert told.json["changes"]
    assert all(line.startswith("~") for line in told.json["changes"])
    group = account.stack.client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/f01-meshplane-plan")["logGroups"][0]
    assert group["retentionInDays"] == 30


def test_what_fails_is_rolled_back_and_said(account: Account, change: Change) -> None:
    broken = (
        "\n  Broken: { Type: AWS::SQS::QueuePolicy, Properties: { Queues: [!GetAtt StateTable.Nonsense], PolicyDocument: {} } }\nOutputs:"
    )
    change("template.yaml", lambda text: text.replace("\nOutputs:", broken))
    told = account.run("deploy", "plane")
    assert told.code == 1
    assert "was rolled back: UPDATE_ROLLBACK_COMPLETE" in told.err
    assert "Nonsense" in told.err
    change("template.yaml", lambda text: text.replace(broken, "\nOutputs:"))
    assert account.run("deploy", "plane").code == 0


def test_a_removed_project_goes_and_a_foreign_one_stays(account: Account) -> None:
    s3, bucket = account.stack.client("s3"), account.stack.naming.bucket("artifacts")
    foreign = "apiVersion: meshplane/v1\nkind: Project\nmetadata: { name: byhand }\n"
    s3.put_object(Bucket=bucket, Key="manifests/byhand/project.yaml", Body=foreign.encode())
    shutil.rmtree(account.root / "projects" / "sales")
    told = account.run("deploy", "manifests", "--json")
    assert (told.json["removed"], told.json["foreign"]) == (["sales"], ["byhand"]), told.err
    with pytest.raises(ClientError):
        s3.head_object(Bucket=bucket, Key="manifests/sales/project.yaml")
    account.stack.settle()
    jobs = account.stack.client("glue").list_jobs()["JobNames"]
    assert not [name for name in jobs if name.startswith("f01-sales-")]
    assert [row["Name"] for row in account.stack.client("glue").get_tables(DatabaseName="f01_de_curated")["TableList"]], "data stays"


def test_the_digest_is_of_the_files_alone(account: Account, change: Change) -> None:
    first = account.run("deploy", "digest").out
    assert len(first.strip()) == 64
    again = account.run("deploy", "digest", GITHUB_SHA="0" * 40, GITHUB_ACTOR="somebody")
    assert again.out == first, "another commit with the same files is the same release"
    change("functions/meshplane/__init__.py", lambda text: text + "\n")
    assert account.run("deploy", "digest").out != first
