"""Schedule expressions as EventBridge Scheduler takes them, judged field by field, and time zones. Called by `pipelines`. Pure."""

from __future__ import annotations

import re
import zoneinfo
from datetime import datetime
from difflib import get_close_matches

from meshplane.model.manifest.parts import refuse
from meshplane.model.reading import shown

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

# name, least, most, words for values, special forms: "Schedule types" page of the EventBridge Scheduler guide.
FIELDS: tuple[tuple[str, int, int, tuple[str, ...], str], ...] = (
    ("minutes", 0, 59, (), ""),
    ("hours", 0, 23, (), ""),
    ("day of month", 1, 31, (), "?LW"),
    ("month", 1, 12, MONTHS, ""),
    ("day of week", 1, 7, DAYS, "?L#"),
    ("year", 1970, 2199, (), ""),
)
FORMS = "cron(minutes hours day-of-month month day-of-week year), rate(5 minutes), at(2027-01-31T06:00:00)"


def check_expression(text: str) -> str:
    """The expression itself. Refuses what Scheduler would refuse, naming the field."""
    match = re.fullmatch(r"(cron|rate|at)\((.*)\)", text)
    if not match:
        refuse("schedule-form", "this is no schedule", shown(text), FORMS, "cron(0 6 * * ? *) is every day at 06:00")
    form, inner = match[1], match[2]
    if form == "cron":
        _cron(inner)
    elif form == "rate":
        _rate(inner)
    else:
        _at(inner)
    return text


def _cron(inner: str) -> None:
    parts = inner.split(" ")
    if len(parts) != len(FIELDS):
        mend = f"cron({inner} *)" if len(parts) == 5 else "cron(0 6 * * ? *)"
        refuse("schedule-fields", "cron has six fields", f"{len(parts)}: {shown(inner)}", ", ".join(name for name, *_ in FIELDS), mend)
    for part, (name, least, most, words, special) in zip(parts, FIELDS, strict=True):
        if not all(_item(item, least, most, words, special) for item in part.split(",")):
            allowed = f"{least}-{most}" + (f", {words[0]}-{words[-1]}" if words else "") + ", * , - /" + "".join(f" {c}" for c in special)
            refuse("schedule-cron", f"the field '{name}' of cron is not possible", shown(part), allowed)
    if (parts[2] == "?") == (parts[4] == "?"):
        refuse(
            "schedule-day",
            "exactly one of day of month and day of week is '?'",
            f"{parts[2]} and {parts[4]}",
            "?",
            f"cron({' '.join(parts[:4])} ? {parts[5]})",
        )


def _item(item: str, least: int, most: int, words: tuple[str, ...], special: str) -> bool:
    """One item between commas: *, 5, 1-5, */5, 3/5, 1-30/5, MON-FRI, and the day fields' ? L W #."""

    def value(text: str) -> int | None:
        if text in words:
            return words.index(text) + 1
        return int(text) if re.fullmatch(r"\d{1,4}", text) and least <= int(text) <= most else None

    if special and item in {"?", "L"} & set(special) | {"LW"} & ({"LW"} if "W" in special else set()):
        return True
    if "W" in special and item.endswith("W"):
        return value(item[:-1]) is not None
    if "#" in special and "#" in item:
        day, _, number = item.partition("#")
        return value(day) is not None and number in ("1", "2", "3", "4", "5")
    if "#" in special and item.endswith("L"):
        return value(item[:-1]) is not None
    span, slash, step = item.partition("/")
    if slash and not (re.fullmatch(r"\d{1,4}", step) and 1 <= int(step) <= max(most, 1)):
        return False
    if span == "*":
        return True
    first, dash, last = span.partition("-")
    low, high = value(first), value(last) if dash else value(first)
    return low is not None and high is not None and low <= high


def _rate(inner: str) -> None:
    match = re.fullmatch(r"([1-9]\d{0,5}) (minutes?|hours?|days?)", inner)
    if not match:
        refuse(
            "schedule-rate", "a rate is a number and its unit", shown(inner), "rate(1 minute), rate(5 minutes), rate(1 hour), rate(1 day)"
        )
    if (match[1] == "1") == match[2].endswith("s"):
        unit = match[2].rstrip("s") + ("" if match[1] == "1" else "s")
        refuse("schedule-rate", "the unit of a rate is singular for 1 and plural otherwise", shown(inner), "", f"rate({match[1]} {unit})")


def _at(inner: str) -> None:
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", inner):
            raise ValueError
        datetime.fromisoformat(inner)
    except ValueError:
        refuse("schedule-at", "at takes one moment", shown(inner), "at(yyyy-mm-ddThh:mm:ss)", "the zone stands in `timezone`")


def check_timezone(name: str) -> str:
    """The IANA name itself. Where no time zone data is installed only its form is judged."""
    try:
        if name in ("localtime", "posixrules", "Factory"):  # files of a machine, no names of IANA
            raise ValueError
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = zoneinfo.available_timezones()
        if known or not re.fullmatch(r"[A-Z][A-Za-z_]+(/[A-Z][A-Za-z_+-]+)*", name):
            near = get_close_matches(name, known, 1)
            refuse(
                "timezone",
                f"there is no time zone '{shown(name)}'",
                shown(name),
                "an IANA name, Europe/Berlin",
                f"did you mean '{near[0]}'?" if near else "",
            )
    return name
