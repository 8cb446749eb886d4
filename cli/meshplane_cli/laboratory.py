"""An AWS and a Spark of this process alone, for `meshplane test`: moto's server with the embedded AWS's repairs, on loopback, and one JVM.

Nothing of it is left behind, and nothing else is touched: neither an account nor the embedded AWS of the checkout.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from meshplane.model.naming import Naming
from meshplane_cli.surroundings import Checkout, Target

_LAYERS = ("raw", "refined", "curated")
_SETTINGS = (
    "spark.sql.catalog.glue_catalog.cache-enabled=false",  # a table of the same name is another one in the next test
    "spark.ui.showConsoleProgress=false",
)


@dataclass(frozen=True)
class Laboratory:
    """`target` is what the command line's own code works with; its clients talk to this AWS."""

    target: Target

    def clean(self) -> None:
        """As on the first day: empty buckets, databases without tables."""
        from moto.core.base_backend import BackendDict
        from moto.core.model_instances import reset_model_data

        BackendDict.reset()
        reset_model_data()
        naming, clients = self.target.naming, self.target.clients
        for purpose in (*_LAYERS, "artifacts"):
            where = {"LocationConstraint": naming.region}
            clients("s3").create_bucket(
                Bucket=naming.bucket(purpose), **({} if naming.region == "us-east-1" else {"CreateBucketConfiguration": where})
            )
            clients("s3").put_bucket_versioning(Bucket=naming.bucket(purpose), VersioningConfiguration={"Status": "Enabled"})
        for layer in _LAYERS:
            clients("glue").create_database(DatabaseInput={"Name": naming.database(layer)})

    @cached_property
    def catalog(self) -> Any:
        """Its tables as pyiceberg sees them."""
        from pyiceberg.catalog.glue import GlueCatalog

        region, endpoint = self.target.naming.region, os.environ["AWS_ENDPOINT_URL"]
        settings: dict[str, Any] = {"client.region": region, "s3.region": region, "s3.endpoint": endpoint, "glue.endpoint": endpoint}
        return GlueCatalog("glue", **settings)


@contextmanager
def laboratory(place: Checkout, naming: Naming) -> Iterator[Laboratory]:
    """Open one; the process's AWS variables point there as long as it lasts."""
    from moto.server import ThreadedMotoServer

    from meshplane_cli.local import repairs

    repairs.apply()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    before = dict(os.environ)
    os.environ.update(_environment(place, naming, f"http://{host}:{port}"))
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "CONFIG_PATH"):
        os.environ.pop(name, None)
    sys.path.insert(0, str(place.root / "glue_jobs"))
    try:
        yield Laboratory(Target(place, naming.env, naming, True))
    finally:
        _stop_spark()
        sys.path.remove(str(place.root / "glue_jobs"))
        os.environ.clear()
        os.environ.update(before)
        server.stop()


def _environment(place: Checkout, naming: Naming, endpoint: str) -> Mapping[str, str]:
    from meshplane_cli.local.java import java

    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": naming.account_id,
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_REGION": naming.region,
        "AWS_DEFAULT_REGION": naming.region,
        "MOTO_ACCOUNT_ID": naming.account_id,
        "ENV": "local",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "JAVA_HOME": str(java().parent.parent),
        "MESHPLANE_JARS": os.environ.get("MESHPLANE_JARS") or str(place.root / ".meshplane" / "jars"),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": shlex.join([*(word for setting in _SETTINGS for word in ("--conf", setting)), "pyspark-shell"]),
    }


def _stop_spark() -> None:
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    if session is not None:
        session.stop()


@contextmanager
def importing(paths: Sequence[str]) -> Iterator[None]:
    """With these folders on the import path; what was imported from them is forgotten afterwards, the next project has its own."""
    before = list(sys.path)
    sys.path[:0] = paths
    try:
        yield
    finally:
        sys.path[:] = before
        homes = [Path(path).resolve() for path in paths]
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file and any(home in Path(file).resolve().parents for home in homes):
                del sys.modules[name]
