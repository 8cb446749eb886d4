"""When a schedule fires: AWS's rate, cron and at expressions (EventBridge Scheduler user guide, "Schedule types"). Used by `timeline`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter

_SHAPE = re.compile(r"^(rate|cron|at)\((.+)\)$")
_RATE = re.compile(r"^(\d+) (minute|minutes|hour|hours|day|days)$")
_UNITS = {"minute": 60, "hour": 3600, "day": 86400}
_DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))}


def check(expression: str) -> None:
    """Raise ValueError for an expression that AWS refuses."""
    next_after(expression, "UTC", datetime(2000, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC))


def next_after(expression: str, timezone: str, after: datetime, start: datetime) -> datetime | None:
    """The first moment later than `after`, UTC; None when there is none. A rate counts from `start`.

    Raises ValueError for an expression that is none.
    """
    shape = _SHAPE.match(expression)
    if not shape:
        raise ValueError(f"{expression} is neither rate(…), cron(…) nor at(…)")
    kind, text = shape.groups()
    if kind == "rate":
        return _next_rate(text, after, start)
    zone = ZoneInfo(timezone)
    if kind == "at":
        moment = datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)
        return moment if moment > after else None
    return _next_cron(text, after.astimezone(zone))


def _next_rate(text: str, after: datetime, start: datetime) -> datetime:
    rate = _RATE.match(text)
    if not rate or int(rate[1]) == 0 or (int(rate[1]) == 1) == rate[2].endswith("s"):
        raise ValueError(f"rate({text}) is not a positive number with minute(s), hour(s) or day(s)")
    step = timedelta(seconds=int(rate[1]) * _UNITS[rate[2].removesuffix("s")])
    passed = max(0, (after - start) // step)
    moment = start + passed * step
    return moment if moment > after else moment + step


def _next_cron(text: str, after: datetime) -> datetime | None:
    fields = text.split()
    if len(fields) != 6 or (fields[2] == "?") == (fields[4] == "?"):
        raise ValueError(f"cron({text}) needs six fields, with ? for exactly one of day-of-month and day-of-week")
    minute, hour, day, month, weekday, year = fields
    plain = [minute, hour, day.replace("?", "*"), month, _weekdays(weekday), "0", year.replace("?", "*")]
    try:
        moment = croniter(" ".join(plain), after, ret_type=datetime, max_years_between_matches=200).get_next()
    except CroniterBadDateError:  # a year that is over
        return None
    except ValueError as fault:
        raise ValueError(f"cron({text}): {fault}") from None
    return datetime.fromtimestamp(moment.timestamp(), UTC)


def _weekdays(field: str) -> str:
    """AWS counts the days of the week from 1 (Sunday), cron from 0."""
    if field in ("*", "?"):
        return "*"

    def day(text: str) -> str:
        return str(_DAYS[text.upper()] if text.upper() in _DAYS else int(text) - 1)

    def part(text: str) -> str:
        body, slash, step = text.partition("/")
        name, mark, nth = body.partition("#")
        if body.upper().endswith("L") and body[:-1]:
            return f"L{day(body[:-1])}"
        shown = "-".join(day(end) for end in name.split("-")) if body != "*" else "*"
        return shown + mark + nth + slash + step

    return ",".join(part(text) for text in field.split(","))
