"""An embedded AWS that is empty but for the baseline, in a checkout of its own; `meshplane` as a process, as a workflow calls it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from meshplane_cli.local import seed
from meshplane_cli.local import stack as stacks
from meshplane_cli.local.stack import Stack

REPOSITORY = Path(__file__).parents[2]
PARTS = ("functions", "glue_jobs", "layer", "baseline_tf", "projects", "statemachines")


@dataclass(frozen=True)
class Told:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Account:
    """The checkout and its AWS."""

    root: Path
    stack: Stack

    def run(self, *words: str, **env: str) -> Told:
        """`meshplane …` in the checkout."""
        return self._run([sys.executable, "-m", "meshplane_cli", *words], env)

    def run_killed(self, after: int, *words: str) -> Told:
        """The same, killed as soon as its mutating request number `after` was answered, if it comes to that."""
        return self._run([sys.executable, str(Path(__file__).with_name("killed.py")), str(after), *words], {})

    def _run(self, command: Sequence[str], env: Mapping[str, str]) -> Told:
        paths = os.pathsep.join(str(REPOSITORY / root) for root in ("cli", "functions", "glue_jobs"))
        done = subprocess.run(
            command,
            cwd=self.root,
            env={**os.environ, **self.stack.env(), "PYTHONPATH": paths, **env},
            capture_output=True,
            text=True,
            check=False,
        )
        return Told(done.returncode, done.stdout, done.stderr)

    def writes(self, since: int) -> list[str]:
        """The person's own mutating requests after number `since`; what functions do by themselves is theirs."""
        return [
            f"{row['service']}:{row['operation']}"
            for row in self.stack.requests(since)
            if row["caller"].endswith(":user/developer") and not row["reads"] and row["operation"] != "Invoke"
        ]

    @property
    def count(self) -> int:
        """How many requests were answered so far."""
        return max((row["number"] for row in self.stack.requests()), default=0)


@contextmanager
def opened(root: Path) -> Iterator[Account]:
    """Seeded with the baseline; nothing of the plane is there. No job runs: no JVM."""
    for name in ("domain.json", "template.yaml"):
        shutil.copy(REPOSITORY / name, root)
    for part in PARTS:
        shutil.copytree(REPOSITORY / part, root / part, ignore=shutil.ignore_patterns("__pycache__", ".terraform*"))
    before = dict(os.environ)
    os.environ.pop("MESHPLANE_LOCAL_DIR", None)
    os.environ.update(MESHPLANE_LOCAL_PORT="0", MESHPLANE_LOCAL_WARM="0")
    stack = stacks.up(root, deploy=False)
    seed.seed(cache(stack.client), stack.naming, stack.place.domain(), root)
    yield Account(root, stack)
    stacks.down(root)
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with opened(tmp_path_factory.mktemp("delivery")) as found:
        yield found


@pytest.fixture(scope="module")
def twin(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Another one with the same files."""
    with opened(tmp_path_factory.mktemp("twin")) as found:
        yield found


@pytest.fixture(scope="module")
def change(account: Account) -> Callable[[str, Callable[[str], str]], None]:
    """Rewrite a file of the checkout."""

    def rewrite(path: str, how: Callable[[str], str]) -> None:
        file = account.root / path
        text = file.read_text(encoding="utf-8")
        assert how(text) != text, f"the test changes nothing in {path}"
        file.write_text(how(text), encoding="utf-8")

    return rewrite
