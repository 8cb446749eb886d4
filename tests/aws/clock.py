"""A clock that stands still, for adapters that say until when to wait."""

from __future__ import annotations

from datetime import UTC, datetime


class StandingClock:
    """Always the same moment."""

    def now(self) -> datetime:
        return datetime(2040, 1, 1, tzinfo=UTC)
