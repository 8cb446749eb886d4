"""What the control plane ships, by content: the functions' code, the dependency layer, the template that names both. Used by `plane`.

The same checkout gives the same bytes on every machine, so that what was tried in dev is what int and prod get (`digest`).
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from meshplane.model.bundle import bundle
from meshplane_cli.machines import with_machines
from meshplane_cli.output import PROBLEMS, CliError, say
from meshplane_cli.platform import library_wheel

TEMPLATE = "template.yaml"
_CODE = re.compile(r"^(?P<indent> +CodeUri: )functions/$", re.MULTILINE)
_LAYER = re.compile(r"^(?P<indent> +ContentUri: )layer/$", re.MULTILINE)
_BASELINE = (".tf", ".tfvars", ".tftpl")


@dataclass(frozen=True, slots=True)
class Package:
    """Contents by the name that they get beside their digest."""

    functions: bytes
    layer: bytes


def functions_zip(root: Path) -> bytes:
    """The one code root of all functions, with `domain.json` beside the code where `wiring` looks for it."""
    base = root / "functions"
    files = {
        path.relative_to(base).as_posix(): path.read_bytes() for path in sorted(base.rglob("*")) if _shipped(path.relative_to(base), path)
    }
    return bundle({**files, "meshplane/domain.json": (root / "domain.json").read_bytes()})


def layer_zip(root: Path) -> bytes:
    """The dependency layer from its hashed lock, with bytecode where the functions' own Python is at hand (`layer/Makefile`).

    Built once per lock and kept in `.meshplane/build`. Raises CliError.
    """
    compiler = "-bytecode" if make(root, "python").stdout.strip() else ""
    kept = root / ".meshplane" / "build" / f"layer-{_sha(_layer_source(root))}{compiler}.zip"
    if not kept.is_file():
        say("building the dependency layer from layer/requirements.lock")
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            made = make(root, "build-DependencyLayer", f"ARTIFACTS_DIR={folder}")
            if made.returncode:
                raise CliError("the dependency layer could not be built", found=made.stderr[-2000:], code=PROBLEMS)
            part = kept.with_suffix(".part")
            files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
            part.write_bytes(bundle({path.relative_to(folder).as_posix(): path.read_bytes() for path in files}))
            part.replace(kept)
    return kept.read_bytes()


def make(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """One target of `layer/Makefile`."""
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(["make", "-s", "-C", str(root / "layer"), *words], env=env, capture_output=True, text=True, check=False)


def template(root: Path, functions: str, layer: str) -> str:
    """The template with `s3://` places for code and layer, its machines within. Raises CliError where it names them in another way."""
    whole = with_machines((root / TEMPLATE).read_text(encoding="utf-8"), root)
    text, codes = _CODE.subn(rf"\g<indent>{functions}", whole)
    text, layers = _LAYER.subn(rf"\g<indent>{layer}", text)
    if (codes, layers) != (1, 1):
        raise CliError(f"{TEMPLATE}: one `CodeUri: functions/` and one `ContentUri: layer/` are expected", found=f"{codes} and {layers}")
    return text


def digest(root: Path, projects: Mapping[str, Mapping[str, str]]) -> str:
    """One digest over everything that is deployed. `projects`: name → path → sha256 of its manifest and files.

    Neither commit, actor nor environment is part of it: the same files are the same release, whatever merge brought them there.
    """
    parts = {
        "functions": _sha(functions_zip(root)),
        "layer": _sha(_layer_source(root)),
        TEMPLATE: _sha((root / TEMPLATE).read_bytes()),
        "library": _sha(library_wheel(root)),
        **{path.relative_to(root).as_posix(): _sha(path.read_bytes()) for path in _others(root)},
        **{f"projects/{name}/{path}": sha for name, files in projects.items() for path, sha in files.items()},
    }
    return _sha("".join(f"{sha}  {name}\n" for name, sha in sorted(parts.items())).encode())


def _others(root: Path) -> list[Path]:
    jobs = [path for path in _files(root / "glue_jobs" / "jobs") if path.suffix == ".py"]
    machines = _files(root / "statemachines")
    terraform = [path for path in _files(root / "baseline_tf") if path.suffix in _BASELINE and ".terraform" not in path.parts]
    return [*jobs, *machines, *terraform]


def _layer_source(root: Path) -> bytes:
    return (root / "layer" / "requirements.lock").read_bytes() + (root / "layer" / "Makefile").read_bytes()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _shipped(path: Path, file: Path) -> bool:
    return file.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
