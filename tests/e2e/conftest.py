"""One embedded AWS for each module of end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e import recorded
from tests.e2e.plane import Plane, plane_in


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Up, the real template deployed, nothing published."""
    with plane_in(tmp_path_factory.mktemp("person") / "checkout") as found:
        yield found
        recorded.keep(found.stack)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of xdist ends: what it recorded goes to the process that reports."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["recorded"] = recorded.of_worker()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """The other end; a worker that died has sent nothing."""
    recorded.join(getattr(node, "workeroutput", {}).get("recorded", {}))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The grants of the functions that nothing of this session used."""
    for name, actions in recorded.unused().items():
        terminalreporter.write_line(f"granted to {name} and not used here: {', '.join(actions) or 'nothing'}")
