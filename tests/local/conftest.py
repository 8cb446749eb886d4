"""A real embedded AWS as a process, in a checkout of its own: temporary folder, free port, the tests' small template."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from meshplane_cli.local import stack as stacks
from meshplane_cli.local.stack import Stack

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """domain.json, template.yaml, functions/, glue_jobs/ as `up` expects them."""
    root = tmp_path_factory.mktemp("checkout")
    shutil.copy(REPOSITORY / "domain.json", root)
    shutil.copy(HERE / "template.yaml", root)
    shutil.copytree(HERE / "code", root / "functions")
    (root / "functions/meshplane").mkdir()
    shutil.copy(REPOSITORY / "functions/meshplane/naming.json", root / "functions/meshplane")
    (root / "glue_jobs").symlink_to(REPOSITORY / "glue_jobs")
    before = dict(os.environ)
    os.environ.update(MESHPLANE_LOCAL_DIR=str(root / ".meshplane"), MESHPLANE_LOCAL_PORT="0", MESHPLANE_LOCAL_WARM="0")
    yield root
    stacks.down(root)
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def stack(checkout: Path) -> Stack:
    """Up, seeded, the small template deployed."""
    return stacks.up(checkout)


@pytest.fixture
def seen(stack: Stack) -> Callable[[str], list[dict[str, Any]]]:
    """What the tests' functions noted under a queue's or a function's name, in order."""

    def look(name: str) -> list[dict[str, Any]]:
        found = stack.client("dynamodb").query(
            TableName="f01-seen", KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": name}}, ConsistentRead=True
        )["Items"]
        return [{key: next(iter(value.values())) for key, value in row.items()} for row in found]

    return look


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Any]:
    """Wait until a look gives something true; that."""

    def wait(look: Callable[[], Any], seconds: float = 15) -> Any:
        until = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < until, f"still {found!r} after {seconds} s"
            time.sleep(0.05)
        return found

    return wait


@pytest.fixture
def invoke(stack: Stack) -> Callable[..., tuple[Any, str]]:
    """Call a function of the stack: its result, and the word of X-Amz-Function-Error."""

    def call(name: str, **event: Any) -> tuple[Any, str]:
        answer = stack.client("lambda", read_timeout=90).invoke(FunctionName=name, Payload=json.dumps(event))
        return json.loads(answer["Payload"].read()), answer.get("FunctionError", "")

    return call
