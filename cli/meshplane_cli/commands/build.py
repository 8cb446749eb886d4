"""`meshplane build`: the artifact as files, with what it weighs. `make build` calls it; `deploy` ships the same bytes by itself."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Annotated

import typer

from meshplane_cli.delivery import package
from meshplane_cli.output import PROBLEMS, CliError, emit, show
from meshplane_cli.surroundings import JsonOption, checkout

MAX_MB = 100  # of the layer, unzipped and without bytecode; Lambda takes 250 of function and layers together


def command(
    folder: Annotated[str, typer.Option("--to", help="Where functions.zip and layer.zip are written.")] = "build",
    as_json: JsonOption = False,
) -> None:
    """Build functions.zip and layer.zip for python3.13 on arm64, say their digests and sizes. The same checkout gives the same bytes.

    The layer has bytecode where Python 3.13 is on the PATH, or is named by MESHPLANE_LAMBDA_PYTHON.
    """
    root = checkout().root
    parts = {"functions.zip": package.functions_zip(root), "layer.zip": package.layer_zip(root)}
    there = root / folder
    there.mkdir(parents=True, exist_ok=True)
    rows = [_kept(there / name, content) for name, content in parts.items()]
    if as_json:
        emit({"files": rows})
    else:
        for row in rows:
            show(f"{row['file']}  {row['megabytes']} MB, and {row['bytecodeMegabytes']} MB of bytecode  sha256 {row['sha256']}")
    heavy = next(row for row in rows if str(row["file"]).endswith("layer.zip"))
    if float(str(heavy["megabytes"])) > MAX_MB:
        raise CliError(f"the layer is heavier than {MAX_MB} MB", found=f"{heavy['megabytes']} MB unzipped, without bytecode", code=PROBLEMS)


def _kept(path: Path, content: bytes) -> dict[str, object]:
    path.write_bytes(content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sizes = [(entry.filename.endswith(".pyc"), entry.file_size) for entry in archive.infolist()]
    plain, compiled = (round(sum(size for is_code, size in sizes if is_code is wanted) / 1e6, 1) for wanted in (False, True))
    digest = hashlib.sha256(content).hexdigest()
    return {"file": path.name, "megabytes": plain, "bytecodeMegabytes": compiled, "sha256": digest}
