"""Jobs of the earlier templates, unchanged, in a project of the plane: by `meshplane run-local` and as job runs of the deployed jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.plane import ROOT, Plane

pytestmark = [pytest.mark.spark, pytest.mark.local]
LEGACY = Path(__file__).parents[1] / "jobs" / "legacy"
SCRIPTS = ("core_append.py", "foundation_append.py")  # `core` without a path, `dp_foundation` with one

MANIFEST = """\
apiVersion: meshplane/v1
kind: Project
metadata: { name: old }
tables:
  source_raw: { layer: raw, format: csv, partition: dt, columns: { id: string, country: string } }
  source: { layer: refined, columns: { id: long, country: string }, key: id }
  target: { layer: curated, columns: { id: long, country: string } }
jobs:
  load: { use: merge, reads: source_raw, writes: source }
  core-append: { script: jobs/core_append.py, reads: source, writes: { table: target, mode: append } }
  foundation-append: { script: jobs/foundation_append.py, reads: source, writes: { table: target, mode: append } }
"""


@pytest.fixture(scope="module", autouse=True)
def _old(plane: Plane) -> None:
    """The project as a team moves it here: its scripts byte for byte, and two rows for them to read."""
    for part in ("glue_jobs", "functions"):  # a checkout has them
        (plane.folder / part).symlink_to(ROOT / part)
    plane.write("old", MANIFEST, {f"jobs/{name}": (LEGACY / name).read_text(encoding="utf-8") for name in SCRIPTS})
    plane.sync("old")
    assert plane.synced("old") == ("True", "Applied"), plane.text("old")
    landed = plane.folder / "source.csv"
    landed.write_text("id,country\n1,DE\n2,FR\n", encoding="utf-8")
    plane.aws("s3", "cp", str(landed), f"s3://{plane.bucket('raw')}/old/source_raw/dt=2026-01-01/source.csv")
    done = plane.meshplane("run-local", "old.load")
    assert done.returncode == 0, done.stdout + done.stderr


def _rows(plane: Plane) -> list[tuple[int, str]]:
    rows = plane.catalog.load_table(f"{plane.stack.naming.database('curated')}.old_target").scan().to_arrow().to_pylist()
    return [(row["id"], row["country"]) for row in rows]


@pytest.mark.parametrize("words", [("run-local",), ("run", "--wait", "--timeout", "110")], ids=["run-local", "run"])
@pytest.mark.parametrize("job", ["core-append", "foundation-append"])
def test_a_legacy_job_adds_its_row(plane: Plane, job: str, words: tuple[str, ...]) -> None:
    before = _rows(plane)
    done = plane.meshplane(words[0], f"old.{job}", *words[1:])
    logs = plane.meshplane("logs", f"old.{job}").stdout if done.returncode else ""
    assert done.returncode == 0, done.stdout + done.stderr + logs
    assert _rows(plane) == [*before, (1, "DE")]
