"""Two Spark processes and the plane on one table: every acknowledged row is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from meshplane.errors import Conflict
from tests.jobs.job_world import World
from tests.jobs.plane import adding, evolve

HERE = Path(__file__).parent
COMMITS = 20


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_acknowledged_row_is_lost_while_the_plane_evolves_the_table(world: World, aws: str, tmp_path: Path) -> None:
    out = world.iceberg("out", "id bigint!, v string", key=["id"])
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1] / "glue_jobs")}
    writers = []
    for name, mode, first in (("a", "append", 1000), ("b", "mixed", 2000)):
        world.start({"writes": [{"table": "out", "mode": "append"}]}, f"r-{name}")
        command = [sys.executable, str(HERE / "concurrent_writer.py"), mode, str(first), str(COMMITS), *sys.argv[1:]]
        with (tmp_path / name).open("w") as told, (tmp_path / f"{name}.err").open("w") as errors:
            writers.append((name, subprocess.Popen(command, env=environment, stdout=told, stderr=errors)))
    added = 0
    while any(process.poll() is None for _, process in writers):
        try:
            evolve(out, adding(f"added_{added}"))
            added += 1
        except Conflict:  # writers were faster ten times: the next reconcile tries again
            continue
        finally:
            _pause(writers)
    acknowledged = {}
    for name, process in writers:
        assert process.returncode == 0, (tmp_path / f"{name}.err").read_text()[-3000:]
        acknowledged[name] = [
            int(line.split()[1]) for line in (tmp_path / name).read_text().splitlines() if line.startswith("acknowledged")
        ]
        assert len(acknowledged[name]) == COMMITS
    assert added >= 5
    assert [row[0] for row in world.rows(out)] == sorted(acknowledged["a"] + acknowledged["b"])
    runs = [(s["run_id"], s["meshplane.write"]) for s in world.summaries(out)]
    assert sorted(runs) == sorted((f"r-{name}", str(n)) for name in "ab" for n in range(1, COMMITS + 1))


def _pause(writers: list[tuple[str, subprocess.Popen[bytes]]]) -> None:
    """A second and a half, or less when a writer ends."""
    try:
        writers[0][1].wait(1.5)
    except subprocess.TimeoutExpired:
        return
