"""Runs in the job's own process, started by `interpreters`: the script as `__main__`, its failure as Glue names it.

Called as `run_script.py ORDERS [MODULE …]`: loads those modules, waits for one line of JSON (`interpreters.Orders`) on that descriptor, and
is killed when it closes. Imports only the standard library, so that a job sees nothing of ours.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any


def _die_with_parent(lifeline: int) -> None:
    """The other end closes when the embedded AWS goes, however it goes: then nobody may work on."""

    def watch() -> None:
        os.read(lifeline, 1)
        os._exit(137)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def _ordered(descriptor: int, modules: list[str]) -> dict[str, Any]:
    """What this process is to be, once it has been told; meanwhile the modules are loaded, without our own folder in the way."""
    del sys.path[0]
    for name in modules:
        importlib.import_module(name)
    line = b""
    while not line.endswith(b"\n"):
        if not (more := os.read(descriptor, 65536)):  # the embedded AWS has gone, or needs it no more
            os._exit(0)
        line += more
    return dict(json.loads(line))


def _become(orders: dict[str, Any]) -> None:
    """The process as if it had been started for this script."""
    os.environ.clear()
    os.environ.update(orders["environment"])
    os.chdir(orders["folder"])
    sys.path[:0] = [str(Path(orders["script"]).parent), *orders["path"]]
    sys.argv = [orders["script"], *orders["arguments"]]


def _message(error: BaseException) -> str:
    """`AnalysisException: …`: the class's bare name and the first line; for an error of the JVM also the line that names its class."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    text = " ".join(lines[:2]) if type(error).__name__ == "Py4JJavaError" else lines[0]
    return f"{type(error).__name__}: {text}"[:2000]


def _own_frames(trace: TracebackType | None, script: str) -> TracebackType | None:
    """From the script's first frame on: what started it says nothing to its author."""
    found = trace
    while found is not None and found.tb_frame.f_code.co_filename != script:
        found = found.tb_next
    return found


def main() -> int:
    """0 when the script ended well; else 1, with the message in its outcome and the traceback on stderr."""
    orders = _ordered(int(sys.argv[1]), sys.argv[2:])
    _die_with_parent(int(sys.argv[1]))
    _become(orders)
    outcome, script = Path(orders["outcome"]), sys.argv[0]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as leaving:
        if leaving.code in (None, 0):
            return 0
        outcome.write_text(f"SystemExit: {leaving.code}", encoding="utf-8")
        print(f"SystemExit: {leaving.code}", file=sys.stderr)
        return 1
    except BaseException as error:  # noqa: BLE001
        trace = _own_frames(error.__traceback__, script)
        traceback.print_exception(type(error), error, trace)
        outcome.write_text(_message(error), encoding="utf-8")
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.exit(code)
