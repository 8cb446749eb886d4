"""`meshplane publish`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from meshplane_cli.manifests import project_of, text_of
from meshplane_cli.output import OK, PROBLEMS, USAGE, WAITS, CliError, emit, say, show
from meshplane_cli.project_status import Standing, standing
from meshplane_cli.releases import build, published, upload
from meshplane_cli.surroundings import EnvOption, JsonOption, Target, target

LOOK_EVERY = 0.25


def command(
    projects: Annotated[list[str] | None, typer.Argument(help="Folders under projects/.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every project of the checkout.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until AWS is as the manifests say, or somebody must act.")] = True,
    timeout: Annotated[int, typer.Option(min=0, help="Seconds to wait at most.")] = 600,
    env: EnvOption = "",
    as_json: JsonOption = False,
) -> None:
    """Upload a project's files by content, then the release index, then the manifest; the plane does the rest. What is published
    already, text and files, is not uploaded again.

    Ends with 0 when every project is Synced, 1 when somebody must act, 4 when one is held or still waits after --timeout.
    """
    found = target(env)
    names = list(found.checkout.projects) if everything else list(projects or [])
    if not names:
        raise CliError(
            "which project?", allowed=", ".join(found.checkout.projects) or "meshplane new NAME first", mend="or --all", code=USAGE
        )
    valid = {name: project_of(found.checkout, name, found.env) for name in names}  # all of them, before anything is uploaded
    versions = {}
    for name, project in valid.items():
        built = build(found.checkout.folder(name), project, found.naming, say)
        manifest = text_of(found.checkout, name)
        versions[name] = published(found, built, manifest)
        if versions[name]:
            say(f"{name}: published already, manifest version {versions[name]}")
            continue
        versions[name] = upload(found, built, manifest)
        say(f"{name}: release {built.release.digest[:12]}, {len(built.contents)} files, manifest version {versions[name] or '-'}")
    ends = wait_for(found, versions, timeout, quiet=as_json) if wait else {}
    if as_json:
        emit({name: {"version": versions[name], "status": ends[name].document if name in ends else None} for name in names})
    raise typer.Exit(max((_code(end) for end in ends.values()), default=OK))


def wait_for(target: Target, versions: dict[str, str], timeout: float, quiet: bool = False) -> dict[str, Standing]:
    """Follow each project's status until the plane has taken in that manifest version and is done, or somebody must act."""
    until = time.monotonic() + timeout
    told: dict[str, str] = {}
    ends: dict[str, Standing] = {}
    while set(ends) != set(versions) and time.monotonic() < until:
        for name in set(versions) - set(ends):
            now = standing(target, name)
            current = now.version == versions[name]
            line = f"{name}: {_line(now)}" if current else f"{name}: waits for the plane"
            if not quiet and told.get(name) != line:
                say(line)
                told[name] = line
            if current and (now.done or now.problem or _held(now)):
                ends[name] = now
        time.sleep(LOOK_EVERY)
    late = {name: standing(target, name) for name in set(versions) - set(ends)}
    for name, end in (ends | late).items():
        if not quiet and not end.done:
            show(end.text.rstrip())
        if not quiet and name in late and not end.done:
            show(f"{name} is not done after {timeout:.0f} s; it goes on by itself: meshplane status {name}")
    return ends | late


def _line(now: Standing) -> str:
    synced = now.condition("Synced")
    return f"{synced.get('reason', 'Unknown')} {synced.get('message', '')}".strip()


def _held(now: Standing) -> bool:
    return now.condition("Synced").get("reason") in {"Held", "Paused", "FileMissing"}


def _code(end: Standing) -> int:
    if end.done:
        return OK
    return PROBLEMS if end.problem else WAITS
