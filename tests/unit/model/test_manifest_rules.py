"""Rules, contracts and deprecations: every kind's long form, overlays, the domain's defaults, SQL by form, the one switch."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from meshplane.errors import ManifestInvalid
from meshplane.model import manifest
from meshplane.model.domain import Domain
from meshplane.model.manifest import check_rules
from meshplane.model.manifest.rules import OPTIONS
from meshplane.model.project import Table
from meshplane.model.rules import Contract, Rule

HEAD = """\
apiVersion: meshplane/v1
kind: Project
metadata: { name: sales }
tables:
  landed: { layer: raw, format: json, columns: { id: string, at: string } }
  rates: { layer: refined, columns: { id: long, n: long }, key: id }
  orders:
    layer: refined
    columns:
      id: long
      currency: string
      day: date
      at: timestamptz
      amount: decimal(12,2)
    key: id
"""
RULES = """\
    rules:
      known: { not_null: [id, currency], severity: warn, filter: currency <> 'XXX' }
      once: { unique: [id, day], threshold: 3 rows }
      currencies: { in_set: currency, values: [EUR, USD, CHF], threshold: 0.10% }
      sane: { range: amount, min: 0, max: 1000.5 }
      days: { range: day, min: 2020-01-01 }
      iso: { pattern: currency, regex: "[A-Z]{3}" }
      short: { length: currency, max: 3 }
      some: { row_count: 1 }
      fresh: { freshness: at, within: 26h, severity: observe }
      found: { referential: id, table: rates }
      equal: { reconciliation: count, table: rates, measure: sum(n), tolerance: 1% }
      steady: { change: sum(amount), tolerance: 50%, against: 7 }
      none: { sql: select id from orders where amount < 0 }
      all: { columns: [id, day] }
jobs:
  load: { script: jobs/load.py, reads: [landed, rates], writes: orders }
