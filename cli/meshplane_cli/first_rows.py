"""The first act of `meshplane demo`: the example projects are published, sample files arrive, pipelines start by themselves and compute.

Nothing of it is staged: the same functions as the verbs'. What starts the pipelines is the plane, and what computes the rows is Spark.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from threading import Thread

from meshplane.model.runs import Run
from meshplane_cli.bad_batch import LOOK_EVERY, Teller, arrives, put_right
from meshplane_cli.commands.publish import wait_for
from meshplane_cli.commands.query import asked
from meshplane_cli.commands.query import command as query
from meshplane_cli.manifests import project_of, text_of
from meshplane_cli.output import PROBLEMS, CliError, emit, say, show
from meshplane_cli.records import ENDED
from meshplane_cli.releases import build, upload
from meshplane_cli.sample_data import uploads, write
from meshplane_cli.surroundings import Target

PROJECTS = ("customers", "sales")
FIRST, LAST = "load_orders", ("sales", "daily", "daily_revenue")  # the last step has to read what the customers' pipeline published
READER = ("duckdb", "pyarrow", "pyiceberg.table", "sqlglot")  # what `query` loads when first asked
FIRST_ROWS = "select * from sales.daily_revenue order by day, country, currency limit 8"
COUNT = 'select count(*) as "rows", sum(orders) as orders, sum(revenue_eur) as revenue_eur from sales.daily_revenue'


def play(found: Target, folder: Path, sample: str, timeout: int, began: float, as_json: bool) -> None:
    """Both acts; as JSON only the first. The second's bad batch arrives while the first one's revenue is computed.

    `folder` is for generated files, `began` a reading of the monotonic clock.
    """
    with ThreadPoolExecutor(1) as meanwhile:
        files = meanwhile.submit(uploads, Path(sample)) if sample else meanwhile.submit(write, folder)
        _publish(found)
    since = datetime.now(UTC)
    _drop_files(found, files.result())
    Thread(target=lambda: [import_module(name) for name in READER], daemon=True).start()  # the pipelines take a while
    teller = Teller(found, PROJECTS, since)
    before = _follow(teller, timeout, _done if as_json else _fed, None if as_json else lambda: arrives(found, folder, teller))
    manifest = f"s3://{found.naming.bucket('artifacts')}/{found.naming.manifest_key('sales')}"
    if as_json:
        (count,), next_lines = asked(COUNT)[1], [{"title": title, "command": line} for title, line in five(manifest)]
        emit({"seconds": round(time.monotonic() - began), "firstRows": asked(FIRST_ROWS)[1], "count": count, "next": next_lines})
        return
    show("The first rows of the curated table, read without Spark:", style="bold")
    query(FIRST_ROWS)
    query(COUNT)
    put_right(found, before, timeout, lambda: query(COUNT), teller)
    say(f"▸ done in {time.monotonic() - began:.0f} s; the embedded AWS stays up")
    _what_next(manifest)


def _publish(found: Target) -> None:
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


def _follow(
    teller: Teller, timeout: float, far_enough: Callable[[list[Run]], bool], more: Callable[[], frozenset[str]] | None
) -> frozenset[str]:
    """Say what the runs do until they are far enough. `more` arrives once the orders were read that are computed with; what it gives."""
    until, before = time.monotonic() + timeout, frozenset[str]()
    while time.monotonic() < until:
        runs = teller.told()
        if more is not None and (_computes(runs) or _fed(runs)):
            before = more()
            more = None
        if far_enough(runs):
            return before
        failed = [run for run in runs if run.status in ENDED - {"SUCCEEDED", "SKIPPED"}]
        if failed:
            raise CliError(f"{failed[0].project}.{failed[0].pipeline} failed", mend=f"meshplane logs {failed[0].run_id}", code=PROBLEMS)
        time.sleep(LOOK_EVERY)
    raise CliError(f"the pipelines are not done after {timeout:.0f} s", mend="meshplane runs sales; meshplane runs customers")


def _computes(runs: list[Run]) -> bool:
    """Is a run of sales.daily past its first step, so that its last one reads what customers.daily has published before?"""
    fed = [run.ended for run in runs if run.project == "customers" and run.status == "SUCCEEDED"]
    going = [run for run in runs if (run.project, run.pipeline) == LAST[:2] and run.status == "RUNNING"]
    read = [end for run in going for name, end in run.steps.items() if name.startswith(f"{FIRST}#") and end.state == "SUCCEEDED"]
    return bool(fed) and any(end.ended[:19] > max(fed)[:19] for end in read)


def _fed(runs: list[Run]) -> bool:
    """Did a run of sales.daily that succeeded read what customers.daily has published? By seconds: what a record keeps."""
    fed = [run.ended[:19] for run in runs if run.project == "customers" and run.status == "SUCCEEDED"]
    last = [run for run in runs if (run.project, run.pipeline) == LAST[:2] and run.status == "SUCCEEDED"]
    read = [end.started[:19] for run in last for name, end in run.steps.items() if name.startswith(f"{LAST[2]}#")]
    return bool(fed) and any(at > max(fed) for at in read)


def _done(runs: list[Run]) -> bool:
    """And is nothing open any more, the run included that customers.daily started?"""
    after = [run for run in runs if (run.project, run.pipeline) == LAST[:2] and run.trigger == "after_customers"]
    return _fed(runs) and bool(after) and all(run.status in ENDED for run in runs)


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
