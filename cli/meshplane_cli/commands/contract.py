"""`meshplane contract export|import`: a table's promises as a file of the Open Data Contract Standard, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from meshplane.model.earlier_contracts import import_expectations, import_schema, import_thresholds
from meshplane.model.odcs import Promised, export, promised
from meshplane.model.odcs_reading import Unmapped, import_odcs, plain
from meshplane.model.reading import read
from meshplane_cli.main import EPILOG
from meshplane_cli.manifests import project_of
from meshplane_cli.output import USAGE, CliError, emit, say, show
from meshplane_cli.surroundings import JsonOption, checkout

app = typer.Typer(
    help="A table's promises in the Open Data Contract Standard 3.x. Both verbs take --json.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("export", epilog=EPILOG)
def export_tables(
    project: Annotated[str, typer.Argument(help="Folder under projects/.")],
    tables: Annotated[list[str] | None, typer.Argument(help="Tables; all of them when none is named.")] = None,
    env: Annotated[str, typer.Option(help="Environment whose thresholds hold.")] = "prod",
    as_json: JsonOption = False,
) -> None:
    """Write contracts/TABLE.odcs.yaml in the project's folder, one file per table; what ODCS cannot say goes to customProperties."""
    place = checkout()
    known = project_of(place, project, env).tables
    wrong = [name for name in tables or () if name not in known]
    if wrong:
        raise CliError(f"no table '{wrong[0]}' in {project}", found=wrong[0], allowed=", ".join(known), code=USAGE)
    written = []
    for name in tables or known:
        path = place.folder(project) / "contracts" / f"{name}.odcs.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(export(project, promised(known[name])), encoding="utf-8")
        written.append(path.relative_to(place.root).as_posix())
    if as_json:
        emit({"project": project, "files": written})
        return
    for name in written:
        show(f"wrote {name}")


@app.command("import", epilog=EPILOG)
def import_file(
    project: Annotated[str, typer.Argument(help="Folder under projects/ that the contract is for.")],
    file: Annotated[Path, typer.Argument(help="ODCS 3.x, a JSON schema definition, a thresholds YAML or an expectation suite.")],
    table: Annotated[str, typer.Option(help="Table, where the file does not name one. Default: the file's name.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Make contracts/TABLE.odcs.yaml of a contract from elsewhere. What has no place is listed, never dropped in silence."""
    place = checkout()
    if not file.is_file():
        raise CliError(f"there is no file {file}", mend="mend the path", code=USAGE)
    tables, defaults, lost = _imported(file, table or file.name.partition(".")[0].lower())
    folder = place.folder(project) / "contracts"
    written = []
    for each in tables:
        folder.mkdir(exist_ok=True)
        path = folder / f"{each.name}.odcs.yaml"
        path.write_text(export(project, each), encoding="utf-8")
        written.append(path.relative_to(place.root).as_posix())
    if as_json:
        emit({"files": written, "ruleDefaults": defaults, "notKept": [str(each) for each in lost]})
        return
    for name in written:
        show(f"wrote {name}; name it in the manifest: contract: contracts/{Path(name).name}")
    for kind, share in defaults.items():
        show(f'domain.json, rule_defaults: "{kind}": {share}')
    for one in lost:
        say(f"not kept: {one}")


def _imported(file: Path, table: str) -> tuple[tuple[Promised, ...], dict[str, float], tuple[Unmapped, ...]]:
    text = file.read_text(encoding="utf-8").replace("\t", " ")
    root, _ = read(text, file.name)
    data: Any = plain(root)
    if not isinstance(data, dict):
        raise CliError(f"{file.name} is no contract", allowed="a map: ODCS, columns, properties, expectations, or thresholds")
    if "expectations" in data:
        one, lost = import_expectations(data, table)
        return (one,), {}, lost
    if "columns" in data or "properties" in data:
        one, lost = import_schema(data, table)
        return (one,), {}, lost
    if "kind" in data or "apiVersion" in data:
        imported = import_odcs(text, file.name)
        return imported.tables, {}, imported.unmapped
    defaults, lost = import_thresholds(data)
    return (), defaults, lost
