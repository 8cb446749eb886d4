"""`meshplane baseline …`: Terraform for the secure baseline, given what domain.json says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import typer

from meshplane_cli.baseline import Baseline, Change
from meshplane_cli.main import EPILOG
from meshplane_cli.output import OK, WAITS, CliError, emit, say, show
from meshplane_cli.surroundings import EnvOption, JsonOption, target

app = typer.Typer(help="The secure baseline by Terraform: key, buckets, network, boundary.", no_args_is_help=True, rich_markup_mode=None)


def _baseline(env: str) -> Baseline:
    found = target(env)
    return Baseline(found.checkout.root, found.checkout.domain, found.naming, found.clients, found.local)


@app.command(epilog=EPILOG)
def init(env: EnvOption = "", as_json: JsonOption = False) -> None:
    """Generate backend and variables from domain.json, make the state bucket where there is none, initialise Terraform."""
    found = _baseline(env)
    found.init(say)
    if as_json:
        emit({"env": found.naming.env, "initialised": True})


@app.command(epilog=EPILOG)
def plan(
    env: EnvOption = "",
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Take no lock and make no state bucket: for a role that may only read.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare the baseline with the account; change nothing there."""
    found = _baseline(env)
    found.init(say, read_only)
    changes = found.plan(lock=not read_only)
    if as_json:
        emit({"env": found.naming.env, "changes": changes, "plan": str(found.plan_file)})
    else:
        show(found.text().rstrip())


@app.command(epilog=EPILOG)
def apply(
    env: EnvOption = "",
    destroy: Annotated[bool, typer.Option("--destroy", help="Go on although the plan destroys or replaces resources.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Plan anew and do it. Ends with 4, and nothing is changed, when resources would be destroyed or replaced without --destroy."""
    found = _baseline(env)
    found.init(say)
    changes = found.plan()
    lost = [change for change in changes if "delete" in change.actions and not change.address.startswith("output.")]
    if lost and not destroy:
        raise CliError(
            f"the plan destroys or replaces {len(lost)} resources. Nothing was changed",
            found=", ".join(change.address for change in lost),
            mend="meshplane baseline plan shows them; --destroy if that is meant",
            code=WAITS,
        )
    say(_summary(changes))
    outputs = found.apply() if changes else found.outputs()  # an empty plan's apply would write the state anew
    if as_json:
        emit({"env": found.naming.env, "changes": changes, "outputs": outputs})
    else:
        show(f"the baseline of {found.naming.env} is as written: {_summary(changes)}")
    raise typer.Exit(OK)


def _summary(changes: Sequence[Change]) -> str:
    counts = Counter("replace" if len(change.actions) > 1 else change.actions[0] for change in changes)
    return ", ".join(f"{count} to {word}" for word, count in sorted(counts.items())) or "nothing to change"
