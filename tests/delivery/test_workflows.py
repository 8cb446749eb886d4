"""The workflows' own lines, run in order against an embedded AWS that begins empty: what each kind of change does, and what it does not."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from meshplane_cli.baseline import apply_baseline, provider_mirror
from meshplane_cli.local import role_credentials, seed
from meshplane_cli.local import stack as stacks
from meshplane_cli.local.stack import Stack
from tests.baseline.conftest import mirror_config
from tests.baseline.provider import lacking, may_be_lacking
from tests.delivery.workflows import GitHub, Runner, StepFailedError

pytestmark = [pytest.mark.local, pytest.mark.timeout(900)]
REPOSITORY = Path(__file__).parents[2]
COPIED = ("functions", "glue_jobs", "cli", "layer", "baseline_tf", "projects", "requirements", "statemachines", ".github")
DEV = {"inputs.environment": "dev", "inputs.promoted_from": "", "github.token": "secret"}
TERRAFORM = frozenset({"Baseline", "Plan the baseline", "Fetch Terraform's provider"})  # steps that need its provider
STEPS = ("Baseline", "Control plane", "Artifacts", "Manifests")


class World:
    """One checkout, one AWS, one repository on GitHub."""

    def __init__(self, root: Path, stack: Stack, github: GitHub, terraform: bool) -> None:
        self.root, self.stack, self.github = root, stack, github
        self.left_out = frozenset() if terraform else TERRAFORM
        self._runner = Runner(root, stack.endpoint, github)

    def deploy(self, stop_after: str = "", **given: str) -> dict[str, str]:
        known = {**DEV, "secrets.AWS_ROLE_ARN": self.role("deploy"), **{f"inputs.{key}": value for key, value in given.items()}}
        return self._run("_deploy.yml", "deploy", known, stop_after)

    def plan(self) -> dict[str, str]:
        known = {"github.event.pull_request.number": "7", "github.token": "secret", "vars.AWS_PLAN_ROLE_ARN_DEV": self.role("plan")}
        return self._run("pr.yml", "plan", known)

    def role(self, purpose: str) -> str:
        """The ARN that the baseline's output `ci_roles` names."""
        naming = self.stack.naming
        return f"arn:aws:iam::{naming.account_id}:role/{naming.of('ci_role', purpose=purpose)}"

    def _run(self, workflow: str, job: str, known: dict[str, str], stop_after: str = "") -> dict[str, str]:
        """With not one denial, of whomever: also those that a command would go on after."""
        before = len(self.denials())
        try:
            return self._runner.run(workflow, job, known, stop_after, self.left_out)
        finally:
            assert {tuple(row[:3]) for row in self.denials()[before:]} == set()

    def denials(self) -> list[list[str]]:
        found: list[list[str]] = self.stack.ask("access")["denials"]
        return found

    def change(self, path: str, how: Callable[[str], str]) -> None:
        file = self.root / path
        text = file.read_text(encoding="utf-8")
        assert how(text) != text, f"the test changes nothing in {path}"
        file.write_text(how(text), encoding="utf-8")

    def writes(self, since: int) -> list[str]:
        """Mutating requests of the workflow itself after `since`, without Terraform's lock."""
        return [
            f"{row['service']}:{row['operation']}"
            for row in self.stack.requests(since)
            if "-ci-" in row["caller"] and not row["reads"] and row["operation"] != "Invoke"
        ]

    @property
    def count(self) -> int:
        return max((row["number"] for row in self.stack.requests()), default=0)

    def manifests(self) -> set[str]:
        rows = self.stack.client("s3").list_objects_v2(Bucket=self.stack.naming.bucket("artifacts"), Prefix="manifests/")["Contents"]
        return {row["Key"].split("/")[1] for row in rows}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("workflows")
    for name in ("template.yaml", "dev"):
        shutil.copy(REPOSITORY / name, root)
    told = json.loads((REPOSITORY / "domain.json").read_text(encoding="utf-8"))
    (root / "domain.json").write_text(json.dumps({**told, "repository": "acme/retail"}), encoding="utf-8")
    for part in COPIED:
        shutil.copytree(REPOSITORY / part, root / part, ignore=shutil.ignore_patterns("__pycache__", ".terraform*"))
    (root / "tests/baseline").mkdir(parents=True)
    shutil.copy(REPOSITORY / "tests/baseline/provider.tf", root / "tests/baseline")
    (root / ".venv").symlink_to(REPOSITORY / ".venv")
    (root / ".meshplane").mkdir()
    (root / ".meshplane/jars").symlink_to(os.environ.get("MESHPLANE_JARS") or REPOSITORY / ".meshplane/jars")
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("AWS_", "GITHUB_"))]:
        del os.environ[name]
    # Not in the checkout's own folder: there a line without a role would find it by itself, as it finds a laptop's.
    os.environ.update(MESHPLANE_LOCAL_DIR=str(tmp_path_factory.mktemp("aws")), MESHPLANE_LOCAL_PORT="0", MESHPLANE_LOCAL_WARM="0")
    stack = stacks.up(root, deploy=False)
    missing = lacking()
    if not missing:  # docs/delivery.md, "Set up a repository": once per account, by an administrator
        apply_baseline(stack, lambda _: None)
    else:
        may_be_lacking(missing)
        warnings.warn(f"NO TERRAFORM: {missing}. The workflows' baseline steps are left out, the baseline is seeded", stacklevel=1)
        seed.seed(cache(stack.client), stack.naming, stack.place.domain(), root)
    with GitHub().serving() as github:
        yield World(root, stack, github, terraform=not missing)
    stacks.down(root)
    os.environ.clear()
    os.environ.update(before)


