"""`meshplane demo`: the main job on the embedded AWS, nothing of it staged.

It does what a person does, with the same functions as the verbs: brings the embedded AWS up, publishes the example projects, drops sample
files into the raw bucket and watches (`first_rows`), then lets a bad batch arrive (`bad_batch`).
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from meshplane_cli.output import say
from meshplane_cli.surroundings import JsonOption, Target, checkout, target


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
    from meshplane_cli.first_rows import play

    play(found, folder / "sample", sample, timeout, began, as_json)


def _bring_up(baseline: bool) -> tuple[Target, Path]:
    """The embedded AWS, and the folder in which it keeps its state."""
    from meshplane_cli.local import stack

    def told(line: str) -> None:
        say(f"▸ {line}")

    with ThreadPoolExecutor(1) as meanwhile:
        meanwhile.submit(import_module, "meshplane_cli.first_rows")  # a third of a second, which the server needs longer to come up
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
