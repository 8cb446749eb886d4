"""`meshplane demo`: the main job on the embedded AWS, nothing of it staged.

It does what a person does, with the same functions as the verbs: brings the embedded AWS up, publishes the example projects, drops sample
files into the raw bucket and watches. What starts the pipelines is the plane, and what computes the rows is Spark.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Annotated

import typer

from meshplane.model.runs import Run
from meshplane_cli.bad_batch import LOOK_EVERY, Teller, arrives
from meshplane_cli.commands.query import asked
from meshplane_cli.commands.query import command as query
from meshplane_cli.manifests import project_of, text_of
from meshplane_cli.output import PROBLEMS, CliError, emit, say, show
from meshplane_cli.records import ENDED
from meshplane_cli.sample_data import uploads, write
from meshplane_cli.surroundings import JsonOption, Target, checkout, target

PROJECTS = ("customers", "sales")
LAST = ("sales", "daily", "daily_revenue")  # the step that has to read what the customers' pipeline published
READER = ("duckdb", "pyarrow", "pyiceberg.table", "sqlglot")  # what `query` loads when first asked
FIRST_ROWS = "select * from sales.daily_revenue order by day, country, currency limit 8"
COUNT = 'select count(*) as "rows", sum(orders) as orders, sum(revenue_eur) as revenue_eur from sales.daily_revenue'


def command(
    timeout: Annotated[int, typer.Option(min=0, help="Seconds to wait for the pipelines at most.")] = 300,
    sample: Annotated[
        str, typer.Option(help="A folder with contacts.csv, rates.csv and orders-*.csv to use instead of generated ones.")
    ] = "",
    baseline: Annotated[
        bool,
        typer.Option("--baseline", help="As in an account: the baseline by the real Terraform, the plane by CloudFormation; minutes more."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Two projects, from an uploaded manifest to rows in a curated table, on the embedded AWS; then a bad batch, which its gate stops, and
    how it is put right (with --json only the first part). The stack stays up afterwards.
    """
    began = time.monotonic()
    found, folder = _bring_up(baseline)
    with ThreadPoolExecutor(1) as meanwhile:
        files = meanwhile.submit(uploads, Path(sample)) if sample else meanwhile.submit(write, folder / "sample")
        _publish(found)
    since = datetime.now(UTC)
    _drop_files(found, files.result())
    Thread(target=lambda: [import_module(name) for name in READER], daemon=True).start()  # the pipelines take a while
    teller = _follow(found, since, timeout, to_the_end=as_json)
    manifest = f"s3://{found.naming.bucket('artifacts')}/{found.naming.manifest_key('sales')}"
    if as_json:
        (count,), next_lines = asked(COUNT)[1], [{"title": title, "command": line} for title, line in five(manifest)]
        emit({"seconds": round(time.monotonic() - began), "firstRows": asked(FIRST_ROWS)[1], "count": count, "next": next_lines})
        return
    show("The first rows of the curated table, read without Spark:", style="bold")
    query(FIRST_ROWS)
    query(COUNT)
    arrives(found, folder / "sample", timeout, lambda: query(COUNT), teller)
    say(f"▸ done in {time.monotonic() - began:.0f} s; the embedded AWS stays up")
    _what_next(manifest)


def _bring_up(baseline: bool) -> tuple[Target, Path]:
    """The embedded AWS, and the folder in which it keeps its state."""
    from meshplane_cli.local import stack

    def told(line: str) -> None:
        say(f"▸ {line}")

    up = stack.up(checkout().root, told, deploy=not baseline)
    os.environ.update(up.env())
    found = target("dev")
    if baseline:  # what `meshplane baseline apply` and `meshplane deploy` do
        from meshplane_cli.baseline import apply_baseline
        from meshplane_cli.delivery import plane
        from meshplane_cli.platform import publish_platform

        apply_baseline(up, told)
        plane.deploy(found, told)
        publish_platform(found.clients, found.naming, found.checkout.root)
    return found, up.place.folder


