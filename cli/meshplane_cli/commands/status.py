"""`meshplane status`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from meshplane_cli.output import OK, PROBLEMS, WAITS, emit, rows, show
from meshplane_cli.project_status import Standing, published, standing
from meshplane_cli.surroundings import EnvOption, JsonOption, target

LOOK_EVERY = 1.0


def command(
    project: Annotated[str, typer.Argument(help="One project; all that are published when none is named.")] = "",
    watch: Annotated[bool, typer.Option("--watch", help="Go on showing it whenever it changes, until Ctrl-C.")] = False,
    env: EnvOption = "",
    as_json: JsonOption = False,
) -> None:
    """Where projects stand: Synced, Healthy, Drifted, each with its reason, and what to do. Ends with 1 when one is not as declared.

    With --watch and --json each change is one line of JSON.
    """
    found = target(env)
    last: list[Standing] | None = None
    try:
        while last is None or watch:
            now = [standing(found, name) for name in ([project] if project else published(found))]
            if now != last:
                _show(now, as_json, one=bool(project), line=watch)
                last = now
            if watch:
                time.sleep(LOOK_EVERY)
    except KeyboardInterrupt:  # the way out of --watch
        if last is None:
            raise
    raise typer.Exit(_code(last))


def _show(now: list[Standing], as_json: bool, one: bool, line: bool) -> None:
    if as_json:
        emit([each.document for each in now], line)
    elif one:
        show(now[0].text.rstrip())
    else:
        axes = ("Synced", "Healthy", "Drifted")
        cells = ((each.project, *(each.told(axis) for axis in axes), each.document.get("whatToDo", "")) for each in now)
        rows(("project", *axes, "what to do"), cells, empty="no project is published")


def _code(now: list[Standing]) -> int:
    if all(each.done for each in now):
        return OK
    return PROBLEMS if any(each.problem for each in now) else WAITS
