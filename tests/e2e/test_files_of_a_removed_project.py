"""The files of a removed project stay for a day, and come back from beside the manifest. A day of sweeps: a stack without optimizers."""

from __future__ import annotations

import pytest

from tests.e2e.dump import changes, dump
from tests.e2e.plane import HEAD, Plane

pytestmark = pytest.mark.local

TEXT = """tables:
  landed: { layer: raw, format: json, columns: { id: long } }
jobs:
  check: { script: jobs/check.py, reads: landed }
"""


def test_the_files_leave_when_the_day_is_over(plane: Plane) -> None:
    plane.write("brief", HEAD.format(name="brief") + TEXT, {"jobs/check.py": "print(1)\n"})
    plane.sync("brief")
    assert plane.synced("brief") == ("True", "Applied"), plane.text("brief")
    before = dump(plane.client)
    plane.remove("brief")
    plane.advance(hours=23)
    assert len(plane.keys("artifacts", "brief/files/")) == 1
    plane.advance(hours=1, minutes=10)
    assert plane.keys("artifacts", "brief/files/") == []
    assert plane.synced("brief") == ("True", "Removed")
    plane.sync("brief")
    assert plane.synced("brief") == ("True", "Applied"), plane.text("brief")
    assert changes(before, dump(plane.client)) == {}
