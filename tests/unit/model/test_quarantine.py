"""Which tables get a quarantine, how it is made, and who may use it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dp_foundation.contracts.quarantine import COLUMNS
from meshplane.errors import ManifestInvalid
from meshplane.kinds import glue_job, iceberg_table, table_optimizer
from meshplane.model import manifest, quarantine, types
from meshplane.model.odcs import export, promised
from meshplane.model.project import Job, Project, Table, Write
from meshplane.model.rules import Contract, Rule
from meshplane.model.types import Field, Primitive
from tests.unit.kinds.sample import CONTEXT

FROZEN = Contract(types="freeze", nullability="freeze", precision="freeze", enum="freeze")


def _project(**table: Any) -> Project:
    orders = Table("orders", "refined", "iceberg", (Field("id", Primitive("long")),), **{"has_contract": True, **table})
    return Project("sales", tables={"orders": orders}, jobs={"load": Job("load", use="merge", writes=(Write("orders", "merge"),))})


def test_a_written_contract_that_keeps_something_aside_makes_one() -> None:
    project = _project()
    assert [want.id.label for want in iceberg_table.KIND.desired(project, CONTEXT)] == ["orders", "orders_quarantine"]
    [_, made] = iceberg_table.KIND.desired(project, CONTEXT)
    assert made.id.name.endswith("_refined.sales_orders_quarantine")
    assert made.spec.location.endswith("/sales/iceberg/orders_quarantine")
    optimizers = [want.id.label for want in table_optimizer.KIND.desired(project, CONTEXT)]
    assert [label for label in optimizers if label.startswith("orders_quarantine/")] == [
        f"orders_quarantine/{kind}" for kind in table_optimizer.TYPES
    ]
    [job] = glue_job.KIND.desired(project, CONTEXT)
    assert made.id in job.needs


@pytest.mark.parametrize("table", [{"has_contract": False}, {"contract": FROZEN}, {"format": "csv", "layer": "raw"}])
def test_no_quarantine_where_nothing_goes_into_it(table: dict[str, Any]) -> None:
    project = _project()
    changed = replace(project, tables={"orders": replace(project.tables["orders"], **table)})
    assert quarantine.quarantines(changed) == {}
    assert quarantine.quarantines(replace(project, jobs={})) == {}


def test_its_columns_are_those_that_the_library_writes() -> None:
    [table] = quarantine.quarantines(_project()).values()
    assert {field.name: types.spark(field.type).replace("`", "") for field in table.columns} == COLUMNS
    assert table.gate.rules == quarantine.quarantines(_project())["orders"].gate.rules
    assert table.readers == ()


MODES = ("freeze", "quarantine_row", "discard_value", "evolve")
TAKEN = {"table": MODES[:1], **dict.fromkeys(("columns", "types", "nullability", "precision", "enum"), MODES)}


def _judged(table: str) -> list[tuple[str, str]]:
    text = f"apiVersion: meshplane/v1\nkind: Project\nmetadata: {{ name: sales }}\ntables:\n  orders: {{ {table} }}\n"
    return [(p.code, p.path) for p in manifest.check(text, file="project.yaml", project="sales", environments=("dev",))]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("entity", TAKEN)
def test_which_modes_each_entity_takes(entity: str, mode: str) -> None:
    refused = [] if mode in TAKEN[entity] else [("contract-mode", f"tables.orders.contract.{entity}")]
    assert _judged(f"layer: refined, columns: {{ id: long }}, contract: {{ {entity}: {mode} }}") == refused


@pytest.mark.parametrize("mode", MODES)
def test_a_table_of_files_has_no_columns_but_its_own(mode: str) -> None:
    refused = [] if mode in ("freeze", "discard_value") else [("contract-mode", "tables.orders.contract.columns")]
    assert _judged(f"layer: raw, format: csv, columns: {{ id: string }}, contract: {{ columns: {mode} }}") == refused


def test_the_same_in_a_contracts_file_is_refused() -> None:
    orders = _project().tables["orders"]
    told = promised(replace(orders, contract=replace(FROZEN, table="evolve")))
    project = replace(_project(), tables={"orders": replace(orders, contract_file="contracts/orders.odcs.yaml")})
    with pytest.raises(ManifestInvalid) as invalid:
        manifest.joined(project, {"contracts/orders.odcs.yaml": export("sales", told)})
    assert [(problem.code, problem.found, problem.mend) for problem in invalid.value.problems] == [("contract-mode", "evolve", "freeze")]


def test_a_filter_that_a_rule_of_a_contracts_file_cannot_take_is_refused() -> None:
    orders = _project().tables["orders"]
    rules = (
        Rule("few", "sql", (), {"sql": "select id from t"}, filter="id > 1"),
        Rule("many", "row_count", (), {"min": 1}, filter="id > 1"),
    )
    told = promised(replace(orders, rules=rules))
    project = replace(_project(), tables={"orders": replace(orders, contract_file="contracts/orders.odcs.yaml")})
    with pytest.raises(ManifestInvalid) as invalid:
        manifest.joined(project, {"contracts/orders.odcs.yaml": export("sales", told)})
    [problem] = invalid.value.problems
    assert (problem.code, problem.message) == (
        "contract-rule",
        "rule 'few': sql takes no filter: the query itself says which rows it looks at",
    )


@pytest.mark.parametrize("severity", ["block", "warn", "observe"])
def test_a_set_that_evolves_stops_nothing(severity: Any) -> None:
    known = Rule("known", "in_set", ("status",), {"values": ["new"]}, severity=severity)
    rules = (known, replace(known, name="some", filter="id > 1"), Rule("filled", "not_null", ("status",)))
    orders = replace(_project().tables["orders"], rules=rules, contract=Contract(enum="evolve"))
    told = "warn" if severity == "block" else severity
    assert [rule.severity for rule in orders.gate.rules[-3:]] == [told, severity, "block"]
    assert [rule.severity for rule in replace(orders, contract=Contract()).gate.rules[-3:]] == [severity, severity, "block"]
    assert orders.rules == rules


def test_the_modes_of_a_contracts_file_decide_too() -> None:
    orders = replace(_project().tables["orders"], contract_file="contracts/orders.odcs.yaml")
    project = replace(_project(), tables={"orders": orders})
    for contract, made in ((FROZEN, []), (Contract(), ["orders"])):
        text = export("sales", promised(replace(orders, contract=contract)))
        assert list(quarantine.quarantines(manifest.joined(project, {orders.contract_file: text}))) == made
