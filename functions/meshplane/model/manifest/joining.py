"""Contract files join the manifest: `contract: contracts/orders.odcs.yaml`. Called by the flows, by `manifest.check` and the CLI. Pure.

The file's rules come after those of the manifest. Two that bear one name must be equal, columns must agree, and what the file promises
and nobody would judge is a problem: a contract is kept whole or refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from meshplane.errors import ManifestInvalid, NotReady, Problem
from meshplane.model.manifest.check_rules import MODES, NO_FILTER, RAW_KINDS, refused_mode
from meshplane.model.odcs import Promised, modes
from meshplane.model.odcs_reading import import_odcs
from meshplane.model.problems import Findings, Loc, did_you_mean, in_order
from meshplane.model.project import Project, Table
from meshplane.model.rules import Contract
from meshplane.model.types import text


def joined(project: Project, files: Mapping[str, str]) -> Project:
    """The project with every contract file's rules in its tables. `files`: text by path. Raises ManifestInvalid with every problem, and
    NotReady when the release does not hold a file."""
    tables, problems = dict(project.tables), list[Problem]()
    for table in project.tables.values():
        path = table.contract_file
        if not path:
            continue
        if path not in files:
            raise NotReady(f"{path} of table {table.name} is not in the release: run `meshplane publish {project.name}`")
        try:
            tables[table.name], found = _join(table, files[path])
        except ManifestInvalid as invalid:
            found = list(invalid.problems)
        problems += found
    if problems:
        raise ManifestInvalid(in_order(problems))
    return replace(project, tables=tables)


def _join(table: Table, content: str) -> tuple[Table, list[Problem]]:
    imported = import_odcs(content, table.contract_file)
    findings = Findings(table.contract_file, imported.root)
    names = [each.name for each in imported.tables]
    if table.name not in names:
        message = f"the contract says nothing of table '{table.name}'"
        findings.add("contract-table", ("schema",), message, found=", ".join(names), mend=did_you_mean(table.name, names))
        return table, findings.problems
    index = names.index(table.name)
    at: Loc = ("schema", index)
    for lost in imported.unmapped:
        if lost.promise and lost.path[:2] == at:
            message = f"what nobody would judge cannot be promised: {lost.why}"
            findings.add("contract-unsupported", lost.path, message, mend="say it as a rule of the manifest, or take it out")
    _agree(table, imported.tables[index], findings, at)
    _rules(table, imported.tables[index], findings, at)
    for entity in MODES:
        mode = getattr(imported.tables[index].contract, entity)
        if refused := refused_mode(entity, mode, table.is_iceberg):
            findings.add("contract-mode", at, refused[0], found=mode, allowed=", ".join(refused[1]), mend=refused[1][0])
    file = imported.tables[index]
    own = {rule.name for rule in table.rules}
    rules = table.rules + tuple(rule for rule in file.rules if rule.name not in own)
    return replace(table, rules=rules, contract=file.contract, allow_empty=table.allow_empty or file.allow_empty), findings.problems


def _agree(table: Table, file: Promised, findings: Findings, at: Loc) -> None:
    """Columns, key and modes of the two say the same where both say something."""
    known = {column.name.lower(): column for column in table.columns}
    for index, column in enumerate(file.columns):
        own, loc = known.get(column.name.lower()), (*at, "properties", index)
        if own is None:
            message = f"the manifest has no column '{column.name}' in table '{table.name}'"
            findings.add(
                "contract-column", loc, message, found=column.name, allowed=", ".join(known), mend=did_you_mean(column.name, known)
            )
        elif own.type != column.type:
            message = f"'{column.name}' is {text(own.type)} in the manifest"
            findings.add("contract-column", loc, message, found=text(column.type), allowed=text(own.type))
        elif column.required and not own.required:
            message = f"'{column.name}' may be null by the manifest"
            findings.add("contract-column", loc, message, found="required: true", mend="say `required: true` in the manifest too")
    if file.key and file.key != table.key:
        message = "the contract names another key than the manifest"
        findings.add("contract-column", at, message, found=", ".join(file.key), allowed=", ".join(table.key))
    if table.contract != Contract() and modes(table.contract) != modes(file.contract):
        findings.add("contract-rule", at, "the manifest says otherwise what arriving data may change", mend="say it in one place")


def _rules(table: Table, file: Promised, findings: Findings, at: Loc) -> None:
    own = {rule.name: rule for rule in table.rules}
    columns = {column.name.lower() for column in table.columns}
    for rule in file.rules:
        message = ""
        if rule.name in own and own[rule.name] != rule:
            message = f"rule '{rule.name}' stands in the manifest too, and says something else"
        elif missing := [column for column in rule.columns if column.lower() not in columns]:
            message = f"rule '{rule.name}' looks at a column that table '{table.name}' has not: {', '.join(missing)}"
        elif table.layer == "raw" and rule.kind not in RAW_KINDS:
            message = f"rule '{rule.name}': a raw table is judged by {', '.join(RAW_KINDS)} only"
        elif rule.filter and rule.kind in NO_FILTER:
            message = f"rule '{rule.name}': {rule.kind} takes no filter: {NO_FILTER[rule.kind][0]}"
        if message:
            findings.add("contract-rule", at, message, found=rule.kind, mend="rename, mend or remove one of them")
