"""What a run may be asked beside its pipeline's own parameters: to replay, or to rebuild."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meshplane.errors import Rejected
from meshplane.model.project import Param
from meshplane.model.quarantine import REPLAY
from meshplane.model.restoring import REBUILD
from meshplane.model.run_params import run_params

DECLARED = {"day": Param("int", "1")}
WINDOW = json.dumps({"table": "orders", "from": "2026-11-20", "until": "2026-11-21"})
WAITING = json.dumps({"table": "orders", "reason": "types"})


@pytest.mark.parametrize("own", [{}, {REPLAY: WAITING}, {REBUILD: WINDOW}])
def test_what_the_plane_asks_passes_beside_what_is_declared(own: dict[str, str]) -> None:
    assert run_params(DECLARED, own) == {"day": "1", **own}
    assert run_params(DECLARED, {"day": "2", **own}) == {"day": "2", **own}


@pytest.mark.parametrize("asked", ["orders", "{}", '{"table": ""}', '{"table": "orders", "since": "now"}', "[1]", None])
def test_what_says_nothing_to_replay_is_refused(asked: Any) -> None:
    with pytest.raises(Rejected, match=REPLAY):
        run_params({}, {REPLAY: asked})


@pytest.mark.parametrize(
    "asked",
    [
        *("orders", "{}", "[1]", None),
        json.dumps({"table": "orders"}),
        json.dumps({"table": "", "from": "2026-11-20", "until": "2026-11-21"}),
        json.dumps({"table": "orders", "from": "monday", "until": "2026-11-21"}),
        json.dumps({"table": "orders", "from": "2026-11-21", "until": "2026-11-21"}),
        json.dumps({"table": "orders", "from": "2026-11-20", "until": "2026-11-21", "run": "r1"}),
    ],
)
def test_what_says_no_window_to_rebuild_is_refused(asked: Any) -> None:
    with pytest.raises(Rejected, match=REBUILD):
        run_params({}, {REBUILD: asked})


def test_one_run_does_one_of_them() -> None:
    with pytest.raises(Rejected, match="either replays"):
        run_params({}, {REPLAY: WAITING, REBUILD: WINDOW})


@pytest.mark.parametrize("own", [{REPLAY: WAITING}, {REBUILD: WINDOW}])
def test_what_is_not_declared_stays_refused(own: dict[str, str]) -> None:
    with pytest.raises(Rejected, match="no parameter other"):
        run_params({}, {**own, "other": "1"})
