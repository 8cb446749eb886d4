"""From an empty AWS to rows in a curated table: the commands of docs/getting-started.md as they stand there, then `./dev demo --baseline`,
which finds all of it there, lets files arrive and follows the pipelines. A second time the commands write nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from meshplane.aws.runs_store import DynamoRuns
from meshplane.model.runs import Run
from meshplane_cli.local import stack as stacks
from meshplane_cli.local.stack import Stack
from meshplane_cli.sample_data import Sizes, write
from tests.baseline.conftest import ROOT, Work
from tests.e2e.plain_revenue import daily_revenue
from tests.unit.docs.pages import blocks, commands

pytestmark = [pytest.mark.local, pytest.mark.spark, pytest.mark.timeout(900)]
PARTS = ("functions", "glue_jobs", "cli", "layer", "baseline_tf", "projects", "requirements", "statemachines")
*THREE, LOOK = [one.text for one in blocks("docs/getting-started.md") if one.what.startswith("tests/baseline/test_from_nothing.py")]
ROWS = "select cast(day as varchar) as day, country, currency, orders, revenue, revenue_eur from sales.daily_revenue"


@dataclass(frozen=True)
class Person:
    """Somebody at a shell in a checkout of their own; the variables of the AWS that it talks to are set."""

    root: Path
    stack: Stack

    def types(self, line: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["bash", "-e", "-c", line], cwd=self.root, env={**os.environ, **self.stack.env()}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    def runs(self) -> list[Run]:
        store = DynamoRuns(self.stack.client("dynamodb"), self.stack.naming.of("state_table"))
        return [run for project in ("customers", "sales") for run in store.history(project)]

    def rows(self) -> list[tuple[Any, ...]]:
        """The curated table, as `meshplane query` reads it."""
        return [tuple(row.values()) for row in json.loads(self.types(f'./dev meshplane query "{ROWS}" --limit 5000 --json').stdout)]

    def everything(self) -> set[tuple[str, str, str]]:
        """Bucket, key and version of every object, but for the lock that Terraform takes and releases."""
        s3 = self.stack.client("s3")
        return {
            (bucket["Name"], one["Key"], one["VersionId"])
            for bucket in s3.list_buckets()["Buckets"]
            for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket["Name"])
            for one in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
            if not one["Key"].endswith(".tflock")
        }


@pytest.fixture(scope="module")
def person(initialised: Work, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """Nothing is in that AWS, and nothing generated in the checkout. `initialised` says whether there is a provider."""
    root = tmp_path_factory.mktemp("nothing")
    for name in ("domain.json", "template.yaml", "dev"):
        shutil.copy(ROOT / name, root)
    for part in PARTS:
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__", ".terraform*", "*.tfstate*"))
    (root / ".venv").symlink_to(ROOT / ".venv")
    (root / ".meshplane").mkdir()
    jars = Path(os.environ.get("MESHPLANE_JARS") or ROOT / ".meshplane/jars")
    (root / ".meshplane/jars").symlink_to(jars)
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("AWS_", "MESHPLANE_", "GITHUB_"))]:
        del os.environ[name]
    os.environ.update(MESHPLANE_LOCAL_PORT="0", MESHPLANE_JARS=str(jars))
    stack = stacks.up(root, deploy=False)
    yield Person(root, stack)
    stacks.down(root)
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    return write(tmp_path_factory.mktemp("sample"), sizes=Sizes(contacts=200, orders=1000, order_files=2))


def test_the_page_names_three_commands() -> None:
    assert [words[:2] for text in THREE for words in commands(text)] == [["baseline", "apply"], ["deploy", "--env"], ["publish", "--all"]]


def test_three_commands_make_an_empty_account_a_domain(person: Person) -> None:
    assert person.stack.client("s3").list_buckets()["Buckets"] == []
    baseline, deploy, publish = (person.types(line) for line in THREE)
    assert "the baseline of dev is as written" in baseline.stdout
    assert "f01-meshplane-dev CREATE_COMPLETE" in deploy.stderr
    assert "manifests: 2 changed, 0 removed, of 2" in deploy.stderr
    assert publish.stderr.count("published already") == 2
    looked = person.types(LOOK).stdout
    assert re.findall(r"^(\w+) +True +True +False", looked, re.MULTILINE) == ["customers", "sales"]
    assert "Nothing to change." in looked


def test_the_demo_pipelines_succeed_on_what_the_commands_made(person: Person, sample: Mapping[str, Path]) -> None:
    """The demo says what it finds left to do; its files are as good as anybody's."""
    told = person.types(f"./dev demo --baseline --json --sample {next(iter(sample.values())).parent}")
    assert "▸ baseline_tf: 0 resources to change" in told.stderr
    assert "holds release" in told.stderr
    runs = person.runs()
    assert {run.status for run in runs} <= {"SUCCEEDED", "SKIPPED"}, runs
    assert {("customers", "landed"), ("sales", "after_customers")} <= {(run.project, run.trigger) for run in runs}
    expected = daily_revenue(sample)
    assert json.loads(told.stdout)["count"]["rows"] == len(expected) > 500
    assert as_read(expected) == set(person.rows())


def test_a_second_time_nothing_changes_anywhere(person: Person) -> None:
    """By the log of requests, whoever sends them; and by the versions of all objects, where Terraform's lock is told from other writes."""
    person.stack.client("events").disable_rule(Name="f01-meshplane-sweep-dev")  # a look of its own would be counted with these
    person.stack.settle()
    objects, since = person.everything(), max(row["number"] for row in person.stack.requests())
    baseline, deploy, publish = (person.types(line) for line in THREE)
    person.stack.settle()
    requests = person.stack.requests(since)
    writes = [f"{row['service']}:{row['operation']}" for row in requests if not row["reads"]]
    assert "the baseline of dev is as written: nothing to change" in baseline.stdout
    assert "holds release" in deploy.stderr
    assert "manifests: 0 changed, 0 removed, of 2" in deploy.stderr
    assert publish.stderr.count("published already") == 2
    assert writes == ["s3:PutObject", "s3:DeleteObject"] * (len(writes) // 2), "only Terraform's own lock"
    assert person.everything() == objects
    assert len(requests) > 100, "the account was looked at"


def as_read(rows: set[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    """Decimals as JSON shows them."""
    return {(*row[:4], *(str(value) for value in row[4:])) for row in rows}
