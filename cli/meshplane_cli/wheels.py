"""`packages:` of a job become wheels for Glue's Python, chosen once at publish and named by their content from then on.

pip itself chooses, from whatever index this machine is configured for: no index is named here. A lock file
`projects/<name>/requirements.lock` (made by `pip-compile` or `uv pip compile --generate-hashes`) is obeyed where there is one,
its hashes too.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from meshplane_cli.bundled_pip import pip
from meshplane_cli.output import CliError

GLUE_PYTHON = "3.11"  # Glue 5.1
_EXTRAS = re.compile(r"\[[^]]*\]")  # a constraint may not name any
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64", "linux_x86_64")


def resolve(requirement: str, folder: Path, say: Callable[[str], None]) -> tuple[Path, ...]:
    """The wheels of a requirement and of what it needs, from the cache or by pip. Raises CliError with pip's own last words."""
    lock = folder / "requirements.lock"
    constraint = lock.read_bytes() if lock.is_file() else b""
    cached = _cache(folder) / hashlib.sha256(requirement.encode() + b"\0" + constraint).hexdigest()[:16]
    if not cached.is_dir():
        say(f"resolving {requirement}")
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cached.parent) as scratch:
            pins, digests = _locked(constraint.decode())
            (Path(scratch) / "pins.txt").write_text(pins, encoding="utf-8")
            wheels = Path(scratch) / "wheels"
            _download(requirement, wheels, Path(scratch) / "pins.txt")
            _check(requirement, wheels, digests)
            wheels.rename(cached)
    return tuple(sorted(cached.glob("*.whl")))


def one_version_each(job: str, wheels: Iterable[str]) -> None:
    """Raises CliError when a job's packages, each resolved by itself, bring two versions of one distribution: no pip installs both."""
    versions: dict[str, set[str]] = {}
    for wheel in wheels:
        name, version = wheel.split("-")[:2]
        versions.setdefault(name.lower().replace("_", "-"), set()).add(version)
    for name, found in versions.items():
        if len(found) > 1:
            told = ", ".join(sorted(found))
            mend = f"name {name}==… in `packages` and in requirements.lock beside project.yaml, so that one version serves all"
            raise CliError(f"jobs.{job}.packages bring several versions of {name}", found=told, mend=mend)


def _locked(text: str) -> tuple[str, frozenset[str]]:
    """A lock's pins, and every SHA-256 in it. pip takes no hashes of what a requirement needs in turn, so they are checked here."""
    lines = text.replace("\\\n", " ").splitlines()
    pins = [line.partition("--hash")[0].strip() for line in lines if line.strip() and not line.lstrip().startswith(("#", "-"))]
    return "".join(f"{_EXTRAS.sub('', pin, count=1)}\n" for pin in pins), frozenset(_HASH.findall(text))


def _check(requirement: str, wheels: Path, digests: frozenset[str]) -> None:
    """Where the lock has hashes, no other file is taken. Raises CliError."""
    for wheel in sorted(wheels.glob("*.whl")) if digests else ():
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if found not in digests:
            mend = "make requirements.lock anew with this package in it; if it comes back, do not trust the index"
            raise CliError(f"{wheel.name}, of {requirement}, is not in requirements.lock", found=f"sha256 {found}", mend=mend)


def _download(requirement: str, into: Path, pins: Path) -> None:
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    options = ["--dest", str(into), "--only-binary", ":all:", "--python-version", GLUE_PYTHON, "--implementation", "cp", *platforms]
    options += ["--constraint", str(pins)]
    done = subprocess.run([*pip(), "download", "--quiet", *options, requirement], capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")] or ["pip said nothing"]
        found = said[0].removeprefix("ERROR: ")
        mend = f"a version that has a wheel for Python {GLUE_PYTHON} on Linux x86-64, or the module's source under `modules`"
        raise CliError(f"no wheels for {requirement}", found=found, mend=mend)


def _cache(folder: Path) -> Path:
    return folder.parents[1] / ".meshplane" / "wheels"
