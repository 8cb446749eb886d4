"""Table optimizers against moto with its repairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from meshplane.aws.clients import Clients
from meshplane.aws.kinds.table_optimizer import CHUNK, TableOptimizerAdapter
from meshplane.errors import Denied, Rejected, ServiceFault
from meshplane.kinds.iceberg_table import ownership_properties
from meshplane.kinds.table_optimizer import KIND, TYPES, OptimizerSpec, configurations
from meshplane.model.project import Optimizers
from meshplane.model.resource import Id, Owner, Want
from tests.aws.behaviour import OTHER, OWNER, AdapterBehaviour, Subject, writes
from tests.aws.table_estate import NAMING, make_baseline, opening

DATABASE = NAMING.database("refined")
ENABLED, SETTINGS = configurations(Optimizers())["compaction"]
SPEC = OptimizerSpec(NAMING.role_arn("optimizer", "sales"), ENABLED, SETTINGS)
ID = Id("table_optimizer", f"{DATABASE}.sales_orders/compaction", "orders/compaction")
WANT = Want(ID, SPEC)


def adapter(clients: Any) -> TableOptimizerAdapter:
    return TableOptimizerAdapter(opening(clients))


def make_table(clients: Clients, name: str, owner: Owner) -> None:
    parameters = {"table_type": "ICEBERG", "metadata_location": "s3://nowhere/x", **ownership_properties(owner)}
    clients("glue").create_table(DatabaseName=DATABASE, TableInput={"Name": name, "Parameters": parameters})


@pytest.fixture
def estate(clients: Clients) -> Clients:
    make_baseline(clients)
    make_table(clients, "sales_orders", OWNER)
    return clients


def key(kind: str = "compaction") -> dict[str, str]:
    return {"CatalogId": NAMING.account_id, "DatabaseName": DATABASE, "TableName": "sales_orders", "Type": kind}


def configuration(clients: Clients) -> dict[str, Any]:
    found: dict[str, Any] = clients("glue").get_table_optimizer(**key())["TableOptimizer"]["configuration"]
    return found


class TestTableOptimizer(AdapterBehaviour):
    @pytest.fixture
    def subject(self, estate: Clients) -> Subject:
        def change(**values: object) -> Callable[[], object]:
            return lambda: estate("glue").update_table_optimizer(**key(), TableOptimizerConfiguration={**configuration(estate), **values})

        def foreign() -> None:
            estate("glue").delete_table(DatabaseName=DATABASE, Name="sales_orders")
            make_table(estate, "sales_orders", OTHER)
            estate("glue").create_table_optimizer(**key(), TableOptimizerConfiguration={"roleArn": SPEC.role_arn, "enabled": True})

        return Subject(
            kind=KIND,
            want=WANT,
            clients=estate,
            open=lambda: adapter(estate),
            drifts={
                "role_arn": change(roleArn="arn:aws:iam::390403879405:role/somebody-else"),
                "enabled": change(enabled=False),
                "settings": change(compactionConfiguration={"icebergConfiguration": {"strategy": "sort", "minInputFiles": 5}}),
                "connection": change(vpcConfiguration={"glueConnectionName": "vpc"}),
            },
            vanish=lambda: estate("glue").delete_table_optimizer(**key()),
            foreign=foreign,
            dump=lambda: configuration(estate),
            rests=True,
        )


def test_glues_own_defaults_are_no_difference(estate: Clients) -> None:
    estate("glue").create_table_optimizer(**key(), TableOptimizerConfiguration={"roleArn": SPEC.role_arn, "enabled": True})
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    assert seen.spec is not None
    assert KIND.compare(SPEC, seen.spec) == ()


def test_every_write_carries_the_full_configuration(estate: Clients) -> None:
    for kind, (enabled, settings) in configurations(Optimizers()).items():
        this = Id("table_optimizer", f"{DATABASE}.sales_orders/{kind}")
        adapter(estate).create(Want(this, OptimizerSpec(SPEC.role_arn, enabled, settings)), OWNER)
    found = {one.id.name.rpartition("/")[2]: one for one in adapter(estate).observe([], OWNER, {})}
    assert set(found) == set(TYPES)
    for kind, (enabled, settings) in configurations(Optimizers()).items():
        assert found[kind].spec == OptimizerSpec(SPEC.role_arn, enabled, settings)
    off = replace(SPEC, enabled=False)
    adapter(estate).update(found["compaction"], off, KIND.compare(off, SPEC), OWNER)
    assert configuration(estate)["compactionConfiguration"] == {"icebergConfiguration": dict(SETTINGS)}


def test_an_undeclared_one_rests_and_rests_in_silence(estate: Clients) -> None:
    adapter(estate).create(WANT, OWNER)
    (seen,) = adapter(estate).observe([], OWNER, {})
    rest = KIND.resting(seen)
    assert seen.spec is not None
    adapter(estate).update(seen, rest, KIND.compare(rest, seen.spec), OWNER)
    (resting,) = adapter(estate).observe([], OWNER, {})
    assert (resting.resting, resting.spec) == (True, replace(SPEC, enabled=False))
    subject = Subject(KIND, WANT, estate, lambda: adapter(estate), {}, str, str, str)
    assert writes(subject.recorded(lambda: adapter(estate).update(resting, KIND.resting(resting), (), OWNER))) == []
    with pytest.raises(Rejected):
        adapter(estate).delete(resting, OWNER)


def test_one_that_is_declared_off_is_as_wanted(estate: Clients) -> None:
    adapter(estate).create(replace(WANT, spec=replace(SPEC, enabled=False)), OWNER)
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    assert not seen.resting


def test_sixty_are_seen_in_one_call(estate: Clients) -> None:
    for number in range(19):
        make_table(estate, f"sales_t{number}", OWNER)
    subject = Subject(KIND, WANT, estate, lambda: adapter(estate), {}, str, str, str)
    assert subject.recorded(lambda: adapter(estate).observe([], OWNER, {})) == ["glue:GetTables"] * 3 + ["glue:BatchGetTableOptimizer"]
    for number in range(19, 40):
        make_table(estate, f"sales_t{number}", OWNER)
    sent = subject.recorded(lambda: adapter(estate).observe([], OWNER, {}))
    assert sent.count("glue:BatchGetTableOptimizer") == -(-41 * 3 // CHUNK)


class Unsure:
    """A Glue that carries a write out, or not, and loses the connection; or whose answer holds a failure."""

    def __init__(self, clients: Clients, carried_out: bool = False, failure: str = "") -> None:
        self.clients, self.carried_out, self.failure, self.asked = clients, carried_out, failure, []  # type: ignore[var-annotated]

    def __call__(self, service: str, retries: bool = True) -> Any:
        self.asked.append(retries)
        return self

    def __getattr__(self, name: str) -> Any:
        from botocore.exceptions import ReadTimeoutError

        real = getattr(self.clients("glue"), name)

        def lost(**asked: Any) -> Any:
            if self.carried_out:
                real(**asked)
            raise ReadTimeoutError(endpoint_url="glue")

        def failing(**asked: Any) -> Mapping[str, Any]:
            return {"TableOptimizers": [], "Failures": [{"error": {"ErrorCode": self.failure, "ErrorMessage": "no"}}]}

        if name == "batch_get_table_optimizer" and self.failure:
            return failing
        return lost if name.endswith("e_table_optimizer") else real


def test_a_time_out_that_took_effect_is_done_and_one_that_did_not_is_unknown(estate: Clients) -> None:
    unsure = Unsure(estate, carried_out=True)
    adapter(unsure).create(WANT, OWNER)
    assert unsure.asked[0] is False, "the SDK sends it once"
    (seen,) = adapter(estate).observe([ID], OWNER, {})
    to = replace(SPEC, enabled=False)
    with pytest.raises(ServiceFault):
        adapter(Unsure(estate)).update(seen, to, KIND.compare(to, SPEC), OWNER)


def test_what_could_not_be_read_is_not_absent(estate: Clients) -> None:
    with pytest.raises(Denied):
        adapter(Unsure(estate, failure="AccessDeniedException")).observe([ID], OWNER, {})
