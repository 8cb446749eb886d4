"""When a schedule was due, and which window a run is about."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from meshplane.model.cron import due
from meshplane.model.windows import containing, ended, fits, iso, moment


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("cron(0 6 * * ? *)", ["02-01T06:00", "02-02T06:00", "02-03T06:00"]),
        ("cron(30/15 23 1 * ? *)", ["02-01T23:30", "02-01T23:45", "03-01T23:30"]),
        ("cron(0 12 ? * MON-WED *)", ["02-02T12:00", "02-03T12:00", "02-04T12:00"]),
        ("cron(0 0 L * ? *)", ["02-28T00:00", "03-31T00:00", "04-30T00:00"]),
        ("cron(0 0 ? * 6L *)", ["02-27T00:00", "03-27T00:00", "04-24T00:00"]),
        ("cron(0 0 ? * L *)", ["02-07T00:00", "02-14T00:00", "02-21T00:00"]),
        ("cron(0 0 ? * TUE#2 *)", ["02-10T00:00", "03-10T00:00", "04-14T00:00"]),
        ("cron(0 0 1W * ? *)", ["02-02T00:00", "03-02T00:00", "04-01T00:00"]),
        ("cron(0 0 15W * ? *)", ["02-16T00:00", "03-16T00:00", "04-15T00:00"]),
        ("cron(0 0 LW * ? *)", ["02-27T00:00", "03-31T00:00", "04-30T00:00"]),
        ("cron(0 8,20 1 FEB,mar ? 2026)", ["02-01T08:00", "02-01T20:00", "03-01T08:00"]),
        ("cron(0 0 1 * ? 2027-2028)", []),
        ("at(2026-02-03T04:05:06)", ["02-03T04:05"]),
        ("at(2025-02-03T04:05:06)", []),
        ("rate(5 minutes)", []),
    ],
)
def test_due(expression: str, expected: list[str]) -> None:
    found = due(expression, "UTC", datetime(2026, 1, 31, 23, 59, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC))
    assert [f"{at:%m-%dT%H:%M}" for at in found][:3] == expected


def test_a_saturday_at_the_months_start_or_end_stays_in_the_month() -> None:
    start, end = datetime(2026, 7, 31, 12, tzinfo=UTC), datetime(2026, 8, 31, tzinfo=UTC)
    assert [at.day for at in due("cron(0 0 1W * ? *)", "UTC", start, end)] == [3], "the 1st is a Saturday"
    assert [at.day for at in due("cron(0 0 31W * ? *)", "UTC", datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC))] == [29]


def test_the_change_of_clocks() -> None:
    day, next_day = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 29, 12, tzinfo=UTC)
    assert [iso(at) for at in due("cron(0 6 * * ? *)", "Europe/Berlin", day, next_day)] == ["2026-03-29T04:00:00Z"]
    assert not list(due("cron(30 2 * * ? *)", "Europe/Berlin", day, next_day)), "02:30 does not exist on that day"


@pytest.mark.parametrize("expression", ["", "cron(0 6 * *)", "every day", "cron(61 6 * * ? *)", "cron(x 6 * * ? *)"])
def test_no_expression(expression: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        list(due(expression, "UTC", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)))


@pytest.mark.parametrize(
    ("unit", "at", "zone", "around", "before"),
    [
        ("", "2026-11-20T05:00:00Z", "UTC", ("", ""), ("", "")),
        (
            "hour",
            "2026-11-20T05:30:00Z",
            "UTC",
            ("2026-11-20T05:00:00Z", "2026-11-20T06:00:00Z"),
            ("2026-11-20T04:00:00Z", "2026-11-20T05:00:00Z"),
        ),
        (
            "day",
            "2026-11-20T05:00:00Z",
            "Europe/Berlin",
            ("2026-11-19T23:00:00Z", "2026-11-20T23:00:00Z"),
            ("2026-11-18T23:00:00Z", "2026-11-19T23:00:00Z"),
        ),
        (
            "day",
            "2026-03-29T10:00:00Z",
            "Europe/Berlin",
            ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
            ("2026-03-27T23:00:00Z", "2026-03-28T23:00:00Z"),
        ),
        (
            "month",
            "2026-12-31T23:30:00Z",
            "Europe/Berlin",
            ("2026-12-31T23:00:00Z", "2027-01-31T23:00:00Z"),
            ("2026-11-30T23:00:00Z", "2026-12-31T23:00:00Z"),
        ),
        (
            "hour",
            "2026-10-25T00:30:00Z",
            "Europe/Berlin",
            ("2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"),
            ("2026-10-24T23:00:00Z", "2026-10-25T00:00:00Z"),
        ),
    ],
)
def test_windows(unit: str, at: str, zone: str, around: tuple[str, str], before: tuple[str, str]) -> None:
    assert containing(unit, moment(at), zone) == around
    assert ended(unit, moment(at), zone) == before
    assert fits(unit, *around, zone) is bool(unit)
    assert not fits(unit, around[0], at, zone)


def test_a_time_without_a_zone_is_utc() -> None:
    assert iso(moment("2026-11-20")) == "2026-11-20T00:00:00Z"
