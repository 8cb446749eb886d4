"""The command line: one module per verb under `commands`, imported only when that verb is used, so that `--help` is quick.

Expected errors end here, in one voice and with a stated exit code; anything else is a fault of ours and keeps its traceback.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from meshplane_cli.output import CODES, OK, CliError, report

# Verb → what it does, in the order of help. `commands.<verb>` holds a function `command`, or a Typer `app` for a group of verbs.
VERBS = {
    "demo": "Show all of it on the laptop: two projects, from an uploaded manifest to rows in a curated table.",
    "local": "The embedded AWS on this machine: up, status, env, reset, advance, down.",
    "baseline": "Keys, buckets, network and boundary by Terraform: init, plan, apply.",
    "build": "The artifact as files, with its digests and sizes.",
    "invoke": "Run one of the plane's functions with an event, as Lambda runs it, on the embedded AWS.",
    "deploy": "Deliver the checkout to an environment: control plane, artifacts, manifests; what CI calls.",
    "new": "Make a project from projects/_template.",
    "validate": "Check manifests here, without AWS: every fault at once, with its line.",
    "contract": "Contracts in the Open Data Contract Standard: export, import.",
    "explain": "What the rules of a table's gate cost: queries and shuffles.",
    "plan": "Say what publishing would change in AWS; change nothing.",
    "publish": "Upload a project's files, then its manifest; wait until AWS is as it says.",
    "status": "Where projects stand, and what to do.",
    "run": "Start a pipeline (PROJECT.PIPELINE) or one job (PROJECT.JOB) in AWS.",
    "runs": "The runs of a project, newest first.",
    "logs": "What happened in a run: the fault first, then the next command to try.",
    "query": "Rows of a table by SQL, without starting Spark.",
    "quarantine": "Rows that broke a table's contract: show, replay.",
    "restore": "Published states of a table: list, roll-back, rebuild from raw.",
    "files": "Which raw files a job has consumed; --reset forgets them.",
    "run-local": "Run one job here, on local Spark.",
    "test": "Run the tests of jobs: rows that stand, a run, rows that are expected.",
}
USED = "meshplane.verb-is-used"
EPILOG = "Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in CODES.items()) + "."


class LazyGroup(TyperGroup):
    """Imports a verb's module when the verb is used; help itself needs only the lines above."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The verbs in the order of help."""
        return list(VERBS)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """From here on a verb is used, not listed."""
        ctx.meta[USED] = True
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb's own command; a stub with its one line while help lists all of them."""
        if cmd_name not in VERBS:
            return None
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        if not (ctx and ctx.meta.get(USED)):
            app.command(name=cmd_name, help=VERBS[cmd_name])(lambda: None)
            return typer.main.get_command(app)
        try:
            module = import_module(f"meshplane_cli.commands.{cmd_name.replace('-', '_')}")
        except ModuleNotFoundError as missing:
            if not (missing.name or "").startswith("meshplane_cli.commands"):
                raise
            raise CliError(f"this installation has no '{cmd_name}'", code=2) from missing
        if hasattr(module, "app"):
            return typer.main.get_command(module.app)
        app.command(name=cmd_name, epilog=EPILOG)(module.command)
        return typer.main.get_command(app)


app = typer.Typer(cls=LazyGroup, add_completion=False, no_args_is_help=True, rich_markup_mode=None, epilog=EPILOG)


@app.callback()
def root() -> None:
    """Meshplane: a control plane for one AWS data-mesh domain."""


def run(arguments: list[str] | None = None) -> None:
    """The whole program. Ends with SystemExit."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(words, prog_name="meshplane", standalone_mode=False)
    except Exception as error:  # noqa: BLE001 - the one border: `report` re-raises what it does not know
        raise SystemExit(report(error, as_json="--json" in words)) from None
    raise SystemExit(code or OK)
