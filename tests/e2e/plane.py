"""A plane as somebody at a shell has it: an embedded AWS of the real template, the plain `aws` client, the status beside the manifests.

Used by the tests of this folder and by `benchmarks/reconcile.py`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from pyiceberg.catalog.glue import GlueCatalog

from meshplane.aws.queue import SqsReconciles
from meshplane_cli.local import stack as stacks
from meshplane_cli.local.stack import Stack

ROOT = Path(__file__).parents[2]
HEAD = "apiVersion: meshplane/v1\nkind: Project\nmetadata: {{ name: {name} }}\n"


@dataclass(frozen=True)
class Plane:
    """`folder` is the person's own: manifests are written there before they are uploaded."""

    stack: Stack
    folder: Path
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """A boto3 client of the developer's, made once."""
        if service not in self._clients:
            self._clients[service] = self.stack.client(service)
        return self._clients[service]

    def aws(self, *words: str, check: bool = True) -> str:
        """The plain `aws` client with what `meshplane local env` says, and nothing else of AWS's in its environment. Its output."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        program = Path(sys.executable).with_name("aws")
        done = subprocess.run(
            [str(program), *words], env={**plain, **self.stack.env()}, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0 or not check, f"aws {' '.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def meshplane(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """The command line, in the person's folder; `more` are variables of its environment."""
        path = os.pathsep.join(str(ROOT / part) for part in ("functions", "glue_jobs", "cli"))
        env = {**os.environ, **self.stack.env(), "PYTHONPATH": path, "COLUMNS": "200", **more}
        command = [sys.executable, "-m", "meshplane_cli", *words]
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=120, check=False)

    def at(self, project: str, path: str = "project.yaml") -> str:
        """The address beside which a project's manifest lies."""
        return f"s3://{self.bucket('artifacts')}/manifests/{project}/{path}"

    def bucket(self, purpose: str) -> str:
        return self.stack.naming.bucket(purpose)

    def write(self, project: str, manifest: str, files: Mapping[str, str] | None = None) -> Path:
        """The project's folder; `files` by path."""
        folder = self.folder / "projects" / project
        for path, content in {"project.yaml": manifest, **(files or {})}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content, encoding="utf-8")
        return folder

    def put(self, project: str, manifest: str) -> dict[str, Any]:
        """`aws s3 cp` of the manifest; the status once the plane is done with it."""
        path = self.write(project, manifest) / "project.yaml"
        self.aws("s3", "cp", str(path), self.at(project))
        return self.after(project)

    def sync(self, project: str) -> dict[str, Any]:
        """`aws s3 sync` of the folder; likewise."""
        self.aws("s3", "sync", str(self.folder / "projects" / project), self.at(project, ""))
        return self.after(project)

    def remove(self, project: str) -> dict[str, Any]:
        """`aws s3 rm` of the manifest; likewise."""
        self.aws("s3", "rm", self.at(project))
        return self.after(project)

    def publish(self, project: str, commit: str) -> dict[str, Any]:
        """`meshplane publish` as CI runs it for a commit; likewise."""
        told = self.meshplane("publish", project, "--no-wait", GITHUB_SHA=commit, GITHUB_ACTOR="ci", GITHUB_REPOSITORY="team/data")
        assert told.returncode == 0, told.stderr
        return self.after(project)

    def look(self, project: str, fresh: bool = False) -> None:
        """A message as the sweep sends it, worked through; `fresh`: by a new process of the function."""
        if fresh:
            self.end_process()
        sqs = self.client("sqs")
        url = sqs.get_queue_url(QueueName=f"{self.stack.naming.abbr}-meshplane-reconcile-{self.stack.naming.env}.fifo")["QueueUrl"]
        SqsReconciles(sqs, url, self.stack.naming).send([project])
        self.stack.settle()

    def end_process(self) -> None:
        """End the reconcile's process: its next call is a fresh one's first."""
        self.stack.ask("kill", function=f"{self.stack.naming.abbr}-meshplane-reconcile-project-{self.stack.naming.env}")

    def example(self, project: str) -> None:
        """An example of this repository, in the person's folder."""
        shutil.copytree(ROOT / "projects" / project, self.folder / "projects" / project, ignore=shutil.ignore_patterns("__pycache__"))

    def after(self, project: str) -> dict[str, Any]:
        self.stack.settle()
        return self.status(project)

    def status(self, project: str) -> dict[str, Any]:
        return dict(json.loads(self.read(f"status/{project}.json")))

    def text(self, project: str) -> str:
        return self.read(f"status/{project}.txt")

    def synced(self, project: str) -> tuple[str, str]:
        """Status and reason of the condition Synced."""
        found: Mapping[str, str] = next(c for c in self.status(project)["conditions"] if c["type"] == "Synced")
        return found["status"], found["reason"]

    def read(self, key: str) -> str:
        body = self.client("s3").get_object(Bucket=self.bucket("artifacts"), Key=key)["Body"]
        return str(body.read().decode())

    def keys(self, purpose: str, prefix: str) -> list[str]:
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket(purpose), Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    @cached_property
    def catalog(self) -> GlueCatalog:
        """Somebody's own pyiceberg."""
        env = self.stack.env()
        where = {"region": env["AWS_REGION"], "access-key-id": env["AWS_ACCESS_KEY_ID"], "secret-access-key": env["AWS_SECRET_ACCESS_KEY"]}
        where["endpoint"] = self.stack.endpoint
        return GlueCatalog("glue", **{f"{service}.{name}": value for service in ("glue", "s3") for name, value in where.items()})

    def table(self, layer: str, name: str) -> dict[str, Any]:
        """`aws glue get-table`."""
        database = self.stack.naming.database(layer)
        return dict(json.loads(self.aws("glue", "get-table", "--database-name", database, "--name", name))["Table"])

    def advance(self, **by: float) -> None:
        self.stack.advance(timedelta(**by))

    @contextmanager
    def counted(self, *callers: str) -> Iterator[list[dict[str, Any]]]:
        """The requests that the server answers meanwhile, by these functions (the reconcile's alone by default), settled at the end."""
        wanted = tuple(f":assumed-role/{self.stack.naming.abbr}-meshplane-{name}-" for name in callers or ("reconcile-project",))
        since = int(self.stack.ask("health")["requests"])
        found: list[dict[str, Any]] = []
        yield found
        self.stack.settle()
        found += [row for row in self.stack.requests(since) if any(name in row["caller"] for name in wanted)]


