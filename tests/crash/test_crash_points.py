"""After every mutating request the plane dies, or loses the reply: redelivery alone makes of it what the undisturbed run makes of it.

End state and creates and deletes per id are equal, a further reconcile is silent, and nothing is asked that must never be asked.
`benchmarks/crash.py` plays the other faults too.
"""

from __future__ import annotations

import pytest

from meshplane.kinds import all_kinds
from tests.crash.scenarios import play
from tests.crash.tap import Mode

REQUIRED = (Mode.DIES, Mode.LOST)
# How many mutating requests each scene has at least: fewer would mean that the tap does not see them.
SCENES = {"create": 60, "change": 45, "remove": 90, "forget": 4}
TOUCHED = {
    "role": "iam:PutRolePolicy",
    "hive_table": "glue:UpdateTable",
    "iceberg_table": "glue:UpdateTable",
    "table_optimizer": "glue:UpdateTableOptimizer",
    "glue_job": "glue:UpdateJob",
    "log_group": "logs:PutRetentionPolicy",
    "state_machine": "states:UpdateStateMachine",
    "event_rule": "events:PutRule",
    "schedule_group": "",  # a name and nothing more: it has no field that could change
    "schedule": "scheduler:UpdateSchedule",
    "alarm": "monitoring:PutMetricAlarm",
    "dashboard": "monitoring:PutDashboard",
}
"""Kind → what `change` asks of AWS for it."""


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("scene", SCENES)
def test_every_crash_point_ends_as_the_undisturbed_run(scene: str) -> None:
    played = play(scene, REQUIRED, abreast=2)
    assert played.requests >= SCENES[scene]
    assert len(played.findings) == 1 + played.requests * len(REQUIRED)
    assert not played.wrong, "\n".join(map(str, played.wrong))
    if scene == "change":
        assert list(TOUCHED) == [kind.name for kind in all_kinds()], "the scene changes every kind"
        assert {call for call in TOUCHED.values() if call} <= played.operations


def test_what_the_sdk_sends_again_proves_nothing_of_what_it_hangs_on() -> None:
    """The second DeleteRolePolicy answers NoSuchEntity: that is the policy, not the role."""
    played = play("remove", (Mode.RESENT,), abreast=2, only=frozenset({"iam:DeleteRolePolicy", "events:RemoveTargets"}))
    assert len(played.findings) >= 8
    assert not played.wrong, "\n".join(map(str, played.wrong))
