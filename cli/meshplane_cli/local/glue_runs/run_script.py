"""Runs in the job's own process, started by `process`: the script as `__main__`, its failure as Glue names it.

Called as `run_script.py OUTCOME LIFELINE SCRIPT [ARGUMENT …]`; imports only the standard library, so that a job sees nothing of ours.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType


def _die_with_parent(lifeline: int) -> None:
    """The other end closes when the embedded AWS goes, however it goes: then nobody may work on."""

    def watch() -> None:
        os.read(lifeline, 1)
        os._exit(137)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


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
    """0 when the script ended well; else 1, with the message in OUTCOME and the traceback on stderr."""
    outcome, lifeline, script = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    _die_with_parent(lifeline)
    sys.argv = sys.argv[3:]
    sys.path[0] = str(Path(script).parent)
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
