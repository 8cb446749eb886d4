"""`meshplane contract`: files there and back, files of earlier platforms, and the parsed tree of rules' SQL."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from meshplane.model.odcs_reading import import_odcs
from meshplane.model.rules import Rule
from meshplane.model.types import Decimal, Primitive
from meshplane_cli.rule_sql import not_a_condition, not_a_query
from tests.cli.conftest import Cli

ROOT = Path(__file__).parents[2]


@pytest.fixture
def here(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(checkout)
    return Cli(checkout, None)  # type: ignore[arg-type]  # no verb here asks for names in AWS


def contract(root: Path, table: str, project: str = "sales") -> str:
    return (root / "projects" / project / "contracts" / f"{table}.odcs.yaml").read_text(encoding="utf-8")


def test_an_export_can_be_named_in_the_manifest_and_imported_again_to_the_byte(here: Cli, tmp_path: Path) -> None:
    told = here("contract", "export", "sales", "orders")
    assert (told.exit_code, told.stdout) == (0, "wrote projects/sales/contracts/orders.odcs.yaml\n")
    first = contract(here.root, "orders")
    path = here.root / "projects/sales/project.yaml"
    inline = re.sub(r"    contract: \{.*\n", "", path.read_text(encoding="utf-8"), count=1)
    path.write_text(re.sub(r"(  orders:\n)", r"\1    contract: contracts/orders.odcs.yaml\n", inline, count=1))
    assert here("validate", "sales").exit_code == 0
    copy = tmp_path / "elsewhere.yaml"
    copy.write_text(first)
    told = here("contract", "import", "sales", str(copy))
    assert (told.exit_code, told.stderr) == (0, "")
    assert contract(here.root, "orders") == first
    path.write_text(path.read_text(encoding="utf-8").replace("customer_id: long", "customer_id: int"))
    told = here("validate", "sales")
    assert (told.exit_code, "'customer_id' is int in the manifest" in told.stdout) == (1, True)


def test_an_unknown_table_is_said_so(here: Cli) -> None:
    assert here("contract", "export", "sales", "order").exit_code == 2


def test_a_schema_definition_of_the_medallion_platform(here: Cli, tmp_path: Path) -> None:
    file = tmp_path / "contacts.json"
    columns = [
        {"name": "id", "type": "bigint", "nullable": False},
        {"name": "score", "type": "decimal(5,2)"},
        {"name": "x", "type": "number", "pii": True},
    ]
    file.write_text(json.dumps({"columns": columns}))
    told = here("contract", "import", "customers", str(file))
    assert told.stderr.splitlines() == [
        "not kept: columns[2]: column 'x' is of no type that is sure here: number",
        "not kept: columns[2].pii: has no place in a manifest",
    ]
    (table,) = import_odcs(contract(here.root, "contacts", "customers"), "f").tables
    assert [(c.name, c.type, c.required) for c in table.columns] == [("id", Primitive("long"), True), ("score", Decimal(5, 2), False)]
    form = {"at": {"type": ["string", "null"], "format": "date-time"}}
    file.write_text(json.dumps({"type": "object", "properties": form, "required": ["at"]}))
    here("contract", "import", "customers", str(file))
    (table,) = import_odcs(contract(here.root, "contacts", "customers"), "f").tables
    assert [(c.name, c.type, c.required) for c in table.columns] == [("at", Primitive("timestamptz"), True)]


def test_an_expectation_suite(here: Cli, tmp_path: Path) -> None:
    file = tmp_path / "suite.json"
    expectations = [
        {"expectation_type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id", "mostly": 0.99}},
        {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "kind", "value_set": ["a"]}},
        {"expectation_type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}},
        {"expectation_type": "expect_column_median_to_be_between", "kwargs": {"column": "n", "min_value": 1}},
    ]
    file.write_text(json.dumps({"expectation_suite_name": "s", "expectations": expectations, "meta": {}}))
    told = here("contract", "import", "customers", str(file), "--table", "contacts", "--json")
    answer = json.loads(told.stdout)
    assert answer["notKept"] == [
        "expectations[3]: no rule of ours says expect_column_median_to_be_between", "meta: has no place in a manifest",
    ]  # fmt: skip
    (table,) = import_odcs(contract(here.root, "contacts", "customers"), "f").tables
    assert table.rules == (
        Rule("id_0", "not_null", ("id",), threshold_percent="1"),
        Rule("kind_1", "in_set", ("kind",), {"values": ["a"]}),
        Rule("table_2", "row_count", (), {"min": 1}),
    )


def test_global_thresholds(here: Cli, tmp_path: Path) -> None:
    file = tmp_path / "thresholds.yaml"
    file.write_text("max_null_rate: 0.05\nmin_row_count: 10\nfreshness_hours: 24\n")
    told = here("contract", "import", "customers", str(file), "--json")
    answer = json.loads(told.stdout)
    assert (answer["files"], answer["ruleDefaults"]) == ([], {"not_null": 0.05})
    assert len(answer["notKept"]) == 2


@pytest.mark.parametrize(
    ("sql", "reads"),
    [("select 1", True), ("with a as (select 1 x) select x from a union all select 2", True), ("delete from a", False),
     ("select 1; select 2", False), ("with a as (select 1) insert into b select * from a", False), ("selec 1 frm", False),
     ("drop table a", False)],
)  # fmt: skip
def test_a_query_is_judged_by_its_parsed_tree(sql: str, reads: bool) -> None:
    assert (not_a_query(sql) == "") is reads


def test_a_filter_is_judged_by_its_parsed_tree() -> None:
    assert not_a_condition("status <> 'x' and amount > 0") == ""
    for wrong in ("1 = 1 group by a", "a in (select 1)", "1 = 1; drop table a", "1 = = 1", "true union select 2"):
        assert not_a_condition(wrong)


def test_validate_shows_sql_that_only_a_parser_refuses(here: Cli) -> None:
    path = here.root / "projects/sales/project.yaml"
    rule = "    rules:\n      none: { sql: select id frm orders where }\n"
    text = path.read_text(encoding="utf-8")
    has_rules = "    rules:\n" in text.partition("  orders:\n")[2].partition("\n  daily_revenue:")[0]
    path.write_text(
        text.replace("    rules:\n", rule, 1) if has_rules else text.replace("    key: [order_id]\n", f"{rule}    key: [order_id]\n", 1)
    )
    told = here("validate", "sales")
    assert (told.exit_code, "tables.orders.rules.none.sql: this is no SQL" in told.stdout) == (1, True)


def test_validate_takes_a_databases_deletes_for_no_sql(here: Cli) -> None:
    """`deletes: { key, mark }` of a source; those of a merge are `{ when, as }`."""
    snippets = ROOT / "tests/snippets"
    shutil.copy(snippets / "domain.json", here.root)
    shutil.copytree(snippets / "projects/fetching", here.root / "projects/fetching")
    told = here("validate", "fetching")
    assert (told.exit_code, told.stdout) == (0, "fetching: no problems.\n")
