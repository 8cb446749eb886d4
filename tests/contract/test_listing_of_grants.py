"""What the end-to-end tests record of roles: listed however many processes run them, and held against what the simulator asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contract.access_simulator import ROOT, every_action
from tests.e2e import recorded

HOOKS = "from tests.e2e.conftest import pytest_sessionfinish, pytest_terminal_summary, pytest_testnodedown\n"
FILE = """
from tests.e2e import recorded

class Stack:
    def ask(self, what):
        return {{"denials": [], "used": [["role/f01-meshplane-{name}-dev", "", "", "{action}", ""]]}}

def test_it():
    recorded.keep(Stack())
"""


def test_what_each_worker_recorded_is_listed_by_the_session(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(HOOKS, encoding="utf-8")
    for number, (name, action) in enumerate([("sweep-projects", "dynamodb:Query"), ("plan-project", "s3:GetObject")]):
        (tmp_path / f"test_{number}.py").write_text(FILE.format(name=name, action=action), encoding="utf-8")
    paths = os.pathsep.join(str(ROOT / folder) for folder in ("functions", "glue_jobs", "cli", "."))
    words = ("-q", "-n", "2", "--dist", "loadfile", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = {line.split()[2]: line for line in done.stdout.splitlines() if line.startswith("granted to ")}
    assert set(told) == {"sweep-projects", "plan-project"}, done.stdout
    assert "dynamodb:Query" not in told["sweep-projects"]
    assert "sqs:SendMessage" in told["sweep-projects"]
    assert "s3:GetObject" not in told["plan-project"].replace(",", " ").split()


class Answering:
    """A stack that recorded one call."""

    def __init__(self, role: str, action: str) -> None:
        self.row = [f"arn:aws:iam::1:role/{role}", "", "", action, ""]

    def ask(self, _: str) -> dict[str, Any]:
        return {"denials": [], "used": [self.row]}


def test_what_is_recorded_is_what_the_simulator_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "_used", type(recorded._used)(set))
    for action in ("dynamodb:Query", "s3:PutObject"):
        assert action in every_action()
        recorded.keep(Answering("f01-glue-sales-dev", action))  # type: ignore[arg-type]  # all that keep asks of a stack
    with pytest.raises(AssertionError, match="iam:CreateUser"):
        recorded.keep(Answering("f01-meshplane-start-run-dev", "iam:CreateUser"))  # type: ignore[arg-type]  # all that keep asks of a stack
