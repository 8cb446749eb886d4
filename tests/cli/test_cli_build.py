"""`meshplane build` and `meshplane invoke --sam-env`: what they write and say. That a built function runs is shown end to end."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from meshplane.model.bundle import bundle
from meshplane_cli.delivery import package
from meshplane_cli.local import callers
from meshplane_cli.local import stack as stacks
from tests.cli.conftest import ROOT, Cli
from tests.unit.kinds import sample

LAYER = bundle({"python/one.py": b"1" * 200_000, "python/__pycache__/one.cpython-313.pyc": b"2" * 100_000})


def checkout_in(folder: Path, monkeypatch: pytest.MonkeyPatch, layer: bytes = LAYER) -> Cli:
    """The functions in a checkout of their own; the layer, which takes minutes, is tests/contract/test_layer.py's."""
    shutil.copytree(ROOT / "functions", folder / "functions", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "domain.json", folder)
    monkeypatch.setattr(package, "layer_zip", lambda _: layer)
    monkeypatch.chdir(folder)
    return Cli(folder, sample.NAMING)


def test_two_builds_in_different_folders_give_the_same_bytes_and_say_what_they_weigh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = checkout_in(tmp_path / "once", monkeypatch)("build")
    again = checkout_in(tmp_path / "and" / "again", monkeypatch)
    for path in (again.root / "functions").rglob("*.py"):  # later, by somebody with other rights, with leftovers of a run
        os.utime(path, (1_900_000_000, 1_900_000_000))
        path.chmod(0o600)
    (again.root / "functions/meshplane/__pycache__").mkdir()
    (again.root / "functions/meshplane/__pycache__/wiring.cpython-311.pyc").write_bytes(b"x")
    told = json.loads(again("build", "--to", "out", "--json").stdout)["files"]
    functions, layer = ((tmp_path / "once/build" / name).read_bytes() for name in ("functions.zip", "layer.zip"))
    assert (again.root / "out/functions.zip").read_bytes() == functions
    assert [row["sha256"] for row in told] == [hashlib.sha256(content).hexdigest() for content in (functions, layer)]
    assert told[1] == {**told[1], "file": "layer.zip", "megabytes": 0.2, "bytecodeMegabytes": 0.1}
    lines = once.stdout.splitlines()
    assert lines[0] == f"functions.zip  {told[0]['megabytes']} MB, and 0.0 MB of bytecode  sha256 {told[0]['sha256']}"
    assert lines[1] == f"layer.zip  0.2 MB, and 0.1 MB of bytecode  sha256 {told[1]['sha256']}"
    assert 0.1 < told[0]["megabytes"] < 5


def test_a_layer_that_is_too_heavy_is_told_and_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = checkout_in(tmp_path / "heavy", monkeypatch, bundle({"python/one.so": bytes(100_200_000)}))("build")
    assert told.exit_code == 1
    assert "the layer is heavier than 100 MB" in told.stderr
    assert "100.2 MB unzipped" in told.stderr


class Functions:
    """Lambda with one function."""

    def get_function_configuration(self, FunctionName: str) -> dict[str, Any]:  # noqa: N803  # boto3's name
        assert FunctionName == "f01-meshplane-sweep-projects-dev"
        return {"Role": f"arn:aws:iam::1:role/{FunctionName}", "Environment": {"Variables": {"ENV": "dev", "STATE_TABLE": "f01-state"}}}


def test_the_variables_for_sam_are_the_functions_own_and_the_embedded_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = checkout_in(tmp_path / "here", monkeypatch)
    shutil.copytree(ROOT / "events", cli.root / "events")
    stack = SimpleNamespace(naming=sample.NAMING, running=SimpleNamespace(port=4711), client=lambda _: Functions())
    monkeypatch.setattr(stacks, "find", lambda _: stack)
    told = cli("invoke", "sweep-projects", "--sam-env", "env.json")
    assert (told.exit_code, told.stdout) == (0, ""), told.stderr
    assert "sam local invoke SweepProjects --event" in told.stderr
    assert "events/sweep_projects.json --env-vars env.json" in told.stderr
    assert json.loads((cli.root / "env.json").read_text(encoding="utf-8")) == {
        "Parameters": {
            "ENV": "dev",
            "STATE_TABLE": "f01-state",
            **callers.of_role("arn:aws:iam::1:role/f01-meshplane-sweep-projects-dev"),
            "AWS_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL": "http://host.docker.internal:4711",
        }
    }
