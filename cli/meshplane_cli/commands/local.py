"""`meshplane local …`: the embedded AWS from the command line. Wired into the whole command line by `main`."""

from __future__ import annotations

import json
import re
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from meshplane_cli.local import stack as stacks
from meshplane_cli.local.stack import LocalAwsError, Stack

app = typer.Typer(help="The embedded AWS: everything of Meshplane on this machine, without an account.", no_args_is_help=True)
_DURATION = re.compile(r"(\d+)(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_NOT_UP = 3


def root() -> Path:
    """The checkout: the folder with domain.json, this one or one above it."""
    for folder in (here := Path.cwd(), *here.parents):
        if (folder / "domain.json").exists():
            return folder
    return Path(__file__).parents[3]


def duration(text: str) -> timedelta:
    """`90s`, `5m`, `24h`, `1d12h`. Raises ValueError for anything else."""
    if not text or _DURATION.sub("", text):
        raise ValueError(f"{text!r} is not a duration: write a number with its unit, such as 90s, 5m, 24h or 2d")
    return sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in _DURATION.findall(text)), timedelta())


def _say(text: str) -> None:
    typer.echo(f"▸ {text}", err=True)


def _present() -> Stack:
    found = stacks.find(root())
    if found is None:
        typer.echo("The embedded AWS is not up. Start it with: meshplane local up", err=True)
        raise typer.Exit(_NOT_UP)
    return found


@app.command()
def up() -> None:
    """Start it (or find it up), seed the baseline, publish the platform, deploy template.yaml."""
    try:
        stack = stacks.up(root(), _say)
    except LocalAwsError as fault:
        typer.echo(str(fault), err=True)
        raise typer.Exit(1) from None
    _say(f'ready on {stack.endpoint}; for any AWS client: eval "$(./dev meshplane local env)"')


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Whether it is up, where, and what its clock says. Exit code 3 when it is not."""
    stack = _present()
    found = {"endpoint": stack.endpoint, "pid": stack.running.pid, **stack.ask("health")}
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            typer.echo(f"{name:<10} {value}")


@app.command()
def env(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Lines for a shell's `eval`, so that any AWS client talks to it."""
    values = _present().env()
    if as_json:
        typer.echo(json.dumps(values, indent=2))
        return
    typer.echo("unset AWS_PROFILE AWS_SESSION_TOKEN")
    for name, value in values.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


@app.command()
def reset() -> None:
    """Stop it and forget all its state."""
    stacks.reset(root(), _say)


@app.command()
def advance(by: Annotated[str, typer.Argument(help="How far: 90s, 5m, 24h, 2d.")]) -> None:
    """Move its clock on; schedules, sweeps, alarms, optimizers and delayed messages on the way happen in order."""
    try:
        step = duration(by)
    except ValueError as fault:
        typer.echo(str(fault), err=True)
        raise typer.Exit(2) from None
    answer = _present().advance(step)
    _say(f"it is now {answer['now']}; {answer['moments']} moments with something due were passed")


@app.command()
def chaos(
    duplicate: Annotated[bool, typer.Option(help="Deliver every event twice.")] = False,
    reorder: Annotated[bool, typer.Option(help="Deliver bursts out of order.")] = False,
    seed: Annotated[int, typer.Option(help="Which order is drawn.")] = 0,
) -> None:
    """Make event delivery as unkind as AWS's may be; without options it is kind again."""
    _present().chaos(duplicate, reorder, seed)
    _say(f"duplicates {'on' if duplicate else 'off'}, reordering {'on' if reorder else 'off'}")


@app.command()
def down() -> None:
    """Stop it and keep its state for the next `up`."""
    try:
        stacks.down(root(), _say)
    except LocalAwsError as fault:
        typer.echo(str(fault), err=True)
        raise typer.Exit(1) from None
