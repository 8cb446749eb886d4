"""`meshplane plan`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from meshplane.aws.faults import translated
from meshplane.errors import NotFound
from meshplane.plan.record import release_json
from meshplane_cli.manifests import project_of, text_of
from meshplane_cli.output import OK, PROBLEMS, UNREACHABLE, WAITS, CliError, emit, say, show
from meshplane_cli.releases import build
from meshplane_cli.surroundings import EnvOption, JsonOption, Target, target


def command(
    project: Annotated[str, typer.Argument(help="A folder under projects/.")],
    explain: Annotated[bool, typer.Option("--explain", help="Each change field by field, and what is not changed.")] = False,
    env: EnvOption = "",
    as_json: JsonOption = False,
) -> None:
    """Say what publishing this folder would change in AWS, judged by the plane itself against what is there now. Nothing is changed.

    Ends with 0 when it could be applied, 1 when the plan is refused, 4 when it would be held or waits.
    """
    found = target(env)
    valid = project_of(found.checkout, project, found.env)
    built = build(found.checkout.folder(project), valid, found.naming, say)
    answer = _ask(
        found,
        {
            "project": project,
            "manifest": text_of(found.checkout, project),
            "file": found.checkout.file(project),
            "release": release_json(built.release),
            "explain": explain,
        },
    )
    if as_json:
        emit(answer)
    else:
        show(str(answer.get("explained" if explain else "text", answer.get("text", ""))).rstrip())
    raise typer.Exit({"ok": OK, "held": WAITS, "waits": WAITS}.get(str(answer.get("verdict", "ok")), PROBLEMS))


def _ask(found: Target, payload: dict[str, Any]) -> dict[str, Any]:
    name = found.function("plan-project")
    try:
        with translated("lambda:Invoke", name):
            answer = found.clients("lambda").invoke(FunctionName=name, Payload=json.dumps(payload).encode())
    except NotFound as missing:
        raise CliError(
            f"there is no control plane in {found.env}", found=f"no function {name}", mend="deploy it first", code=UNREACHABLE
        ) from missing
    told = json.loads(answer["Payload"].read() or b"{}")
    if answer.get("FunctionError"):
        raise CliError("the plane could not plan", found=f"{told.get('errorType', '')}: {told.get('errorMessage', '')}")
    return dict(told)
