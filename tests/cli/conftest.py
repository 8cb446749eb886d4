"""A checkout of two small projects and an account on moto: what the verbs work in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from meshplane.aws.clients import Clients
from meshplane.aws.runs_store import DynamoRuns
from meshplane.model.domain import Domain
from meshplane.model.naming import PURPOSES, Naming
from meshplane_cli import main

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Told:
    """How a verb ended and what it said."""

    exit_code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Cli:
    """Runs a verb in the checkout; `clients` and `runs` see the same account."""

    root: Path
    naming: Naming
    clients: Clients | None = None

    def __call__(self, *words: str) -> Told:
        """As a shell would see it."""
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main.run(list(words))
        return Told(int(ended.value.code or 0), out.getvalue(), err.getvalue())

    @property
    def runs(self) -> DynamoRuns:
        assert self.clients
        return DynamoRuns(self.clients("dynamodb"), self.naming.of("state_table"))


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository's domain.json and projects, in a folder of their own."""
    shutil.copy(ROOT / "domain.json", tmp_path)
    shutil.copytree(ROOT / "projects", tmp_path / "projects")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("MESHPLANE_LOCAL_DIR", str(tmp_path / ".meshplane"))
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MESHPLANE_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    return tmp_path


@pytest.fixture
def cli(checkout: Path) -> Cli:
    """Without AWS."""
    return Cli(checkout, _naming(checkout))


@pytest.fixture
def aws(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """With the account of `dev`: buckets, state table, trigger queue; no plane."""
    naming = _naming(checkout)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr("moto.core.models.DEFAULT_ACCOUNT_ID", naming.account_id, raising=False)
    monkeypatch.setenv("MOTO_ACCOUNT_ID", naming.account_id)
    with mock_aws():
        clients = Clients(boto3.Session(region_name=naming.region))
        for purpose in PURPOSES:
            bucket = naming.bucket(purpose)
            clients("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": naming.region})
            clients("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        keys = [{"AttributeName": name, "KeyType": kind} for name, kind in (("pk", "HASH"), ("sk", "RANGE"))]
        attributes = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
        table = {"TableName": naming.of("state_table"), "KeySchema": keys, "AttributeDefinitions": attributes}
        clients("dynamodb").create_table(**table, BillingMode="PAY_PER_REQUEST")
        clients("sqs").create_queue(QueueName=f"{naming.abbr}-meshplane-trigger-dev")
        yield Cli(checkout, naming, clients)


@pytest.fixture
def put(aws: Cli) -> Callable[[str, str, object], None]:
    """Put a JSON object (or text) into one of the buckets."""

    def put(purpose: str, key: str, value: object) -> None:
        assert aws.clients
        body = value if isinstance(value, str) else json.dumps(value)
        aws.clients("s3").put_object(Bucket=aws.naming.bucket(purpose), Key=key, Body=body.encode())

    return put


def _naming(checkout: Path) -> Naming:
    return Domain.model_validate_json((checkout / "domain.json").read_text(encoding="utf-8")).naming("dev")
