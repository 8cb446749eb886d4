"""Importing a handler is cheap, and an event of the repository is one that it understands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HANDLERS = sorted(path.stem for path in (ROOT / "functions/meshplane/handlers").glob("*.py") if path.stem != "__init__")
HEAVY = ("pyiceberg", "pyarrow", "moto", "pyspark")


@pytest.mark.parametrize("handler", HANDLERS)
def test_importing_a_handler_loads_nothing_heavy(handler: str) -> None:
    code = f"import sys, json, meshplane.handlers.{handler}; print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    environment = {"PYTHONPATH": str(ROOT / "functions"), "PATH": "", "AWS_EC2_METADATA_DISABLED": "true"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert not set(HEAVY) & set(json.loads(done.stdout))


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_handler_is_one_call_and_decides_nothing(handler: str) -> None:
    source = (ROOT / f"functions/meshplane/handlers/{handler}.py").read_text()
    assert len(source.splitlines()) <= 40
    assert not [line for line in source.splitlines() if line.strip().startswith(("if ", "elif ", "else:"))]


@pytest.mark.parametrize("handler", HANDLERS)
def test_every_handler_has_its_event(handler: str) -> None:
    event = json.loads((ROOT / f"events/{handler}.json").read_text())
    assert event
    for record in event.get("Records", []):
        assert json.loads(record["body"])
