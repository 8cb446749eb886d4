"""Schedules, durations and unkind delivery, without a server."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from meshplane_cli.commands import local
from meshplane_cli.local import schedules
from meshplane_cli.local.router.routing import Chaos, Delivery, Router
from meshplane_cli.local.router.transform import rendered
from meshplane_cli.output import CliError

NIGHT = datetime(2030, 3, 30, 12, tzinfo=UTC)  # a Saturday; the clocks of Europe go forward the night after


@pytest.mark.parametrize(
    ("expression", "timezone", "expected"),
    [
        ("rate(5 minutes)", "UTC", ["03-30 12:05", "03-30 12:10"]),
        ("rate(1 day)", "UTC", ["03-31 12:00", "04-01 12:00"]),
        ("cron(0 6 * * ? *)", "UTC", ["03-31 06:00", "04-01 06:00"]),
        ("cron(0 6 * * ? *)", "Europe/Berlin", ["03-31 04:00", "04-01 04:00"]),
        ("cron(15 10 ? * MON-FRI *)", "UTC", ["04-01 10:15", "04-02 10:15"]),
        ("cron(15 10 ? * 2 *)", "UTC", ["04-01 10:15", "04-08 10:15"]),
        ("cron(0 18 ? * 6L *)", "UTC", ["04-26 18:00", "05-31 18:00"]),
        ("cron(0 0 L * ? *)", "UTC", ["03-31 00:00", "04-30 00:00"]),
        ("cron(0 8 ? * 2#1 *)", "UTC", ["04-01 08:00", "05-06 08:00"]),
        ("cron(0/30 8-9 1 4 ? 2030)", "UTC", ["04-01 08:00", "04-01 08:30"]),
        ("at(2030-04-02T07:00:00)", "Europe/Berlin", ["04-02 05:00"]),
        ("cron(0 6 1 1 ? 2020)", "UTC", []),
    ],
)
def test_when_a_schedule_fires(expression: str, timezone: str, expected: list[str]) -> None:
    found: list[str] = []
    moment: datetime | None = NIGHT
    while moment is not None and len(found) < 2:
        moment = schedules.next_after(expression, timezone, moment, NIGHT)
        found += [f"{moment:%m-%d %H:%M}"] if moment is not None else []
    assert found == expected


@pytest.mark.parametrize(
    "wrong",
    ["banana", "rate(5 minute)", "rate(1 minutes)", "rate(0 days)", "cron(0 6 * * * *)", "cron(0 6 * *)", "cron(99 6 * * ? *)", "at(soon)"],
)
def test_what_is_no_schedule_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        schedules.check(wrong)


def test_durations() -> None:
    assert local.duration("1d12h") == timedelta(hours=36)
    with pytest.raises(CliError, match="'5' is not a duration") as wrong:
        local.duration("5")
    assert (wrong.value.allowed, wrong.value.code) == ("a number with its unit, such as 90s, 5m, 24h or 2d", 2)


def test_commands_say_that_it_is_not_up(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHPLANE_LOCAL_DIR", str(tmp_path))
    with pytest.raises(CliError, match="the embedded AWS is not up") as told:
        local.status()
    assert (told.value.mend, told.value.code) == ("meshplane local up", 3)


def test_input_transformers_quote_as_eventbridge_does() -> None:
    event = {"time": "t", "detail-type": "d", "detail": {"text": 'a "b"', "list": [1, "x"], "none": None}}
    paths = {"text": "$.detail.text", "list": "$.detail.list", "gone": "$.detail.gone", "type": "$.detail-type"}
    template = '{"in": "said <text>", "out": <text>, "list": <list>, "gone": "<gone>", "type": "<type>", "event": <aws.events.event>}'
    body = rendered({"InputTransformer": {"InputPathsMap": paths, "InputTemplate": template}}, event)
    expected = {"in": 'said a "b"', "out": 'a "b"', "list": [1, "x"], "gone": "", "type": "d", "event": {"time": "t", "detail-type": "d"}}
    assert json.loads(body) == expected
    assert rendered({"InputPath": "$.detail.list"}, event) == '[1, "x"]'


@pytest.mark.parametrize("events", [2, 4, 30])
def test_chaos_duplicates_and_reorders(monkeypatch: pytest.MonkeyPatch, events: int) -> None:
    """Also where more events wait than are drawn together."""
    router, got = Router(), []
    monkeypatch.setattr(router.targets, "send", lambda target, body, event: got.append(int(body)))
    router.chaos = Chaos(duplicate=True, reorder=True, seed=3)
    for number in range(events):
        router.deliver(Delivery({"Arn": "a:b:c"}, str(number), {}))
    router.start()
    until = datetime.now(UTC) + timedelta(seconds=10)
    while not router.idle and datetime.now(UTC) < until:
        time.sleep(0.01)
    assert sorted(got) == [number for number in range(events) for _ in range(2)]
    assert got != sorted(got)
    assert all(got[start : start + 10] != sorted(got[start : start + 10]) for start in range(0, len(got), 10)), "each burst is drawn"
