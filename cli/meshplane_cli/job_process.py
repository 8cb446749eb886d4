"""One run of a job inside this process, as Glue would start it: its arguments, its script, its goodbye. Called by `job_tests`."""

from __future__ import annotations

import atexit
import io
import runpy
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended: `error` is empty when it succeeded; `printed` is what it wrote on stdout, its log."""

    error: str
    printed: str


def begin_process(arguments: Sequence[str]) -> None:
    """This process becomes a new one as far as the job library can tell."""
    from dp_foundation.config.arguments import invocation
    from dp_foundation.run.current import at_exit, begin

    atexit.unregister(at_exit)
    sys.excepthook = sys.__excepthook__
    invocation.cache_clear()
    begin.cache_clear()
    sys.argv = list(arguments)


def run(script: Path, arguments: Sequence[str]) -> Ended:
    """Run the file as the main program and let it end as a process does; what it raises is its error."""
    from dp_foundation.run.current import at_exit, begin

    begin_process([str(script), *arguments])
    said = io.StringIO()
    error = ""
    with redirect_stdout(said):
        try:
            runpy.run_path(str(script), run_name="__main__")
        except SystemExit as left:
            error = f"SystemExit: {left.code}" if left.code not in (None, 0) else ""
        except Exception as raised:  # noqa: BLE001  whatever a job raises is its result
            error = f"{type(raised).__name__}: {raised}"
        current = begin()
        if current is not None and error:
            current.finish(error[:2000])
        elif current is not None:
            at_exit(current)
    begin_process([sys.executable])
    return Ended(error, said.getvalue())
