"""Repairs of moto that the compute kinds need, beside moto's own behaviour: when moto mends one itself, its half here fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

PROBE = """
import json, sys
import boto3
from moto import mock_aws
if sys.argv[1] == "repaired":
    from meshplane_cli.local.repairs import log_groups, tagging
    log_groups.apply(); tagging.apply()
def client(name):
    return boto3.client(name, region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="y")
def asked(call):
    try:
        return call()
    except Exception as error:
        return getattr(error, "response", {}).get("Error", {}).get("Code") or type(error).__name__
with mock_aws():
    logs, events, scheduler, index = map(client, ("logs", "events", "scheduler", "resourcegroupstaggingapi"))
    tag = [{"Key": "k", "Value": "v"}]
    logs.create_log_group(logGroupName="g")
    answers = {}
    asked(lambda: logs.associate_kms_key(logGroupName="g", kmsKeyId="arn:aws:kms:eu-central-1:123456789012:key/1"))
    answers["key"] = logs.describe_log_groups()["logGroups"][0].get("kmsKeyId", "")
    answers["no group"] = asked(lambda: logs.associate_kms_key(logGroupName="none", kmsKeyId="arn:aws:kms:eu-central-1:123456789012:key/1"))
    events.put_rule(Name="r", EventPattern="{}", Tags=tag)
    scheduler.create_schedule_group(Name="s", Tags=tag)
    found = index.get_resources(TagFilters=[{"Key": "k", "Values": ["v"]}])["ResourceTagMappingList"]
    answers["index"] = sorted(item["ResourceARN"].split(":")[2] for item in found)
    for number in range(30):
        logs.create_log_group(logGroupName=f"g{number}", tags={"p": "v", **{f"t{n}": "v" for n in range(9)}})
    page = index.get_resources(TagFilters=[{"Key": "p", "Values": ["v"]}], ResourcesPerPage=100)
    answers["a page of 30 resources with 300 tags"] = len(page["ResourceTagMappingList"])
    answers["missing group"] = asked(lambda: scheduler.list_schedules(GroupName="none")["Schedules"])
    answers["second group"] = asked(lambda: scheduler.create_schedule_group(Name="s") and "made")
    answers["delete missing"] = asked(lambda: scheduler.delete_schedule_group(Name="none"))
print("ANSWERS" + json.dumps(answers))
"""

MENDED = {
    "key": ("", "arn:aws:kms:eu-central-1:123456789012:key/1"),
    "no group": ("NotImplementedError", "ResourceNotFoundException"),
    "index": ([], ["events", "scheduler"]),
    "a page of 30 resources with 300 tags": (9, 30),
    "missing group": ([], "ResourceNotFoundException"),
    "second group": ("made", "ConflictException"),
    "delete missing": ("KeyError", "ResourceNotFoundException"),
}


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, object]]:
    """Each mode in a process of its own: repairs cannot be taken back."""
    found = {}
    for mode in ("vanilla", "repaired"):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", PROBE, mode]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
        lines = [line for line in done.stdout.splitlines() if line.startswith("ANSWERS")]
        assert lines, done.stderr[-2000:]
        found[mode] = json.loads(lines[0].removeprefix("ANSWERS"))
    return found


@pytest.mark.parametrize("what", MENDED)
def test_moto_answers_wrong_and_the_repair_right(answers: dict[str, dict[str, object]], what: str) -> None:
    assert (answers["vanilla"][what], answers["repaired"][what]) == MENDED[what]
