"""Whether a pipeline is late: no run of it has succeeded today, and the time by which one shall have is over. Pure.

"Today" begins at midnight of the alarm's time zone. The sweep judges it, because no metric knows what has not happened by a time of day.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from meshplane.model.slots import Ended
from meshplane.model.windows import moment


@dataclass(frozen=True, slots=True)
class Late:
    """What the sweep found of one alarm."""

    project: str
    alarm: str
    late: bool


def is_late(by: str, timezone: str, ends: Iterable[Ended], now: datetime) -> bool:
    """`by` is `08:00`; `ends` are the pipeline's last ends, as many as its slots remember."""
    here = now.astimezone(ZoneInfo(timezone))
    if here.time() < time.fromisoformat(by):
        return False
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
    return not any(end.status == "SUCCEEDED" and moment(end.at) >= midnight for end in ends)
