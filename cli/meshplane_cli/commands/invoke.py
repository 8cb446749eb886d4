"""`meshplane invoke`: one of the plane's functions with an event of `events/`, as Lambda runs it, against the embedded AWS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from meshplane_cli import invocation
from meshplane_cli.local import stack as stacks
from meshplane_cli.output import PROBLEMS, UNREACHABLE, USAGE, CliError, emit, say, show
from meshplane_cli.surroundings import JsonOption, checkout


def command(
    function: Annotated[str, typer.Argument(help="Which function, like sweep-projects.")],
    event: Annotated[str, typer.Option(help="A file with the event; without it events/FUNCTION.json.")] = "",
    sam_env: Annotated[
        str, typer.Option("--sam-env", help="Call nothing: write the variables for `sam local invoke --env-vars` here.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Run a function's built code under Lambda's own runtime client, with its role, against the embedded AWS; print what it answers.

    No container is needed. Ends with 1 when the function failed. With containers, `sam local invoke` takes the same events.
    """
    root = checkout().root
    stack = stacks.find(root)
    if stack is None:
        raise CliError("the embedded AWS is not up", mend="meshplane local up", code=UNREACHABLE)
    if sam_env:
        Path(sam_env).write_text(invocation.sam_environment(stack, function), encoding="utf-8")
        say(f"{sam_env} is for: sam local invoke {_logical(function)} --event {_event(root, function, event)} --env-vars {sam_env}")
        return
    outcome = invocation.invoke(stack, function, _event(root, function, event).read_text(encoding="utf-8"), say)
    if as_json:
        emit({"answer": json.loads(outcome.payload), "error": outcome.error})
    else:
        show(outcome.payload)
    if outcome.error:
        raise typer.Exit(PROBLEMS)


def _event(root: Path, function: str, event: str) -> Path:
    path = Path(event) if event else root / "events" / f"{function.replace('-', '_')}.json"
    if not path.is_file():
        known = ", ".join(sorted(file.name for file in (root / "events").glob("*.json")))
        raise CliError("there is no such event", found=str(path), allowed=f"events/: {known}", code=USAGE)
    return path


def _logical(function: str) -> str:
    """`sweep-projects` → SweepProjects, its name in the template."""
    return "".join(part.title() for part in function.replace("_", "-").split("-"))
