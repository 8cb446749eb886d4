"""Runs a workflow's `run:` lines in order, as a runner does, and keeps what its `uses:` steps would keep. Nothing else is known of GitHub.

No AWS is in reach of a line before the step that assumes a role; from then on it is that role's. Expressions are looked up, not evaluated:
one that a test does not give is a fault of the test.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ruamel.yaml import YAML

from meshplane_cli.local import callers

_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
_KEEPS = "actions/upload-artifact@"
_ASSUMES = "aws-actions/configure-aws-credentials@"
_OWN = ("AWS_", "MESHPLANE_", "GITHUB_")  # variables of whoever runs the tests


class StepFailedError(AssertionError):
    """A `run:` line ended with another code than 0."""


@dataclass
class GitHub:
    """What the commands ask GitHub for: artifacts of workflow runs, comments of one pull request."""

    artifacts: set[str] = field(default_factory=set)
    comments: dict[int, str] = field(default_factory=dict)
    url: str = ""

    @contextmanager
    def serving(self) -> Iterator[GitHub]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        yield self
        server.shutdown()
        server.server_close()

    def answer(self, method: str, path: str, body: str) -> Any:
        asked = urlsplit(path)
        if asked.path.endswith("/actions/artifacts"):
            (name,) = parse_qs(asked.query)["name"]
            found = [{"name": name, "expired": False}] if name in self.artifacts else []
            return {"total_count": len(found), "artifacts": found}
        if method == "GET":
            return [{"id": key, "body": text} for key, text in self.comments.items()]
        key = max(self.comments, default=0) + 1 if method == "POST" else int(asked.path.rpartition("/")[2])
        self.comments[key] = body
        return {"id": key}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        github = self

        class Handler(BaseHTTPRequestHandler):
            def _do(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(size))["body"] if size else ""
                text = json.dumps(github.answer(self.command, self.path, body)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PATCH = do_DELETE = _do  # noqa: N815  # http.server's names

            def log_message(self, *_: object) -> None:
                """Quiet."""

        return Handler


@dataclass(frozen=True)
class Runner:
    """Where the lines run: a checkout, the endpoint of its AWS, its repository on GitHub."""

    root: Path
    endpoint: str
    github: GitHub

    def run(
        self, workflow: str, job: str, given: Mapping[str, str], stop_after: str = "", leave_out: frozenset[str] = frozenset()
    ) -> dict[str, str]:
        """Every step up to `stop_after` (its name; empty: all). Step → its output. Raises StepFailedError."""
        document = YAML(typ="safe", pure=True).load((self.root / ".github/workflows" / workflow).read_text(encoding="utf-8"))
        declared = document["jobs"][job]
        files = {name: self.root / ".meshplane" / name.lower() for name in ("GITHUB_ENV", "GITHUB_OUTPUT")}
        for path in files.values():
            path.parent.mkdir(exist_ok=True)
            path.write_text("", encoding="utf-8")
        told: dict[str, str] = {}
        role: dict[str, str] = {}
        for step in declared["steps"]:
            known = {
                **given,
                **{f"env.{key}": value for key, value in _pairs(files["GITHUB_ENV"]).items()},
                **{f"steps.versions.outputs.{key}": value for key, value in _pairs(files["GITHUB_OUTPUT"]).items()},
            }
            if "run" in step:
                env = {key: _filled(str(value), known) for key, value in {**declared.get("env", {}), **step.get("env", {})}.items()}
                env |= {**_pairs(files["GITHUB_ENV"]), **{name: str(path) for name, path in files.items()}, **role}
                told[step["name"]] = "" if step["name"] in leave_out else self._line(step["name"], step["run"], env)
            elif step["uses"].startswith(_ASSUMES):
                role = self._assumed({key: _filled(str(value), known) for key, value in step["with"].items()})
            elif step["uses"].startswith(_KEEPS):
                assert (self.root / step["with"]["path"]).is_file(), "the artifact's file was never written"
                self.github.artifacts.add(_filled(step["with"]["name"], known))
            if step["name"] == stop_after:
                break
        return told

    def _assumed(self, given: Mapping[str, str]) -> dict[str, str]:
        """What the action leaves in the environment, and where the AWS is that takes it."""
        region = given["aws-region"]
        return {
            **callers.of_role(given["role-to-assume"]),
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ENDPOINT_URL": self.endpoint,
        }

    def _line(self, name: str, line: str, env: Mapping[str, str]) -> str:
        assert not _EXPRESSION.search(line), f"{name}: an expression in a run line could be code of somebody else's"
        # GitHub's default shell for `run`.
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", line],
            cwd=self.root,
            env={
                **{key: value for key, value in os.environ.items() if not key.startswith(_OWN)},
                "AWS_EC2_METADATA_DISABLED": "true",
                **env,
                "GITHUB_API_URL": self.github.url,
                "GITHUB_REPOSITORY": "acme/retail",
                "GITHUB_SHA": "f" * 40,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StepFailedError(f"{name}: exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
        return done.stdout + done.stderr


def _pairs(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text(encoding="utf-8").splitlines() if "=" in line)


def _filled(text: str, known: Mapping[str, str]) -> str:
    return _EXPRESSION.sub(lambda found: known[found[1]], text)
