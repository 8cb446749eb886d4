"""The first program of a worker process: AWS's runtime client, with the plane's clock set to the embedded AWS's.

`python -m meshplane_cli.local.lambdas.boot HANDLER`. The handler's own code is untouched: only `meshplane.wiring`'s clock, where it
exists, is told the time that `meshplane local advance` has reached.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType

from awslambdaric.__main__ import main

from meshplane_cli.local.clock import now_by_file


class _ClockSetter(importlib.abc.MetaPathFinder):
    """Sets `SystemClock.now` as soon as `meshplane.wiring` has been imported, and not before: start-up stays as it is in Lambda."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Wrap the loader of `meshplane.wiring`; everything else is others' business."""
        if fullname != "meshplane.wiring":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                load(module)
                clock = getattr(module, "SystemClock", None)
                if clock is not None:
                    clock.now = lambda self: now_by_file()

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if __name__ == "__main__":
    sys.meta_path.insert(0, _ClockSetter())
    main(sys.argv)
