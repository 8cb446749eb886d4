"""The whole baseline, applied by the real Terraform onto an embedded AWS: then nothing is left to do, nothing can be lost, and the
laptop's seed makes the same."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from meshplane.model.baseline import Baseline as Published
from meshplane_cli.baseline import Baseline, Change, apply_baseline
from meshplane_cli.commands.baseline import app
from meshplane_cli.local import stack as stacks
from meshplane_cli.local.seed import seed
from meshplane_cli.local.stack import Stack
from meshplane_cli.output import CliError
from tests.baseline import account
from tests.baseline.conftest import REACHABLE, ROOT, Work
from tests.unit.docs.pages import blocks, commands

pytestmark = [pytest.mark.local, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Applied:
    """A stack with the baseline, what was said on the way, and the changes that a second plan found."""

    stack: Stack
    said: Sequence[str]
    again: Sequence[Change]
    before: int

    @property
    def baseline(self) -> Baseline:
        place = self.stack.place
        return Baseline(place.root, place.domain(), self.stack.naming, self.stack.client, True, self.stack.env())


def _checkout(folder: Path) -> Path:
    """What Terraform and the seed need of a checkout, with places that jobs may reach."""
    told = json.loads((ROOT / "domain.json").read_text(encoding="utf-8"))
    (folder / "domain.json").write_text(json.dumps({**told, "reachable": REACHABLE, "repository": "acme/retail"}), encoding="utf-8")
    shutil.copytree(ROOT / "baseline_tf", folder / "baseline_tf", ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    (folder / "functions/meshplane").mkdir(parents=True)
    shutil.copy(ROOT / "functions/meshplane/naming.json", folder / "functions/meshplane")
    (folder / "glue_jobs").mkdir()
    return folder


@pytest.fixture(scope="module")
def alone() -> Iterator[None]:
    """Without the caller's AWS and without warm JVMs."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("AWS_", "MESHPLANE_"))]:
        del os.environ[name]
    os.environ.update(MESHPLANE_LOCAL_PORT="0", MESHPLANE_LOCAL_WARM="0")
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def applied(alone: None, initialised: Work, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Applied]:
    """By Terraform: once applied, once planned again. `initialised` says whether there is a provider."""
    root = _checkout(tmp_path_factory.mktemp("applied"))
    stack = stacks.up(root, deploy=False)
    said: list[str] = []
    try:
        apply_baseline(stack, said.append)
        before = stack.requests()[-1]["number"]
        place = stack.place
        again = Baseline(place.root, place.domain(), stack.naming, stack.client, True, stack.env())
        again.init(said.append)
        yield Applied(stack, said, again.plan(), before)
    finally:
        stacks.down(root)


@pytest.fixture(scope="module")
def seeded(alone: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """By the laptop's seed."""
    root = _checkout(tmp_path_factory.mktemp("seeded"))
    stack = stacks.up(root, deploy=False)
    try:
        seed(stack.client, stack.naming, stack.place.domain(), root)
        yield stack
    finally:
        stacks.down(root)


def test_the_second_plan_is_empty(applied: Applied) -> None:
    assert applied.again == []


def test_planning_changes_nothing_but_the_lock(applied: Applied) -> None:
    writes = [row["operation"] for row in applied.stack.requests(since=applied.before) if not row["reads"]]
    assert set(writes) <= {"PutObject", "DeleteObject"}  # the lock object, taken and released


def test_nothing_was_asked_that_the_embedded_aws_does_not_offer(applied: Applied) -> None:
    refused = {(row["service"], row["operation"]) for row in applied.stack.requests() if row["status"] >= 500}
    assert refused == set()


def test_the_functions_read_what_terraform_published(applied: Applied) -> None:
    naming = applied.stack.naming
    parameters = Published.parameters(naming)
    found = applied.stack.client("ssm").get_parameters(Names=list(parameters.values()))["Parameters"]
    values = {row["Name"]: row["Value"] for row in found}
    baseline = Published.read({name: values.get(parameter, "") for name, parameter in parameters.items()})
    assert baseline.connections == tuple(naming.of("connection", zone=zone) for zone in "abc")
    assert baseline.boundary_arn == f"arn:aws:iam::{naming.account_id}:policy/{naming.of('boundary')}"
    assert len(baseline.subnet_arns) == 3
    assert baseline.kms_key_arn == applied.stack.client("kms").describe_key(KeyId=naming.of("kms_alias"))["KeyMetadata"]["Arn"]


def test_the_state_lies_in_its_bucket_and_is_locked_there(applied: Applied) -> None:
    s3, naming = applied.stack.client("s3"), applied.stack.naming
    bucket, key = naming.of("terraform_state_bucket"), naming.of("terraform_state_key")
    assert json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())["version"] == 4
    s3.put_object(Bucket=bucket, Key=f"{key}.tflock", Body=json.dumps({"ID": "1", "Operation": "apply", "Who": "somebody@else"}))
    try:
        with pytest.raises(CliError) as locked:
            applied.baseline.terraform("plan", "-input=false", *applied.baseline.variable_files)
        assert "somebody@else" in locked.value.found
    finally:
        s3.delete_object(Bucket=bucket, Key=f"{key}.tflock")


