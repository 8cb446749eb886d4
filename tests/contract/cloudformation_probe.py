"""Asks CloudFormation what `sam deploy` asks of it: change sets, and stacks made from them, rolled back and deleted.

A stack's resources are made through an endpoint, so moto's server stands beside what the questions are asked of, over the same state.
"""

from __future__ import annotations

import json
import time
from typing import Any

from moto.server import ThreadedMotoServer

from tests.contract.asking import ACCOUNT, REGION, REPAIRED, ask, client, run

SAM = "AWS::Serverless-2016-10-31"
EXPAND = ["CAPABILITY_AUTO_EXPAND"]


def group(name: str = "g", **more: Any) -> dict[str, Any]:
    return {"Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": name, **more}}}


def template(resources: dict[str, Any]) -> str:
    return f"Transform: {SAM}\nResources: {json.dumps(resources)}\n"


def change(stack: str, name: str, body: str, kind: str = "CREATE", capabilities: list[str] = EXPAND) -> str:
    client("cloudformation").create_change_set(
        StackName=stack, ChangeSetName=name, TemplateBody=body, ChangeSetType=kind, Capabilities=capabilities
    )
    return "made"


def described(stack: str, name: str) -> Any:
    found = client("cloudformation").describe_change_set(StackName=stack, ChangeSetName=name)
    rows = [(row["ResourceChange"]["Action"], row["ResourceChange"]["LogicalResourceId"]) for row in found["Changes"]]
    return [found["Status"], found["ExecutionStatus"], sorted(rows)]


def executed(stack: str, name: str) -> str:
    """How the stack stands when it is done."""
    client("cloudformation").execute_change_set(StackName=stack, ChangeSetName=name)
    until = time.monotonic() + 20
    while True:
        status: str = client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        if not status.endswith("_IN_PROGRESS") or time.monotonic() > until:
            return status
        time.sleep(0.05)


def groups() -> list[str]:
    return sorted(one["logGroupName"] for one in client("logs").describe_log_groups()["logGroups"])


def of_one_stack() -> None:
    first, second = template(group()), template(group(RetentionInDays=7) | {"Other": group("other")["Group"]})
    ask("without_auto_expand", lambda: change("nobody", "c", first, capabilities=[]))
    ask("update_of_nothing", lambda: change("nobody-else", "c", first, "UPDATE"))
    ask("change_set", lambda: change("s", "c1", first))
    ask("first_changes", lambda: described("s", "c1"))
    ask("created", lambda: executed("s", "c1"))
    ask("change_set_of_nothing", lambda: change("s", "c2", first, "UPDATE") and described("s", "c2"))
    ask("nothing_executed", lambda: executed("s", "c2"))
    ask("second_changes", lambda: change("s", "c3", second, "UPDATE") and described("s", "c3"))
    ask("updated", lambda: executed("s", "c3"))
    ask("groups_updated", groups)
    resources = client("cloudformation").list_stack_resources
    ask("resources", lambda: sorted(row["LogicalResourceId"] for row in resources(StackName="s")["StackResourceSummaries"]))


def of_faults() -> None:
    ask("same_change_set", lambda: change("twice", "c", template(group("twice"))) and change("twice", "c", template(group("twice"))))
    once = template(group("once"))
    ask("create_again", lambda: change("once", "c1", once) and executed("once", "c1") and change("once", "c2", once))
    ask("wrong_template", lambda: change("wrong", "c", "Transform: [") and described("wrong", "c")[:2])
    clash = template(group("clash") | {"Last": {"Type": "AWS::Nowhere::Thing", "DependsOn": "Group", "Properties": {}}})
    ask("rolled_back", lambda: change("bad", "c", clash) and executed("bad", "c"))
    ask("left_behind", lambda: "clash" in groups())


def deleted() -> Any:
    cloudformation, until = client("cloudformation"), time.monotonic() + 20
    cloudformation.delete_stack(StackName="s")
    while any(one["StackName"] == "s" for one in cloudformation.describe_stacks()["Stacks"]) and time.monotonic() < until:
        time.sleep(0.05)
    return [name for name in groups() if name in ("g", "other")]


def probe() -> None:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    client("s3").create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": REGION})
    if REPAIRED:
        from meshplane_cli.local.cloudformation import Engine
        from meshplane_cli.local.repairs import cloudformation

        _, port = server.get_host_and_port()
        cloudformation.apply(Engine(f"http://127.0.0.1:{port}", REGION, ACCOUNT, "artifacts"))
    of_one_stack()
    of_faults()
    ask("deleted", deleted)
    server.stop()


run(probe)
