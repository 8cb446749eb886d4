"""`meshplane deploy` killed inside its commands, again and again: the attempt that ends leaves what an undisturbed deploy leaves."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from meshplane_cli.local.stack import Stack
from tests.e2e.dump import changes, dump, stripped

pytestmark = [pytest.mark.local, pytest.mark.timeout(900)]
_DRAWN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b(?:subnet|sg|vpc)-[0-9a-f]+|//127\.0\.0\.1:\d+")


class Account(Protocol):
    """The fixtures of conftest."""

    root: Path
    stack: Stack
    count: int

    def run(self, *words: str, **env: str) -> Any: ...
    def run_killed(self, after: int, *words: str) -> Any: ...
    def writes(self, since: int) -> list[str]: ...


def _everything(account: Account) -> dict[str, Any]:
    """What stands, without what is drawn by lot. A release is the digest of the key's id too: that it is there is what can be compared."""
    (stack,) = account.stack.client("cloudformation").describe_stacks()["Stacks"]
    (release,) = (row["OutputValue"] for row in stack["Outputs"] if row["OutputKey"] == "Release")
    found = {**dump(account.stack.client), "stack": stripped(stack)}
    text = json.dumps(found, sort_keys=True, default=str).replace(release, "…")
    told: dict[str, Any] = json.loads(_DRAWN.sub("…", text))
    return told


def _deploys(account: Account, numbers: Iterator[int]) -> list[str]:
    """Killed until an attempt ends; after which requests. Two kills after the same one: the next comes later, so that something goes on."""
    killed: list[str] = []
    after = next(numbers)
    while True:
        told = account.run_killed(after, "deploy")
        if told.code == 0:
            return killed
        assert told.code == -signal.SIGKILL, told.err
        after_what = told.err.splitlines()[-1].removeprefix("killed after ")
        after = after + 1 if after_what in killed else next(numbers)
        killed.append(after_what)


def _same(account: Account, twin: Account) -> None:
    for one in (account, twin):
        one.stack.settle()
    assert changes(_everything(twin), _everything(account)) == {}


def _another_release(account: Account) -> None:
    """One change of each stage: a function's log group, a script, a project that is gone."""
    for path, was, becomes in (
        ("template.yaml", "LogRetentionDays:\n    Type: Number\n    Default: 90", "LogRetentionDays:\n    Type: Number\n    Default: 30"),
        ("projects/customers/project.yaml", "title: ", "title: Our "),
    ):
        text = (account.root / path).read_text(encoding="utf-8")
        assert was in text
        (account.root / path).write_text(text.replace(was, becomes, 1), encoding="utf-8")
    shutil.rmtree(account.root / "projects/sales")


def test_a_deploy_killed_after_its_requests_is_finished_by_the_next(account: Account, twin: Account) -> None:
    """Each of the plane's few requests, and a seeded sample of the many uploads."""
    lots = random.Random(5)
    killed = _deploys(account, (1 if attempt < 6 else lots.randint(4, 9) for attempt in range(1000)))
    operations = [one.split()[0] for one in killed]
    assert operations[:3] == ["PutObject"] * 3, "code, layer, template"
    assert {"CreateChangeSet", "ExecuteChangeSet"} <= set(operations)
    assert len(killed) >= 8
    since = account.count
    assert account.run("deploy").code == 0
    assert account.writes(since) == [], "the attempt that ended left nothing to do"
    told = twin.run("deploy")
    assert told.code == 0, told.err
    _same(account, twin)


def test_so_is_the_deploy_of_another_release(account: Account, twin: Account) -> None:
    for one in (account, twin):
        _another_release(one)
    killed = _deploys(account, iter(lambda: 1, 0))
    assert {"CreateChangeSet", "ExecuteChangeSet", "DeleteObject"} <= {one.split()[0] for one in killed}
    assert any(one.endswith("manifests/customers/project.yaml") for one in killed)
    assert twin.run("deploy").code == 0
    _same(account, twin)
