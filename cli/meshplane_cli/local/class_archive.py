"""The classes of Spark and Iceberg as the JVM keeps them in memory, written to a file once: a warm JVM is ready in half the CPU time.

Java's class data sharing (https://docs.oracle.com/en/java/javase/17/vm/class-data-sharing.html): `make` runs the warm-up once and has the
JVM dump what it loaded; `option` is what later JVMs start with. An archive counts for exactly one Java and one class path; a JVM that it
does not fit starts as without it. `jars` has it made when it has the jars.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from meshplane_cli.local.jars import pyspark_home
from meshplane_cli.local.java import SetupError, java

_QUIET = (
    "-Xlog:disable",
    "-Xlog:all=warning:stderr",
    "-Xlog:cds=off:stderr",
    "-Xlog:cds+dynamic=off:stderr",
    "-Xlog:class+path=off:stderr",
)
DUMP_SECONDS = 120.0


def path(jars: Path) -> Path:
    """Where the archive for this Java, this pyspark and these jars lies, beside them."""
    files = [java().resolve(), *sorted((pyspark_home() / "jars").glob("*.jar")), *sorted(jars.glob("*.jar"))]
    told = "\n".join(f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files)
    return jars.parent / f"classes-{hashlib.sha256(told.encode()).hexdigest()[:16]}.jsa"


def option(jars: Path) -> tuple[str, ...]:
    """JVM options that use the archive; none where it was not made."""
    archive = path(jars)
    return (f"-XX:SharedArchiveFile={archive}", *_QUIET) if archive.exists() else ()


def make(jars: Path) -> Path:
    """The archive, made when it is not there; older ones are removed. Takes half a minute. SetupError when the JVM does not start."""
    archive = path(jars)
    if archive.exists():
        return archive
    from meshplane_cli.local.glue_runs import warm_up  # half a second, which each `./dev` would wait for
    from meshplane_cli.local.jvm import Jvm, Wish

    print("Archiving Spark's classes, so that local Spark starts in half the time (once, half a minute)", file=sys.stderr)
    half = archive.with_suffix(f".{os.getpid()}")
    try:
        with tempfile.TemporaryDirectory(prefix="classes-", dir=jars.parent) as scratch:
            jvm = Jvm(jars, Wish(), "eu-central-1", Path(scratch), (f"-XX:ArchiveClassesAtExit={half}", *_QUIET))
            try:
                warm_up.exercise(jvm, jvm.region)
                jvm.end(DUMP_SECONDS)
            finally:
                jvm.kill()
        for old in jars.parent.glob("classes-*.jsa"):
            old.unlink()
        half.replace(archive)
    finally:
        half.unlink(missing_ok=True)
    return archive


def ready(jars: Path) -> None:
    """`make`, as a step of set-up: without an archive everything works, later, so a failure is told and is none of set-up's."""
    try:
        make(jars)
    except (SetupError, OSError, subprocess.SubprocessError) as fault:
        print(f"warning: Spark's classes could not be archived, so local Spark starts more slowly: {fault}", file=sys.stderr)
