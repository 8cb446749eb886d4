"""moto in this process for the tests of one call; the end-to-end test brings up an embedded AWS itself."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from meshplane.aws.clients import Clients
from meshplane_cli.local import repairs
from tests.sources.apis import Rates, Shop, serving


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    repairs.apply()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield Clients(boto3.Session(region_name="eu-central-1"))


@pytest.fixture
def shop() -> Iterator[Shop]:
    with serving(Shop()) as api:
        assert isinstance(api, Shop)
        yield api


@pytest.fixture
def rates() -> Iterator[Rates]:
    with serving(Rates()) as api:
        assert isinstance(api, Rates)
        yield api
