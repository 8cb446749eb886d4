"""A run's process, whether it waited for the run or was started for it."""

from __future__ import annotations

import json
import os
import signal
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meshplane_cli.local.glue_runs import process
from meshplane_cli.local.glue_runs.interpreters import LOADED, Interpreter, Interpreters, Orders
from meshplane_cli.local.role_credentials import RoleKey

LOOK = """
import boto3, json, os, signal, sys
print(json.dumps({
    "argv": sys.argv, "path": sys.path, "environment": dict(os.environ), "folder": os.getcwd(), "name": __name__, "file": __file__,
    "boto3": boto3.__file__, "session": os.getsid(0) == os.getpid(), "stdin": sys.stdin.read(), "hash": sys.flags.hash_randomization,
    "ours": sorted(name for name in sys.modules if name.startswith("meshplane")),
}))
"""


@pytest.fixture
def made() -> Iterator[Interpreters]:
    found = Interpreters(environment())
    yield found
    found.close()


def environment(*path: Path, **extra: str) -> dict[str, str]:
    return process.environment("http://127.0.0.1:9", "eu-central-1", RoleKey("key", "secret"), path, extra)


def run(interpreters: Interpreters, folder: Path, source: str, *path: Path, **extra: str) -> tuple[process.Result, list[str]]:
    """How the script ended, and what it printed."""
    script = folder / "script" / "job.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text(source, encoding="utf-8")
    env = environment(*path, **extra)
    interpreter = interpreters.take(env, (script.parent, *path))
    orders = Orders(str(script), ("--a", "b c"), env, tuple(map(str, path)), str(folder), str(folder / "outcome"))
    lines: list[str] = []
    ended = process.run(interpreter, orders, lambda stream, line: lines.append(line), 30, lambda: False)
    return ended, lines


def seen(interpreters: Interpreters, folder: Path, *path: Path, **extra: str) -> dict[str, Any]:
    ended, lines = run(interpreters, folder, LOOK, *path, **extra)
    assert ended == process.Result("ended"), lines
    return dict(json.loads(lines[-1]))


def test_a_script_cannot_tell_whether_its_process_waited(made: Interpreters, tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    new = seen(made, tmp_path, library)
    made.prepare()
    waiting = made._ready
    assert waiting is not None
    assert seen(made, tmp_path, library) == new
    assert made._ready is None, "it was not the one that waited"
    assert waiting.process.returncode == 0
    assert (new["argv"], new["path"][:2]) == ([f"{tmp_path}/script/job.py", "--a", "b c"], [f"{tmp_path}/script", str(library)])
    assert (new["name"], new["folder"], new["ours"], new["session"]) == ("__main__", str(tmp_path), [], True)
    assert new["environment"]["PYTHONPATH"] == str(library)
    assert {"LC_CTYPE"} >= new["environment"].keys() - environment(library).keys(), "nothing else of this machine"


def test_a_run_with_its_own_libraries_gets_them(made: Interpreters, tmp_path: Path) -> None:
    library = tmp_path / "library.zip"
    with zipfile.ZipFile(library, "w") as archive:
        archive.writestr("boto3/__init__.py", "")
    made.prepare()
    assert seen(made, tmp_path, library)["boto3"] == f"{library}/boto3/__init__.py"
    assert made._ready is not None, "another run may still have it"


def test_a_run_with_its_own_variables_has_them_from_the_start(made: Interpreters, tmp_path: Path) -> None:
    made.prepare()
    assert seen(made, tmp_path, PYTHONHASHSEED="0")["hash"] == 0
    assert seen(made, tmp_path)["hash"] == 1


def test_one_that_died_while_it_waited_is_not_taken(made: Interpreters, tmp_path: Path) -> None:
    made.prepare()
    assert made._ready is not None
    os.kill(made._ready.process.pid, signal.SIGKILL)
    made._ready.process.wait()
    assert seen(made, tmp_path)["name"] == "__main__"


def test_a_failure_is_told_the_same_way(made: Interpreters, tmp_path: Path) -> None:
    failing = "def f():\n    raise ValueError('no')\nf()\n"
    new = run(made, tmp_path, failing)
    made.prepare()
    assert run(made, tmp_path, failing) == new
    assert new[0] == process.Result("ended", "ValueError: no")
    assert new[1][1] == f'  File "{tmp_path}/script/job.py", line 3, in <module>'


def test_it_ends_with_whoever_it_waits_for() -> None:
    waiting = Interpreter(environment(), LOADED)
    waiting.close()
    assert waiting.process.wait(20) == 0
    assert waiting.process.communicate() == (b"", b"")


def test_none_is_made_ready_after_the_end(made: Interpreters) -> None:
    made.prepare()
    assert made._ready is not None
    waiting = made._ready.process
    made.close()
    made.prepare()
    assert made._ready is None
    until = time.monotonic() + 10
    while waiting.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.05)
