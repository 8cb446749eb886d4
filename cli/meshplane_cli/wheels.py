"""`packages:` of a job become wheels for Glue's Python, chosen once at publish and named by their content from then on.

pip itself chooses, from whatever index this machine is configured for: no index is named here. A lock file
`projects/<name>/requirements.lock` (made by `pip-compile` or `uv pip compile --generate-hashes`) is obeyed where there is one.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from meshplane_cli.output import CliError

GLUE_PYTHON = "3.11"  # Glue 5.1
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
            _download(requirement, Path(scratch) / "wheels", lock if constraint else None)
            (Path(scratch) / "wheels").rename(cached)
    return tuple(sorted(cached.glob("*.whl")))


def _download(requirement: str, into: Path, lock: Path | None) -> None:
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    options = ["--dest", str(into), "--only-binary", ":all:", "--python-version", GLUE_PYTHON, "--implementation", "cp", *platforms]
    hashed = ["--constraint", str(lock)] if lock else []
    done = subprocess.run([*_pip(), "download", "--quiet", *options, *hashed, requirement], capture_output=True, text=True, check=False)
    if done.returncode:
        found = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        mend = f"a version that has a wheel for Python {GLUE_PYTHON} on Linux x86-64, or the module's source under `modules`"
        raise CliError(f"no wheels for {requirement}", found=found, mend=mend)


def _pip() -> list[str]:
    """pip of this Python; where it has none, that of a throw-away environment of the same Python."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
        return [sys.executable, "-m", "pip"]
    place = Path(tempfile.gettempdir()) / f"meshplane-pip-{sys.version_info.major}.{sys.version_info.minor}"
    python = place / "bin" / "python"
    if not python.exists():
        made = subprocess.run([sys.executable, "-m", "venv", str(place)], capture_output=True, text=True, check=False)
        if made.returncode:
            raise CliError("there is no pip to resolve packages with", found=made.stdout.strip()[-200:], mend="install python3-venv")
    return [str(python), "-m", "pip"]


def _cache(folder: Path) -> Path:
    return folder.parents[1] / ".meshplane" / "wheels"
