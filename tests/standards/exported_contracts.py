"""`python -m tests.standards.exported_contracts FOLDER`: what the examples export, for `datacontract lint`. Run by `./dev test`."""

from __future__ import annotations

import sys
from pathlib import Path

from meshplane.model import manifest
from meshplane.model.odcs import export, promised

ROOT = Path(__file__).parents[2]


def write(folder: Path) -> None:
    """One file a table of each example."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(ROOT.glob("projects/*/project.yaml")):
        project = path.parent.name
        for table in manifest.load(path.read_text(encoding="utf-8"), file=str(path), env="prod", project=project).tables.values():
            (folder / f"{project}-{table.name}.odcs.yaml").write_text(export(project, promised(table)), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
