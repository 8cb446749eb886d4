"""Calls and seconds of a reconcile, and how soon the plane answers: `python benchmarks/reconcile.py [--no-spark]`.

On an embedded AWS of its own, from this checkout's template: 20 tables (DESIGN §9's project), the same beside 1,000 tables of others,
and one project of 1,000 tables; then the time from put_object of a manifest to Synced, and from put_object of a file to the end of its
run less the job's own time, settle and the batching window. Prints markdown rows for RESULTS.md. It needs what `./dev setup` sets up.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), *(str(ROOT / part) for part in ("functions", "glue_jobs", "cli"))]

from meshplane.model.runs import Run  # noqa: E402
from tests.aws.test_plane_budget import manifest  # noqa: E402
from tests.e2e.plane import HEAD, Plane, eventually, plane_in  # noqa: E402

WINDOW = 1.0  # MaximumBatchingWindowInSeconds of template.yaml
TIMES = 5
SPEED = """tables:
  items_raw: { layer: raw, format: csv, partition: dt, columns: { id: string, name: string } }
  items: { layer: refined, key: [id], columns: { id: long, name: string } }
jobs:
  load: { use: merge, reads: items_raw, writes: items }
pipelines:
  daily: { triggers: { landed: { files: items_raw, settle: 0s } }, steps: [load] }
"""


def row(*cells: object) -> None:
    """One row of a table in markdown."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def put(plane: Plane, project: str, text: str) -> str:
    """Upload a manifest; its version id."""
    answer = plane.client("s3").put_object(
        Bucket=plane.bucket("artifacts"), Key=plane.stack.naming.manifest_key(project), Body=text.encode()
    )
    return str(answer["VersionId"])


def synced(plane: Plane, project: str, version: str) -> bool:
    """Is the project as that version says?"""
    try:
        status = plane.status(project)
    except plane.client("s3").exceptions.NoSuchKey:
        return False
    return bool(status["observedVersion"] == version and status["conditions"][0]["status"] == "True")


def cost(plane: Plane, title: str, project: str, text: str) -> None:
    """Create, then look again, each by a fresh process."""
    plane.client("s3").put_object(Bucket=plane.bucket("artifacts"), Key=f"manifests/{project}/jobs/j.py", Body=b"print(1)\n")
    plane.end_process()
    with plane.counted() as creation:
        began = time.monotonic()
        version = put(plane, project, text)
        eventually(lambda: synced(plane, project, version), 600, 0.02)
        created = time.monotonic() - began
    with plane.counted() as no_op:
        began = time.monotonic()
        plane.look(project, fresh=True)
        fresh = time.monotonic() - began
    began = time.monotonic()
    plane.look(project)
    row(title, len(creation), f"{created:.1f}", len(no_op), f"{fresh:.2f}", f"{time.monotonic() - began:.2f}")


def others(plane: Plane, count: int) -> None:
    """Tables of another project, as many in refined as in curated."""
    for number in range(count):
        database = plane.stack.naming.database("refined" if number % 2 else "curated")
        plane.client("glue").create_table(
            DatabaseName=database, TableInput={"Name": f"other_t{number}", "Parameters": {"table_type": "ICEBERG"}}
        )


def many(name: str, count: int) -> str:
    """A project of so many refined tables."""
    tables = [f"  t{n}: {{ layer: refined, key: [id], columns: {{ id: long, v: string }} }}" for n in range(count)]
    return HEAD.format(name=name) + "\n".join(["tables:", *tables]) + "\n"


def to_synced(plane: Plane, texts: list[str]) -> list[float]:
    """Seconds from put_object to Synced, for one manifest after the other, by a warm function."""
    found = []
    for text in texts:
        began = time.monotonic()
        version = put(plane, "swift", text)
        eventually(lambda version=version: synced(plane, "swift", version), 60, 0.005)
        found.append(time.monotonic() - began)
    return found


def to_end_of_run(plane: Plane, times: int) -> list[tuple[float, float]]:
    """For each file: seconds from put_object to the end of its run, and the job's own share, from its start to its end."""
    glue, naming = plane.client("glue"), plane.stack.naming
    found = []
    for number in range(times):
        body = f"id,name\n{number},n{number}\n".encode()
        began = time.monotonic()
        plane.client("s3").put_object(Bucket=plane.bucket("raw"), Key=f"speed/items_raw/dt=1/{number}.csv", Body=body)
        run = eventually(lambda number=number: ended(plane, number + 1), 120, 0.01)
        took = time.monotonic() - began
        assert run.status == "SUCCEEDED", run
        job = glue.get_job_runs(JobName=naming.job("speed", "load"))["JobRuns"][0]
        found.append((took, (job["CompletedOn"] - job["StartedOn"]).total_seconds()))
    return found


def ended(plane: Plane, count: int) -> Run | None:
    """The newest run, once so many have ended."""
    from meshplane.aws.runs_store import DynamoRuns

    runs = DynamoRuns(plane.client("dynamodb"), plane.stack.naming.of("state_table")).history("speed")
    over = sorted((run for run in runs if run.ended), key=lambda run: run.ended)
    return over[-1] if len(over) >= count else None


def told(title: str, values: list[float]) -> None:
    """The row of some measurements."""
    row(title, f"{statistics.median(values):.2f}", f"{min(values):.2f}", f"{max(values):.2f}")


def reconciles(plane: Plane) -> None:
    """The first table: calls and seconds."""
    row("project", "calls to create", "seconds", "calls of a no-op", "seconds, fresh process", "seconds, warm")
    row(*["---"] * 6)
    cost(plane, "20 tables, 60 optimizers, 10 jobs", "alone", manifest().replace("name: sales", "name: alone"))
    others(plane, 1000)
    cost(plane, "the same, 1,000 tables of others beside", "beside", manifest().replace("name: sales", "name: beside"))
    cost(plane, "1,000 tables, 3,000 optimizers", "vast", many("vast", 1000))
    print()


def latencies(plane: Plane, spark: bool) -> None:
    """The second table: how soon something is done."""
    row("from put_object, seconds", "median", "least", "most")
    row(*["---"] * 4)
    base = many("swift", 3)
    to_synced(plane, [base])
    told("a manifest to Synced, nothing changed", to_synced(plane, [f"{base}# {n}\n" for n in range(TIMES)]))
    wider = [base.replace("v: string", "v: string, " + ", ".join(f"c{k}: long" for k in range(n + 1)), 1) for n in range(TIMES)]
    told("a manifest to Synced, a column more", to_synced(plane, wider))
    if spark:
        version = put(plane, "speed", HEAD.format(name="speed") + SPEED)
        eventually(lambda: synced(plane, "speed", version))
        measured = to_end_of_run(plane, TIMES + 1)[1:]  # the first finds everything cold
        told("a file to the end of its run", [took for took, _ in measured])
        told("the same less the job's own time and the batching window", [took - job - WINDOW for took, job in measured])


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-spark", action="store_true", help="Leave out what needs a job run.")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, plane_in(Path(folder) / "checkout", warm=not asked.no_spark) as plane:
        plane.client("events").disable_rule(Name="f01-meshplane-sweep-dev")  # a look of its own would be counted with ours
        reconciles(plane)
        latencies(plane, not asked.no_spark)


if __name__ == "__main__":
    main()
