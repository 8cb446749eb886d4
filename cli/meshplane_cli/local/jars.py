"""The jars that local Spark needs beside its own: resolved once by `./dev`, checked by hash, then only looked up.

`glue_jobs/jars.lock` names each with its SHA-256. They come through the Ivy that pyspark ships, into a cache of this user that
other clones share, and are linked into `.meshplane/jars`. `python -m meshplane_cli.local.jars` is that step; offline the second time.
The servers that tests start (`tests/servers.lock`, into `.meshplane/servers`) come the same way, when a test first asks for them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from xml.sax.saxutils import quoteattr

from meshplane_cli.local.java import SetupError, java


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock. `sha256` is of the file, in hex."""

    group: str
    artifact: str
    version: str
    file: str
    sha256: str

    @property
    def coordinate(self) -> str:
        """`group:artifact:version`."""
        return f"{self.group}:{self.artifact}:{self.version}"


LOCK, FOLDER = "glue_jobs/jars.lock", "jars"


def locked(root: Path, lock: str = LOCK) -> tuple[Jar, ...]:
    """What a lock of the checkout at `root` names."""
    lines = (root / lock).read_text(encoding="utf-8").splitlines()
    rows = (line.replace(":", " ", 2).split() for line in lines if line.strip() and not line.startswith("#"))
    return tuple(Jar(group, artifact, version, file, digest) for group, artifact, version, file, digest in rows)


def resolve(root: Path, lock: str = LOCK, folder_name: str = FOLDER) -> Path:
    """The folder in `.meshplane` that holds exactly the jars of the lock, every one with its hash; fetched where they are missing.

    SetupError when one cannot be had, or is not the file that the lock names.
    """
    jars, folder, cache = locked(root, lock), root / ".meshplane" / folder_name, _cache()
    folder.mkdir(parents=True, exist_ok=True)
    absent = [jar for jar in jars if not (folder / jar.file).exists() and not (cache / jar.file).exists()]
    if absent:
        _fetch(absent, cache, root / "glue_jobs" / "ivysettings.xml")
    for jar in jars:
        if not (folder / jar.file).exists():
            _place(cache / jar.file, folder / jar.file)
    _check_changed(folder, jars, lock)
    for stale in {path.name for path in folder.glob("*.jar")} - {jar.file for jar in jars}:
        (folder / stale).unlink()
    return folder


def _check_changed(folder: Path, jars: tuple[Jar, ...], lock: str) -> None:
    """Hash what is not, byte for byte by the file system's word, what was hashed before: half a second of every `./dev` else."""
    note = folder.with_name(f"{folder.name}.checked.json")
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    now = {jar.file: [jar.sha256, *_identity(folder / jar.file)] for jar in jars}
    for jar in jars:
        if known.get(jar.file) != now[jar.file]:
            _check(folder / jar.file, jar, lock)
    if known != now:
        half = note.with_suffix(f".{os.getpid()}")
        half.write_text(json.dumps(now), encoding="utf-8")
        half.replace(note)


def _identity(path: Path) -> tuple[int, int, int, int]:
    """Another one for every file and, by the time of its last change, for whatever is done to one."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _check(path: Path, jar: Jar, lock: str = LOCK) -> None:
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != jar.sha256:
        raise SetupError(
            f"{jar.coordinate}: {path} is not the file that {lock} names\n"
            f"    found    sha256 {found}\n    allowed  sha256 {jar.sha256}\n"
            f"    mend     remove it there and in {_cache()}, then run ./dev setup; if it comes back, do not trust it"
        )


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "meshplane" / "jars"


def _place(source: Path, target: Path) -> None:
    """Link, or copy across file systems; under a name of its own first, so that a half copy is never taken for the jar."""
    half = target.with_suffix(f".{os.getpid()}")
    try:
        os.link(source, half)
    except OSError:
        shutil.copyfile(source, half)
    half.replace(target)


def _fetch(jars: list[Jar], cache: Path, settings: Path) -> None:
    """Ask Ivy for exactly these artifacts, none of what they depend on: the lock is the whole list."""
    print(f"Fetching {len(jars)} jars (once for this user)", file=sys.stderr)
    rows = "".join(
        f'<dependency org={quoteattr(jar.group)} name={quoteattr(jar.artifact)} rev={quoteattr(jar.version)} transitive="false"'
        ' conf="default->master"/>'
        for jar in jars
    )
    head = '<ivy-module version="2.0"><info organisation="meshplane" module="jars"/>'
    head += '<configurations><conf name="default"/></configurations>'
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="jars-", dir=cache) as scratch:
        wish = Path(scratch) / "ivy.xml"
        wish.write_text(f"{head}<dependencies>{rows}</dependencies></ivy-module>", encoding="utf-8")
        command = [str(java()), "-jar", str(_ivy()), "-settings", str(settings), "-ivy", str(wish), "-cache", f"{scratch}/ivy"]
        command += ["-retrieve", f"{scratch}/out/[organisation]@[artifact]@[revision].[ext]", "-confs", "default", "-warn"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        for jar in jars:
            got = Path(scratch) / "out" / f"{jar.group}@{jar.artifact}@{jar.version}.jar"
            if not got.exists():
                said = f"{done.stdout}{done.stderr}".rstrip()
                raise SetupError(f"{jar.coordinate} could not be fetched from Maven Central: is this machine online?\n{said}")
            _check(got, jar)
            got.replace(cache / jar.file)


def pyspark_home() -> Path:
    """Where pyspark is installed: its `jars/` is Spark itself. SetupError when it is not."""
    spec = find_spec("pyspark")
    if spec is None or not spec.submodule_search_locations:
        raise SetupError("pyspark is not installed in this environment: run ./dev setup")
    return Path(spec.submodule_search_locations[0])


def _ivy() -> Path:
    return next((pyspark_home() / "jars").glob("ivy-*.jar"))


def main() -> int:
    """What `./dev` calls in the checkout. 0 when every jar is there, 2 when not, with the reason. Spark's classes are archived then."""
    from meshplane_cli.local import class_archive  # it needs this module

    try:
        class_archive.ready(resolve(Path.cwd()))
    except SetupError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
