"""One source with its bucket in moto and a clock that waiting moves: for the tests that call the flow itself."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from meshplane.aws.clients import Clients
from meshplane.aws.ingest_store import S3IngestStore
from meshplane.flows.ingest_api import Ingested, ingest_api
from meshplane.flows.ingest_ports import IngestPorts
from meshplane.model.naming import Naming
from meshplane.model.sources import Auth, Incremental, Paginate, Rest, Source
from meshplane.model.urls import Allowed
from meshplane.net.http import SafeHttp
from meshplane.sandbox.process import interpreting
from tests.sources.apis import TOKEN, Shop

NAMING = Naming("f01", "de", "390403879405", "eu-central-1", "dev")
HERE = Allowed.of((), ["127.0.0.1"])


@dataclass
class World:
    """One source, its bucket, and a clock that waiting moves."""

    clients: Clients
    source: Source
    at: datetime = datetime(2030, 1, 9, 6, tzinfo=UTC)
    left: timedelta = timedelta(seconds=170)
    waits: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        place: Any = {"LocationConstraint": "eu-central-1"}
        self.clients("s3").create_bucket(Bucket=NAMING.bucket("raw"), CreateBucketConfiguration=place)
        secret = NAMING.of("secret", project="sales", name="shop-api")
        self.clients("secretsmanager").create_secret(Name=secret, SecretString=json.dumps({"token": TOKEN}))

    def now(self) -> datetime:
        return self.at

    def pause(self, time: timedelta) -> None:
        self.waits.append(time.total_seconds())
        self.at += time

    def ingest(self, run_id: str, reparse: bool = False, **run: str) -> Ingested:
        store = S3IngestStore(self.clients, NAMING, "sales", self.source)
        http = SafeHttp(HERE, lambda: 0.0)
        ports = IngestPorts(http, store, self, lambda: self.left, self.pause, interpreting)
        return ingest_api(ports, self.source, {"run_id": run_id, **run}, reparse)

    def publish(self, text: str, path: str = "sources/shop.star") -> None:
        """The source's own script, as `publish` and a reconcile leave it."""
        sha, bucket = hashlib.sha256(text.encode()).hexdigest(), NAMING.bucket("artifacts")
        place: Any = {"LocationConstraint": "eu-central-1"}
        if bucket not in [one["Name"] for one in self.clients("s3").list_buckets()["Buckets"]]:
            self.clients("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
        key = NAMING.project_file("sales", sha, path.rpartition("/")[2])
        self.clients("s3").put_object(Bucket=bucket, Key=key, Body=text.encode())
        self.source = replace(self.source, rest=replace(self.source.rest, script=path, script_sha256=sha))

    def objects(self, prefix: str) -> dict[str, str]:
        s3, bucket = self.clients("s3"), NAMING.bucket("raw")
        keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", ())]
        return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode() for key in keys}

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for text in self.objects("sales/orders_raw/").values() for line in text.splitlines()]


def orders(shop: Shop) -> Source:
    rest = Rest(
        f"{shop.url}/orders",
        {"limit": "100"},
        records="data.items",
        paginate=Paginate("cursor", "next", "cursor"),
        auth=Auth(bearer="token"),
        incremental=Incremental("updated_at", "since"),
        rate=100,
    )
    return Source("shop", rest, "orders_raw", "dt", "shop-api")
