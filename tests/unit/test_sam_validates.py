"""`./dev test` and `./dev security` have SAM judge the template where it is installed, and say loudly where it is not."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
FAKE = '#!/bin/sh\necho "sam $*, telemetry $SAM_CLI_TELEMETRY"\nexit "$(cat "$0.code")"\n'


def validated(path: str) -> subprocess.CompletedProcess[str]:
    """The function of `dev`, with the shell options of `dev`."""
    script = 'source ./dev help >/dev/null; PYTHON=python3; validate_template; echo "and goes on"'
    return subprocess.run(["bash", "-c", script], cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)


def machine(folder: Path) -> str:
    """A PATH with what the function needs, and no SAM."""
    for name in ("bash", "cat", "dirname", "python3"):
        (folder / name).symlink_to(next(at for place in os.environ["PATH"].split(":") if (at := Path(place) / name).exists()))
    return str(folder)


def test_it_runs_where_sam_is_installed(tmp_path: Path) -> None:
    path = machine(tmp_path)
    sam = tmp_path / "sam"
    sam.write_text(FAKE, encoding="utf-8")
    sam.chmod(0o755)
    code = tmp_path / "sam.code"
    code.write_text("0", encoding="utf-8")
    done = validated(path)
    asked = "sam validate --lint --template-file template.yaml --region eu-central-1, telemetry 0"
    assert (done.returncode, done.stdout.splitlines()) == (0, [asked, "and goes on"]), done.stderr
    code.write_text("1", encoding="utf-8")
    assert "and goes on" not in validated(path).stdout, "what SAM refuses ends the run"


def test_it_is_said_loudly_where_sam_is_not(tmp_path: Path) -> None:
    done = validated(machine(tmp_path))
    assert (done.returncode, done.stdout) == (0, "and goes on\n"), done.stderr
    assert "TEMPLATE NOT CHECKED BY SAM" in done.stderr


def test_the_scan_of_every_test_run_calls_it() -> None:
    text = (ROOT / "dev").read_text(encoding="utf-8")
    scan = text[text.index("\nscan_configuration() {") :]
    assert scan[: scan.index("\n}\n")].endswith("\n  validate_template")
