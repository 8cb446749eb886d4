"""The plain `aws` client against the embedded AWS, led there by `env` alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from meshplane_cli.local.stack import Stack

pytestmark = pytest.mark.local


def aws(stack: Stack, *words: str) -> str:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    program = Path(sys.executable).with_name("aws")
    done = subprocess.run([str(program), *words], env={**plain, **stack.env()}, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_plain_aws_client_uploads_syncs_lists_and_removes(stack: Stack, tmp_path: Path) -> None:
    bucket = f"s3://{stack.env()['MESHPLANE_RAW_BUCKET']}"
    (tmp_path / "lib").mkdir()
    (tmp_path / "one.txt").write_text("1")
    (tmp_path / "lib" / "two.txt").write_text("2")
    (tmp_path / "large.bin").write_bytes(b"x" * 9_000_000)  # beyond the client's threshold for multipart
    aws(stack, "s3", "cp", str(tmp_path / "one.txt"), f"{bucket}/cli/one.txt", "--metadata", "release=abc")
    aws(stack, "s3", "sync", str(tmp_path), f"{bucket}/cli/")
    assert {line.split()[-1] for line in aws(stack, "s3", "ls", f"{bucket}/cli/", "--recursive").splitlines()} == {
        "cli/one.txt",
        "cli/lib/two.txt",
        "cli/large.bin",
    }
    aws(stack, "s3", "rm", f"{bucket}/cli/lib/two.txt")
    listed = json.loads(aws(stack, "s3api", "list-object-versions", "--bucket", bucket[5:], "--prefix", "cli/lib"))
    assert len(listed["DeleteMarkers"]) == 1
    assert aws(stack, "s3", "cp", f"{bucket}/cli/one.txt", "-") == "1"
    assert json.loads(aws(stack, "sts", "get-caller-identity"))["Arn"].endswith(":user/developer")
    assert "f01_de_raw" in aws(stack, "glue", "get-databases")
