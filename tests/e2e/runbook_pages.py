"""A runbook as a person follows it: its numbered steps, and their fenced `bash` blocks run as they stand, by bash, in the person's folder.

What the page tells people to export is given by the test; an unknown name ends the step, and so does the first command that fails.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.plane import ROOT, Plane

_STEP = re.compile(r"^## (?P<number>\d+)\. (?P<title>.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```bash\n(?P<commands>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Step:
    """`## 2. Lead readers back`, and the commands below it, up to the next heading."""

    number: int
    title: str
    commands: str

    def run(self, plane: Plane, **exported: str) -> str:
        """What the commands print. Fails the test, with all of it, when one of them fails."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.commands],
            cwd=plane.folder,
            env={**os.environ, **plane.stack.env(), **_shell(plane.folder), **exported},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, f"step {self.number}, {self.title}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout


def steps(page: str) -> dict[int, Step]:
    """The numbered steps of docs/runbooks/<page>.md that have commands, by number. Fails where the page has none."""
    text = (ROOT / "docs" / "runbooks" / f"{page}.md").read_text(encoding="utf-8")
    found = list(_STEP.finditer(text))
    made = {}
    for heading in found:
        body = text[heading.end() :].split("\n## ", 1)[0]
        commands = "".join(block["commands"] for block in _BLOCK.finditer(body))
        if commands:
            made[int(heading["number"])] = Step(int(heading["number"]), heading["title"], commands)
    assert made, f"{page} has no numbered step with commands"
    return made


def _shell(folder: Path) -> dict[str, str]:
    """`meshplane` and `aws` as commands, as `./dev` and an installation give them."""
    tools = folder / ".tools"
    tools.mkdir(exist_ok=True)
    script = tools / "meshplane"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m meshplane_cli "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    roots = os.pathsep.join(str(ROOT / part) for part in ("functions", "glue_jobs", "cli"))
    return {"PATH": path, "PYTHONPATH": roots, "COLUMNS": "200"}
