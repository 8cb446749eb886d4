"""A plan of faults from a seed: two to four runs write one gated table at once and are killed on their way; then what stands is judged."""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass, field

from pyiceberg.table import Table

from tests.aws.publishing_world import gated
from tests.aws.table_estate import loaded
from tests.faults.estate import BUCKET, DATABASE, TABLE, Faulty, faulty
from tests.faults.spark_fleet import Fleet
from tests.faults.turnstile import Mode
from tests.faults.writers import Job, Writer, by_pyiceberg, faults

WRITES = 16  # an undisturbed run makes 13; what dies, or is overtaken, makes some again
BASE = 5  # rows of before the first run


@dataclass
class Finding:
    """How a plan ended. `suffered` counts faults by step and mode; nothing is wrong where `problems` is empty."""

    seed: int
    outcomes: tuple[str, ...] = ()
    suffered: Counter[tuple[str, str]] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def play(seed: int) -> Finding:
    """The plan of this seed, with stock pyiceberg as the writer and the real handler of publish_tables."""
    rng = random.Random(seed)
    with faulty() as world:
        world.estate.table("orders", rows=BASE)
        world.base = world.raw()["refs"]["main"]["snapshot-id"]
        world.estate.state([gated("orders")])
        writers = _writers(world, rng, rng.choice((2, 2, 3, 4)), by_pyiceberg)
        run(world, writers, random.Random(rng.getrandbits(32)))
        return judged(seed, world, writers)


def play_spark(seed: int, fleet: Fleet) -> Finding:
    """The same with two processes of real Spark and the job library. Half of the plans begin with an empty table."""
    rng = random.Random(seed)
    with faulty() as world:
        fleet.serve(world.url)
        world.estate.table("orders", rows=rng.choice((0, BASE)))
        head = world.raw().get("refs", {}).get("main")
        world.base = head["snapshot-id"] if head else None
        world.estate.state([fleet.gated])
        writers = _writers(world, rng, 2, fleet.job)
        run(world, writers, None)
        return judged(seed, world, writers)


def _writers(world: Faulty, rng: random.Random, count: int, job: Job) -> list[Writer]:
    return [
        Writer(
            world,
            f"w{at}",
            f"daily-2030010203040{at}-{rng.getrandbits(40):010x}",
            tuple(range(100 * (at + 1), 100 * (at + 1) + rng.randint(1, 5))),
            rng.random() < 0.85,
            faults(rng, WRITES),
            job,
        )
        for at in range(count)
    ]


def run(world: Faulty, writers: list[Writer], rng: random.Random | None) -> None:
    """All writers at once, until each has come to its end."""
    world.turnstile.begin(rng, {writer.name: writer.turn for writer in writers})
    threads = [threading.Thread(target=writer.play, name=writer.name) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def judged(seed: int, world: Faulty, writers: list[Writer]) -> Finding:
    """Each run once, no acknowledged row lost, no referenced file gone, `main` only at judged snapshots."""
    found = Finding(seed, tuple(writer.outcome for writer in writers), Counter(world.turnstile.suffered), [*world.wrong])
    world.turnstile.begin(None, {})
    table = loaded(world.estate.own, DATABASE, TABLE)
    found.problems += [error for writer in writers for error in writer.errors]
    published = {writer.run_id for writer in writers if writer.outcome == "published"}
    odd = [writer.outcome for writer in writers if writer.outcome not in ("published", "refused", "overtaken")]
    if odd or any(writer.good != (writer.outcome != "refused") for writer in writers if writer.outcome != "overtaken"):
        found.problems.append(f"outcomes {found.outcomes} for {[writer.good for writer in writers]}")
    runs = Counter(_ancestry(table))
    if runs != Counter(published):
        found.problems.append(f"main holds {dict(runs)}, published were {sorted(published)}")
    base = set(range(BASE)) if world.base is not None else set()
    wanted = sorted(base | {row for writer in writers if writer.run_id in published for row in writer.rows})
    rows = sorted(table.scan().to_arrow()["order_id"].to_pylist())
    if rows != wanted:
        found.problems.append(f"rows {rows} instead of {wanted}")
    found.problems += _missing(world, table)
    return found


def _ancestry(table: Table) -> list[str]:
    """The run of each snapshot under `main` that a run made."""
    found, at = [], table.current_snapshot()
    while at is not None:
        if at.summary and (run := at.summary.get("run_id")):
            found.append(str(run))
        at = table.snapshot_by_id(at.parent_snapshot_id) if at.parent_snapshot_id is not None else None
    return found


def _missing(world: Faulty, table: Table) -> list[str]:
    """Files that some snapshot names and that are not there."""
    pages = world.estate.own("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    there = {f"s3://{BUCKET}/{item['Key']}" for page in pages for item in page.get("Contents", ())}
    named = {table.metadata_location}
    for snapshot in table.metadata.snapshots:
        named.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            named.add(manifest.manifest_path)
            named |= {entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io)}
    return [f"{path} is named and not there" for path in sorted(named - there)]


def covered(findings: list[Finding]) -> Counter[tuple[str, str]]:
    """Over all plans: (step, mode) → how often."""
    return sum((finding.suffered for finding in findings), Counter())


STEPS = ("cleanup", "data", "manifest", "manifest list", "metadata", "catalog", "run record", "publish record", "PutEvents")
"""Every kind of write that a run of pyiceberg makes."""
MODES = tuple(Mode)
