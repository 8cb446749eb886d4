"""`meshplane validate` reads the files that a manifest names: scripts, SQL and state machines, each fault with its file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshplane.model.manifest import load
from meshplane_cli.own_files import problems_of
from meshplane_cli.surroundings import Checkout
from tests.cli.conftest import ROOT, Cli

MANIFEST = """\
apiVersion: meshplane/v1
kind: Project
metadata: { name: shop }
tables:
  landed: { layer: raw, format: csv, columns: { id: string } }
  orders: { layer: refined, key: id, columns: { id: long } }
jobs:
  load: { script: jobs/load.py, modules: [lib/], reads: landed, writes: orders }
  count: { sql: sql/count.sql, reads: landed, writes: orders }
pipelines:
  own: { asl: own.asl.json }
"""
GOOD = {
    "jobs/load.py": "from dp_foundation.spark.session import get_spark\n\nspark = get_spark(app_name='load')\n",
    "lib/parse.py": "def parse(text: str) -> int:\n    return int(text)\n",
    "sql/count.sql": "SELECT count(*) AS id FROM landed WHERE id > :window_start\n",
    "own.asl.json": '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "arn:aws:states:::glue:startJobRun.sync", '
    '"Parameters": {"JobName": "${job.load}"}, "Next": "B"}, "B": {"Type": "Task", "Resource": "${gate.orders}", "End": true}}}',
}


CALLING = """\
apiVersion: meshplane/v1
kind: Project
metadata: { name: shop }
sources:
  orders: { rest: { url: "http://127.0.0.1:8080/v1", script: sources/orders.star }, into: landed }
tables:
  landed: { layer: raw, format: json, columns: { id: string } }
pipelines:
  fetch: { steps: [{ ingest: orders }] }
"""
SCRIPT = """\
def first(run):
    return {"path": "/orders"}

def next(run, request, answer):
    return None

def records(body):
    return body
"""
REFUSED = "    allowed  Starlark: functions of values, without import, load and while\n    mend     docs/sources.md, rest, script"


def project(folder: Path, changed: dict[str, str]) -> Path:
    for path, text in {**GOOD, **changed, "project.yaml": MANIFEST}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def found(folder: Path, **changed: str) -> list[str]:
    domain = Checkout(ROOT).domain
    valid = load(MANIFEST, file="projects/shop/project.yaml", env="dev", project="shop", domain=domain)
    return [str(one) for one in problems_of(project(folder, changed), "projects/shop/project.yaml", valid, domain)]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("", "", ""),
        (
            "(run):",
            "(run)",
            f"sources/orders.star:1:15  sources.orders.rest.script: the sandbox refuses it: "
            f'unexpected new line here, expected one of "->" or ":"\n{REFUSED}',
        ),
        (
            "return body",
            "return rows",
            f"sources/orders.star:8:12  sources.orders.rest.script: the sandbox refuses it: Variable `rows` not found\n{REFUSED}",
        ),
        (
            "def first",
            "import os\ndef first",
            f"sources/orders.star:1:1  sources.orders.rest.script: the sandbox refuses it: cannot use reserved keyword `import`\n{REFUSED}",
        ),
        (
            "def records(body)",
            "def records(body, page)",
            "sources/orders.star:7:1  sources.orders.rest.script: `records` takes other arguments\n"
            "    found    def records(body, page):\n    allowed  def records(body):",
        ),
        (
            "def next",
            "def after",
            "sources/orders.star  sources.orders.rest.script: there is no function `next`\n"
            "    found    first, after, records\n    allowed  def next(run, request, answer):",
        ),
    ],
)
def test_a_sources_own_script_is_read_as_the_sandbox_reads_it(tmp_path: Path, old: str, new: str, told: str) -> None:
    domain = Checkout(ROOT).domain
    valid = load(CALLING, file="projects/shop/project.yaml", env="dev", project="shop", domain=domain)
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources/orders.star").write_text(SCRIPT.replace(old, new, 1))
    said = problems_of(tmp_path, "projects/shop/project.yaml", valid, domain)
    assert [str(one) for one in said] == ([f"projects/shop/{told}"] if told else [])


def test_whole_files_have_no_fault(tmp_path: Path) -> None:
    assert found(tmp_path) == []


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("jobs/load.py", "import os\nif True\n    pass\n", "projects/shop/jobs/load.py:2:8  jobs.load: is not Python 3.11"),
        ("jobs/load.py", "type Text = str\n", "projects/shop/jobs/load.py:1:"),  # Python 3.12's
        ("lib/parse.py", "def parse(:\n", "projects/shop/lib/parse.py:1:"),
        (
            "jobs/load.py",
            "import sys\nfrom awsglue.context import GlueContext\n",
            "projects/shop/jobs/load.py:2:1  jobs.load: imports awsglue",
        ),
        ("lib/parse.py", "import awsglue\n", "projects/shop/lib/parse.py:1:1  jobs.load: imports awsglue"),
        (
            "jobs/load.py",
            "\nPATH = 's3://f01-raw-390403879405-de-dev/x'\n",
            "projects/shop/jobs/load.py:2:8  jobs.load: names what is another",
        ),
        ("jobs/load.py", "JOB = 'f01-shop-load-prod'\n", "projects/shop/jobs/load.py:1:7  jobs.load: names what is another"),
        ("sql/count.sql", "SELECT id FROM\nWHERE (\n", "projects/shop/sql/count.sql:2:5  jobs.count.sql: this is no SQL"),
        ("sql/count.sql", "SELECT 'id\n", "projects/shop/sql/count.sql  jobs.count.sql: this is no SQL"),
        ("sql/count.sql", "INSERT INTO orders SELECT 1\n", "projects/shop/sql/count.sql  jobs.count.sql: this is no query"),
        ("own.asl.json", '{\n  "StartAt": "A",\n}\n', "projects/shop/own.asl.json:3:"),
        ("own.asl.json", '{"StartAt": "B", "States": {"A": {"Type": "Succeed"}}}', "projects/shop/own.asl.json  StartAt: no such state"),
    ],
)
def test_a_fault_is_told_with_its_place(tmp_path: Path, path: str, text: str, told: str) -> None:
    (problem,) = found(tmp_path, **{path: text})
    assert problem.startswith(told), problem


def test_validate_tells_them(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "domain.json").write_text((ROOT / "domain.json").read_text())
    project(tmp_path / "projects" / "shop", {"jobs/load.py": "import awsglue\n", "sql/count.sql": "DROP TABLE orders\n"})
    monkeypatch.chdir(tmp_path)
    told = cli("validate", "shop")
    assert told.exit_code == 1
    text = " ".join((told.stdout + told.stderr).split())
    assert "projects/shop/jobs/load.py:1:1 jobs.load: imports awsglue" in text
    assert "projects/shop/sql/count.sql jobs.count.sql: this is no query" in text
    assert "2 problems" in text
