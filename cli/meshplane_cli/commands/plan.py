"""`meshplane plan`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

import typer

from meshplane.aws.faults import translated
from meshplane.errors import ManifestInvalid, NotFound, Problem
from meshplane.model.project import Project
from meshplane_cli.manifests import project_of, text_of
from meshplane_cli.output import OK, PROBLEMS, UNREACHABLE, WAITS, CliError, emit, say, show
from meshplane_cli.releases import Built, build
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
    answer = ask(found, request_of(built, text_of(found.checkout, project)))
    _refuse(answer)
    if as_json:
        emit({key: value for key, value in answer.items() if key not in ("text", "markdown")})
    else:
        show(str(answer["text"]).rstrip())
        if explain:
            _explain(answer, valid)
    raise typer.Exit(WAITS if answer["held"] or any(action["verb"] == "wait" for action in answer["actions"]) else OK)


def request_of(built: Built, manifest: str) -> dict[str, Any]:
    """What the plane is asked about a release: docs/contracts.md §8."""
    return {"project": built.project, "manifest": manifest, "release": built.index.decode(), "files": built.texts}


def _refuse(answer: dict[str, Any]) -> None:
    """What the plane would not plan, as the same errors that are raised here."""
    if answer.get("problems"):
        raise ManifestInvalid(Problem(**problem) for problem in answer["problems"])
    if answer.get("error"):
        told = answer["error"]
        raise CliError(f"{told['reason']}: {told['message']}", code=WAITS if told["retryable"] else PROBLEMS)


def _explain(answer: dict[str, Any], project: Project) -> None:
    """Every action with its physical name and fields, then the manifest in its long form: every default that holds."""
    for action in answer["actions"]:
        show(f"{action['verb']:<9} {action['kind']} {action['name']}" + (f": {action['reason']}" if action["reason"] else ""))
        for one in action["differences"]:
            show(f"            {one['field']}: {one['was'] or '-'} → {one['wanted'] or '-'} ({one['effect']}) {one['note']}".rstrip())
    show("")
    show(f"{project.name} in its long form, with every default:", style="bold")
    for line in _long(asdict(project)):
        show(line)


def _long(value: Any, depth: int = 0) -> Iterator[str]:
    """Nested data as indented lines; what is empty is left out."""
    pairs = value.items() if isinstance(value, dict) else (("-", one) for one in value)
    for key, one in pairs:
        if isinstance(one, (dict, list, tuple)):
            if one:
                yield f"{'  ' * depth}{key}:"
                yield from _long(one, depth + 1)
        elif one != "":
            yield f"{'  ' * depth}{key}: {one}"


def ask(found: Target, payload: dict[str, Any]) -> dict[str, Any]:
    """What the plane answers to a request of docs/contracts.md §8. Raises CliError."""
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
