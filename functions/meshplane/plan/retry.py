"""When to try again, and when to stop trying: pure bookkeeping over the failures of earlier reconciles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

STALLED_AFTER = 5
HOURLY = timedelta(hours=1)
_SCHEDULE = (30, 60, 120, 300, 600, 1800, 3600)


@dataclass(frozen=True, slots=True)
class Failure:
    """How often an action (by its key: verb, resource, want and starting point) failed in the same way."""

    reason: str
    count: int = 1
    retryable: bool = False
    message: str = ""
    at: str = ""  # the last attempt, ISO in UTC

    @property
    def stalled(self) -> bool:
        """Trying again is pointless until the manifest or the world changes; still tried hourly, as a mend may be out of sight."""
        return self.count >= STALLED_AFTER and not self.retryable


def advance(before: Mapping[str, Failure], failed: Mapping[str, Failure]) -> dict[str, Failure]:
    """The counts after one more reconcile. `failed`: what failed now, by action key. What did not fail again is forgotten; one that
    was given up and not tried (its `at` did not move) keeps its count."""
    after = {}
    for key, now in failed.items():
        old = before.get(key)
        if old is None or old.reason != now.reason:
            after[key] = now
        else:
            after[key] = old if old.at == now.at else replace(now, count=old.count + 1)
    return after


def given_up(failures: Mapping[str, Failure], now: datetime) -> dict[str, Failure]:
    """Stalled actions whose hour is not over: they are not tried."""
    return {key: f for key, f in failures.items() if f.stalled and datetime.fromisoformat(f.at) + HOURLY > now}


def delay(count: int) -> timedelta:
    """How long to wait after the `count`-th failure in a row: half a minute, growing to an hour."""
    return timedelta(seconds=_SCHEDULE[min(max(count, 1), len(_SCHEDULE)) - 1])


def next_try(failures: Mapping[str, Failure]) -> timedelta | None:
    """The soonest next attempt over all failures; None when nothing failed."""
    waits = [HOURLY if failure.stalled else delay(failure.count) for failure in failures.values()]
    return min(waits, default=None)
