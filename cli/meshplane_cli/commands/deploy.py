"""`meshplane deploy …`: what CI's workflows call, and what a person may call by hand. Each stage writes only what changed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from meshplane_cli.commands.publish import wait_for
from meshplane_cli.delivery import package, plane, projects
from meshplane_cli.delivery.comments import PullRequest
from meshplane_cli.delivery.github import GitHub, refuse_unless_deployed
from meshplane_cli.delivery.preview import markdown
from meshplane_cli.main import EPILOG
from meshplane_cli.output import OK, PROBLEMS, WAITS, emit, say, show
from meshplane_cli.platform import publish_platform
from meshplane_cli.surroundings import EnvOption, JsonOption, Target, environment, target

app = typer.Typer(
    help="Deliver the checkout: control plane, artifacts, manifests, in this order. The baseline comes first: meshplane baseline apply.",
    invoke_without_command=True,
    rich_markup_mode=None,
)
Timeout = Annotated[int, typer.Option(help="Seconds to wait for the plane at most.")]


@app.callback(epilog=EPILOG)
def everything(context: typer.Context, env: EnvOption = "", timeout: Timeout = 900, as_json: JsonOption = False) -> None:
    """All stages in order: control plane, artifacts, manifests. A deploy that stopped half-way is finished by running it again.

    Ends with 0 when every project is Synced, 1 when somebody must act, 4 when one is held or still waits after --timeout.
    """
    if context.invoked_subcommand is not None:
        return
    found = target(env)
    deployed = plane.deploy(found, say)
    _artifacts(found)
    delivered, code = _manifests(found, timeout, as_json)
    if as_json:
        emit({"plane": deployed, "projects": delivered})
    raise typer.Exit(code)


@app.command("plane", epilog=EPILOG)
def control_plane(env: EnvOption = "", as_json: JsonOption = False) -> None:
    """The control plane: package by content, change set, execution. Nothing when the stack already holds this release."""
    deployed = plane.deploy(target(env), say)
    if as_json:
        emit(deployed)
    else:
        show(f"release {deployed.release[:12]}: {len(deployed.changes)} changes")


@app.command(epilog=EPILOG)
def artifacts(env: EnvOption = "") -> None:
    """Job library, built-in jobs and every project's files, by content. Nobody uses a project's before its manifest names them."""
    _artifacts(target(env))


@app.command(epilog=EPILOG)
def manifests(env: EnvOption = "", timeout: Timeout = 900, as_json: JsonOption = False) -> None:
    """Publish the manifests that changed, delete those whose project has left this repository, wait until AWS is as they say."""
    delivered, code = _manifests(target(env), timeout, as_json)
    if as_json:
        emit(delivered)
    raise typer.Exit(code)


@app.command(epilog=EPILOG)
def digest(env: EnvOption = "") -> None:
    """One digest of everything that would be deployed, the same in every environment and for every commit with these files."""
    found = environment(env)
    show(package.digest(found.checkout.root, projects.digests(found, projects.built(found, say))))


@app.command(epilog=EPILOG)
def comment(
    file: Annotated[str, typer.Argument(help="The Markdown to show; - reads it from stdin.")],
    number: Annotated[int, typer.Option("--pull-request", help="The pull request's number.")],
    name: Annotated[str, typer.Option(help="What the comment is called: the next one of this name takes its place.")] = "plan",
) -> None:
    """Show a text at a pull request: split where GitHub's limit makes it, updated in place.

    Uses GITHUB_API_URL, GITHUB_REPOSITORY and GITHUB_TOKEN.
    """
    text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    done = PullRequest(GitHub.of_environment(), number).keep(name, text)
    show(", ".join(f"{done.count(what)} {what}" for what in dict.fromkeys(done)))


@app.command(epilog=EPILOG)
def preview(
    baseline: Annotated[str, typer.Option(help="A file with the output of `meshplane baseline plan`, to show it first.")] = "",
    env: EnvOption = "",
) -> None:
    """What a merge would change, as Markdown: the baseline's plan, and that of every project that differs from what is published."""
    found = target(env)
    text = Path(baseline).read_text(encoding="utf-8") if baseline else ""
    show(markdown(found, projects.built(found, say), text).rstrip())


@app.command(epilog=EPILOG)
def promoted(
    release: Annotated[str, typer.Option("--digest", help="What `meshplane deploy digest` printed.")],
    before: Annotated[str, typer.Option("--from", help="The environment that must have it; empty: none must.")] = "",
) -> None:
    """Ends with 1 unless these very files were deployed to the environment before. Uses GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_TOKEN."""
    if not before:
        show("the first environment: nothing has to come before")
        return
    refuse_unless_deployed(GitHub.of_environment(), release, before)
    show(f"{before} has release {release[:12]}")


def _artifacts(found: Target) -> None:
    release = publish_platform(found.clients, found.naming, found.checkout.root)
    say(f"job library: {release.library}")
    releases = projects.built(found, say)
    projects.deliver_files(found, releases.values())
    say(f"projects' files: {', '.join(f'{name} {one.release.digest[:12]}' for name, one in releases.items())}")


def _manifests(found: Target, timeout: float, quiet: bool) -> tuple[projects.Delivered, int]:
    releases = projects.built(found, say)
    projects.deliver_files(found, releases.values())
    delivered = projects.deliver_manifests(found, releases, say)
    ends = wait_for(found, dict(delivered.versions), timeout, quiet=quiet)
    say(f"manifests: {len(delivered.changed)} changed, {len(delivered.removed)} removed, of {len(releases)}")
    codes = [OK if end.done else PROBLEMS if end.problem else WAITS for end in ends.values()]
    return delivered, max(codes, default=OK)
