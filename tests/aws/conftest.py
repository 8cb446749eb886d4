"""moto in this process, repaired as on the laptop, behind the one session that the adapters use."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from meshplane.aws.clients import Clients
from meshplane_cli.local import repairs
from meshplane_cli.local.repairs import log_groups, monitoring, tagging


@pytest.fixture(scope="session", autouse=True)
def _repaired() -> None:
    repairs.apply()
    tagging.apply()
    log_groups.apply()
    monitoring.apply()


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("MOTO_ACCOUNT_ID", "390403879405")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield Clients(boto3.Session(region_name="eu-central-1"))
