"""pip as Python itself brings it (ensurepip), since uv removes it from an environment. `wheels` chooses with it, job runs install."""

from __future__ import annotations

import sys
import sysconfig
from importlib.resources import files as package_files
from pathlib import Path

from meshplane.errors import PlaneError


class NoPipError(PlaneError):
    """This Python has no pip of its own; the message says how to get it."""


def pip() -> list[str]:
    """The words that begin a pip command of this Python. Raises NoPipError."""
    shared = sysconfig.get_config_var("WHEEL_PKG_DIR")  # distributions keep it outside of ensurepip
    folders = [Path(shared)] if shared else []
    folders.append(Path(str(package_files("ensurepip") / "_bundled")))
    found = [wheel for folder in folders for wheel in sorted(folder.glob("pip-*.whl"))]
    if not found:
        raise NoPipError("this Python brings no pip (ensurepip), so packages cannot be installed; on Debian: apt-get install python3-venv")
    return [sys.executable, f"{found[-1]}/pip", "--disable-pip-version-check"]