def test_an_empty_account_becomes_a_running_domain(world: World) -> None:
    told = world.deploy()
    assert "f01-meshplane-dev CREATE_COMPLETE" in told["Control plane"]
    assert world.manifests() == {"customers", "sales"}
    assert "2 changed, 0 removed" in told["Manifests"]
    assert len(world.github.artifacts) == 1


def test_nothing_changed_writes_nothing(world: World) -> None:
    since = world.count
    told = world.deploy()
    assert [write for write in world.writes(since) if write not in ("s3:PutObject", "s3:DeleteObject")] == []
    assert "holds release" in told["Control plane"]
    locks = world.writes(since)
    assert locks in ([], ["s3:PutObject", "s3:DeleteObject"] * (len(locks) // 2)), "only Terraform's own lock"
    assert len(world.github.artifacts) == 1


def test_one_script_changes_one_project(world: World) -> None:
    world.change("projects/sales/jobs/daily_revenue.py", lambda text: text + "\n# another\n")
    told = world.deploy()
    assert "1 changed, 0 removed" in told["Manifests"]
    assert "holds release" in told["Control plane"]
    assert len(world.github.artifacts) == 2


def test_a_pull_request_shows_one_plan_in_one_comment(world: World) -> None:
    world.change("projects/sales/project.yaml", lambda text: text.replace("title: Sales", "title: Sales of all shops", 1))
    world.change("projects/customers/project.yaml", lambda text: text.replace("title: ", "title: Our ", 1))
    since = world.count
    world.plan()
    assert list(world.github.comments) == [1]
    text = world.github.comments[1]
    assert "## Plan for dev" in text
    assert "### customers" in text
    assert world.writes(since) == [], "a plan writes nothing, no lock either"
    world.plan()
    assert list(world.github.comments) == [1]
    told = world.deploy()
    assert "2 changed" in told["Manifests"]


def test_a_deploy_that_stops_at_any_step_is_finished_by_the_next(world: World) -> None:
    kept = set(world.github.artifacts)
    world.change("projects/sales/jobs/daily_revenue.py", lambda text: text + "# stops\n")
    world.change("functions/meshplane/__init__.py", lambda text: text + "# stops\n")
    for step in STEPS:  # each attempt gets one step further than the one before
        world.deploy(stop_after=step)
        assert world.github.artifacts == kept, "what did not end is not called deployed"
    told = world.deploy()
    assert "0 changed, 0 removed" in told["Manifests"]
    assert len(world.github.artifacts) == len(kept) + 1
    (stack,) = world.stack.client("cloudformation").describe_stacks()["Stacks"]
    assert stack["StackStatus"] == "UPDATE_COMPLETE"


def test_int_takes_only_what_dev_has(world: World) -> None:
    known = {**DEV, "inputs.promoted_from": "dev"}
    runner = world._runner
    runner.run("_deploy.yml", "deploy", known, "Refuse what was not deployed before")
    world.change("functions/meshplane/__init__.py", lambda text: text + "# never deployed to dev\n")
    with pytest.raises(StepFailedError, match="were not deployed to dev before"):
        runner.run("_deploy.yml", "deploy", known, "Refuse what was not deployed before")


def test_a_changed_baseline_is_applied_first(world: World) -> None:
    world.change("baseline_tf/flow_logs.tf", lambda text: text.replace("retention_in_days = 90", "retention_in_days = 120"))
    told = world.deploy(stop_after="Baseline")
    kept = {row.get("retentionInDays") for row in world.stack.client("logs").describe_log_groups()["logGroups"]}
    if world.left_out:
        assert (told["Baseline"], 120 in kept) == ("", False), "without a provider nothing of it is run"
        return
    assert "1 to update" in told["Baseline"]
    assert 120 in kept


def test_the_reading_role_writes_nothing(world: World) -> None:
    """What `plan` may not do is denied by the policy that the baseline gave it; nothing but this is."""
    before = len(world.denials())
    bucket = world.stack.naming.bucket("artifacts")
    key, secret = role_credentials.of_role(world.role("plan"))
    s3 = boto3.client("s3", "eu-central-1", endpoint_url=world.stack.endpoint, aws_access_key_id=key, aws_secret_access_key=secret)
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=bucket, Key="manifests/sales/project.yaml", Body=b"")
    (denial,) = world.denials()[before:]
    assert denial[:3] == ["f01-ci-plan-dev", "s3:PutObject", f"arn:aws:s3:::{bucket}/manifests/sales/project.yaml"]


def test_a_pull_requests_tests_find_the_provider_that_was_fetched(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(mirror_config(tmp_path, provider_mirror())))  # stands for the registry
    told = world._runner.run("pr.yml", "test", {}, "Fetch Terraform's provider", world.left_out)
    left = dict(line.split("=", 1) for line in (world.root / ".meshplane/github_env").read_text(encoding="utf-8").splitlines())
    if world.left_out:
        assert (told["Fetch Terraform's provider"], left) == ("", {})
        return
    monkeypatch.setenv("TERRAFORM_MIRROR", left["TERRAFORM_MIRROR"])
    assert not lacking()
    assert [path.name for path in (provider_mirror() or tmp_path).glob("registry.terraform.io/hashicorp/aws/*")] == ["5.100.0"]


def test_a_removed_project_is_taken_down_in_the_same_run(world: World) -> None:
    shutil.rmtree(world.root / "projects/sales")
    told = world.deploy()
    assert "1 removed" in told["Manifests"]
    assert world.manifests() == {"customers"}
