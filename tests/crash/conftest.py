"""moto in this process, repaired as on the laptop, in the account of `domain.json`'s dev."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from meshplane_cli.local import repairs


@pytest.fixture(scope="module", autouse=True)
def _an_account() -> Iterator[None]:
    repairs.apply()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            patch.setenv(name, "test")
        patch.setenv("MOTO_ACCOUNT_ID", "390403879405")
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        yield
