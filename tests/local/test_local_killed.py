"""An embedded AWS that is killed has what it had when it was last at rest."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from meshplane_cli.local import stack as stacks
from meshplane_cli.local.stack import Stack

pytestmark = pytest.mark.local


def test_state_survives_a_kill(stack: Stack, checkout: Path, eventually: Callable[[Callable[[], Any]], Any]) -> None:
    bucket = stack.env()["MESHPLANE_RAW_BUCKET"]
    snapshot = stack.place.snapshot
    for text in (b"first", b"second"):
        stack.client("s3").put_object(Bucket=bucket, Key="kept", Body=text)
    written = time.time()
    eventually(lambda: snapshot.exists() and snapshot.stat().st_mtime > written)
    os.kill(stack.running.pid, signal.SIGKILL)
    os.waitpid(stack.running.pid, 0)
    again = stacks.up(checkout)
    assert again.running.pid != stack.running.pid
    versions = again.client("s3").list_object_versions(Bucket=bucket, Prefix="kept")["Versions"]
    bodies = [again.client("s3").get_object(Bucket=bucket, Key="kept", VersionId=one["VersionId"])["Body"].read() for one in versions]
    assert bodies == [b"second", b"first"]


def test_nothing_is_saved_while_nothing_changes(stack: Stack, checkout: Path) -> None:
    found = stacks.find(checkout)
    assert found is not None
    time.sleep(3)
    saved = found.place.snapshot.stat().st_mtime
    found.client("s3").list_buckets()
    time.sleep(2.5)
    assert found.place.snapshot.stat().st_mtime == saved
