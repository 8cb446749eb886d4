"""The plane's own commit path in the tests of the job library: a table is evolved as a reconcile does it, not by stock pyiceberg."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import boto3

from meshplane.aws.clients import Clients
from meshplane.aws.kinds.iceberg_table import IcebergTableAdapter
from meshplane.kinds.iceberg_table import KIND, IcebergTableSpec
from meshplane.model.resource import Id, Owner
from meshplane.model.types import Field, Primitive
from tests.aws.table_estate import NAMING, opening

Change = Callable[[IcebergTableSpec], IcebergTableSpec]


def evolve(identifier: str, change: Change) -> None:
    """Observe, compare, update: one action of a reconcile. `identifier` is `glue_catalog.database.table`.

    Raises Conflict when other writers were faster ten times, AssertionError where the plan would refuse the change.
    """
    this = Id("iceberg_table", identifier.removeprefix("glue_catalog."))
    owner = Owner("retail", "dev", this.name.split(".")[1].split("_")[0])
    adapter = IcebergTableAdapter(opening(Clients(boto3.Session(region_name=NAMING.region))))
    (seen,) = adapter.observe([this], owner, {})
    if seen.owner is None:
        adapter.claim(seen, owner)
        (seen,) = adapter.observe([this], owner, {})
    assert seen.spec is not None
    to = change(seen.spec)
    differences = KIND.compare(to, seen.spec)
    assert differences
    assert not [one.refused for one in differences if one.refused]
    adapter.update(seen, to, differences, owner)


def adding(name: str, kind: str = "string", **wider: str) -> Change:
    """A column more, and each of `wider` another type."""

    def changed(spec: IcebergTableSpec) -> IcebergTableSpec:
        columns = (replace(one, type=Primitive(wider[one.name])) if one.name in wider else one for one in spec.columns)
        return replace(spec, columns=(*columns, Field(name, Primitive(kind))))

    return changed