def _publish(found: Target) -> None:
    from meshplane_cli.commands.publish import wait_for
    from meshplane_cli.releases import build, upload

    versions = {}
    for name in PROJECTS:
        project = project_of(found.checkout, name, found.env)
        versions[name] = upload(found, build(found.checkout.folder(name), project, found.naming, say), text_of(found.checkout, name))
        say(f"▸ {name}: manifest uploaded, version {versions[name]}")
    ends = wait_for(found, versions, timeout=120)
    broken = [name for name, end in ends.items() if not end.done]
    if broken:
        raise CliError(f"not as their manifests say: {', '.join(broken)}", mend=f"meshplane status {broken[0]}", code=PROBLEMS)


def _drop_files(found: Target, files: Mapping[str, Path]) -> None:
    bucket = found.naming.bucket("raw")
    for key, path in files.items():
        found.clients("s3").upload_file(str(path), bucket, key)
        say(f"▸ s3://{bucket}/{key}  ({path.stat().st_size / 1e6:.1f} MB)")


def _follow(found: Target, since: datetime, timeout: float, to_the_end: bool) -> Teller:
    """Say what the runs do until revenue was computed after customers.daily ended; `to_the_end`: and nothing is open any more."""
    teller = Teller(found, PROJECTS, since)
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        runs = teller.told()
        failed = [run for run in runs if run.status in ENDED - {"SUCCEEDED", "SKIPPED"}]
        if failed:
            raise CliError(f"{failed[0].project}.{failed[0].pipeline} failed", mend=f"meshplane logs {failed[0].run_id}", code=PROBLEMS)
        if _fed(runs) and (not to_the_end or _done(runs)):
            return teller
        time.sleep(LOOK_EVERY)
    raise CliError(f"the pipelines are not done after {timeout:.0f} s", mend="meshplane runs sales; meshplane runs customers")


def _fed(runs: list[Run]) -> bool:
    """Did a run of sales.daily that succeeded read what customers.daily has published? By seconds: what a record keeps."""
    fed = [run.ended[:19] for run in runs if run.project == "customers" and run.status == "SUCCEEDED"]
    last = [run for run in runs if (run.project, run.pipeline) == LAST[:2] and run.status == "SUCCEEDED"]
    read = [end.started[:19] for run in last for name, end in run.steps.items() if name.startswith(f"{LAST[2]}#")]
    return bool(fed) and any(at > max(fed) for at in read)


def _done(runs: list[Run]) -> bool:
    after = [run for run in runs if (run.project, run.pipeline) == LAST[:2] and run.trigger == "after_customers"]
    return bool(after) and all(run.status in ENDED for run in runs)


def _what_next(manifest: str) -> None:
    show("Now you (copy one line at a time):", style="bold")
    for title, line in five(manifest):
        show(f"  # {title}", style="dim")
        show(f"  {line}")


def five(manifest: str) -> list[tuple[str, str]]:
    """Five commands to copy: change, break, look, put back, down. `tests/e2e` runs each."""
    env = 'eval "$(./dev meshplane local env)"'
    return [
        (
            "change: a new column, and snapshots kept for 14 days; upload with any S3 client",
            f"{env}; sed 's/^      currency: string$/&\\n      channel: string/; s/days: 30/days: 14/'"
            f" projects/sales/project.yaml | .venv/bin/aws s3 cp - {manifest}",
        ),
        (
            "break: a type that cannot be; nothing in AWS changes",
            f"{env}; sed 's/amount: decimal(12,2)/amount: decimal(40,2)/' projects/sales/project.yaml | .venv/bin/aws s3 cp - {manifest}",
        ),
        ("look: what the plane says of it, with file, line and mend", "./dev meshplane status sales"),
        ("put back: publish the project as it lies here", "./dev meshplane publish sales"),
        ("down: stop the embedded AWS, keep its state", "./dev meshplane local down"),
    ]
