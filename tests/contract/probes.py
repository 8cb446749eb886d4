"""Runs a probe in a process of its own, against moto as it is or as repaired: a repair cannot be taken back in the same process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

Answers = dict[str, Any]


def answered(probe: str, mode: str) -> Answers:
    """What `probe`, a file beside this one, prints after ANSWERS. `mode`: vanilla or repaired."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(Path(__file__).with_name(probe)), mode]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    lines = [line for line in done.stdout.splitlines() if line.startswith("ANSWERS")]
    assert lines, done.stderr[-2000:]
    answers: Answers = json.loads(lines[0].removeprefix("ANSWERS"))
    return answers
