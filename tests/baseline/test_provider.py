"""No Terraform is a loud line on a laptop, and red where MESHPLANE_TERRAFORM=required."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.baseline.conftest import ROOT
from tests.baseline.provider import VARIABLE, lacking, may_be_lacking


def _validated(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """The test that needs the provider most, in a process whose PATH has nothing."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "tests/baseline/test_baseline_files.py::test_valid"]
    given = {**os.environ, "PATH": str(folder), **env}
    return subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=False)


def test_without_terraform_the_tests_say_so_and_fail_where_it_is_required(tmp_path: Path) -> None:
    laptop = _validated(tmp_path, **{VARIABLE: ""})
    assert laptop.returncode == 0, laptop.stdout
    assert "TERRAFORM NOT CHECKED BY ITS PROVIDER: no terraform on the PATH" in laptop.stdout
    github = _validated(tmp_path, **{VARIABLE: "required"})
    assert github.returncode == 1, github.stdout
    assert f"{VARIABLE}=required, but no terraform on the PATH" in github.stdout


def test_what_is_lacking_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(VARIABLE, "required")
    assert lacking() == "no terraform on the PATH"
    with pytest.raises(pytest.fail.Exception, match="required, but no terraform"):
        may_be_lacking(lacking())
    monkeypatch.setenv(VARIABLE, "")
    may_be_lacking(lacking())


def test_a_pull_request_requires_what_it_fetched() -> None:
    """tests/delivery runs the line that fetches it."""
    steps = YAML(typ="safe", pure=True).load((ROOT / ".github/workflows/pr.yml").read_text(encoding="utf-8"))["jobs"]["test"]["steps"]
    names = [step["name"] for step in steps]
    test = steps[names.index("Test")]
    assert (test["run"], test["env"]) == ("./dev test", {VARIABLE: "required"})
    assert names.index("Set up Terraform") < names.index("Fetch Terraform's provider") < names.index("Test")
