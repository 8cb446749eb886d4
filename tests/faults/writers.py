"""A run that writes a gated table, as a state machine takes it: job, verdict, publish_tables; again where it died, at most three rounds."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pyiceberg.exceptions import CommitFailedException

from meshplane.errors import GateFailed, MainMoved
from meshplane.handlers.publish_tables import handler
from meshplane.model.publishing import ROUNDS, Request
from tests.aws.publishing_world import ARROW, CONTEXT, RULES, STEP, gated
from tests.faults.estate import BUCKET, DATABASE, TABLE, Faulty
from tests.faults.turnstile import Mode, Turn


class JobFailedError(Exception):
    """A job run ended with an error of its own: the pipeline tries it again."""


Job = Callable[["Writer", str], None]
"""Writes the rows of an attempt to its branch and leaves the record. Raises anything when it dies."""
COLLISIONS = 12  # of one commit with other writers, as dp_foundation.io.commits.TRIES
DEATHS = 10


@dataclass
class Writer:
    """One run. `good`: its verdict says yes. `outcome`: published, refused, or overtaken (others moved `main` in all its rounds)."""

    world: Faulty
    name: str
    run_id: str
    rows: tuple[int, ...]
    good: bool
    turn: Turn
    job: Job
    outcome: str = ""
    errors: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The access key of this life."""
        return f"{self.name}x{self.turn.life}"

    def play(self) -> None:
        """To its end, whatever dies on the way. What is raised by one that lives is an error of ours."""
        try:
            self._rounds()
        except Exception as error:  # noqa: BLE001  told by the plan that plays it
            self.errors.append(f"{self.name}: {type(error).__name__}: {error}")
        finally:
            self.world.turnstile.ended(self.name)

    def _rounds(self) -> None:
        for number in range(ROUNDS):
            attempt = self._job(number)
            try:
                self._again(lambda attempt=attempt: self._publish(attempt))
            except MainMoved:
                continue
            except GateFailed as no:
                self.outcome = "refused" if no.cause == "rule-failed" else f"refused: {no.cause}: {no}"
                return
            self.outcome = "published"
            return
        self.outcome = "overtaken"

    def _job(self, number: int) -> str:
        """A job that dies is tried again with the next attempt, on a branch of its own."""
        for retry in range(DEATHS):
            attempt = f"{number}_{retry}"
            try:
                self.job(self, attempt)
            except JobFailedError:
                self._died()
                continue
            except Exception:
                if not self._died():
                    raise
                continue
            if not self._died():
                return attempt
        raise AssertionError(f"{self.name} died {DEATHS} times")

    def _publish(self, attempt: str) -> None:
        self.world.act_as(self.key)
        run = {"schema": 1, "run_id": self.run_id, "project": "sales", "pipeline": "daily"}
        handler({"run": run, "step": STEP, "attempt": attempt}, CONTEXT)  # type: ignore[arg-type]

    def _again(self, work: Callable[[], None]) -> None:
        """As Step Functions repeats a task whose function died or met a fault of AWS."""
        for _ in range(DEATHS):
            try:
                work()
            except (MainMoved, GateFailed):
                if not self._died():
                    raise
            except Exception:
                if not self._died() and self.turn.done not in self.turn.faults:
                    raise
            else:
                if not self._died():
                    return
        raise AssertionError(f"{self.name} died {DEATHS} times")

    def _died(self) -> bool:
        dead = self.turn.dead
        if dead:
            self.world.turnstile.revive(self.name)
        return dead


def by_pyiceberg(writer: Writer, attempt: str) -> None:
    """A job that writes with stock pyiceberg: branch, rows, record; found again by its run id, as the job library does."""
    catalog = writer.world.catalog(writer.key)
    branch = Request("sales", writer.run_id, STEP, attempt).branch
    for _ in range(COLLISIONS):
        try:
            table = catalog.load_table((DATABASE, TABLE))
            if branch not in table.refs():
                head = table.current_snapshot()
                assert head is not None
                table.manage_snapshots().create_branch(head.snapshot_id, branch).commit()
                table = catalog.load_table((DATABASE, TABLE))
            if not stands(table, branch, writer.run_id):
                data = pa.table({"order_id": list(writer.rows), "amount": [1.0] * len(writer.rows)}, schema=ARROW)
                table.append(data, snapshot_properties={"run_id": writer.run_id}, branch=branch)
            break
        except Exception as error:
            # Overtaken, or the reply was lost: another look shows what is left to do.
            if writer.turn.dead or not (isinstance(error, CommitFailedException) or writer.turn.done in writer.turn.faults):
                raise
    else:
        raise AssertionError(f"{writer.name} collided {COLLISIONS} times")
    _record(writer, branch, attempt, catalog.load_table((DATABASE, TABLE)))


def stands(table: Any, branch: str, run_id: str) -> bool:
    """Is the run's commit on its branch already?"""
    head = table.snapshot_by_id(table.refs()[branch].snapshot_id)
    return head is not None and head.summary is not None and head.summary.get("run_id") == run_id


def _record(writer: Writer, branch: str, attempt: str, table: Any) -> None:
    head = table.snapshot_by_id(table.refs()[branch].snapshot_id)
    total, rows = int(head.summary["total-records"]), len(writer.rows)
    fork = head
    while fork.summary.get("run_id") == writer.run_id:
        fork = table.snapshot_by_id(fork.parent_snapshot_id)
    named = {"table": "orders", "snapshot": head.snapshot_id, "parent": fork.snapshot_id, "branch": branch}
    bad = 0 if writer.good else rows
    results = [
        {"rule": r.name, "kind": "x", "severity": r.severity, "outcome": outcome, "violations": n, "rows": rows, "detail": ""}
        for r in RULES
        for n in (bad if r.name == "implied_key_unique" else 0,)
        for outcome in ("failed" if n else "passed",)
    ]
    judged = {"schema_id": head.schema_id, "rules_digest": gated("orders").digest, "rows": rows, "passed": writer.good, "results": results}
    told = {"state": "done", "run_id": writer.run_id, "project": "sales", "job": STEP, "step": STEP, "pipeline": "daily"}
    times = {"started": "2030-01-02T03:04:05Z", "ended": "2030-01-02T03:05:05Z"}
    body = {
        "schema": 1,
        **told,
        **times,
        "attempt": int(attempt.partition("_")[2]),
        "error": "",
        "inputs": [],
        "outputs": [{**named, "rows_added": rows, "rows_total": total}],
        "verdicts": [{**named, **judged}],
    }
    for tried in (1, 2):
        try:
            writer.world.act_as(writer.key)("s3").put_object(
                Bucket=BUCKET, Key=f"sales/_runs/{writer.run_id}/{STEP}.json", Body=json.dumps(body).encode()
            )
            return
        except Exception as error:
            if writer.turn.dead:
                raise
            if tried == 2:
                raise JobFailedError(f"{writer.name}: the record's reply was lost {tried} times") from error


def faults(rng: random.Random, most: int) -> Turn:
    """None to three faults at writes that a run may come to; most runs suffer one."""
    at = rng.sample(range(1, most + 1), rng.choice((0, 1, 1, 1, 2, 3)))
    return Turn({number: rng.choice(list(Mode)) for number in sorted(at)})
