"""The second act of `meshplane demo`: a batch that breaks its contract, what readers see of it, and how it is put right.

A new shop spells its currency in another way. Its rows go to quarantine with their reason, the run's gate says no, the tables stay as they
were. Then the manifest maps the spelling, a replay takes the rows up again, and they are published. Nothing of it is staged: the same
queue, handlers, Spark and gate as for everything else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from meshplane.model.quarantine import REPLAY
from meshplane.model.runs import Run
from meshplane_cli.commands.publish import wait_for
from meshplane_cli.commands.quarantine import show_rows
from meshplane_cli.commands.run import start_pipeline
from meshplane_cli.manifests import project_of, text_of
from meshplane_cli.output import PROBLEMS, CliError, say, show
from meshplane_cli.records import ENDED, store
from meshplane_cli.releases import build, put_manifest, send_files
from meshplane_cli.sample_data import new_shop
from meshplane_cli.surroundings import Target

LOOK_EVERY = 0.25  # seconds
TABLE, PROJECT, PIPELINE = "sales.orders", "sales", "daily"
WRONG = "map: { currency: upper(trim(currency)) }"
RIGHT = "map: { currency: \"regexp_replace(upper(trim(currency)), 'EURO', 'EUR')\" }"


@dataclass
class Teller:
    """Says of each run of these projects, made since then, what has become of it."""

    found: Target
    projects: tuple[str, ...]
    since: datetime
    said: dict[str, str] = field(default_factory=dict)

    def told(self) -> list[Run]:
        """The runs, oldest first; news of them is printed."""
        history, since = store(self.found).history, self.since.strftime("%Y-%m-%dT%H:%M:%S")
        runs = sorted((run for name in self.projects for run in history(name) if run.created >= since), key=lambda run: run.created)
        for run in runs:
            if self.said.get(run.run_id) != run.status:
                self.said[run.run_id] = run.status
                say(f"▸ {run.project}.{run.pipeline}  {run.status.lower():<10} {run.run_id}  ({run.trigger})")
        return runs


def arrives(found: Target, folder: Path, teller: Teller) -> frozenset[str]:
    """The bad rows. The ids of the runs that cannot read them any more; one that waits reads what has arrived by then."""
    show("A bad batch: a new shop writes EURO for EUR", style="bold")
    for key, path in new_shop(folder).items():
        found.clients("s3").upload_file(str(path), found.naming.bucket("raw"), key)
        say(f"▸ s3://{found.naming.bucket('raw')}/{key}")
    return frozenset(run_id for run_id, status in teller.said.items() if status != "WAITING")


def put_right(found: Target, before: frozenset[str], timeout: float, count: Callable[[], None], teller: Teller) -> None:
    """The gate, the fix, the replay. `before`: runs that are none of the bad batch's; `count` prints what readers see. Raises CliError
    when it goes another way."""
    stopped = _ended(teller, lambda run: run.run_id not in before and run.status not in {"SUCCEEDED", "SKIPPED"}, timeout)
    if stopped.error != "GateFailed":
        raise CliError(f"the gate should have stopped {stopped.run_id}", found=f"{stopped.status} {stopped.cause}", code=PROBLEMS)
    say(f"▸ {PROJECT}.{PIPELINE}  stopped by its gate: {stopped.cause[:160]}")
    show_rows(TABLE, limit=2)
    show("Readers see what they saw:")
    count()
    _fix(found, timeout)
    policy = (store(found).policies(PROJECT) or {})[PIPELINE]
    replay = start_pipeline(found, PROJECT, PIPELINE, policy, {REPLAY: json.dumps({"table": TABLE.partition(".")[2]})})
    say(f"▸ meshplane quarantine replay {TABLE}: run {replay}")
    done = _ended(teller, lambda run: run.run_id == replay, timeout)
    if done.status != "SUCCEEDED":
        raise CliError(f"the replay {replay} failed", found=done.cause, mend=f"meshplane logs {replay}", code=PROBLEMS)
    show("After the fix and the replay, published:")
    count()


def _fix(found: Target, timeout: float) -> None:
    """The manifest with one line changed, as its author would upload it; the checkout's file stays as it is."""
    text = text_of(found.checkout, PROJECT)
    if WRONG not in text:
        raise CliError(f"projects/{PROJECT}/project.yaml has no line `{WRONG}`, which this part of the demo mends", code=PROBLEMS)
    built = build(found.checkout.folder(PROJECT), project_of(found.checkout, PROJECT, found.env), found.naming, say)
    send_files(found, built)
    version = put_manifest(found, built, text.replace(WRONG, RIGHT))
    say(f"▸ the fix, in the manifest: {RIGHT}")
    (end,) = wait_for(found, {PROJECT: version}, timeout, quiet=True).values()
    if not end.done:
        raise CliError("the mended manifest was not taken in", found=end.text, code=PROBLEMS)


def _ended(teller: Teller, meant: Callable[[Run], bool], timeout: float) -> Run:
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        runs = [run for run in teller.told() if (run.project, run.pipeline) == (PROJECT, PIPELINE) and meant(run) and run.status in ENDED]
        if runs:
            return runs[0]
        time.sleep(LOOK_EVERY)
    raise CliError(f"no run of {PROJECT}.{PIPELINE} ended within {timeout:.0f} s", mend=f"meshplane runs {PROJECT}")
