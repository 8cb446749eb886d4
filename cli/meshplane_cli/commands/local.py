"""`meshplane local …`: the embedded AWS from the command line. Wired into the whole command line by `main`."""

from __future__ import annotations

import re
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from meshplane_cli.local import stack as stacks
from meshplane_cli.local.stack import Stack
from meshplane_cli.main import EPILOG
from meshplane_cli.output import UNREACHABLE, USAGE, CliError, emit, say, show
from meshplane_cli.surroundings import JsonOption

app = typer.Typer(
    help="The embedded AWS: everything of Meshplane on this machine, without an account.", no_args_is_help=True, rich_markup_mode=None
)
_DURATION = re.compile(r"(\d+)(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def root() -> Path:
    """The checkout: the folder with domain.json, this one or one above it."""
    for folder in (here := Path.cwd(), *here.parents):
        if (folder / "domain.json").exists():
            return folder
    return Path(__file__).parents[3]


def duration(text: str) -> timedelta:
    """`90s`, `5m`, `24h`, `1d12h`. Raises CliError for anything else."""
    if not text or _DURATION.sub("", text):
        raise CliError(f"'{text}' is not a duration", allowed="a number with its unit, such as 90s, 5m, 24h or 2d", code=USAGE)
    return sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in _DURATION.findall(text)), timedelta())


def _say(text: str) -> None:
    say(f"▸ {text}")


def _present() -> Stack:
    found = stacks.find(root())
    if found is None:
        raise CliError("the embedded AWS is not up", mend="meshplane local up", code=UNREACHABLE)
    return found


@app.command(epilog=EPILOG)
def up(as_json: JsonOption = False) -> None:
    """Start it (or find it up), seed the baseline, publish the platform, deploy template.yaml."""
    stack = stacks.up(root(), _say)
    if as_json:
        emit(_standing(stack))
    else:
        _say(f'ready on {stack.endpoint}; for any AWS client: eval "$(./dev meshplane local env)"')


@app.command(epilog=EPILOG)
def status(as_json: JsonOption = False) -> None:
    """Whether it is up, where, and what its clock says. Exit code 3 when it is not."""
    found = _standing(_present())
    if as_json:
        emit(found)
        return
    for name, value in found.items():
        show(f"{name:<10} {value}")


def _standing(stack: Stack) -> dict[str, Any]:
    return {"endpoint": stack.endpoint, "pid": stack.running.pid, **stack.ask("health")}


@app.command(epilog=EPILOG)
def env(as_json: JsonOption = False) -> None:
    """Lines for a shell's `eval`, so that any AWS client talks to it."""
    values = _present().env()
    if as_json:
        emit(values)
        return
    show("unset AWS_PROFILE AWS_SESSION_TOKEN")
    for name, value in values.items():
        show(f"export {name}={shlex.quote(value)}")


@app.command(epilog=EPILOG)
def reset(as_json: JsonOption = False) -> None:
    """Stop it and forget all its state."""
    stacks.reset(root(), _say)
    if as_json:
        emit({"up": False, "reset": True})


@app.command(epilog=EPILOG)
def advance(by: Annotated[str, typer.Argument(help="How far: 90s, 5m, 24h, 2d.")], as_json: JsonOption = False) -> None:
    """Move its clock on; schedules, sweeps, alarms, optimizers and delayed messages on the way happen in order."""
    step = duration(by)
    answer = _present().advance(step)
    if as_json:
        emit({"now": answer["now"], "moments": answer["moments"]})
    else:
        _say(f"it is now {answer['now']}; {answer['moments']} moments with something due were passed")


@app.command(epilog=EPILOG)
def chaos(
    duplicate: Annotated[bool, typer.Option("--duplicate", help="Deliver every event twice.")] = False,
    reorder: Annotated[bool, typer.Option("--reorder", help="Deliver bursts out of order.")] = False,
    seed: Annotated[int, typer.Option(help="Which order is drawn.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Make event delivery as unkind as AWS's may be; without options it is kind again."""
    _present().chaos(duplicate, reorder, seed)
    if as_json:
        emit({"duplicate": duplicate, "reorder": reorder, "seed": seed})
    else:
        _say(f"duplicates {'on' if duplicate else 'off'}, reordering {'on' if reorder else 'off'}")


@app.command(epilog=EPILOG)
def down(as_json: JsonOption = False) -> None:
    """Stop it and keep its state for the next `up`."""
    stopped = stacks.down(root(), _say)
    if as_json:
        emit({"up": False, "stopped": stopped})