def test_what_holds_data_cannot_be_destroyed(applied: Applied) -> None:
    """Six buckets and the key: Terraform refuses the whole plan, naming each."""
    with pytest.raises(CliError) as refused:
        applied.baseline.terraform("plan", "-destroy", "-input=false", *applied.baseline.variable_files)
    told = refused.value.found
    assert "lifecycle.prevent_destroy" in told
    for address in (
        *(f'aws_s3_bucket.this["{purpose}"]' for purpose in ("raw", "refined", "curated", "artifacts", "logs")),
        "aws_s3_bucket.state",
    ):
        assert address in told
    assert "aws_kms_key.domain" in told


def test_another_commit_touches_nothing(applied: Applied) -> None:
    """D4: the tags name the run that made a resource; a commit that does not change it is none of them."""
    values: Mapping[str, Any] = json.loads((applied.baseline.folder / "domain.tfvars.json").read_text(encoding="utf-8"))
    assert values["git_sha"]
    told = applied.baseline.terraform(
        "plan", "-input=false", "-detailed-exitcode", *applied.baseline.variable_files, "-var=git_sha=ffffffff", "-var=deployed_by=somebody"
    )
    assert "No changes." in told


def test_seed_and_terraform_leave_the_same(applied: Applied, seeded: Stack) -> None:
    by_terraform = account.told(applied.stack.client, applied.stack.naming)
    by_seed = account.told(seeded.client, seeded.naming)
    for kind, found in by_terraform.items():
        assert by_seed[kind] == found, kind


def test_the_seed_leaves_terraforms_baseline_alone(applied: Applied) -> None:
    before = applied.stack.requests()[-1]["number"]
    place = applied.stack.place
    seed(applied.stack.client, applied.stack.naming, place.domain(), place.root)
    assert [row["operation"] for row in applied.stack.requests(since=before)] == ["GetParameters"]


def test_the_verbs(applied: Applied, monkeypatch: pytest.MonkeyPatch) -> None:
    """`meshplane baseline plan --json` as a workflow calls it, then the commands of docs/terraform.md."""
    for name, value in applied.stack.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(applied.stack.place.root)
    planned = CliRunner().invoke(app, ["plan", "--json"])
    assert planned.exit_code == 0, planned.output
    assert json.loads(planned.stdout)["changes"] == []
    page = next(one.text for one in blocks("docs/terraform.md") if one.language == "bash")
    said = {}
    for words in commands(page):
        done = CliRunner().invoke(app, words[1:])
        assert done.exit_code == 0, done.output
        said[words[1]] = done.stdout
    assert list(said) == ["init", "plan", "apply"]
    assert "nothing to change" in said["apply"]


def test_domain_json_moves_on(applied: Applied, monkeypatch: pytest.MonkeyPatch) -> None:
    """A declared place moves, another goes: only their rule and connection change. Comes last: the others want the first baseline."""
    for name, value in applied.stack.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(applied.stack.place.root)
    file = applied.stack.place.root / "domain.json"
    told = json.loads(file.read_text(encoding="utf-8"))
    told["reachable"]["shop"]["cidr"] = "10.21.0.0/24"
    del told["reachable"]["erp"]
    file.write_text(json.dumps(told), encoding="utf-8")
    refused = CliRunner().invoke(app, ["apply", "--json"])
    assert isinstance(refused.exception, CliError)
    assert refused.exception.code == 4
    assert 'aws_glue_connection.reachable["erp"]' in refused.exception.found
    done = CliRunner().invoke(app, ["apply", "--destroy", "--json"])
    assert done.exit_code == 0, done.output
    changes = {row["address"]: row["actions"] for row in json.loads(done.stdout)["changes"]}
    assert changes == {
        'aws_glue_connection.reachable["erp"]': ["delete"],
        'aws_vpc_security_group_egress_rule.reachable["erp"]': ["delete"],
        'aws_vpc_security_group_egress_rule.reachable["shop"]': ["update"],
    }
    again = CliRunner().invoke(app, ["plan", "--json"])
    assert json.loads(again.stdout)["changes"] == []