"""
EXPECTED = (
    Rule("known", "not_null", ("id", "currency"), {}, "warn", filter="currency <> 'XXX'"),
    Rule("once", "unique", ("id", "day"), {}, threshold_rows=3),
    Rule("currencies", "in_set", ("currency",), {"values": ["EUR", "USD", "CHF"]}, threshold_percent="0.1"),
    Rule("sane", "range", ("amount",), {"min": 0, "max": 1000.5}),
    Rule("days", "range", ("day",), {"min": "2020-01-01"}),
    Rule("iso", "pattern", ("currency",), {"pattern": "[A-Z]{3}"}),
    Rule("short", "length", ("currency",), {"max": 3}),
    Rule("some", "row_count", (), {"min": 1}),
    Rule("fresh", "freshness", ("at",), {"within": 93600}, "observe"),
    Rule("found", "referential", ("id",), {"table": "rates", "columns": ["id"]}),
    Rule("equal", "reconciliation", (), {"table": "rates", "measure": "sum(n)", "own_measure": "count(*)", "tolerance_percent": "1"}),
    Rule("steady", "change", ("amount",), {"measure": "sum(amount)", "max_percent": "50", "against": 7}),
    Rule("none", "sql", (), {"query": "select id from orders where amount < 0"}),
    Rule("all", "columns", ("id", "day")),
)


def codes(text: str) -> list[tuple[str, str]]:
    return [(problem.code, problem.path) for problem in manifest.check(text, file="project.yaml", project="sales")]


def orders(text: str, env: str = "prod", domain: Domain | None = None) -> Table:
    return manifest.load(text, file="project.yaml", env=env, project="sales", domain=domain).tables["orders"]


def domain(**defaults: object) -> Domain:
    identity = {"domain_name": "retail", "domain_abbr": "f01", "aws_region": "eu-central-1", "country_code": "de"}
    return Domain(**identity, rule_defaults=defaults)  # type: ignore[arg-type]


def test_every_kind_has_its_long_form() -> None:
    assert codes(HEAD + RULES) == []
    assert orders(HEAD + RULES).rules == EXPECTED


def test_the_gate_begins_with_the_implied_rules_and_changes_its_digest_with_any_rule() -> None:
    table = orders(HEAD + RULES)
    assert [rule.name for rule in table.gate.rules][:4] == ["implied_columns", "implied_key_not_null", "implied_key_unique", "known"]
    assert orders(HEAD + RULES.replace("3 rows", "4 rows")).gate.digest != table.gate.digest


def test_contract_empty_batches_and_deprecations() -> None:
    more = "    contract: { columns: discard_value, enum: discard_value }\n    allowEmpty: true\n"
    more += "    deprecate: { currency: { until: 2027-01-31 } }\n    allowBreaking: finance\n"
    table = orders(HEAD + more)
    assert table.contract == Contract(columns="discard_value", enum="discard_value")
    assert (table.allow_empty, table.deprecate, table.allow_breaking) == (True, {"currency": date(2027, 1, 31)}, ("finance",))
    assert (table.contract_file, orders(HEAD).allow_empty) == ("", False)


def test_a_contract_may_be_a_file_that_the_release_holds() -> None:
    text = HEAD + "    contract: contracts/orders.odcs.yaml\n"
    project = manifest.load(text, file="project.yaml", env="dev", project="sales")
    assert project.tables["orders"].contract_file == "contracts/orders.odcs.yaml"
    assert manifest.needed_files(project) == ("contracts/orders.odcs.yaml",)
    found = manifest.check(text, file="project.yaml", project="sales", exists=lambda path: False)
    assert [(problem.code, problem.path) for problem in found] == [("file-missing", "tables.orders.contract")]
    assert codes(HEAD + "    contract: contracts/orders.yaml\n") == [("path-ending", "tables.orders.contract")]


def test_an_environment_changes_threshold_and_severity_and_nothing_else() -> None:
    overlay = "environments:\n  dev:\n    tables.orders.rules.currencies.threshold: 5%\n    tables.orders.rules.sane.severity: warn\n"
    dev = {rule.name: rule for rule in orders(HEAD + RULES + overlay, "dev").rules}
    assert (dev["currencies"].threshold_percent, dev["sane"].severity) == ("5", "warn")
    assert orders(HEAD + RULES + overlay).rules == EXPECTED
    fixed = "environments:\n  dev:\n    tables.orders.rules.sane.max: 5\n"
    assert codes(HEAD + RULES + fixed) == [("overlay-fixed", "environments.dev.tables.orders.rules.sane.max")]
    unknown = "environments:\n  dev:\n    tables.orders.rules.currency.threshold: 5%\n"
    (problem,) = manifest.check(HEAD + RULES + unknown, file="project.yaml", project="sales")
    assert (problem.code, problem.mend) == ("overlay-unknown", "did you mean 'currencies'?")


def test_what_a_rule_does_not_say_is_the_domains() -> None:
    told = {"severity": "warn", "freshness.severity": "block", "unique": 0.001, "not_null.threshold": "7 rows", "tolerance": "2%"}
    text = HEAD + RULES.replace(", tolerance: 1% }", " }").replace(
        "once: { unique: [id, day], threshold: 3 rows }", "once: { unique: [id, day] }"
    )
    rules = {rule.name: rule for rule in orders(text, domain=domain(**told)).rules}
    assert (rules["once"].severity, rules["once"].threshold_percent) == ("warn", "0.1")
    assert (rules["known"].threshold_rows, rules["known"].severity) == (7, "warn")
    assert rules["fresh"].severity == "observe"  # its own word
    assert rules["equal"].params["tolerance_percent"] == "2"
    assert rules["currencies"].threshold_percent == "0.1"
    assert (rules["some"].threshold_rows, rules["some"].threshold_percent) == (0, "")


@pytest.mark.parametrize(
    ("key", "value"), [("severty", "warn"), ("nul.severity", "warn"), ("severity", "loud"), ("threshold", 5), ("unique.tolerance", "1%")]
)
def test_a_wrong_default_of_the_domain_is_refused(key: str, value: object) -> None:
    text = '{"domain_name":"retail","domain_abbr":"f01","aws_region":"eu-central-1","country_code":"de","rule_defaults":{"%s":%s}}'
    with pytest.raises(ManifestInvalid) as caught:
        Domain.read(text % (key, f'"{value}"' if isinstance(value, str) else value))
    (problem,) = caught.value.problems
    assert problem.path == "rule_defaults"
    assert problem.allowed


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("{ not_null: curency }", "ref-column"),
        ("{ notnull: currency }", "unknown-key"),
        ("{ not_null: [id, id] }", "listed-twice"),
        ("{ range: currency, min: 1 }", "rule-type"),
        ("{ range: amount }", "rule-bounds"),
        ("{ length: currency, min: 1.5 }", "rule-bounds"),
        ("{ row_count: { min: 5, max: 1 } }", "rule-bounds"),
        ("{ row_count: 5, threshold: 1% }", "rule-option"),
        ("{ range: day, min: 31.1.2020 }", "rule-value"),
        ("{ in_set: currency, values: [1] }", "rule-value"),
        ("{ pattern: amount, regex: x }", "rule-type"),
        ("{ freshness: currency, within: 2h }", "rule-type"),
        ("{ freshness: at, within: 2 }", "duration-unit"),
        ("{ referential: id, table: rate }", "ref-table"),
        ("{ referential: currency, table: rates }", "ref-column"),
        ("{ reconciliation: count, table: rates, measure: sum(m) }", "ref-column"),
        ("{ reconciliation: sum(currency), table: rates, measure: sum(n) }", "rule-type"),
        ("{ change: sum(amonut), tolerance: 5% }", "ref-column"),
        ("{ change: max(at), tolerance: 5% }", "rule-type"),
        ("{ reconciliation: min(currency), table: rates, measure: min(n) }", "rule-type"),
        ("{ columns: id, filter: id > 1 }", "rule-option"),
        ("{ sql: select id from orders, filter: id > 1 }", "rule-option"),
        ("{ unique: id, severity: fatal }", "not-one-of"),
        ("{ unique: id, threshold: 101% }", "threshold-form"),
    ],
)
def test_a_fault_is_named_once(rule: str, code: str) -> None:
    text = HEAD + f"    rules:\n      mine: {rule}\njobs:\n  load: {{ script: a.py, reads: [landed, rates], writes: orders }}\n"
    assert [found for found, _ in codes(text)] == [code]


def test_a_filter_is_taken_by_every_kind_that_looks_at_rows() -> None:
    rules = [line.strip().removesuffix(" }") for line in RULES.splitlines() if line.startswith("      ")]
    others = "".join(f"      {rule}, filter: amount > 0 }}\n" for rule in rules if rule.partition(":")[0] not in ("known", "none", "all"))
    text = HEAD + "    rules:\n" + others + "jobs:\n  load: { script: a.py, reads: [landed, rates], writes: orders }\n"
    assert codes(text) == []
    assert {rule.filter for rule in orders(text).rules} == {"amount > 0"}
    assert {rule.kind for rule in orders(text).rules} | {"not_null"} == OPTIONS.keys() - {"columns", "sql"}
    (problem,) = manifest.check(HEAD + "    rules:\n      mine: { sql: select 1, filter: id > 1 }\n", file="project.yaml", project="sales")
    assert problem.message == "a rule of kind sql takes no filter: the query itself says which rows it looks at"
    assert (problem.found, problem.mend) == ("id > 1", "put it into the query's WHERE")


def test_a_misspelt_kind_is_guessed() -> None:
    (problem,) = manifest.check(HEAD + "    rules:\n      mine: { not_nul: id }\n", file="project.yaml", project="sales")
    assert problem.mend == "did you mean 'not_null'?"


SELECTS = (
    "select 1",
    "with a as (select 1) select * from a;",
    "select 'drop table x; --' from orders",
    "select `set`, updated_at, set from orders where add = 1 -- delete from",
    "select replace(currency, 'a', 'b') from orders",
)
OTHERS = (
    "drop table orders",
    "select 1; delete from orders",
    "insert into orders select 1",
    "with a as (select 1) insert into orders select * from a",
    "with a as (select 1) merge into orders using a on true when matched then delete",
    "explain select 1",
    "",
)


@pytest.mark.parametrize("sql", SELECTS)
def test_a_query_is_let_through_by_its_form(sql: str) -> None:
    assert check_rules.not_a_select(sql) == ""


@pytest.mark.parametrize("sql", OTHERS)
def test_what_is_no_query_is_not(sql: str) -> None:
    assert check_rules.not_a_select(sql)


def test_a_filter_is_a_condition_on_one_row() -> None:
    assert check_rules.not_a_condition("status <> 'select; drop' and amount > 0") == ""
    assert check_rules.not_a_condition("id in (select id from rates)")
    assert check_rules.not_a_condition("true; drop table orders")


def test_the_page_shows_a_manifest_that_is_valid_and_every_kind() -> None:
    page = (Path(__file__).parents[3] / "docs/contracts-of-data.md").read_text(encoding="utf-8")
    example = page.split("```yaml\n")[1].split("```")[0]
    assert codes("apiVersion: meshplane/v1\nkind: Project\nmetadata: { name: sales }\n" + example) == []
    assert [kind for kind in OPTIONS if f"`{kind}`" not in page] == []
