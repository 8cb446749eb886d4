"""The one dependency layer, built as `sam build` builds it: by hash, for the functions' platform, within its size."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_layer_is_at_most_100_mb_unzipped() -> None:
    """`make size` builds it into a folder of its own and fails above the limit; the number is read as well, so that it is a size."""
    done = subprocess.run(["make", "-s", "-C", str(ROOT / "layer"), "size"], capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    told = re.search(r"^(\d+) MB unzipped, at most 100$", done.stdout, re.MULTILINE)
    assert told, done.stdout
    assert 20 < int(told[1]) <= 100
