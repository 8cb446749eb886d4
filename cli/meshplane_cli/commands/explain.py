"""`meshplane explain`: what the rules of a table's gate cost, before a job pays for them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from dp_foundation.quality.explain import explain
from dp_foundation.quality.rules import gate
from meshplane.model.gating import gated
from meshplane_cli.manifests import project_of
from meshplane_cli.output import USAGE, CliError, emit, rows
from meshplane_cli.surroundings import JsonOption, checkout, split_name


def command(
    table: Annotated[str, typer.Argument(metavar="PROJECT.TABLE", help="A table that a job of the project writes through a gate.")],
    env: Annotated[str, typer.Option(help="Environment whose rules hold.")] = "prod",
    as_json: JsonOption = False,
) -> None:
    """What each rule of a table's gate costs: which share the one aggregate over the rows that a run brings, which read the whole
    table, which shuffle it. A rule on uniqueness costs nothing where every row came by a merge on its columns; told is what it costs else.
    """
    project, name = split_name(table, "table")
    known = gated(project_of(checkout(), project, env))
    if name not in known:
        raise CliError(f"no gate judges '{name}' in {project}", found=name, allowed=", ".join(known) or "none", code=USAGE)
    costs = explain(gate(known[name].gate.to_json()))
    if as_json:
        emit({"table": table, "costs": [asdict(cost) for cost in costs]})
        return
    told = [(", ".join(cost.rules), str(cost.queries), str(cost.shuffles), cost.told) for cost in costs]
    rows(("rules", "queries", "shuffles", "what is read"), told, empty=f"{table} has no rules")
