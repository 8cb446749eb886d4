"""`meshplane validate`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from meshplane_cli.manifests import problems
from meshplane_cli.output import PROBLEMS, CliError, emit, show
from meshplane_cli.surroundings import JsonOption, checkout


def command(
    projects: Annotated[list[str] | None, typer.Argument(help="Folders under projects/; all of them when none is named.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Check manifests here, without AWS: every fault at once, for every environment, with file, line and what to write instead."""
    place = checkout()
    names = projects or list(place.projects)
    if not names:
        raise CliError("there is no project here", mend="meshplane new NAME")
    found = {name: problems(place, name) for name in names}
    count = sum(map(len, found.values()))
    if as_json:
        emit({"projects": {name: [asdict(problem) for problem in faults] for name, faults in found.items()}, "problems": count})
    else:
        for faults in found.values():
            for problem in faults:
                show(str(problem))
        told = f"{count} problem{'s' if count != 1 else ''}. Nothing was changed." if count else f"{', '.join(names)}: no problems."
        show(told, style="bold")
    if count:
        raise typer.Exit(PROBLEMS)
