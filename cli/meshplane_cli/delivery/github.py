"""GitHub's REST API, as far as a workflow needs it: comments and what was deployed before. Used by `comments` and `commands.deploy`."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

from meshplane_cli.output import PROBLEMS, UNREACHABLE, USAGE, CliError


@dataclass(frozen=True, slots=True)
class GitHub:
    """One repository. `api` is GITHUB_API_URL."""

    api: str
    token: str
    repository: str

    @staticmethod
    def of_environment() -> GitHub:
        """As a workflow sets it. Raises CliError naming what is not set."""
        missing = [key for key in ("GITHUB_REPOSITORY", "GITHUB_TOKEN") if not os.environ.get(key)]
        if missing:
            raise CliError("which repository, and by which right?", found=f"no {' and no '.join(missing)}", mend="set them", code=USAGE)
        api = os.environ.get("GITHUB_API_URL", "https://api.github.com")
        return GitHub(api, os.environ["GITHUB_TOKEN"], os.environ["GITHUB_REPOSITORY"])

    def ask(self, method: str, path: str, body: dict[str, str] | None = None) -> Any:
        """One request below /repos/{repository}/. Raises CliError with GitHub's own reason."""
        request = urllib.request.Request(  # noqa: S310  # GitHub's API, or what stands in for it
            f"{self.api}/repos/{self.repository}/{path}",
            json.dumps(body).encode() if body is not None else None,
            {
                "Authorization": f"Bearer {self.token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
                "Content-Type": "application/json",
            },
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # as above
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as fault:
            said = fault.read().decode("utf-8", "replace")[:500]
            raise CliError(f"GitHub refused to {method} {path}", found=f"{fault.code} {said}", code=UNREACHABLE) from fault
        except OSError as fault:
            raise CliError("GitHub cannot be reached", found=str(fault), code=UNREACHABLE) from fault


def refuse_unless_deployed(github: GitHub, digest: str, before: str) -> None:
    """Raises CliError unless a workflow run kept the artifact `deployed-{before}-{digest}`, which the last step of a deploy does."""
    name = f"deployed-{before}-{digest}"
    found = github.ask("GET", f"actions/artifacts?name={urllib.parse.quote(name)}&per_page=1")
    if not any(not row.get("expired") for row in found["artifacts"]):
        raise CliError(
            f"these files were not deployed to {before} before",
            found=f"no workflow artifact {name}",
            allowed=f"files that {before} has, unchanged: the same digest",
            mend=f"deploy them to {before} first; its artifact is kept for 90 days",
            code=PROBLEMS,
        )
