"""What holds for every test: whatever a module does to the environment ends with it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def environment_of_the_module() -> Iterator[None]:
    """The command line points this process at an embedded AWS by AWS_ENDPOINT_URL; the next module's children must not find it."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
