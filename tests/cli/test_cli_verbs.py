"""The verbs that need no AWS, the choice of the AWS, and how errors are said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from botocore.client import BaseClient
from syrupy.assertion import SnapshotAssertion

from meshplane_cli.main import USED, VERBS, app
from meshplane_cli.output import CODES
from meshplane_cli.reference import page
from tests.cli.conftest import ROOT, Cli


def test_help_names_every_verb_and_every_exit_code(cli: Cli, snapshot: SnapshotAssertion) -> None:
    told = cli("--help")
    assert told.exit_code == 0
    assert [verb for verb in VERBS if verb not in told.stdout] == []
    assert all(meaning in " ".join(told.stdout.split()) for meaning in CODES.values())


def commands() -> dict[str, Any]:
    """Every command by its words: `local up`."""
    group: Any = typer.main.get_command(app)
    context = group.context_class(group, info_name="meshplane")
    context.meta[USED] = True
    found = {verb: group.get_command(context, verb) for verb in VERBS}
    nested = {f"{verb} {name}": sub for verb, command in found.items() for name, sub in getattr(command, "commands", {}).items()}
    return nested | {verb: command for verb, command in found.items() if not hasattr(command, "commands")}


def test_every_verb_states_its_exit_codes_and_takes_json(cli: Cli) -> None:
    """But those of `deploy`: each answers one word, or a file, to the workflow that calls it."""
    mine = {name: command for name, command in commands().items() if not name.startswith("deploy ")}
    assert [name for name, command in mine.items() if not any("--json" in param.opts for param in command.params)] == []
    told = {name: " ".join(cli(*name.split(), "--help").stdout.split()) for name in mine}
    assert [name for name, text in told.items() if "Exit codes: 0 done; 1 problems found; 2 not understood" not in text] == []


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["status", "--bogus"],
        ["status", "a", "b"],
        ["run", "sales.daily", "--timeout", "soon"],
        ["query"],
        ["local", "advance", "5x"],
        ["local", "nonsense"],
    ],
)
def test_what_is_not_understood_is_told_in_the_one_voice(cli: Cli, words: list[str]) -> None:
    plain, told = cli(*words), cli(*words, "--json")
    assert (plain.exit_code, told.exit_code, plain.stdout, told.stderr) == (2, 2, "", "")
    assert plain.stderr.startswith("error: ")
    error = json.loads(told.stdout)
    assert error["exitCode"] == 2
    assert set(error["error"]) <= {"message", "found", "allowed", "mend"}


def test_nothing_to_stop_and_nothing_up_is_told_as_json(cli: Cli) -> None:
    assert json.loads(cli("local", "down", "--json").stdout) == {"up": False, "stopped": False}
    told = cli("local", "advance", "1h", "--json")
    assert (told.exit_code, json.loads(told.stdout)["error"]["mend"]) == (3, "meshplane local up")


def test_a_verb_alone_shows_its_help(cli: Cli) -> None:
    for words in ((), ("local",), ("contract",)):
        told = cli(*words)
        assert (told.exit_code, told.stdout.startswith("Usage: meshplane")) == (2, True)


def test_help_loads_no_client_of_aws() -> None:
    heavy = "('boto3', 'pyarrow', 'duckdb', 'pyiceberg', 'pyspark')"
    code = f"""import sys
from meshplane_cli.main import run
try:
    run(['--help'])
except SystemExit:
    print([module for module in {heavy} if module in sys.modules])"""
    path = f"{ROOT}/functions:{ROOT}/cli"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": path})
    assert done.stdout.strip().endswith("[]")


def test_the_examples_are_valid(cli: Cli) -> None:
    told = cli("validate")
    assert (told.exit_code, told.stdout.strip()) == (0, "customers, sales: no problems.")


def test_a_broken_manifest_is_told_in_full(cli: Cli, snapshot: SnapshotAssertion) -> None:
    manifest = cli.root / "projects/sales/project.yaml"
    text = manifest.read_text(encoding="utf-8").replace("decimal(12,2)", "decimal(40,2)").replace("reads: orders_raw", "reads: order_raw")
    manifest.write_text(text, encoding="utf-8")
    told = cli("validate", "sales")
    assert told.exit_code == 1
    assert told.stdout == snapshot
    found = json.loads(cli("validate", "sales", "--json").stdout)
    assert found["problems"] == 2
    assert {problem["path"] for problem in found["projects"]["sales"]} == {"tables.orders.columns.amount", "jobs.load_orders.reads"}


def test_a_missing_file_is_a_problem(cli: Cli) -> None:
    (cli.root / "projects/sales/jobs/daily_revenue.py").unlink()
    told = cli("validate", "sales")
    assert told.exit_code == 1
    assert "jobs/daily_revenue.py" in told.stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["validate", "nobody"], 2),
        (["run", "sales"], 2),
        (["status", "--env", "moon"], 2),
        (["new", "Sales"], 2),
        (["new", "sales"], 2),
        (["nonsense"], 2),
        (["publish", "--env", "dev"], 3),
    ],
)
def test_errors_say_what_and_how_to_mend_it(cli: Cli, words: list[str], code: int, snapshot: SnapshotAssertion) -> None:
    told = cli(*words)
    assert told.exit_code == code
    assert told.stderr.replace(str(cli.root), "CHECKOUT") == snapshot
    assert "Traceback" not in told.stderr + told.stdout


def test_an_error_is_json_when_json_is_asked_for(cli: Cli) -> None:
    told = cli("validate", "nobody", "--json")
    assert told.exit_code == 2
    assert json.loads(told.stdout)["error"]["allowed"] == "customers, sales"


def test_outside_a_checkout(cli: Cli, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    told = cli("validate")
    assert told.exit_code == 2
    assert "no domain.json here or above" in told.stderr


def test_a_new_project_is_valid_at_once(cli: Cli) -> None:
    told = cli("new", "finance")
    assert (told.exit_code, told.stdout.splitlines()[0]) == (0, "made projects/finance/project.yaml")
    assert cli("validate", "finance").stdout.strip() == "finance: no problems."
    assert not list(Path("projects/finance").rglob("*.template"))


@pytest.mark.parametrize("words", [("status",), ("publish", "sales"), ("run", "sales.daily")], ids=" ".join)
def test_another_accounts_credentials_are_refused_before_any_other_call(
    aws: Cli, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    call: Any = BaseClient._make_api_call  # type: ignore[attr-defined]

    def noted(client: Any, operation: str, given: Any) -> Any:
        called.append(operation)
        return call(client, operation, given)

    monkeypatch.setattr(BaseClient, "_make_api_call", noted)
    domain = json.loads((aws.root / "domain.json").read_text(encoding="utf-8"))
    domain["accounts"]["dev"] = "111111111111"
    (aws.root / "domain.json").write_text(json.dumps(domain), encoding="utf-8")
    told = aws(*words)
    assert told.exit_code == 3
    assert "another account's. Nothing was called" in told.stderr
    assert "111111111111, the account of dev in domain.json" in told.stderr
    assert called == ["GetCallerIdentity"]


def test_the_reference_page_is_what_the_verbs_say() -> None:
    assert (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8") == page(), "make it anew: python -m meshplane_cli.reference"
