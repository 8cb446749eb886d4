"""Which table a name means, and what may be done with it."""

from __future__ import annotations

import pytest

from dp_foundation.config.arguments import Table
from dp_foundation.errors import TableRefusedError
from dp_foundation.io.tables import find, refuse_ddl

TABLES = {
    "orders": Table("orders", "sales", "refined", "f01_de_refined", "sales_orders", "s3://b/sales/iceberg/orders", "iceberg"),
    "daily": Table("daily", "sales", "curated", "f01_de_curated", "sales_daily", "s3://b/sales/iceberg/daily", "iceberg"),
    "customers.orders": Table(
        "customers.orders", "customers", "refined", "f01_de_refined", "customers_orders", "s3://b/customers/x", "iceberg"
    ),
}


@pytest.mark.parametrize(
    ("name", "database", "logical"),
    [
        ("orders", "", "orders"),
        ("Orders", "", "orders"),
        ("sales_orders", "", "orders"),
        ("orders", "f01_de_refined", "orders"),
        ("sales_orders", "f01_de_refined", "orders"),
        ("f01_de_refined.orders", "", "orders"),
        ("f01_de_refined.sales_orders", "", "orders"),
        ("glue_catalog.f01_de_refined.sales_orders", "", "orders"),
        ("`glue_catalog`.`f01_de_curated`.`daily`", "", "daily"),
        ("customers.orders", "", "customers.orders"),
        ("customers_orders", "f01_de_refined", "customers.orders"),
        ("customers_orders", "", "customers.orders"),
    ],
)
def test_a_declared_table_answers_to_both_names(name: str, database: str, logical: str) -> None:
    assert find(name, database, TABLES).table is TABLES[logical]


@pytest.mark.parametrize(
    ("name", "database", "identifier"),
    [
        ("orders", "other_db", "glue_catalog.other_db.orders"),
        ("glue_catalog.f01_de_curated.target", "", "glue_catalog.f01_de_curated.target"),
    ],
)
def test_what_is_not_declared_is_a_name_in_the_catalog(name: str, database: str, identifier: str) -> None:
    target = find(name, database, TABLES)
    assert (target.identifier, target.table) == (identifier, None)


@pytest.mark.parametrize("name", ["target", "a.b.c", "db.ta ble", "db.x; drop table y"])
def test_a_name_that_nothing_knows_is_refused(name: str) -> None:
    with pytest.raises(TableRefusedError, match=r"declared for this job are orders, daily, customers\.orders"):
        find(name, "", TABLES)


def test_ddl_on_a_declared_table_names_the_manifests_field() -> None:
    with pytest.raises(TableRefusedError, match=r"change tables\.orders\.columns in projects/sales/project\.yaml"):
        refuse_ddl(find("orders", "", TABLES), "ALTER TABLE", "columns")
    refuse_ddl(find("db.other", "", TABLES), "ALTER TABLE", "columns")
