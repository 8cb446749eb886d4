"""The process that interprets one Starlark file: started by `sandbox.process` as a script, and the one module that imports starlark.

Starlark has no way out of itself: no files, no sockets, no clock, no `load`. Should its interpreter have a fault, there is nothing to
be had here either: an empty environment, no descriptor but its pipes and none to be opened, bounded memory, bounded time.

    in   {"file", "text", "memory", "seconds"}, then {"call": "next", "given": [...]} …     a line each
    out  {"value": …} or {"error": "…"} or {"memory": true}                                  a line each
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

CLOSED = (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE)


def main() -> None:
    """Serve until the pipe closes."""
    sys.path.append(sys.argv[1])  # where starlark lies: an isolated interpreter looks nowhere else
    import starlark

    begun = json.loads(sys.stdin.readline())
    if sys.platform == "linux":  # a Mac, where only tests run, knows no such limit
        resource.setrlimit(resource.RLIMIT_AS, (begun["memory"], begun["memory"]))
    for limit in CLOSED:
        resource.setrlimit(limit, (0, 0))
    dialect = starlark.Dialect.standard()
    dialect.enable_load = False
    dialect.enable_f_strings = True
    dialect.enable_types = starlark.DialectTypes.DISABLE

    def opened() -> Any:
        module = starlark.Module()
        starlark.eval(module, starlark.parse(begun["file"], begun["text"], dialect), starlark.Globals.standard())
        return module.freeze()  # frozen: what one call leaves behind, no other finds

    frozen: list[Any] = []
    _answer(begun["seconds"], starlark.StarlarkError, lambda: frozen.append(opened()))
    for line in sys.stdin:
        asked = json.loads(line)
        del line
        _answer(begun["seconds"], starlark.StarlarkError, lambda: frozen[0].call(asked["call"], *asked["given"]))  # noqa: B023


def _answer(seconds: int, fault: type[Exception], work: Any) -> None:
    """One line, whatever happens. The processor's time counts for a process that nobody waits for any more."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + seconds + 1, hard))
    try:
        told = json.dumps({"value": work()})
    except MemoryError:
        told = json.dumps({"memory": True})
    except (fault, TypeError, ValueError, RecursionError) as error:
        told = json.dumps({"error": str(error)[:4000]})
    except BaseException as panic:  # noqa: BLE001 - how the interpreter ends when it is refused memory, or fails itself
        told = json.dumps({"memory": True} if str(panic) == "out of memory" else {"error": f"the interpreter failed: {panic}"})
    sys.stdout.write(told + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
