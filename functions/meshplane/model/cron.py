"""When an EventBridge Scheduler expression was last due: for the sweep, which fires what was missed. Pure.

`cron(minutes hours day-of-month month day-of-week year)` with `* , - / ? L W #`, `rate(n unit)` (due at any time: nothing to find) and
`at(yyyy-mm-ddThh:mm:ss)`. Source: EventBridge Scheduler user guide, "Schedule types".
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


def due(expression: str, timezone: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """Every moment (UTC) at which the expression was due, after `after` and not after `until`, oldest first.

    Raises ValueError for what is no expression. A local time that the change to summer time leaves out is not due on that day.
    """
    kind, _, rest = expression.strip().partition("(")
    body = rest.removesuffix(")")
    zone = ZoneInfo(timezone)
    if kind == "at":
        once = datetime.fromisoformat(body).replace(tzinfo=zone).astimezone(UTC)
        yield from [once] if after < once <= until else []
        return
    if kind == "rate":  # counted from the schedule's creation, which only Scheduler knows
        return
    if kind != "cron" or len(body.split()) != 6:
        raise ValueError(f"'{expression}' is neither cron(six fields), rate(…) nor at(…)")
    minutes, hours, month_days, months, week_days, years = body.split()
    times = [time(hour, minute) for hour in _values(hours, 0, 23) for minute in _values(minutes, 0, 59)]
    allowed_months, allowed_years = set(_values(months, 1, 12, MONTHS)), set(_values(years, 1970, 2199))
    day = after.astimezone(zone).date()
    while day <= until.astimezone(zone).date():
        if day.year in allowed_years and day.month in allowed_months and _day_fits(day, month_days, week_days):
            for at in times:
                local = datetime.combine(day, at, zone)
                moment = local.astimezone(UTC)
                if moment.astimezone(zone).time() == at and after < moment <= until:
                    yield moment
        day += timedelta(days=1)


def _values(field: str, low: int, high: int, names: tuple[str, ...] = ()) -> list[int]:
    """The values that a field names, in rising order."""
    found: set[int] = set()
    for part in field.upper().split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if first in {"*", "?"}:
            start, stop = low, high
        else:
            start = _number(first, names)
            stop = _number(last, names) if last else (high if step else start)
        found |= set(range(start, stop + 1, int(step) if step else 1))
    if not all(low <= value <= high for value in found):
        raise ValueError(f"'{field}' is not between {low} and {high}")
    return sorted(found)


def _number(text: str, names: tuple[str, ...]) -> int:
    return names.index(text) + 1 if text in names else int(text)


def _day_fits(day: date, month_days: str, week_days: str) -> bool:
    if month_days != "?":
        return any(_month_day_fits(day, part) for part in month_days.upper().split(","))
    return any(_week_day_fits(day, part) for part in week_days.upper().split(","))


def _month_day_fits(day: date, part: str) -> bool:
    last = monthrange(day.year, day.month)[1]
    if part == "L":
        return day.day == last
    if part.endswith("W"):
        wanted = last if part == "LW" else min(int(part[:-1]), last)
        return day.day == _nearest_week_day(day, wanted, last)
    return day.day in _values(part, 1, 31)


def _nearest_week_day(month: date, wanted: int, last: int) -> int:
    """The working day nearest to `wanted`, in the same month."""
    week_day = month.replace(day=wanted).weekday()
    if week_day == 5:
        return wanted - 1 if wanted > 1 else wanted + 2
    if week_day == 6:
        return wanted + 1 if wanted < last else wanted - 2
    return wanted


def _week_day_fits(day: date, part: str) -> bool:
    number = day.isoweekday() % 7 + 1  # Sunday is 1
    if "#" in part:
        wanted, _, which = part.partition("#")
        return number == _number(wanted, DAYS) and (day.day - 1) // 7 + 1 == int(which)
    if part == "L":
        return number == 7
    if part.endswith("L"):
        return number == _number(part[:-1], DAYS) and day.day + 7 > monthrange(day.year, day.month)[1]
    return number in _values(part, 1, 7, DAYS)
