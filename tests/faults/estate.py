"""The estate of the fault plans: the publishing tests' world behind a turnstile, clients by writer, and what must hold at each write."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.credentials import Credentials, ReadOnlyCredentials
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from pyiceberg.catalog.glue import GlueCatalog
from werkzeug.serving import make_server

from meshplane import wiring
from meshplane_cli.local import repairs
from tests.aws import publishing_world, table_estate
from tests.aws.publishing_world import NAMING, Estate
from tests.faults.turnstile import Turnstile

DATABASE, TABLE = NAMING.database("refined"), "sales_orders"
BUCKET = NAMING.bucket("refined")


class _Silent(MotoRequestHandler):
    def log(self, *_: Any) -> None:
        """A line per request drowns a failure's report."""


@cache
def served() -> tuple[Turnstile, str]:
    """One server for this process, on loopback, on a port of its own."""
    repairs.apply()
    turnstile = Turnstile(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, turnstile, threaded=True, request_handler=_Silent)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return turnstile, f"http://127.0.0.1:{server.server_address[1]}"


_asking = threading.local()
"""`key`: as whom the requests of this thread are signed."""


class _Asking(Credentials):
    """Making a client costs more than all that a plan asks of it: they are made once, and sign as the thread that asks."""

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        return ReadOnlyCredentials(getattr(_asking, "key", "test"), "test", None)


@cache
def _clients() -> table_estate.Served:
    session = botocore.session.get_session()
    session._credentials = _Asking("test", "test")
    return table_estate.Served(boto3.Session(botocore_session=session, region_name=NAMING.region))


class Faulty:
    """`judged`: the snapshots that a record with a verdict of yes named. `wrong`: what was found at a write that must never be."""

    def __init__(self, estate: Estate, turnstile: Turnstile, url: str) -> None:
        self.estate, self.turnstile, self.url = estate, turnstile, url
        self.judged: set[int] = set()
        self.base: int | None = None
        self.wrong: list[str] = []
        turnstile.judge = self._judge

    def act_as(self, key: str) -> Any:
        """From now on this thread's requests are signed as `key`. Returns the clients."""
        _asking.key = key
        return _clients()

    def catalog(self, key: str) -> GlueCatalog:
        """Stock pyiceberg, all of whose requests sign as `key`."""
        storage = {"s3.endpoint": self.url, "s3.access-key-id": key, "s3.secret-access-key": "test", "s3.region": NAMING.region}
        return GlueCatalog("glue", client=self.act_as(key)("glue"), **storage)

    def raw(self) -> dict[str, Any]:
        """The metadata that the catalog names, as it stands there."""
        entry = self.estate.own("glue").get_table(DatabaseName=DATABASE, Name=TABLE)["Table"]
        key = entry["Parameters"]["metadata_location"].removeprefix(f"s3://{BUCKET}/")
        return dict(json.loads(self.estate.own("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()))

    def _judge(self, step: str, path: str) -> None:
        """After every record what it says yes to is known; after every commit `main` is at one of those."""
        if step == "run record":
            key = path.lstrip("/").removeprefix(f"{BUCKET}/")
            record = json.loads(self.estate.own("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read())
            self.judged |= {
                verdict["snapshot"] for verdict in record.get("verdicts", ()) if verdict["passed"] is True and record["state"] == "done"
            }
        if step == "catalog":
            head = self.raw()["refs"].get("main", {}).get("snapshot-id")
            if head != self.base and head not in self.judged:
                self.wrong.append(f"main is at {head}, which nobody judged")


@contextmanager
def faulty() -> Iterator[Faulty]:
    """An empty estate with one gated table, `orders`."""
    turnstile, url = served()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_estate, "endpoint", lambda: url)
        clients = _clients()
        patch.setattr(table_estate, "Served", lambda _: clients)
        turnstile.begin(None, {})
        with publishing_world.estate(patch) as estate:
            patch.setattr(wiring, "clients", lambda: clients)
            yield Faulty(estate, turnstile, url)
