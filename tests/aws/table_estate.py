"""moto as a server, so that pyiceberg with pyarrow (and Spark) read and write rows of the tables that the adapters make."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from moto.moto_api._internal import moto_api_backend
from moto.server import ThreadedMotoServer

from meshplane.aws.clients import Clients
from meshplane.aws.kinds.opening import Opening
from meshplane.aws.listings import Listings
from meshplane.model.naming import Naming
from meshplane.model.resource import Provenance
from meshplane_cli.local import repairs

NAMING = Naming("f01", "de", "390403879405", "eu-central-1", "dev")


@cache
def endpoint() -> str:
    """One server for this process, on loopback, on a port of its own."""
    repairs.apply()
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"


class Served(Clients):
    """Clients of the server."""

    def __call__(self, service: str, retries: bool = True) -> Any:
        """As Clients, towards the server."""
        with self._lock:
            if (service, retries) not in self._made:
                make: Any = self.session.client
                config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
                self._made[service, retries] = make(service, endpoint_url=endpoint(), config=config)
            return self._made[service, retries]


class NoClock:
    """Tables are written without a time."""

    def now(self) -> datetime:
        """Never asked."""
        raise AssertionError("no adapter of tables reads the clock")


def opening(clients: Any) -> Opening:
    """A fresh look."""
    return Opening(clients, Listings(clients, NAMING), NAMING, Provenance(), NoClock())


@contextmanager
def empty_estate() -> Iterator[Clients]:
    """Buckets and databases of the domain, and nothing else."""
    endpoint()
    moto_api_backend.reset()
    clients = Served(boto3.Session("test", "test", region_name="eu-central-1"))
    make_baseline(clients)
    yield clients


def make_baseline(clients: Clients) -> None:
    """Buckets and databases of the three layers."""
    for layer in ("raw", "refined", "curated"):
        clients("s3").create_bucket(Bucket=NAMING.bucket(layer), CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        clients("glue").create_database(DatabaseInput={"Name": NAMING.database(layer)})


def loaded(clients: Clients, database: str, name: str) -> Any:
    """The table through pyiceberg's own catalog, as an engine of somebody else sees it."""
    from pyiceberg.catalog.glue import GlueCatalog

    storage = {"s3.endpoint": endpoint(), "s3.access-key-id": "test", "s3.secret-access-key": "test", "s3.region": "eu-central-1"}
    return GlueCatalog("glue", client=clients("glue"), **storage).load_table((database, name))
