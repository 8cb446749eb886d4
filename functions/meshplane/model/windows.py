"""The window of time that a run is about: hour, day or month, cut in the trigger's time zone. Pure; called by `flows.start_run`.

A schedule's run is about the window that has just ended when it ticks (a tick at 06:00 is about yesterday). Every other run is
about the window that its event falls into; a run that another pipeline's success starts takes over that run's window if it fits.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


def iso(moment: datetime) -> str:
    """`2026-11-20T05:00:00Z`: the one spelling of times in records, messages and job arguments."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """Any ISO 8601 text as an aware time; without a zone it is UTC. Raises ValueError for anything else."""
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def containing(unit: str, at: datetime, timezone: str = "UTC") -> tuple[str, str]:
    """Start and end of the window that `at` falls into; two empty texts when `unit` is empty."""
    if not unit:
        return "", ""
    start = _floor(unit, at.astimezone(ZoneInfo(timezone)))
    return iso(start), iso(_next(unit, start))


def ended(unit: str, at: datetime, timezone: str = "UTC") -> tuple[str, str]:
    """Start and end of the last window that was over at `at`."""
    if not unit:
        return "", ""
    end = _floor(unit, at.astimezone(ZoneInfo(timezone)))
    before = (end.astimezone(UTC) - timedelta(seconds=1)).astimezone(ZoneInfo(timezone))
    return iso(_floor(unit, before)), iso(end)


def fits(unit: str, start: str, end: str, timezone: str = "UTC") -> bool:
    """Is this pair exactly one window of the unit?"""
    return bool(unit and start) and containing(unit, moment(start), timezone) == (start, end)


def _floor(unit: str, local: datetime) -> datetime:
    hour = local.replace(minute=0, second=0, microsecond=0)
    if unit == "hour":
        return hour
    day = hour.replace(hour=0, fold=0)
    return day if unit == "day" else day.replace(day=1)


def _next(unit: str, start: datetime) -> datetime:
    if unit == "hour":  # an hour is an hour, also when clocks change
        return (start.astimezone(UTC) + timedelta(hours=1)).astimezone(start.tzinfo)
    if unit == "day":  # midnight to midnight: 23 or 25 hours when clocks change
        return start + timedelta(days=1)
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
