"""What Glue gets as the job library: a pure wheel, and the same bytes from the same files."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from meshplane_cli.bundled_pip import pip
from meshplane_cli.platform import LIBRARY, VERSION, library_wheel

ROOT = Path(__file__).parents[2]


def test_pip_installs_it_and_its_modules_import(tmp_path: Path) -> None:
    wheel = tmp_path / f"{LIBRARY}-{VERSION}-py3-none-any.whl"
    wheel.write_bytes(library_wheel(ROOT))
    target = tmp_path / "site"
    subprocess.run([*pip(), "install", "-q", "--no-index", "--no-deps", "--target", str(target), str(wheel)], check=True)
    look = "import importlib.metadata as m, dp_foundation.io.writers, core; print(m.version('dp_foundation'))"
    told = subprocess.run([sys.executable, "-c", look], env={"PYTHONPATH": str(target)}, capture_output=True, text=True, check=True)
    assert told.stdout.split() == [VERSION]


def test_it_is_reproducible_and_of_the_projects_version() -> None:
    assert library_wheel(ROOT) == library_wheel(ROOT)
    assert tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"] == VERSION
