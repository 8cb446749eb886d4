"""`meshplane new`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from meshplane.model.naming import RESERVED_PROJECTS
from meshplane_cli.output import USAGE, CliError, emit, show
from meshplane_cli.surroundings import JsonOption, checkout


def command(
    name: Annotated[str, typer.Argument(help="2 to 20 lower-case letters and digits, beginning with a letter.")],
    as_json: JsonOption = False,
) -> None:
    """Make a project from projects/_template: nothing else in the checkout changes."""
    place = checkout()
    if not re.fullmatch(r"[a-z][a-z0-9]{1,19}", name) or name in RESERVED_PROJECTS:
        allowed = f"2 to 20 lower-case letters and digits, a letter first; not {', '.join(sorted(RESERVED_PROJECTS))}"
        raise CliError(f"a project cannot be called '{name}'", allowed=allowed, mend="the name is part of every physical name", code=USAGE)
    folder, template = place.root / "projects" / name, place.root / "projects" / "_template"
    if folder.exists():
        raise CliError(f"projects/{name} is there already", mend="choose another name", code=USAGE)
    if not template.is_dir():
        raise CliError("there is no projects/_template here", mend="take it from the Meshplane repository", code=USAGE)
    made = [_copy(file, folder / file.relative_to(template), name) for file in sorted(template.rglob("*")) if file.is_file()]
    paths = [path.relative_to(place.root).as_posix() for path in made]
    if as_json:
        emit({"project": name, "files": paths})
        return
    for path in paths:
        show(f"made {path}")
    show(f"next: edit it, then: meshplane validate {name} && meshplane publish {name}")


def _copy(source: Path, to: Path, name: str) -> Path:
    """A file of the template; one that ends in `.template` has {{name}} filled in and loses that ending."""
    to.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix != ".template":
        to.write_bytes(source.read_bytes())
        return to
    to = to.with_suffix("")
    to.write_text(source.read_text(encoding="utf-8").replace("{{name}}", name), encoding="utf-8")
    return to
