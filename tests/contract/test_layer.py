"""The one dependency layer, built as `sam build` builds it: by hash, for the functions' platform, reproducible, within its size."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from meshplane.model.bundle import bundle

ROOT = Path(__file__).resolve().parents[2]
MOST = 100e6


def built(folder: Path) -> dict[str, bytes]:
    command = ["make", "-s", "-C", str(ROOT / "layer"), "build-DependencyLayer", f"ARTIFACTS_DIR={folder}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_it_is_built_twice_to_the_same_bytes_within_its_size(tmp_path: Path) -> None:
    once, again = built(tmp_path / "once"), built(tmp_path / "and again")
    assert {name for name in once if once[name] != again.get(name)} == set()
    assert bundle(once) == bundle(again)
    size = sum(len(content) for name, content in once.items() if not name.endswith(".pyc"))
    assert 20e6 < size <= MOST, f"{size / 1e6:.0f} MB unzipped without bytecode"
    here = [os.fsencode(tmp_path), os.fsencode(ROOT)]
    assert [name for name, content in once.items() if any(path in content for path in here)] == [], "it names the folder it was built in"
    assert any(name.startswith("python/pyiceberg/") for name in once)
    assert {name for name in once if name.endswith(".so") and "aarch64" not in name and "cpython" in name} == set()
    compiled = [name for name in once if name.endswith(".pyc")]
    python = subprocess.run(["make", "-s", "-C", str(ROOT / "layer"), "python"], capture_output=True, text=True, check=True).stdout.strip()
    assert bool(compiled) is bool(python), "bytecode is there exactly where the functions' own Python is"
    assert all(name.endswith(".cpython-313.pyc") for name in compiled)