def writes(requests: list[dict[str, Any]]) -> list[str]:
    """The mutating ones among them, but for the plane's own state and queues: `service:Operation`."""
    return [f"{row['service']}:{row['operation']}" for row in requests if not row["reads"] and row["service"] not in ("dynamodb", "sqs")]


def eventually(look: Callable[[], Any], seconds: float = 60, every: float = 0.1) -> Any:
    """Wait until a look gives something true; that."""
    until = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < until, f"still {found!r} after {seconds} s"
        time.sleep(every)
    return found


@contextmanager
def plane_in(folder: Path, warm: bool = False, root: Path = ROOT) -> Iterator[Plane]:
    """Up in `folder`, on a port of its own, from this checkout's template and code (or those of `root`); down at the end. `warm`: a JVM
    waits for jobs."""
    (folder / "projects").mkdir(parents=True)
    (folder / "domain.json").symlink_to(root / "domain.json")
    before = dict(os.environ)
    os.environ.update(MESHPLANE_LOCAL_DIR=str(folder / ".meshplane"), MESHPLANE_LOCAL_PORT="0", MESHPLANE_LOCAL_WARM=str(int(warm)))
    os.environ.setdefault("MESHPLANE_JARS", str(ROOT / ".meshplane" / "jars"))
    try:
        yield Plane(stacks.up(root), folder)
    finally:
        stacks.down(root)
        os.environ.clear()
        os.environ.update(before)
