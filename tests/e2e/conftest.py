"""One embedded AWS for each module of end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.plane import Plane, plane_in


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Up, the real template deployed, nothing published."""
    with plane_in(tmp_path_factory.mktemp("person") / "checkout") as found:
        yield found
