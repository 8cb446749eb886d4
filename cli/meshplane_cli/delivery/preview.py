"""What a merge would change in an environment, as Markdown for a pull request, untruncated. Called by `commands.deploy`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshplane.errors import Problem
from meshplane_cli.commands.plan import ask, request_of
from meshplane_cli.manifests import text_of
from meshplane_cli.releases import Built, published
from meshplane_cli.surroundings import Target

_QUIET = "No changes."  # Terraform's own words for an empty plan


def markdown(target: Target, releases: Mapping[str, Built], baseline: str) -> str:
    """The baseline's plan, then that of every project that differs from what is published; who is the same is counted."""
    parts = [f"## Plan for {target.env}", *_baseline(baseline)]
    same = 0
    for name, release in releases.items():
        manifest = text_of(target.checkout, name)
        if published(target, release, manifest):
            same += 1
            continue
        parts += _project(name, ask(target, request_of(release, manifest)))
    parts.append(f"{same} of {len(releases)} projects are as published.")
    return "\n\n".join(parts) + "\n"


def _baseline(text: str) -> Iterator[str]:
    if not text.strip():
        return
    yield "### Baseline"
    yield _QUIET if _QUIET in text else f"```\n{text.rstrip()}\n```"


def _project(name: str, answer: Mapping[str, object]) -> Iterator[str]:
    yield f"### {name}"
    problems = answer.get("problems")
    if isinstance(problems, list):
        yield "The manifest is not valid:\n\n" + "\n".join(f"- {Problem(**problem)}" for problem in problems)
    elif isinstance(error := answer.get("error"), dict):
        yield f"The plane could not plan it: {error['reason']}: {error['message']}"
    else:
        yield str(answer["markdown"]).rstrip()
